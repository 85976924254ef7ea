import BenchmarkSupport
import Foundation
import NIOCore
import NIOPosix

/// The measurements of one round.
struct Round: Sendable {
  var seconds: Double
  var answers: Int
  var executions: Int
  var failures: Int
  /// In microseconds, ascending.
  var latencies: [UInt32]
  var nodeTime: Duration
  var generatorTime: Duration
  var redisTime: Duration?
  var redisCommands: RedisCommands?

  var executionsPerSecond: Double { Double(executions) / seconds }
}

/// Callers and agents, all on one event loop.
struct Load: Sendable {
  private static let pattern = "bench"

  private let group: MultiThreadedEventLoopGroup
  private let loop: any EventLoop
  private let counters: NIOLoopBound<Counters>

  /// Registers the agents and the pattern, and starts the callers.
  static func start(port: Int, connections: Int, agents: Int, asynchronous: Bool) async throws -> Load {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop = group.next()
    let counters = try await loop.submit { NIOLoopBound(Counters(), eventLoop: loop) }.get()
    let load = Load(group: group, loop: loop, counters: counters)
    let definition =
      #"{"name":"\#(pattern)","version":"1.0.0","agents":{"capabilities":["\#(pattern)"]},"aggregation":{"strategy":"first"},"timeout":"30s"}"#
    let posted = try await load.exchange(port: port, "/api/patterns", definition)
    guard (200..<300).contains(posted.status) else {
      throw BenchmarkError("the pattern was refused: \(String(buffer: posted.body))")
    }
    for index in 0..<agents { try await load.connectAgent(port: port, id: "agent_bench_\(index)") }
    let request = Self.request(
      "/api/patterns/\(pattern)/execute" + (asynchronous ? "?async=true" : ""), #"{"input":{"text":"Is it fast?"}}"#)
    for _ in 0..<connections { try await load.connectCaller(port: port, request, expecting: asynchronous ? 202 : 200) }
    return load
  }

  /// Runs the load until the caches of node and Redis are warm.
  func warmUp() async throws {
    try await Task.sleep(for: .seconds(2))
  }

  /// Measures for several seconds.
  func round(seconds: Int, node: NodeProcess, redis: RedisProcess?) async throws -> Round {
    let nodeBefore = try ProcessorTime.of(pid: node.server.pid)
    let redisBefore = try redis.map { (try ProcessorTime.of(pid: $0.server.pid), try $0.commands()) }
    let ownBefore = try ProcessorTime.of(pid: getpid())
    _ = try await takeCounters()
    let start = ContinuousClock.now
    try await Task.sleep(for: .seconds(seconds))
    let counted = try await takeCounters()
    let elapsed = ContinuousClock.now - start
    let own = try ProcessorTime.of(pid: getpid()) - ownBefore
    let nodeTime = try ProcessorTime.of(pid: node.server.pid) - nodeBefore
    let redisAfter = try redis.map { (try ProcessorTime.of(pid: $0.server.pid), try $0.commands()) }
    if let failure = counted.failure, counted.answers == 0 { throw BenchmarkError("no execution succeeded: \(failure)") }
    var round = Round(
      seconds: elapsed / .seconds(1), answers: counted.answers, executions: counted.acknowledged, failures: counted.failures,
      latencies: counted.latencies.sorted(), nodeTime: nodeTime, generatorTime: own)
    if let redisBefore, let redisAfter {
      round.redisTime = redisAfter.0 - redisBefore.0
      round.redisCommands = redisAfter.1 - redisBefore.1
    }
    return round
  }

  func stop() async throws {
    try await group.shutdownGracefully()
  }

  private func takeCounters() async throws -> Counters.Values {
    let counters = counters
    return try await loop.submit { counters.value.take() }.get()
  }

  private func connectAgent(port: Int, id: String) async throws {
    let registered = loop.makePromise(of: Void.self)
    let counters = counters
    _ = try await connect(port: port) {
      LoadAgent(id: id, capability: Self.pattern, registered: registered) { counters.value.values.acknowledged += 1 }
    }
    try await registered.futureResult.get()
  }

  private func connectCaller(port: Int, _ request: ByteBuffer, expecting status: Int) async throws {
    let counters = counters
    _ = try await connect(port: port) {
      var sent = ContinuousClock.now
      return HTTPCaller { outcome in
        let now = ContinuousClock.now
        if let outcome { counters.value.record(outcome, expecting: status, after: now - sent) }
        if case .failure = outcome { return nil }
        sent = now
        return request
      }
    }
  }

  private func exchange(port: Int, _ path: String, _ body: String) async throws -> HTTPResponse {
    let promise = loop.makePromise(of: HTTPResponse.self)
    let request = Self.request(path, body)
    _ = try await connect(port: port) {
      HTTPCaller { outcome in
        guard let outcome else { return request }
        promise.completeWith(outcome)
        return nil
      }
    }
    return try await promise.futureResult.get()
  }

  private func connect(port: Int, _ handler: @escaping @Sendable () -> some ChannelHandler) async throws -> any Channel {
    try await ClientBootstrap(group: loop)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(handler()) }
      }
      .connect(host: "127.0.0.1", port: port).get()
  }

  private static func request(_ path: String, _ body: String) -> ByteBuffer {
    ByteBuffer(
      string:
        "POST \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
  }
}

/// The counts of callers and agents; used on the event loop only.
final class Counters {
  struct Values: Sendable {
    var answers = 0
    var acknowledged = 0
    var failures = 0
    var failure: String?
    var latencies: [UInt32] = []
  }

  var values = Values()

  func record(_ outcome: Result<HTTPResponse, any Error>, expecting status: Int, after latency: Duration) {
    switch outcome {
    case .success(let response) where response.status == status:
      values.answers += 1
      values.latencies.append(UInt32(clamping: latency.components.seconds * 1_000_000 + latency.components.attoseconds / 1_000_000_000_000))
    case .success(let response): fail("\(response.status) \(String(buffer: response.body))")
    case .failure(let error): fail("\(error)")
    }
  }

  func take() -> Values {
    let taken = values
    values = Values()
    values.latencies.reserveCapacity(max(1 << 16, taken.latencies.count * 2))
    return taken
  }

  private func fail(_ reason: String) {
    if values.failure == nil { values.failure = reason }
    values.failures += 1
  }
}
