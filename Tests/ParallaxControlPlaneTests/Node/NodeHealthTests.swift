import ParallaxAPI
import ParallaxState
import ParallaxTesting
import Testing

@testable import ParallaxControlPlane

@Suite(.timeLimit(.minutes(1))) struct NodeConditionTests {
  private func condition(
    _ stage: NodeHealth.Stage = .running, store: BackendStatus = .reachable, sinceBeat: Duration = .zero, loopWait: Duration = .zero,
    sinceOpening: Duration? = .zero, isSilent: Bool = false
  ) -> NodeCondition {
    NodeCondition(
      stage: stage, store: store, sinceBeat: sinceBeat, loopWait: loopWait, sinceOpening: sinceOpening, isSilent: isSilent,
      cutOffAfter: .seconds(15))
  }

  @Test func aHealthyNodeAcceptsWork() {
    let condition = condition()
    #expect(condition.refusal == nil && condition.agentRefusal == nil && condition.isFit)
    #expect(condition.status == .healthy && condition.readinessFailures.isEmpty)
  }

  @Test(arguments: [
    (NodeHealth.Stage.starting(reason: "no store"), takesWork: false, takesAgents: false),
    (.leaving(hasSuccessor: true), takesWork: true, takesAgents: false),
    (.leaving(hasSuccessor: false), takesWork: true, takesAgents: true), (.finishing, takesWork: false, takesAgents: true),
    (.draining, takesWork: false, takesAgents: false),
  ])
  func aNodeThatStartsOrStops(stage: NodeHealth.Stage, takesWork: Bool, takesAgents: Bool) {
    let condition = condition(stage)
    #expect((condition.refusal == nil) == takesWork)
    #expect((condition.agentRefusal == nil) == takesAgents)
    #expect(!condition.isFit)
    #expect(condition.readinessFailures.keys.sorted() == ["node"])
  }

  /// Other nodes may already be taking over the work of a node that is cut off.
  @Test func aNodeThatIsCutOffAcceptsNoWork() {
    for (name, condition) in [
      ("silent", condition(isSilent: true)), ("in no list", condition(sinceOpening: .seconds(15))),
      ("silent while it leaves", condition(.leaving(hasSuccessor: true), isSilent: true)),
    ] {
      #expect(condition.refusal?.code == .notReady, "\(name)")
      #expect(condition.agentRefusal?.code == .notReady, "\(name)")
      #expect(!condition.isFit, "\(name)")
      #expect(condition.readinessFailures["store"] != nil, "\(name)")
    }
    #expect(!condition(sinceOpening: .milliseconds(14_999)).isCutOff)
    #expect(!condition(sinceOpening: nil).isCutOff)
  }

  @Test func aStoreThatDoesNotAnswerDegradesFirst() {
    let short = condition(store: .unreachable(for: .milliseconds(14_999), reason: "refused"))
    #expect(short.status == .degraded && short.readinessFailures.isEmpty && short.isFit)
    let long = condition(store: .unreachable(for: .seconds(15), reason: "refused"))
    #expect(long.status == .unhealthy && long.readinessFailures.keys.sorted() == ["store"])
  }

  @Test func aBlockedMainLoopIsUnhealthyButReady() {
    #expect(condition(sinceBeat: .milliseconds(9_999)).loop.status == .healthy)
    let stuck = condition(sinceBeat: .seconds(10))
    #expect(stuck.loop.status == .unhealthy && stuck.status == .unhealthy && !stuck.isFit)
    #expect(stuck.readinessFailures.isEmpty)
  }

  @Test func aBlockedEventLoopIsUnhealthyButReady() {
    #expect(condition(loopWait: .milliseconds(9_999)).loop.status == .healthy)
    let stuck = condition(loopWait: .seconds(10))
    #expect(stuck.loop.status == .unhealthy && stuck.status == .unhealthy && !stuck.isFit)
    #expect(stuck.readinessFailures.isEmpty)
  }
}

@Suite(.timeLimit(.minutes(1))) struct NodeHealthTests {
  private let clock = ManualClock()

  private func health() -> NodeHealth {
    let health = NodeHealth(
      nodeID: "n", version: "1", clock: NodeClock(clock), cutOffAfter: .seconds(15), storeStatus: { .reachable })
    health.stage = .running
    return health
  }

  @Test func aNodeThatNoLongerRenewsItsSessionIsCutOff() {
    let health = health()
    health.opened(at: health.now)
    clock.advance(by: .milliseconds(14_999))
    health.beat()
    #expect(health.refusal == nil && health.readiness().status == 200)
    clock.advance(by: .milliseconds(1))
    #expect(health.refusal?.code == .notReady && health.readiness().status == 503)
    health.opened(at: health.now)
    #expect(health.refusal == nil && health.readiness().status == 200)
  }

  @Test func theClockOfTheNodeMeasuresTheMainLoop() {
    let health = health()
    health.beat()
    clock.advance(by: .milliseconds(9_999))
    #expect(health.liveness().status == 200)
    clock.advance(by: .milliseconds(1))
    #expect(health.liveness().status == 503 && health.health().status == 503)
    health.beat()
    #expect(health.liveness().status == 200)
  }
}

@Suite(.timeLimit(.minutes(1))) struct NodeClockTests {
  @Test func instantsCountFromTheCreationOfTheClock() async throws {
    let manual = ManualClock()
    manual.advance(by: .seconds(5))
    let clock = NodeClock(manual) { World.start }
    #expect(clock.now == Moment(instant: .zero, wall: World.start))
    manual.advance(by: .seconds(2))
    #expect(clock.now.instant == .seconds(2))
    async let sleep: Void = clock.sleep(for: .seconds(3))
    try await manual.sleepers()
    #expect(manual.nextDeadline?.sinceStart == .seconds(10))
    manual.advance(by: .seconds(3))
    try await sleep
  }
}
