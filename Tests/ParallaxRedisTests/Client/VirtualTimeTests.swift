import Logging
import NIOCore
import NIOPosix
import ParallaxConcurrency
import ParallaxTesting
import Synchronization
import TestSupport
import Testing

@testable import ParallaxRedis

private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// The pauses of the client, on a manual clock.
@Suite("Pauses of the client", .timeLimit(.minutes(1)))
struct VirtualTimeTests {
  private let clock = ManualClock()

  @Test("Between attempts to connect the client pauses for longer and longer, up to the limit")
  func backoff() async throws {
    let attempts = Recorder<ManualClock.Instant>()
    let driver = ReconnectionDriver(
      name: "a server", outageLevel: .error, backoff: .init(base: .milliseconds(100), maximum: .seconds(1)),
      clock: MonotonicClock(clock), metrics: RedisMetrics(), logger: quiet, random: { 0.5 })
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        await driver.run { [clock] () async throws(RedisError) in
          attempts.add(clock.now)
          throw RedisError(.connectionFailed, message: "refused")
        } notify: { _ in
        } end: { _ in
        }
      }
      for (attempt, pause) in [50, 100, 200, 400, 500, 500].enumerated() {
        try await clock.sleepers()
        #expect(attempts.count == attempt + 1)
        let next = try #require(clock.nextDeadline)
        #expect(clock.now.duration(to: next) == .milliseconds(pause), "after attempt \(attempt + 1)")
        clock.advance(by: .milliseconds(pause))
      }
      group.cancelAll()
    }
  }

  @Test("A command that a loading server refuses is sent again after pauses, and not before")
  func refusals() async throws {
    let sent = Mutex(0)
    try await withScriptedServer { command in
      guard command.first == "GET" else { return "+OK\r\n" }
      let count = sent.withLock { count in
        count += 1
        return count
      }
      return count < 5 ? "-LOADING Redis is loading the dataset in memory\r\n" : "$4\r\ndone\r\n"
    } _: { port in
      var configuration = RedisConfiguration(host: "127.0.0.1", port: port)
      configuration.commandTimeout = .seconds(30)
      let client = try RedisClient(configuration: configuration, clock: clock, logger: quiet)
      try await withThrowingTaskGroup(of: RESPValue?.self) { group in
        group.addTask {
          try await client.run()
          return nil
        }
        group.addTask { try await client.send(RedisCommand("GET", "k")) }
        for count in 1..<5 {
          try await clock.sleepers()
          for _ in 0..<100 { await Task.yield() }
          #expect(sent.withLock { $0 } == count)
          clock.advance(by: try #require(clock.nextDeadline.map { clock.now.duration(to: $0) }))
        }
        let reply = try await group.next()
        #expect(reply??.string == "done")
        group.cancelAll()
      }
    }
  }

  @Test("While leases end up at a server that was replaced, attempts are ten milliseconds apart, and end at the deadline")
  func leasesAtTheWrongServer() async throws {
    let opened = Mutex(0)
    let isRight = Mutex(true)
    try await withScriptedServer { command in
      if command.first == "HELLO" { opened.withLock { $0 += 1 } }
      return "+OK\r\n"
    } _: { port in
      let endpoint = RedisConfiguration.Endpoint.host("127.0.0.1", port: port)
      let node = node(
        ServerLocator(name: "the master", mustBeMaster: false) { () async throws(RedisError) in
          endpoint
        } isCurrent: { _ in
          isRight.withLock { $0 }
        })
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await node.run() }
        _ = try await node.connection(before: .now() + .seconds(30))
        isRight.withLock { $0 = false }
        let error = await #expect(throws: RedisError.self) { try await node.lease(before: .now()) }
        #expect(error?.code == .connectionFailed && error?.message.contains("has taken over") == true)
        let before = opened.withLock { $0 }
        async let lease = node.lease(before: .now() + .seconds(50))
        for attempt in 1...5 {
          try await clock.sleepers()
          for _ in 0..<100 { await Task.yield() }
          #expect(opened.withLock { $0 } == before + attempt)
          #expect(clock.nextDeadline.map { clock.now.duration(to: $0) } == .milliseconds(10))
          if attempt == 5 { isRight.withLock { $0 = true } }
          clock.advance(by: .milliseconds(10))
        }
        try await lease.giveBack()
        group.cancelAll()
      }
    }
  }

  private func node(_ locator: ServerLocator) -> RedisNode {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let configuration = RedisConfiguration(host: "127.0.0.1", port: 1)
    let connector = RedisConnector(
      configuration: configuration, eventLoop: loop, executor: RedisEventLoopExecutor(eventLoop: loop), metrics: RedisMetrics(),
      clock: MonotonicClock(clock), newConnections: Broadcast(), logger: quiet)
    return RedisNode(locator, configuration: configuration, connector: connector, scripts: KnownScripts([]), logger: quiet)
  }
}
