import Logging
package import ParallaxHA
import ParallaxState

/// Recovers lost node sessions, and removes members that have been silent for long.
package struct RecoveryDuty: Sendable {
  let store: any StateStore
  let session: NodeSession
  let members: NodeMembers
  let recovery: SessionRecovery
  /// The silence after which a member is removed.
  let removeAfter: Duration
  let logger: Logger

  package static let interval: Duration = .seconds(5)

  /// The work of one round.
  package struct Plan: Sendable, Hashable {
    /// The sessions to recover, each with its generation at the time of listing.
    package var lost: [NodeSession: Int64] = [:]
    /// The members to remove unless they own executions.
    package var silent: [NodeSession] = []
  }

  func run() async throws {
    logger.debug("looking for lost node sessions")
    // The sessions come first: a listed session has sent a heartbeat before, so that a later read of the members includes it.
    let sessions = try await store.sessions()
    let view = await members.refreshedView()
    let plan = Self.plan(sessions, view, own: session, removeAfter: removeAfter)
    try await recovery.run(plan.lost)
    try await remove(plan.silent)
  }

  /// Plans a round; a stale view, in which every other node looks silent, gives an empty plan.
  package static func plan(
    _ sessions: [NodeSession: Int64], _ view: MembershipView, own session: NodeSession, removeAfter: Duration
  ) -> Plan {
    guard !view.isStale else { return Plan() }
    let silent = view.members.filter { !$0.isAlive && $0.lastSeen >= removeAfter && $0.record.session != session }
    return Plan(lost: sessions.filter { $0.key != session && !isAlive($0.key, in: view) }, silent: silent.map(\.record.session))
  }

  /// Whether a session may be alive; an unreadable member counts as alive.
  static func isAlive(_ session: NodeSession, in view: MembershipView) -> Bool {
    if let member = view[session.nodeID] { return member.record.session == session && member.isAlive }
    return view.unreadable[session.nodeID] != nil
  }

  /// The silent members that own nothing and can be removed.
  static func removable(_ silent: [NodeSession], owning: [NodeSession: Int64]) -> [NodeSession] {
    silent.filter { owning[$0] == nil }
  }

  private func remove(_ silent: [NodeSession]) async throws {
    guard !silent.isEmpty else { return }
    for member in Self.removable(silent, owning: try await store.sessions()) {
      try await members.remove(member)
      logger.notice("removed a lost member", metadata: ["member": "\(member)"])
    }
  }
}
