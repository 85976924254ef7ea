#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The stored state of an election: leader, term, lease, and operators' requests.
///
/// There is one record per election. Nodes change it only by compare-and-set over the whole record.
public struct ElectionRecord: Sendable, Hashable {
  /// The cluster that the record belongs to; nodes of another cluster leave it alone.
  public var clusterID: String
  /// The id of the node that leads, or `nil` after a release and in a bootstrap record.
  public var leader: String?
  /// The leader's address, for people and other nodes.
  public var address: String?
  /// The incarnation of the leader, of the former leader after a release, or of the creator of a bootstrap record.
  public var incarnation: String
  /// The fencing token; it grows with each acquisition.
  public var term: Int64
  /// How many times the holder has renewed: standbys time by it, and nothing else changes it.
  ///
  /// In JSON, `renewal`.
  public var renewalCount: Int64
  /// How many times any node has written the record, so that no two versions have the same bytes.
  public var sequence: Int64
  /// How many times leadership has been taken.
  ///
  /// In JSON, `transitions`.
  public var transitionCount: Int64
  /// The lease as the holder runs it.
  public var leaseDuration: Duration
  /// Whether the record only marks that there was none: nobody leads by it.
  ///
  /// In JSON, `bootstrap`.
  public var isBootstrap: Bool
  /// An operator's request to the leader or the candidates.
  public var request: ElectionRequest?
  /// The node that the next term is kept for.
  ///
  /// In JSON, `reserved`.
  public var reservation: ElectionHold?
  /// The node that lets others go first.
  ///
  /// In JSON, `barred`.
  public var cooldown: ElectionHold?
  /// Whether nobody is to be elected: maintenance.
  public var isPaused: Bool
  /// When the term began, by the holder's wall clock; for people alone.
  public var acquiredAt: Date?
  /// When the lease was renewed, by the holder's wall clock; for people alone.
  public var renewedAt: Date?

  /// Makes a record.
  ///
  /// - Parameters:
  ///   - clusterID: The cluster that the record belongs to.
  ///   - leader: The id of the leader, or `nil` if nobody leads.
  ///   - address: The leader's address.
  ///   - incarnation: The incarnation of the node that writes the record.
  ///   - term: The fencing token.
  ///   - renewalCount: The count of renewals.
  ///   - sequence: The count of writes.
  ///   - transitionCount: The count of acquisitions.
  ///   - leaseDuration: The lease as the writer runs it.
  ///   - isBootstrap: Whether the record only marks that there was none.
  public init(
    clusterID: String, leader: String?, address: String? = nil, incarnation: String, term: Int64, renewalCount: Int64 = 1,
    sequence: Int64 = 1,
    transitionCount: Int64 = 0, leaseDuration: Duration, isBootstrap: Bool = false
  ) {
    self.clusterID = clusterID
    self.leader = leader
    self.address = address
    self.incarnation = incarnation
    self.term = term
    self.renewalCount = renewalCount
    self.sequence = sequence
    self.transitionCount = transitionCount
    self.leaseDuration = leaseDuration
    self.isBootstrap = isBootstrap
    isPaused = false
  }

  /// Whether the record was given back by its leader and may be taken at once.
  public var isReleased: Bool { leader == nil && !isBootstrap }

  /// The fencing token of the term that the record speaks of.
  public var fencingToken: FencingToken { FencingToken(term: term, incarnation: incarnation) }

  /// Orders versions of one record by age, as far as term and sequence can tell.
  package func isNewer(than other: ElectionRecord) -> Bool {
    (term, sequence) > (other.term, other.sequence)
  }

  /// The greatest count that a record may carry: above it JSON readers lose digits.
  package static let maximumCount: Int64 = 1 << 53

  /// The longest duration that a record may ask others to wait.
  package static let maximumDuration: Duration = .seconds(86_400)

  /// A value that no node could work with, or `nil`: anyone who reaches the store may have written the record.
  package var fault: String? {
    for (name, count) in [("term", term), ("renewal", renewalCount), ("sequence", sequence), ("transitions", transitionCount)]
    where !(0..<Self.maximumCount).contains(count) {
      return "\(name) is \(count)"
    }
    for (name, duration) in [("leaseDuration", leaseDuration), ("reserved", reservation?.duration), ("barred", cooldown?.duration)] {
      if let duration, duration < .zero || duration > Self.maximumDuration { return "\(name) lasts \(duration)" }
    }
    if isBootstrap, leader != nil { return "a bootstrap record names a leader" }
    return nil
  }
}

/// An operator's request in the record.
public struct ElectionRequest: Sendable, Hashable, Codable {
  /// The kind of a request.
  public enum Kind: String, Sendable, Hashable, CaseIterable, Codable {
    /// The leader is to hand over.
    case stepDown
    /// The candidates are to elect without rank delay and cooldown.
    case elect
    /// The leader is to hand over and stay away for a while; a pause ends.
    case force
  }

  /// Tells requests apart.
  public var id: String
  /// What is asked for.
  public var kind: Kind
  /// The node that is to lead next, if one was named.
  public var to: String?
  /// The term of the request, which means nothing in any other term.
  public var targetTerm: Int64

  /// Makes a request.
  ///
  /// - Parameters:
  ///   - id: Tells requests apart.
  ///   - kind: What is asked for.
  ///   - to: The node that is to lead next.
  ///   - targetTerm: The term that it speaks of.
  public init(id: String, kind: Kind, to: String? = nil, targetTerm: Int64) {
    self.id = id
    self.kind = kind
    self.to = to
    self.targetTerm = targetTerm
  }
}

/// A node that is preferred or kept away for a while; each node counts from its first receipt of the id.
public struct ElectionHold: Sendable, Hashable {
  /// Tells holds apart: one that is written again with its id does not begin anew.
  public var id: String
  /// The node that the hold is about.
  public var node: String
  /// How long the hold lasts from its receipt.
  public var duration: Duration

  /// Makes a hold.
  ///
  /// - Parameters:
  ///   - id: Tells holds apart.
  ///   - node: The node that the hold is about.
  ///   - duration: How long it lasts from its receipt.
  public init(id: String, node: String, duration: Duration) {
    self.id = id
    self.node = node
    self.duration = duration
  }
}
