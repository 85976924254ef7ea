package import ParallaxAPI
package import ParallaxState
import Synchronization

/// How the node is: what the health endpoints answer, and whether it takes work.
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

  /// The main loop counts as stuck when it has not beaten for this long.
  private static let beatTimeout = Duration.seconds(10)

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

  /// Whether the node's work may have been given away: others have heard nothing of it for long, or it may stand on no list.
  private var isCutOff: Bool {
    let (isSilent, lastOpening) = state.withLock { ($0.isSilent, $0.lastOpening) }
    return isSilent() || lastOpening.map { now - $0 >= cutOffAfter } ?? false
  }

  /// The main loop is alive.
  package func beat() {
    let now = clock.now.instant
    state.withLock { $0.lastBeat = now }
  }

  /// Why the node takes no new work, or nil.
  package var refusal: APIError? {
    switch stage {
    case .starting(let reason): APIError(.notReady, "the node is starting: \(reason)")
    case .finishing, .draining: APIError(.notReady, "the node is shutting down; ask another")
    case .running, .leaving: isCutOff ? APIError(.notReady, "the node is cut off from its store; ask another") : storeRefusal
    }
  }

  /// What a request gets that has to be written into a store that takes no writes.
  private var storeRefusal: APIError? {
    guard case .refusesWrites(_, let reason) = storeStatus() else { return nil }
    return APIError(.notReady, "the store refuses writes: \(reason)")
  }

  /// Why the node takes no further agents, or nil.
  package var agentRefusal: APIError? {
    switch stage {
    case .leaving(hasSuccessor: true), .draining: APIError(.notReady, "the node is shutting down; connect to another")
    // What an agent that lost its connection still works on can only end here.
    case .leaving(hasSuccessor: false), .finishing: nil
    // A store whose memory is full takes agents back, so that what it holds can end.
    case .starting, .running: refusal == storeRefusal ? nil : refusal
    }
  }

  /// Whether the node is fit to lead by its own checks.
  package var isFit: Bool {
    stage == .running && loopCheck().status != .unhealthy && !isCutOff
  }

  /// `/health`: everything that is known.
  package func health() -> (status: Int, document: HealthDocument) {
    let checks = ["node": nodeCheck(), "store": storeCheck(), "loop": loopCheck()]
    let status: HealthStatus =
      checks.values.contains { $0.status == .unhealthy }
      ? .unhealthy : checks.values.contains { $0.status == .degraded } ? .degraded : .healthy
    return (status == .unhealthy ? 503 : 200, document(status, checks))
  }

  /// `/health/live`: whether the process makes progress; never looks at the store.
  package func liveness() -> (status: Int, document: HealthDocument) {
    let check = loopCheck()
    return (check.status == .unhealthy ? 503 : 200, document(check.status, ["loop": check]))
  }

  /// `/health/ready`: whether the node can take traffic.
  package func readiness() -> (status: Int, document: HealthDocument) {
    var failing = ["node": nodeCheck(), "store": storeCheck()].filter { $0.value.status == .unhealthy }
    let isReady = failing.isEmpty
    if isReady { failing = ["node": HealthDocument.Check(.healthy)] }
    return (isReady ? 200 : 503, document(isReady ? .healthy : .unhealthy, failing))
  }

  private func document(_ status: HealthStatus, _ checks: [String: HealthDocument.Check]) -> HealthDocument {
    HealthDocument(status: status, nodeId: nodeID, version: version, uptime: clock.now.instant, checks: checks)
  }

  private func nodeCheck() -> HealthDocument.Check {
    switch stage {
    case .starting(let reason): HealthDocument.Check(.unhealthy, detail: "starting: \(reason)")
    case .leaving, .finishing, .draining: HealthDocument.Check(.unhealthy, detail: "draining")
    case .running: HealthDocument.Check(.healthy)
    }
  }

  private func storeCheck() -> HealthDocument.Check {
    switch storeStatus() {
    case .reachable:
      return isCutOff
        ? HealthDocument.Check(.unhealthy, detail: "cut off: this node could not write for the detection window")
        : HealthDocument.Check(.healthy)
    case .unreachable(let time, let reason):
      let detail = "unreachable for \(time.text): \(reason)"
      return HealthDocument.Check(time >= cutOffAfter ? .unhealthy : .degraded, detail: detail)
    case .refusesSubscriptions(let reason): return HealthDocument.Check(.unhealthy, detail: "refuses subscriptions: \(reason)")
    case .refusesWrites(let time, let reason):
      return HealthDocument.Check(.unhealthy, detail: "refuses writes since \(time.text): \(reason)")
    }
  }

  private func loopCheck() -> HealthDocument.Check {
    let silence = clock.now.instant - state.withLock { $0.lastBeat }
    return silence < Self.beatTimeout
      ? HealthDocument.Check(.healthy) : HealthDocument.Check(.unhealthy, detail: "the main loop has not run for \(silence.text)")
  }
}
