import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxMetrics

/// Executes the operators' commands about leadership: step down, elect, pause.
///
/// Any node of the cluster accepts them.
struct ClusterCommands: Sendable {
  let election: NodeElection
  let members: NodeMembers
  let handovers: HistogramSeries
  let logger: Logger

  init(election: NodeElection, members: NodeMembers, registry: MetricsRegistry, logger: Logger) throws {
    self.election = election
    self.members = members
    self.logger = logger
    handovers = try registry.makeHistogram(
      "parallax_ha_handover_seconds", help: "Time from a handover request at this node until it observes a new term.",
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
    ).withLabels()
  }

  func stepDown(_ request: StepDownRequest) async throws -> HandoverDocument {
    if let done = alreadyDone(request.term) { return done }
    if let target = request.to { try await check(target) }
    logger.notice(
      "an operator requested a handover",
      metadata: ["to": "\(request.to ?? "any")", "reason": "\(request.reason.map { String($0.prefix(256)) } ?? "none")"])
    return try await handOver { try await election.stepDown(to: request.to) }
  }

  func elect(_ request: ElectRequest) async throws -> HandoverDocument {
    if request.force, let done = alreadyDone(request.term) { return done }
    logger.notice("an operator requested an election", metadata: ["force": "\(request.force)"])
    return try await handOver { try await election.elect(force: request.force) }
  }

  func setPaused(_ paused: Bool) async throws -> PauseDocument {
    logger.notice(paused ? "an operator paused elections" : "an operator resumed elections")
    try await translating { if paused { try await election.pause() } else { try await election.resume() } }
    return PauseDocument(paused: paused)
  }

  /// The answer to a repeated request, recognized by its term, which is over; nil for a new request.
  private func alreadyDone(_ term: Int64?) -> HandoverDocument? {
    let status = election.status
    guard let term, status.term > term, let leader = status.leader else { return nil }
    return HandoverDocument(old: nil, new: leader, term: status.term, took: .zero)
  }

  private func check(_ target: String) async throws {
    let view = await members.refreshedView()
    guard view.asOf != nil else { throw APIError(.notReady, "the node does not know its cluster yet; ask another") }
    guard let member = view[target] else {
      let known = view.members.map(\.id).joined(separator: ", ")
      throw APIError(
        .validation, "to: there is no member \"\(target.prefix(128))\"; the members are \(known)", details: ["field": "to"])
    }
    guard member.status == .healthy else {
      throw APIError(.conflict, "to: \"\(target)\" is unhealthy and could not take over", details: ["field": "to"])
    }
  }

  private func handOver(_ request: () async throws -> Handover) async throws -> HandoverDocument {
    let result = try await translating(request)
    handovers.observe(result.duration)
    return HandoverDocument(old: result.from, new: result.to, term: result.term, took: result.duration)
  }

  private func translating<Value>(_ request: () async throws -> Value) async throws -> Value {
    do {
      return try await request()
    } catch let error as ElectionError {
      throw APIError(Self.code(of: error.code), error.message)
    }
  }

  private static func code(of code: ElectionError.Code) -> APIError.Code {
    switch code {
    case .noRecord, .noLeader, .paused, .foreignCluster, .unreadableRecord: .conflict
    case .invalidTarget: .validation
    case .timedOut: .timeout
    case .storeUnavailable, .storeRefusesWrites, .notRunning: .notReady
    default: .internal
    }
  }
}
