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

  func run() async throws {
    logger.debug("looks for lost node sessions")
    // In this order: a session that was listed had shown that it lives before, so members read later do not miss it.
    let sessions = try await store.sessions()
    let view = await members.refreshedView()
    guard !view.isStale else { return }
    let lost = sessions.filter { $0.key != session && !Self.isAlive($0.key, in: view) }
    try await recovery.run(lost)
    try await removeSilentMembers(of: view)
  }

  /// Whether a session may still be at work; one whose member cannot be read is not written off.
  static func isAlive(_ session: NodeSession, in view: MembershipView) -> Bool {
    if let member = view[session.nodeID] { return member.record.session == session && member.isAlive }
    return view.unreadable[session.nodeID] != nil
  }

  private func removeSilentMembers(of view: MembershipView) async throws {
    let silent = view.members.filter { !$0.isAlive && $0.lastSeen >= removeAfter && $0.record.session != session }
    guard !silent.isEmpty else { return }
    let owning = try await store.sessions()
    for member in silent where owning[member.record.session] == nil {
      try await members.remove(member.record.session)
      logger.notice("removed a member that is gone", metadata: ["member": "\(member.record.session)"])
    }
  }
}
