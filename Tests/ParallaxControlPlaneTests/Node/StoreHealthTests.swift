import ParallaxAPI
import ParallaxState
import Testing

@testable import ParallaxControlPlane

/// The answers of health endpoints and requests while the store answers but refuses service.
@Suite struct StoreHealthTests {
  private func health(_ status: BackendStatus) -> NodeHealth {
    let health = NodeHealth(
      nodeID: "node", version: "1", clock: NodeClock(), cutOffAfter: .seconds(15), storeStatus: { status })
    health.stage = .running
    return health
  }

  @Test func `A store that refuses writes is reported at once with its own message everywhere`() {
    let health = health(.refusesWrites(for: .milliseconds(10), reason: "OOM command not allowed"))
    #expect(health.health().status == 503)
    #expect(health.readiness().status == 503)
    for document in [health.health().document, health.readiness().document] {
      #expect(document.checks["store"]?.detail?.contains("OOM command not allowed") == true)
    }
    #expect(health.liveness().status == 200)
    let refusal = health.refusal
    #expect(refusal?.code == .notReady)
    #expect(refusal?.message == "the store refuses writes: OOM command not allowed")
  }

  @Test func `A node whose store is full keeps leading and accepts agents, so that executions can end`() {
    let health = health(.refusesWrites(for: .seconds(3_600), reason: "OOM command not allowed"))
    #expect(health.isFit)
    #expect(health.agentRefusal == nil)
  }

  @Test(
    "A node that is cut off names the store's reason to callers and agents",
    arguments: [
      (BackendStatus.refusesWrites(for: .seconds(20), reason: "MISCONF"), "the store refuses writes: MISCONF"),
      (.unreachable(for: .seconds(20), reason: "refused"), "the node is cut off from its store; ask another: refused"),
      (.reachable, "the node is cut off from its store; ask another"),
    ])
  func cutOff(_ status: BackendStatus, _ reason: String) {
    let health = health(status)
    health.watchSilence { true }
    for refusal in [health.refusal, health.agentRefusal] {
      #expect(refusal?.code == .notReady)
      #expect(refusal?.message == reason)
    }
    #expect(!health.isFit)
  }

  @Test func `A store that refuses subscriptions is not ready`() {
    let health = health(.refusesSubscriptions(reason: "NOPERM No permissions to access a channel"))
    #expect(health.readiness().status == 503)
    #expect(health.readiness().document.checks["store"]?.detail?.contains("NOPERM") == true)
  }
}
