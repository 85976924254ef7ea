package import ParallaxAPI
package import ParallaxState

/// What a node knows of itself at one instant, and what follows from it: what its probes answer, and whether it takes work.
package struct NodeCondition: Sendable {
  /// The main loop counts as stuck when it has not beaten for this long.
  package static let beatTimeout = Duration.seconds(10)

  package var stage: NodeHealth.Stage
  package var store: BackendStatus
  /// How long ago the main loop last beat.
  package var sinceBeat: Duration
  /// How long ago the node last entered itself in the list of sessions; nil if it never has.
  package var sinceOpening: Duration?
  /// Whether other nodes may take this one for lost.
  package var isSilent: Bool
  /// How long the store may be gone before the node takes no traffic.
  package var cutOffAfter: Duration

  package init(
    stage: NodeHealth.Stage, store: BackendStatus, sinceBeat: Duration, sinceOpening: Duration?, isSilent: Bool,
    cutOffAfter: Duration
  ) {
    self.stage = stage
    self.store = store
    self.sinceBeat = sinceBeat
    self.sinceOpening = sinceOpening
    self.isSilent = isSilent
    self.cutOffAfter = cutOffAfter
  }

  /// Whether others may be giving the node's work away: they have heard nothing of it for long, or it may stand in no list.
  package var isCutOff: Bool { isSilent || sinceOpening.map { $0 >= cutOffAfter } ?? false }

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
    guard case .refusesWrites(_, let reason) = store else { return nil }
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
  package var isFit: Bool { stage == .running && loop.status != .unhealthy && !isCutOff }

  /// All checks, by name.
  package var checks: [String: HealthDocument.Check] { ["node": node, "store": storeCheck, "loop": loop] }

  /// The worst of all checks.
  package var status: HealthStatus {
    let all = Set(checks.values.map(\.status))
    return all.contains(.unhealthy) ? .unhealthy : all.contains(.degraded) ? .degraded : .healthy
  }

  /// The checks that keep traffic away from the node; empty if it is ready.
  package var readinessFailures: [String: HealthDocument.Check] {
    ["node": node, "store": storeCheck].filter { $0.value.status == .unhealthy }
  }

  /// Whether the node is in a stage that takes work.
  private var node: HealthDocument.Check {
    switch stage {
    case .starting(let reason): HealthDocument.Check(.unhealthy, detail: "starting: \(reason)")
    case .leaving, .finishing, .draining: HealthDocument.Check(.unhealthy, detail: "draining")
    case .running: HealthDocument.Check(.healthy)
    }
  }

  private var storeCheck: HealthDocument.Check {
    switch store {
    case .reachable:
      return isCutOff
        ? HealthDocument.Check(.unhealthy, detail: "cut off: this node could not write for the detection window")
        : HealthDocument.Check(.healthy)
    case .unreachable(let time, let reason):
      return HealthDocument.Check(time >= cutOffAfter ? .unhealthy : .degraded, detail: "unreachable for \(time.text): \(reason)")
    case .refusesSubscriptions(let reason): return HealthDocument.Check(.unhealthy, detail: "refuses subscriptions: \(reason)")
    case .refusesWrites(let time, let reason):
      return HealthDocument.Check(.unhealthy, detail: "refuses writes since \(time.text): \(reason)")
    }
  }

  /// Whether the process makes progress.
  package var loop: HealthDocument.Check {
    sinceBeat < Self.beatTimeout
      ? HealthDocument.Check(.healthy)
      : HealthDocument.Check(.unhealthy, detail: "the main loop has not run for \(sinceBeat.text)")
  }
}
