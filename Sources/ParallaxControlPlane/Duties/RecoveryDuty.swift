import Logging
import ParallaxHA
import ParallaxState

/// Recovers the node sessions that are gone, and at last removes them from the members.
struct RecoveryDuty: Sendable {
  let store: any StateStore
  let session: NodeSession
  let members: NodeMembers
  let recovery: SessionRecovery
  /// How long a silent member is shown before its field is removed.
  let removeAfter: Duration
  let logger: Logger

  static let interval: Duration = .seconds(5)

  /// What one round does.
  struct Plan: Sendable, Hashable {
    /// The sessions to recover, each with how often it was opened when it was listed.
    var lost: [NodeSession: Int64] = [:]
    /// The members to remove, if they own nothing.
    var silent: [NodeSession] = []
  }

  func run() async throws {
    logger.debug("looks for lost node sessions")
    // In this order: a session that was listed had shown before that it lives, so that members who are read later do not miss it.
    let sessions = try await store.sessions()
    let view = await members.refreshedView()
    let plan = Self.plan(sessions, view, own: session, removeAfter: removeAfter)
    try await recovery.run(plan.lost)
    try await remove(plan.silent)
  }

  /// Decides on a round: nothing on a stale view, in which every other node looks silent.
  static func plan(
    _ sessions: [NodeSession: Int64], _ view: MembershipView, own session: NodeSession, removeAfter: Duration
  ) -> Plan {
    guard !view.isStale else { return Plan() }
    let silent = view.members.filter { !$0.isAlive && $0.lastSeen >= removeAfter && $0.record.session != session }
    return Plan(lost: sessions.filter { $0.key != session && !isAlive($0.key, in: view) }, silent: silent.map(\.record.session))
  }

  /// Whether a session may still be at work; one whose member cannot be read is not written off.
  static func isAlive(_ session: NodeSession, in view: MembershipView) -> Bool {
    if let member = view[session.nodeID] { return member.record.session == session && member.isAlive }
    return view.unreadable[session.nodeID] != nil
  }

  private func remove(_ silent: [NodeSession]) async throws {
    guard !silent.isEmpty else { return }
    let owning = try await store.sessions()
    for member in silent where owning[member] == nil {
      try await members.remove(member)
      logger.notice("removed a member that is gone", metadata: ["member": "\(member)"])
    }
  }
}
