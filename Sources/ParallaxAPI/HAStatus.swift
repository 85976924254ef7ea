/// The role of a member.
public enum HARole: String, Sendable, Hashable, Codable {
  /// Holding a valid lease.
  case leader
  /// Ready to take over when the leader's lease ends.
  case standby
}

/// The health of a member.
public enum HAMemberStatus: String, Sendable, Hashable, Codable {
  /// Heard from within the detection window.
  case healthy
  /// Silent for longer than the detection window.
  case unhealthy
}

/// The body of `GET /ha/status`.
public struct HAStatusDocument: Sendable, Hashable {
  /// One node of the cluster.
  public struct Member: Sendable, Hashable {
    /// The node's id.
    public var id: String
    /// The node's address, as `host:port`.
    public var address: String
    /// The node's role.
    public var role: HARole
    /// The node's health.
    public var status: HAMemberStatus
    /// The time of the last heartbeat on the member's clock, encoded to the second.
    public var lastHeartbeat: Timestamp
    /// The time since the member's last heartbeat, on the answering node's clock; nil if unknown.
    public var lastSeen: WireDuration?
    /// The latest term that the member knows; nil before the first.
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
  /// The id of the leader; nil without one.
  public var leader: String?
  /// The present term, or the last one; nil before the first.
  public var term: Int64?
  /// The number of changes of leadership.
  public var transitions: Int64
  /// Whether elections are paused.
  public var paused: Bool
  /// The time until the leader's lease expires, as far as the answering node knows; nil without a leader.
  public var leaseRemaining: WireDuration?
  /// Whether the store does not answer, so that the document shows the last known state.
  public var stale: Bool
  /// The time of the store's last answer; nil if the document is not stale or the store has never answered.
  public var staleSince: Timestamp?
  /// The members that the answering node knows, including itself.
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

  /// The ids of the nodes that act as leader; more than one means that their leases overlap.
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

  /// Decodes a document; all fields but `clusterId` and `members` are optional, as in the specification.
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

  /// Encodes a missing leader, term or lease as `null`, not as a missing field.
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

  /// Encodes the member, with `lastHeartbeat` to the second, as in the specification.
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
  /// ISO 8601 in UTC without a fraction, as in the specification.
  fileprivate var textToTheSecond: String { description.dropLast(".000Z".count) + "Z" }
}
