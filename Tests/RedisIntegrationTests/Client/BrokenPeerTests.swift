import Logging
import NIOCore
import ParallaxRedis
import TestSupport
import Testing

@Suite("Peers with invalid replies or none", .serialized, .timeLimit(.minutes(1)))
struct BrokenPeerTests {
  @Test("Garbage between the replies: the connection is closed, and no caller gets a wrong reply")
  func garbage() async throws {
    let log = LogCollector()
    try await withProxy(logger: log.logger) { server, proxy, client in
      let report = try await WriterLoad.run(on: client) { load in
        for garbage in [
          "HTTP/1.1 400 Bad Request\r\n\r\n", "\0\0\0\0", "$-7\r\n", ":12monkeys\r\n", "*99999999999\r\n", "$5\r\nhello!!\r\n",
        ] {
          proxy.inject(garbage)
          try await load.progress()
        }
      }
      print("garbage: \(report.summary)")
      #expect(try report.complaints(server) == [])
      #expect(report.lost == 0)
      #expect(log.errors.count { $0.contains("protocolViolation") } == 6)
      #expect(report.failures.allSatisfy { $0.code == .unknownOutcome && $0.command == "INCR" }, "\(report.failures)")
      let causes = report.failures.map { ($0.cause as? RedisError)?.code }
      #expect(causes.allSatisfy { $0 == .protocolViolation }, "\(causes)")
    }
  }

  @Test("Replies that arrive byte by byte are combined, also those of a long pipeline")
  func byteByByte() async throws {
    try await withProxy { _, proxy, client in
      let items = (0..<100).map { RedisArgument("item\($0)") }
      _ = try await client.send(RedisCommand("RPUSH", arguments: ["list"] + items))
      proxy.trickle()
      let commands = (0..<200).map { $0.isMultiple(of: 50) ? RedisCommand("LRANGE", "list", 0, -1) : RedisCommand("ECHO", "e\($0)") }
      let results = try await client.pipeline(commands)
      for (number, result) in results.enumerated() {
        if number.isMultiple(of: 50) {
          #expect(try result.get().array?.map(\.string) == (0..<100).map { "item\($0)" })
        } else {
          #expect(try result.get().string == "e\(number)")
        }
      }
    }
  }

  @Test("A pipeline whose replies stop keeps those that arrived in time, and later replies reach their callers")
  func heldReplies() async throws {
    try await withProxy { _, proxy, client in
      let connection = try await client.send(RedisCommand("CLIENT", "ID")).int
      // Five replies of eight bytes, and a part of the sixth.
      proxy.trickle(upTo: 43)
      let results = try await client.pipeline((0..<10).map { RedisCommand("ECHO", "e\($0)").withTimeout(.seconds(2)) })
      for (number, result) in results.enumerated() {
        if number < 5 {
          #expect(try result.get().string == "e\(number)")
        } else {
          let error = try await redisError { try result.get() }
          #expect(error?.code == .timedOut && error?.mayHaveExecuted == true)
        }
      }
      async let next = client.send(RedisCommand("ECHO", "next"))
      proxy.passAll()
      #expect(try await next.string == "next")
      #expect(try await client.send(RedisCommand("CLIENT", "ID")).int == connection)
    }
  }

  @Test("A reply without end does not delay the client forever")
  func endlessReply() async throws {
    try await withProxy {
      $0.commandTimeout = .seconds(1)
    } _: { _, proxy, client in
      _ = try await client.send(RedisCommand("PING").withTimeout(.seconds(10)))
      // Every later answer of the server is an element of this array.
      proxy.inject("*1000000\r\n")
      let began = ContinuousClock.now
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<5 {
          group.addTask {
            // One after the other, so that bytes keep arriving.
            try await Task.sleep(for: .milliseconds(200 * number))
            try await eventually("the client has left the connection") {
              try await redisError { try await client.send(RedisCommand("ECHO", "e")) } == nil
            }
          }
        }
        try await group.waitForAll()
      }
      print("endless reply: left after \(ContinuousClock.now - began)")
    }
  }

  @Test("A host that does not answer differs from a server that accepts and never replies", arguments: [true, false])
  func silence(isFull: Bool) async throws {
    let listener = try DeafListener(isFull: isFull)
    var configuration = RedisConfiguration(host: "127.0.0.1", port: listener.port)
    configuration.connectTimeout = .seconds(1)
    try await withClient(configuration) { client async throws in
      try await eventually("the client says what is wrong") {
        client.status.lastError?.message.contains(isFull ? "Connect timeout" : "did not answer in time") == true
      }
      let error = try #require(try await redisError { try await client.send(RedisCommand("PING").withTimeout(.milliseconds(50))) })
      #expect(error.code == .connectionFailed)
      #expect(error.message.contains("127.0.0.1:\(listener.port)"))
      #expect(!error.mayHaveExecuted)
    }
  }

  @Test("A client ends at once during a slow connection or login", arguments: [true, false])
  func endsWhileConnecting(isFull: Bool) async throws {
    let listener = try DeafListener(isFull: isFull)
    var configuration = RedisConfiguration(host: "127.0.0.1", port: listener.port)
    configuration.connectTimeout = .seconds(50)
    let began = ContinuousClock.now
    try await withClient(configuration) { _ in try await Task.sleep(for: .milliseconds(100)) }
    #expect(ContinuousClock.now - began < .seconds(20))
  }

  private func withProxy(
    logger: Logger = quietLogger, _ change: (inout RedisConfiguration) -> Void = { _ in },
    _ body: @Sendable (RedisServer, MeddlingProxy, RedisClient) async throws -> Void
  ) async throws {
    try await RedisServer.with { server in
      try await MeddlingProxy.with(to: server.port) { proxy in
        let configuration = try server.configuration {
          $0.deployment = .standalone(.host("127.0.0.1", port: proxy.port))
          change(&$0)
        }
        try await withClient(configuration, logger: logger) { client in try await body(server, proxy, client) }
      }
    }
  }
}
