import ParallaxHA

/// Remembers which lost sessions are being recovered and decides when one may be closed; a value without a clock.
///
/// A session stays listed until its agents have had the time to come back, and is recovered again in each round until then: a process that
/// was only paused may have taken something on when nobody expected it.
struct RecoveryLedger: Sendable {
  private let resumeGrace: Duration
  private var began: [NodeSession: Duration] = [:]

  /// Makes a ledger without sessions.
  ///
  /// - Parameter resumeGrace: How long the agents of a lost session have to come back.
  init(resumeGrace: Duration) {
    self.resumeGrace = resumeGrace
  }

  /// Begins a round: a session that is not lost any more has come back or is closed, and would begin anew.
  mutating func beginRound(_ lost: some Collection<NodeSession>) {
    let lost = Set(lost)
    began = began.filter { lost.contains($0.key) }
  }

  /// A round that began at `instant` has recovered a session.
  ///
  /// - Returns: Whether it was the first for this session.
  mutating func recovered(_ session: NodeSession, since instant: Duration) -> Bool {
    if began[session] != nil { return false }
    began[session] = instant
    return true
  }

  /// Whether a session that was recovered may be closed, if it owns nothing.
  func mayClose(_ session: NodeSession, at now: Duration) -> Bool {
    began[session].map { now - $0 >= resumeGrace } ?? false
  }

  /// A session was closed.
  mutating func closed(_ session: NodeSession) {
    began[session] = nil
  }
}
