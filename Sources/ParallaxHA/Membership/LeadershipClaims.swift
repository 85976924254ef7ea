/// Decides which of several members that claim to lead are believed.
///
/// Claims are compared by the order in which they were seen to be written, not by time: a claim of an older term counts only when its
/// holder wrote again after the claim of the newest term stood in the store. A claim that a dead, paused or slow holder left over does not
/// count.
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

  /// Takes in a read.
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

  /// The ids of the believed claims, among members that are alive.
  func believed(among isAlive: (String) -> Bool) -> Set<String> {
    let alive = claims.filter { isAlive($0.key) }
    guard let newest = alive.values.max(by: { ($0.term, $1.since) < ($1.term, $0.since) }) else { return [] }
    let believed = alive.filter { _, claim in
      (claim.term == newest.term && claim.since == newest.since) || claim.renewed > newest.since
    }
    return Set(believed.keys)
  }
}
