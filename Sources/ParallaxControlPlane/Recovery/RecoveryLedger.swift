package import ParallaxHA

/// Tracks the recovery of lost sessions and decides when one may be closed; a value without a clock.
///
/// A session stays listed for the time that its agents have to reconnect, and each round recovers it again: a process that was only paused
/// may have accepted an execution in the meantime.
package struct RecoveryLedger: Sendable {
  private let resumeGrace: Duration
  private var began: [NodeSession: Duration] = [:]

  /// Makes a ledger without sessions.
  ///
  /// - Parameter resumeGrace: The time that the agents of a lost session have to reconnect.
  package init(resumeGrace: Duration) {
    self.resumeGrace = resumeGrace
  }

  /// Begins a round: drops the sessions that are no longer lost, so that a later loss counts as a new one.
  package mutating func beginRound(_ lost: some Collection<NodeSession>) {
    let lost = Set(lost)
    began = began.filter { lost.contains($0.key) }
  }

  /// Records that the round that began at `instant` has recovered a session.
  ///
  /// - Returns: Whether this was the session's first recovery.
  package mutating func recovered(_ session: NodeSession, since instant: Duration) -> Bool {
    if began[session] != nil { return false }
    began[session] = instant
    return true
  }

  /// Whether a recovered session may be closed, provided that it owns no execution.
  package func mayClose(_ session: NodeSession, at now: Duration) -> Bool {
    began[session].map { now - $0 >= resumeGrace } ?? false
  }

  /// Records that a session was closed.
  package mutating func closed(_ session: NodeSession) {
    began[session] = nil
  }
}
