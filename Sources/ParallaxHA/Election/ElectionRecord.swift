#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The stored state of an election: leader, term, lease, and operators' requests.
///
/// There is one record per election. Nodes change it only by compare-and-set over the whole record.
public struct ElectionRecord: Sendable, Hashable {
  /// The cluster of the record; nodes of another cluster do not touch it.
  public var clusterID: String
  /// The id of the leader; `nil` after a release and in a bootstrap record.
  public var leader: String?
  /// The leader's address for people and other nodes.
  public var address: String?
  /// The incarnation of the leader, of the former leader after a release, or of the creator of a bootstrap record.
  public var incarnation: String
  /// The fencing token; it grows with each acquisition.
  public var term: Int64
  /// The number of renewals by the holder, by which standbys measure their patience; no other write changes it.
  ///
  /// In JSON, `renewal`.
  public var renewalCount: Int64
  /// The number of writes of the record by any node, so that no two versions have the same bytes.
  public var sequence: Int64
  /// The number of acquisitions.
  ///
  /// In JSON, `transitions`.
  public var transitionCount: Int64
  /// The holder's lease.
  public var leaseDuration: Duration
  /// Whether the record only marks that none was stored: it has no leader.
  ///
  /// In JSON, `bootstrap`.
  public var isBootstrap: Bool
  /// An operator's request to the leader or the candidates.
  public var request: ElectionRequest?
  /// The node for which the next term is reserved.
  ///
  /// In JSON, `reserved`.
  public var reservation: ElectionHold?
  /// The node that lets the others go first.
  ///
  /// In JSON, `barred`.
  public var cooldown: ElectionHold?
  /// Whether elections are suspended, for maintenance.
  public var isPaused: Bool
  /// Whether a released record was released by a witness of its leader's death; for people and logs only.
  ///
  /// In JSON, `witnessed`, which is absent otherwise. The next acquisition clears it.
  public var isWitnessed: Bool
  /// The beginning of the term by the holder's wall clock; for people only.
  public var acquiredAt: Date?
  /// The last renewal by the holder's wall clock; for people only.
  public var renewedAt: Date?

  /// Creates a record.
  ///
  /// - Parameters:
  ///   - clusterID: The cluster of the record.
  ///   - leader: The id of the leader, or `nil`.
  ///   - address: The leader's address.
  ///   - incarnation: The incarnation of the writing node.
  ///   - term: The fencing token.
  ///   - renewalCount: The number of renewals.
  ///   - sequence: The number of writes.
  ///   - transitionCount: The number of acquisitions.
  ///   - leaseDuration: The writer's lease.
  ///   - isBootstrap: Whether the record only marks that none was stored.
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
    isWitnessed = false
  }

  /// Whether the leader has released the record, so that it may be taken at once.
  public var isReleased: Bool { leader == nil && !isBootstrap }

  /// The fencing token of the record's term.
  public var fencingToken: FencingToken { FencingToken(term: term, incarnation: incarnation) }

  /// The record after its leader has given it up, with the term and the number of transitions as they were.
  ///
  /// A request to hand over in this term becomes the hold that it asks for.
  ///
  /// - Parameters:
  ///   - sequence: The number of the write.
  ///   - timings: The durations of the holds.
  /// - Returns: The record that any candidate may take at once.
  package func released(sequence: Int64, timings: ElectionTimings) -> ElectionRecord {
    var next = self
    next.leader = nil
    next.address = nil
    next.sequence = sequence
    next.request = nil
    guard let leader, let request, request.targetTerm == term else { return next }
    switch request.kind {
    case .elect: break
    case .stepDown:
      if let target = request.to {
        next.reservation = ElectionHold(id: request.id, node: target, duration: timings.reservation)
      } else {
        next.cooldown = ElectionHold(id: request.id, node: leader, duration: timings.cooldown)
      }
    case .force:
      if next.cooldown == nil { next.cooldown = ElectionHold(id: request.id, node: leader, duration: timings.cooldown) }
    }
    return next
  }

  /// Orders versions of one record by age, as far as term and sequence determine it.
  package func isNewer(than other: ElectionRecord) -> Bool {
    (term, sequence) > (other.term, other.sequence)
  }

  /// The greatest count in a record: JSON readers lose digits of greater numbers.
  package static let maximumCount: Int64 = 1 << 53

  /// The longest wait that a record may ask of other nodes.
  package static let maximumDuration: Duration = .seconds(86_400)

  /// An invalid value, or `nil`: any client of the store may have written the record.
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
    /// The leader must hand over.
    case stepDown
    /// The candidates must elect without rank delay and cooldown.
    case elect
    /// The leader must hand over and lets the others go first for a while; a pause ends.
    case force
  }

  /// The id of the request.
  public var id: String
  /// The kind of the request.
  public var kind: Kind
  /// The requested next leader, or `nil`.
  public var to: String?
  /// The term of the request, which has no effect in any other term.
  public var targetTerm: Int64

  /// Creates a request.
  ///
  /// - Parameters:
  ///   - id: The id of the request.
  ///   - kind: The kind of the request.
  ///   - to: The requested next leader; nil by default.
  ///   - targetTerm: The term of the request.
  public init(id: String, kind: Kind, to: String? = nil, targetTerm: Int64) {
    self.id = id
    self.kind = kind
    self.to = to
    self.targetTerm = targetTerm
  }
}

/// A preference or a delay of one node for a while; each node counts from its first receipt of the id.
public struct ElectionHold: Sendable, Hashable {
  /// The id of the hold: writing a hold again under its id does not restart it.
  public var id: String
  /// The node of the hold.
  public var node: String
  /// How long the hold lasts after its receipt.
  public var duration: Duration

  /// Creates a hold.
  ///
  /// - Parameters:
  ///   - id: The id of the hold.
  ///   - node: The node of the hold.
  ///   - duration: How long it lasts after its receipt.
  public init(id: String, node: String, duration: Duration) {
    self.id = id
    self.node = node
    self.duration = duration
  }
}
