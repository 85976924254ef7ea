import Logging
import NIOPosix
import ParallaxHA
import ParallaxMetrics
import ParallaxServer
import ParallaxState
import ParallaxTesting
import Testing

@testable import ParallaxControlPlane

/// The steps of a stop, on a manual clock.
@Suite(.timeLimit(.minutes(1))) struct ShutdownTests {
  private static let me = NodeSession(nodeID: "me", incarnation: "1")
  private static let other = NodeSession(nodeID: "other", incarnation: "1")

  private let clock = ManualClock()
  private let health: NodeHealth

  init() {
    health = NodeHealth(
      nodeID: "me", version: "1", clock: NodeClock(clock), cutOffAfter: .seconds(15), storeStatus: { .reachable })
  }

  private func shutdown(successors: [NodeSession]) throws -> Shutdown {
    let clock = NodeClock(clock)
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let store = ForgetfulStore()
    let dispatcher = Dispatcher(
      settings: DispatchMachine.Settings(session: Self.me), store: store, retention: .seconds(60),
      timerLoop: MultiThreadedEventLoopGroup.singleton.any(), clock: clock, metrics: try DispatchMetrics(registry: MetricsRegistry()),
      logger: logger)
    let election = NodeElection(
      store: AnyElectionStore(InMemoryElectionStore()), session: Self.me, clock: clock.monotonic, logger: logger)
    let watch = ExecutionWatch(store: store, session: Self.me, clock: clock) { _, _ in }
    return Shutdown(
      delay: .seconds(5), timeout: .seconds(30),
      parts: Shutdown.Parts(
        health: health, election: election, dispatcher: dispatcher, watch: watch, listener: ServerListener(clock: clock.monotonic),
        successors: { successors }),
      clock: clock, logger: logger)
  }

  /// A proxy does not send a request to another node once it has sent it to this one.
  @Test func requestsInTransitAreAcceptedAfterTheEndOfAccepting() async throws {
    health.stage = .leaving(hasSuccessor: true)
    let shutdown = try shutdown(successors: [Self.other])
    async let ended: Void = shutdown.acceptingEnded()
    try await clock.sleepers()
    #expect(health.refusal == nil)
    clock.advance(by: ShutdownPlan.lateRequests - .milliseconds(1))
    #expect(health.refusal == nil)
    clock.advance(by: .milliseconds(1))
    await ended
    #expect(health.stage == .draining)
  }

  @Test func aNodeThatFinishesItsWorkRefusesRequestsInTransit() async throws {
    health.stage = .finishing
    await (try shutdown(successors: [])).acceptingEnded()
    #expect(health.stage == .draining)
  }
}
