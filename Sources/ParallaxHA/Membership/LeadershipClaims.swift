/// Decides which claims of leadership are valid if several members claim it.
///
/// Claims are compared by the order of their writes, not by time: a claim of an older term is valid only if its holder wrote again after
/// the claim of the newest term was stored. A leftover claim of a dead, paused or slow holder is not valid.
struct LeadershipClaims: Sendable {
  private struct Claim {
    var incarnation: String
    var term: Int64
    var sequence: Int64
    /// The number of the first read in which this incarnation leads this term.
    var since: UInt64
    /// The number of the first read with this sequence.
    var renewed: UInt64
  }

  private var claims: [String: Claim] = [:]
  private var reads: UInt64 = 0

  /// Handles a read.
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

  /// The ids of the valid claims, among living members.
  func believed(among isAlive: (String) -> Bool) -> Set<String> {
    let alive = claims.filter { isAlive($0.key) }
    guard let newest = alive.values.max(by: { ($0.term, $1.since) < ($1.term, $0.since) }) else { return [] }
    let believed = alive.filter { _, claim in
      (claim.term == newest.term && claim.since == newest.since) || claim.renewed > newest.since
    }
    return Set(believed.keys)
  }
}
