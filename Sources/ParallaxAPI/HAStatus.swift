/// What a member does in the cluster.
package enum HARole: String, Sendable, Hashable, Codable {
  case leader, standby
}

/// Whether a member can be given work.
package enum HAMemberStatus: String, Sendable, Hashable, Codable {
  case healthy, unhealthy
}

/// The body of `GET /ha/status`.
package struct HAStatusDocument: Sendable, Hashable {
  /// One node of the cluster.
  package struct Member: Sendable, Hashable {
    package var id: String
    package var address: String
    package var role: HARole
    package var status: HAMemberStatus
    /// By the member's own clock; written to the second.
    package var lastHeartbeat: Timestamp
    /// How long ago the answering node last saw a sign of life, by the answering node's clock; nil when the answer does not tell.
    package var lastSeen: WireDuration?
    /// The term that the member leads or knows; nil when it knows none.
    package var term: Int64?

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

  package var clusterId: String
  /// The node that holds the term; nil when nobody does.
  package var leader: String?
  /// The present term, or the last one; nil before the first.
  package var term: Int64?
  /// How many times leadership has changed.
  package var transitions: Int64
  /// Whether elections are suspended.
  package var paused: Bool
  /// How much longer the leader may act without a renewal, as far as the answering node knows; nil without a leader.
  package var leaseRemaining: WireDuration?
  /// Whether the store does not answer, so that this is what was last known.
  package var stale: Bool
  /// When the store last answered; nil when the view is fresh or there never was an answer.
  package var staleSince: Timestamp?
  package var members: [Member]

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
  package var leaders: [String] {
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
  package init(from decoder: any Decoder) throws {
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
  package func encode(to encoder: any Encoder) throws {
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

  package func encode(to encoder: any Encoder) throws {
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
