import Dispatch
import Logging
import NIOCore
import NIOPosix
import ParallaxMetrics
import ParallaxServer
import ParallaxState
import ParallaxTesting
import ServiceLifecycle
import Testing

@testable import ParallaxControlPlane

/// A node one of whose event loops is blocked, seen over the others.
@Suite(.timeLimit(.minutes(1))) struct EventLoopWatchTests {
  /// Keeps an event loop busy until it is released.
  private final class Block: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    init(_ loop: any EventLoop) {
      // Bounded, so that a failed test ends.
      loop.execute { [semaphore] in _ = semaphore.wait(timeout: .now() + .seconds(50)) }
    }

    func release() { semaphore.signal() }
  }

  /// A client's connections, whose responses come in the order in which loops answer.
  private final class Responses: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    private let continuation: AsyncStream<String>.Continuation

    init(_ continuation: AsyncStream<String>.Continuation) { self.continuation = continuation }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      continuation.yield(String(buffer: Self.unwrapInboundIn(data)))
    }
  }

  private static func withGroup(_ body: (MultiThreadedEventLoopGroup) async throws -> Void) async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    do { try await body(group) } catch {
      try await group.shutdownGracefully()
      throw error
    }
    try await group.shutdownGracefully()
  }

  private func assembly(_ group: any EventLoopGroup, _ clock: ManualClock) throws -> NodeAssembly {
    var configuration = NodeConfiguration(nodeID: "node-a")
    configuration.server.port = 0
    return try NodeAssembly(
      configuration: configuration, backend: InMemoryBackend(), registry: MetricsRegistry(), onStuckDuty: {}, group: group,
      clock: NodeClock(clock), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  @Test func aBlockedLoopFailsTheProbesThatOthersAnswer() async throws {
    try await Self.withGroup { group in
      let clock = ManualClock()
      let assembly = try assembly(group, clock)
      let (addresses, bound) = AsyncStream<String>.makeStream()
      var hooks = ParallaxNode.Hooks()
      hooks.onListening = { bound.yield($0) }
      let services = try assembly.services(shippedPatterns: [], hooks: hooks).services.filter { $0 is HTTPServer || $0 is EventLoopWatch }
      try await running(services) {
        var address = addresses.makeAsyncIterator()
        let port = try #require(await address.next()?.split(separator: ":").last.flatMap { Int($0) })
        let (responses, arrived) = AsyncStream<String>.makeStream()
        var response = responses.makeAsyncIterator()
        var connections: [any Channel] = []
        // The loops take connections in turn.
        for _ in 0..<4 {
          let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
              channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Responses(arrived)) }
            }
          connections.append(try await bootstrap.connect(host: "127.0.0.1", port: port).get())
        }
        func probe() async throws {
          for connection in connections {
            try await connection.writeAndFlush(ByteBuffer(string: "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"))
          }
        }
        assembly.health.beat()
        try await probe()
        for _ in connections { #expect(await response.next()?.hasPrefix("HTTP/1.1 200") == true) }

        let loops = Array(group.makeIterator())
        let block = Block(loops[0])
        defer { block.release() }
        for _ in 0..<11 {
          try await clock.sleepers(atLeast: 1)
          clock.advance(by: .seconds(1))
          assembly.health.beat()
        }
        try await clock.sleepers(atLeast: 1)
        // The answers of the other loop to all questions so far.
        try await loops[1].submit {}.get()
        try await probe()
        let answer = await response.next()
        #expect(answer?.hasPrefix("HTTP/1.1 503") == true && answer?.contains("an event loop, which serves") == true, "\(answer ?? "")")

        block.release()
        try await loops[0].submit {}.get()
        #expect(assembly.health.liveness().status == 200)
      }
    }
  }

  @Test func aLoopOwesOneAnswerAtATime() async throws {
    try await Self.withGroup { group in
      let clock = ManualClock()
      let watch = EventLoopWatch(group, clock: NodeClock(clock))
      let block = Block(group.next())
      defer { block.release() }
      try await running([watch]) {
        for second in 0..<20 {
          try await clock.sleepers(atLeast: 1)
          #expect(watch.longestWait == .seconds(second), "since the first question")
          clock.advance(by: .seconds(1))
        }
      }
    }
  }

  @Test func loopsThatRunOweNothing() async throws {
    try await Self.withGroup { group in
      let clock = ManualClock()
      let watch = EventLoopWatch(group, clock: NodeClock(clock))
      try await running([watch]) {
        for _ in 0..<3 {
          try await clock.sleepers(atLeast: 1)
          for loop in group.makeIterator() { try await loop.submit {}.get() }
          clock.advance(by: .seconds(1))
          try await clock.sleepers(atLeast: 1)
        }
        for loop in group.makeIterator() { try await loop.submit {}.get() }
        #expect(watch.longestWait == .zero)
      }
    }
  }
}
