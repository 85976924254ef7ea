import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxTesting
import Testing

@testable import ParallaxControlPlane

/// What a node tells of its configuration and its log.
@Suite struct NodeDebugTests {
  private let clock = ManualClock()
  private let level = NodeLogLevel(.critical)

  private func debug(_ configuration: NodeConfiguration = NodeConfiguration(nodeID: "node-a"), hasLog: Bool = true) -> NodeDebug {
    NodeDebug(
      session: NodeSession(nodeID: "node-a", incarnation: "1"), commit: "0123456789ab",
      configuration: NodeDebug.ConfigurationInForce(configuration), log: hasLog ? level : nil, clock: NodeClock(clock))
  }

  private var logger: Logger {
    let level = level
    return Logger(label: "test") { _ in NodeLogHandler(level: level, format: .text) }
  }

  @Test func theConfigurationIsThatInForceWithoutSecrets() throws {
    var configuration = NodeConfiguration(nodeID: "node-a")
    configuration.redis.url = RedisURL("redis://user:s3cret@127.0.0.1")
    let debug = debug(configuration)
    let document = debug.document()
    #expect(document.nodeId == "node-a" && document.commit == "0123456789ab")
    #expect(document.configuration.contains("user:***@") && !document.configuration.contains("s3cret"))
    configuration.limits.requestsPerMinute = 77
    debug.configuration.value = configuration
    #expect(debug.document().configuration.contains("requestsPerMinute: 77"))
  }

  @Test func theLogIsCollectedAtDebugWhateverItsLevelIs() async throws {
    let debug = debug()
    logger.debug("before")
    async let collected = debug.log(for: .seconds(5))
    try await clock.sleepers(atLeast: 1)
    // Nothing but the collection wants these: the process would otherwise have them in its own log.
    logger.debug("meanwhile", metadata: ["n": "1"])
    logger.trace("too fine")
    clock.advance(by: .seconds(5))
    let document = try await collected
    #expect(document.lines.count == 1 && document.lines[0].hasSuffix(" debug meanwhile n=1\n"), "\(document.lines)")
    #expect(document.duration.duration == .seconds(5) && document.omitted == 0 && document.nodeId == "node-a")
    #expect(logger.logLevel == .critical, "the collection is over")
  }

  @Test func aCallerThatIsGoneEndsItsCollection() async throws {
    let debug = debug()
    let caller = Task { try await debug.log(for: .seconds(30)) }
    try await clock.sleepers(atLeast: 1)
    caller.cancel()
    _ = try await caller.value
    #expect(logger.logLevel == .critical)
  }

  @Test func aCollectionIsBounded() async throws {
    let collected = try await level.collect {
      for number in 0..<5_003 { logger.debug("\(number)") }
    }
    #expect(collected.lines.count == 5_000 && collected.omitted == 3)
    let large = try await level.collect {
      for _ in 0..<20 { logger.debug("\(String(repeating: "x", count: 100_000))") }
    }
    #expect(large.lines.count == 10 && large.omitted == 10)
  }

  @Test func aFifthCollectionAtTheSameTimeIsRefused() async throws {
    func nested(_ depth: Int) async throws {
      guard depth > 0 else { return }
      _ = try await level.collect { try await nested(depth - 1) }
    }
    try await nested(4)
    await #expect { try await nested(5) } throws: { ($0 as? APIError)?.code == .rateLimited }
    try await nested(4)
  }

  @Test func aNodeInsideAnotherProgramHasNoLog() async {
    let debug = debug(hasLog: false)
    await #expect { try await debug.log(for: .seconds(1)) } throws: { ($0 as? APIError)?.code == .notFound }
  }
}
