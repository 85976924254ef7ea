package import ParallaxAPI
package import ParallaxState
import Synchronization

/// Tracks the health of the node: the answers of the health endpoints, and whether the node accepts work; ``NodeCondition`` decides.
package final class NodeHealth: Sendable {
  /// The stages of a node's lifecycle.
  package enum Stage: Sendable, Hashable {
    /// The node has not reached or not read the store yet, because of `reason`.
    case starting(reason: String)
    case running
    /// The node is about to stop. It accepts work until load balancers have noticed, and agents unless it has a successor.
    case leaving(hasSuccessor: Bool)
    /// The node accepts no new work, and keeps its agents to finish its executions, because it has no successor.
    case finishing
    /// The node dismisses its agents and callers.
    case draining
  }

  private struct State {
    var stage = Stage.starting(reason: "starting")
    var lastBeat: Duration
    var lastOpening: Duration?
    /// Whether other nodes may take this node for lost.
    var isSilent: @Sendable () -> Bool = { false }
    var loopWait: @Sendable () -> Duration = { .zero }
  }

  private let nodeID: String
  private let version: String
  private let clock: NodeClock
  /// The length of an outage of the store after which the node refuses traffic.
  private let cutOffAfter: Duration
  private let storeStatus: @Sendable () -> BackendStatus
  private let state: Mutex<State>

  package init(
    nodeID: String, version: String, clock: NodeClock, cutOffAfter: Duration, storeStatus: @escaping @Sendable () -> BackendStatus
  ) {
    self.nodeID = nodeID
    self.version = version
    self.clock = clock
    self.cutOffAfter = cutOffAfter
    self.storeStatus = storeStatus
    state = Mutex(State(lastBeat: clock.now.instant))
  }

  package var stage: Stage {
    get { state.withLock { $0.stage } }
    set { state.withLock { $0.stage = newValue } }
  }

  /// Whether the node is about to stop, so that clients should not keep connections to it.
  package var isLeaving: Bool {
    switch stage {
    case .starting, .running: false
    case .leaving, .finishing, .draining: true
    }
  }

  /// Records that the node has started; false, without effect, if its shutdown has begun.
  package func started() -> Bool {
    state.withLock { state in
      guard case .starting = state.stage else { return false }
      state.stage = .running
      return true
    }
  }

  /// Records why the node has not started yet; without effect after the start or the begin of the shutdown.
  package func waits(because reason: String) {
    state.withLock { state in
      if case .starting = state.stage { state.stage = .starting(reason: reason) }
    }
  }

  /// Makes the node count as cut off while `isSilent` is true, that is, while other nodes may take it for lost.
  package func watchSilence(_ isSilent: @escaping @Sendable () -> Bool) {
    state.withLock { $0.isSilent = isSilent }
  }

  /// Makes the node count as stuck when `wait`, the longest time for which an event loop has not run, is too long.
  package func watchLoops(_ wait: @escaping @Sendable () -> Duration) {
    state.withLock { $0.loopWait = wait }
  }

  /// The time on the node's monotonic clock.
  package var now: Duration { clock.now.instant }

  /// Records that the node's session was open at an instant.
  package func opened(at instant: Duration) {
    state.withLock { $0.lastOpening = instant }
  }

  /// A snapshot of the node's state.
  package var condition: NodeCondition {
    let now = clock.now.instant
    let state = state.withLock { $0 }
    return NodeCondition(
      stage: state.stage, store: storeStatus(), sinceBeat: now - state.lastBeat, loopWait: state.loopWait(),
      sinceOpening: state.lastOpening.map { now - $0 }, isSilent: state.isSilent(), cutOffAfter: cutOffAfter)
  }

  /// Records a beat of the main loop.
  package func beat() {
    let now = clock.now.instant
    state.withLock { $0.lastBeat = now }
  }

  /// The error for new work; nil if the node accepts it.
  package var refusal: APIError? { condition.refusal }

  /// The error for a connecting agent; nil if the node accepts it.
  package var agentRefusal: APIError? { condition.agentRefusal }

  /// Whether the node's own checks allow it to lead.
  package var isFit: Bool { condition.isFit }

  /// Answers `/health` with all checks.
  package func health() -> (status: Int, document: HealthDocument) {
    let condition = condition
    return (condition.status == .unhealthy ? 503 : 200, document(condition.status, condition.checks))
  }

  /// Answers `/health/live`: whether the process makes progress, regardless of the store.
  package func liveness() -> (status: Int, document: HealthDocument) {
    let check = condition.loop
    return (check.status == .unhealthy ? 503 : 200, document(check.status, ["loop": check]))
  }

  /// Answers `/health/ready`: whether the node accepts traffic.
  package func readiness() -> (status: Int, document: HealthDocument) {
    let failures = condition.readinessFailures
    guard failures.isEmpty else { return (503, document(.unhealthy, failures)) }
    return (200, document(.healthy, ["node": HealthDocument.Check(.healthy)]))
  }

  private func document(_ status: HealthStatus, _ checks: [String: HealthDocument.Check]) -> HealthDocument {
    HealthDocument(status: status, nodeId: nodeID, version: version, uptime: clock.now.instant, checks: checks)
  }
}
