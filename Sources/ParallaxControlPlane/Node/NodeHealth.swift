package import ParallaxAPI
package import ParallaxState
import Synchronization

/// How the node is: what the health endpoints answer, and whether it takes work; ``NodeCondition`` decides.
package final class NodeHealth: Sendable {
  /// The stages of a node's life.
  package enum Stage: Sendable, Hashable {
    /// The store is not reached or not read yet; `reason` says what is in the way.
    case starting(reason: String)
    case running
    /// The node is about to stop and still takes work, until load balancers have noticed; and agents, unless others can have them.
    case leaving(hasSuccessor: Bool)
    /// The node takes no further work, and keeps its agents for what it has, since no other node takes over.
    case finishing
    /// The node sends its agents and callers away.
    case draining
  }

  private struct State {
    var stage = Stage.starting(reason: "starting")
    var lastBeat: Duration
    var lastOpening: Duration?
    /// Whether other nodes may take this one for lost.
    var isSilent: @Sendable () -> Bool = { false }
  }

  private let nodeID: String
  private let version: String
  private let clock: NodeClock
  /// How long the store may be gone before the node takes no traffic.
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

  /// Whether the node is about to stop: clients are to keep no connection to it.
  package var isLeaving: Bool {
    switch stage {
    case .starting, .running: false
    case .leaving, .finishing, .draining: true
    }
  }

  /// The node has started and takes work; false if it was told to stop before.
  package func started() -> Bool {
    state.withLock { state in
      guard case .starting = state.stage else { return false }
      state.stage = .running
      return true
    }
  }

  /// Says why the node has not started yet; of no effect once it has started or was told to stop.
  package func waits(because reason: String) {
    state.withLock { state in
      if case .starting = state.stage { state.stage = .starting(reason: reason) }
    }
  }

  /// Has the node count as cut off while `isSilent` says that others may take it for lost.
  package func watchSilence(_ isSilent: @escaping @Sendable () -> Bool) {
    state.withLock { $0.isSilent = isSilent }
  }

  /// The node's monotonic clock.
  package var now: Duration { clock.now.instant }

  /// The node stood on the list of sessions at this instant.
  package func opened(at instant: Duration) {
    state.withLock { $0.lastOpening = instant }
  }

  /// What the node knows of itself now.
  package var condition: NodeCondition {
    let now = clock.now.instant
    let state = state.withLock { $0 }
    return NodeCondition(
      stage: state.stage, store: storeStatus(), sinceBeat: now - state.lastBeat, sinceOpening: state.lastOpening.map { now - $0 },
      isSilent: state.isSilent(), cutOffAfter: cutOffAfter)
  }

  /// The main loop is alive.
  package func beat() {
    let now = clock.now.instant
    state.withLock { $0.lastBeat = now }
  }

  /// Why the node takes no new work, or nil.
  package var refusal: APIError? { condition.refusal }

  /// Why the node takes no further agents, or nil.
  package var agentRefusal: APIError? { condition.agentRefusal }

  /// Whether the node is fit to lead by its own checks.
  package var isFit: Bool { condition.isFit }

  /// `/health`: everything that is known.
  package func health() -> (status: Int, document: HealthDocument) {
    let condition = condition
    return (condition.status == .unhealthy ? 503 : 200, document(condition.status, condition.checks))
  }

  /// `/health/live`: whether the process makes progress; says nothing of the store.
  package func liveness() -> (status: Int, document: HealthDocument) {
    let check = condition.loop
    return (check.status == .unhealthy ? 503 : 200, document(check.status, ["loop": check]))
  }

  /// `/health/ready`: whether the node can take traffic.
  package func readiness() -> (status: Int, document: HealthDocument) {
    let failures = condition.readinessFailures
    guard failures.isEmpty else { return (503, document(.unhealthy, failures)) }
    return (200, document(.healthy, ["node": HealthDocument.Check(.healthy)]))
  }

  private func document(_ status: HealthStatus, _ checks: [String: HealthDocument.Check]) -> HealthDocument {
    HealthDocument(status: status, nodeId: nodeID, version: version, uptime: clock.now.instant, checks: checks)
  }
}
