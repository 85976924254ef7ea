package import ParallaxAPI
package import ParallaxState

/// A snapshot of a node's state, and the decisions that follow from it: the answers of the probes, and whether the node accepts work.
package struct NodeCondition: Sendable {
  /// The time without a beat after which the main loop or an event loop counts as stuck.
  package static let beatTimeout = Duration.seconds(10)

  package var stage: NodeHealth.Stage
  package var store: BackendStatus
  /// The time since the last beat of the main loop.
  package var sinceBeat: Duration
  /// The longest time for which an event loop of the server has owed the watch an answer.
  package var loopWait: Duration
  /// The time since the store last confirmed that the node's session is open; nil if it never has.
  package var sinceOpening: Duration?
  /// Whether other nodes may take this node for lost.
  package var isSilent: Bool
  /// The length of an outage of the store after which the node refuses traffic.
  package var cutOffAfter: Duration

  package init(
    stage: NodeHealth.Stage, store: BackendStatus, sinceBeat: Duration, loopWait: Duration = .zero, sinceOpening: Duration?,
    isSilent: Bool, cutOffAfter: Duration
  ) {
    self.stage = stage
    self.store = store
    self.sinceBeat = sinceBeat
    self.loopWait = loopWait
    self.sinceOpening = sinceOpening
    self.isSilent = isSilent
    self.cutOffAfter = cutOffAfter
  }

  /// Whether other nodes may be taking over the node's work: they miss its heartbeats, or its session may be closed.
  package var isCutOff: Bool { isSilent || sinceOpening.map { $0 >= cutOffAfter } ?? false }

  /// The error for new work; nil if the node accepts it.
  package var refusal: APIError? {
    switch stage {
    case .starting, .finishing, .draining: stageRefusal
    case .running, .leaving: cutOffRefusal ?? storeRefusal
    }
  }

  /// The error for a request in a stage without service.
  private var stageRefusal: APIError? {
    switch stage {
    case .starting(let reason): APIError(.notReady, "the node is starting: \(reason)")
    case .finishing, .draining: APIError(.notReady, "the node is shutting down; ask another")
    case .running, .leaving: nil
    }
  }

  /// The error for a request while other nodes may be taking over the node's work, with the store's own reason if it has one.
  private var cutOffRefusal: APIError? {
    guard isCutOff else { return nil }
    if let storeRefusal { return storeRefusal }
    guard case .unreachable(_, let reason) = store else { return APIError(.notReady, "the node is cut off from its store; ask another") }
    return APIError(.notReady, "the node is cut off from its store; ask another: \(reason)")
  }

  /// The error for a request that needs a write, while the store refuses writes.
  private var storeRefusal: APIError? {
    guard case .refusesWrites(_, let reason) = store else { return nil }
    return APIError(.notReady, "the store refuses writes: \(reason)")
  }

  /// The error for a connecting agent; nil if the node accepts it.
  package var agentRefusal: APIError? {
    switch stage {
    case .leaving(hasSuccessor: true), .draining: APIError(.notReady, "the node is shutting down; connect to another")
    // The tasks of an agent that lost its connection can only end at this node.
    case .leaving(hasSuccessor: false), .finishing: nil
    // Agents may reconnect while the store's memory is full, so that the stored executions can end.
    case .starting, .running: stageRefusal ?? cutOffRefusal
    }
  }

  /// Whether the node's own checks allow it to lead.
  package var isFit: Bool { stage == .running && loop.status != .unhealthy && !isCutOff }

  /// All checks by name.
  package var checks: [String: HealthDocument.Check] { ["node": node, "store": storeCheck, "loop": loop] }

  /// The worst status of all checks.
  package var status: HealthStatus {
    let all = Set(checks.values.map(\.status))
    return all.contains(.unhealthy) ? .unhealthy : all.contains(.degraded) ? .degraded : .healthy
  }

  /// The failed checks that make the node unready; empty if the node is ready.
  package var readinessFailures: [String: HealthDocument.Check] {
    ["node": node, "store": storeCheck].filter { $0.value.status == .unhealthy }
  }

  /// The check that the node is in a stage that accepts work.
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
      return HealthDocument.Check(.unhealthy, detail: "has refused writes for \(time.text): \(reason)")
    }
  }

  /// The check that the process makes progress.
  package var loop: HealthDocument.Check {
    if sinceBeat >= Self.beatTimeout {
      HealthDocument.Check(.unhealthy, detail: "the main loop has not run for \(sinceBeat.text)")
    } else if loopWait >= Self.beatTimeout {
      HealthDocument.Check(.unhealthy, detail: "an event loop, which serves a part of the connections, has not run for \(loopWait.text)")
    } else {
      HealthDocument.Check(.healthy)
    }
  }
}
