/// What a member does in the cluster.
public enum HARole: String, Sendable, Hashable, Codable {
  /// Holds a valid lease.
  case leader
  /// Takes over when the leader's lease ends.
  case standby
}

/// Whether a member can be given work.
public enum HAMemberStatus: String, Sendable, Hashable, Codable {
  /// Seen within the detection window.
  case healthy
  /// Not seen within the detection window.
  case unhealthy
}

/// The body of `GET /ha/status`.
public struct HAStatusDocument: Sendable, Hashable {
  /// One node of the cluster.
  public struct Member: Sendable, Hashable {
    /// The node's id.
    public var id: String
    /// Where the node is reached, a host and a port.
    public var address: String
    /// Whether the node leads.
    public var role: HARole
    /// Whether the node has shown within the detection window that it lives.
    public var status: HAMemberStatus
    /// By the member's own clock; written to the second.
    public var lastHeartbeat: Timestamp
    /// How long ago the answering node last saw a sign of life, by the answering node's clock; nil when the answer does not tell.
    public var lastSeen: WireDuration?
    /// The term that the member leads or knows; nil when it knows none.
    public var term: Int64?

    package init(
      id: String, address: String, role: HARole, status: HAMemberStatus, lastHeartbeat: Timestamp, lastSeen: Duration? = nil,
      term: Int64? = nil
    ) {
      self.id = id
      self.address = address
      self.role = role
      self.status = status
      self.lastHeartbeat = lastHeartbeat
      self.lastSeen = lastSeen.map { WireDuration($0) }
      self.term = term
    }
  }

  /// The cluster's id.
  public var clusterId: String
  /// The node that holds the term; nil when nobody does.
  public var leader: String?
  /// The present term, or the last one; nil before the first.
  public var term: Int64?
  /// How many times leadership has changed.
  public var transitions: Int64
  /// Whether elections are suspended.
  public var paused: Bool
  /// How much longer the leader may act without a renewal, as far as the answering node knows; nil without a leader.
  public var leaseRemaining: WireDuration?
  /// Whether the store does not answer, so that this is what was last known.
  public var stale: Bool
  /// When the store last answered; nil when the view is fresh or there never was an answer.
  public var staleSince: Timestamp?
  /// The nodes that the answering node knows, itself included.
  public var members: [Member]

  package init(
    clusterId: String, leader: String? = nil, term: Int64? = nil, transitions: Int64 = 0, paused: Bool = false,
    leaseRemaining: Duration? = nil, stale: Bool = false, staleSince: Timestamp? = nil, members: [Member]
  ) {
    self.clusterId = clusterId
    self.leader = leader
    self.term = term
    self.transitions = transitions
    self.paused = paused
    self.leaseRemaining = leaseRemaining.map { WireDuration($0) }
    self.stale = stale
    self.staleSince = staleSince
    self.members = members
  }

  /// The nodes that act as leader: more than one where valid claims to lead overlap.
  public var leaders: [String] {
    let claiming = members.filter { $0.role == .leader }.map(\.id)
    guard let leader, !claiming.contains(leader) else { return claiming }
    return [leader] + claiming
  }
}

extension HAStatusDocument: Codable {
  private enum CodingKeys: String, CodingKey {
    case clusterId, leader, term, transitions, paused, leaseRemaining, stale, staleSince, members
  }

  /// Reads the specification's document too, which has `clusterId` and `members` alone.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      clusterId: try container.decode(String.self, forKey: .clusterId),
      leader: try container.decodeIfPresent(String.self, forKey: .leader),
      term: try container.decodeIfPresent(Int64.self, forKey: .term),
      transitions: try container.decodeIfPresent(Int64.self, forKey: .transitions) ?? 0,
      paused: try container.decodeIfPresent(Bool.self, forKey: .paused) ?? false,
      leaseRemaining: try container.decodeIfPresent(WireDuration.self, forKey: .leaseRemaining)?.duration,
      stale: try container.decodeIfPresent(Bool.self, forKey: .stale) ?? false,
      staleSince: try container.decodeIfPresent(Timestamp.self, forKey: .staleSince),
      members: try container.decode([Member].self, forKey: .members))
  }

  /// Writes all that programs ask for first, also when there is none: no leader is `null`, not a missing field.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(clusterId, forKey: .clusterId)
    try container.encode(leader, forKey: .leader)
    try container.encode(term, forKey: .term)
    try container.encode(transitions, forKey: .transitions)
    try container.encode(paused, forKey: .paused)
    try container.encode(leaseRemaining, forKey: .leaseRemaining)
    try container.encode(stale, forKey: .stale)
    try container.encodeIfPresent(staleSince, forKey: .staleSince)
    try container.encode(members, forKey: .members)
  }
}

extension HAStatusDocument.Member: Codable {
  private enum CodingKeys: String, CodingKey {
    case id, address, role, status, lastHeartbeat, lastSeen, term
  }

  /// Writes the document; `lastHeartbeat` to the second, as the specification shows it.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(id, forKey: .id)
    try container.encode(address, forKey: .address)
    try container.encode(role, forKey: .role)
    try container.encode(status, forKey: .status)
    try container.encode(lastHeartbeat.textToTheSecond, forKey: .lastHeartbeat)
    try container.encodeIfPresent(lastSeen, forKey: .lastSeen)
    try container.encodeIfPresent(term, forKey: .term)
  }
}

extension Timestamp {
  /// ISO 8601 in UTC without a fraction, as the specification shows it.
  fileprivate var textToTheSecond: String { description.dropLast(".000Z".count) + "Z" }
}
