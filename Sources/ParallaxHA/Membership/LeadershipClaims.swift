/// Which of the members that say they lead are to be believed.
///
/// Claims are compared by the order in which they were seen to be written, not by time: a claim of an older term counts only when its
/// holder wrote again after the claim of the newest term stood in the store. One that is merely left over, by a holder that is dead, paused
/// or slow to take it back, does not.
struct LeadershipClaims: Sendable {
  private struct Claim {
    var incarnation: String
    var term: Int64
    var sequence: Int64
    /// The number of the read that first showed this incarnation lead this term.
    var since: UInt64
    /// The number of the read that first showed this sequence.
    var renewed: UInt64
  }

  private var claims: [String: Claim] = [:]
  private var reads: UInt64 = 0

  /// Takes in what one read showed.
  mutating func read(_ records: some Sequence<MemberRecord>) {
    reads += 1
    var present: [String: Claim] = [:]
    for record in records where record.role == .leader {
      var claim = Claim(
        incarnation: record.incarnation, term: record.term, sequence: record.sequence, since: reads, renewed: reads)
      if let former = claims[record.id], former.incarnation == claim.incarnation, former.term == claim.term {
        claim.since = former.since
        if former.sequence == claim.sequence { claim.renewed = former.renewed }
      }
      present[record.id] = claim
    }
    claims = present
  }

  /// The ids that are believed, among those that give signs of life.
  func believed(among isAlive: (String) -> Bool) -> Set<String> {
    let alive = claims.filter { isAlive($0.key) }
    guard let newest = alive.values.max(by: { ($0.term, $1.since) < ($1.term, $0.since) }) else { return [] }
    let believed = alive.filter { _, claim in
      (claim.term == newest.term && claim.since == newest.since) || claim.renewed > newest.since
    }
    return Set(believed.keys)
  }
}
