#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// Whether a member can be given work.
public enum MemberStatus: String, Sendable, Hashable, CaseIterable {
  /// The member is alive, and not unhealthy by its own checks.
  case healthy
  /// The member is silent, or unhealthy by its own checks.
  case unhealthy
}

/// The members of the cluster as one node sees them.
public struct MembershipView: Sendable, Hashable {
  /// One member.
  public struct Member: Sendable, Hashable, Identifiable {
    /// The member's last record.
    public let record: MemberRecord

    /// Whether the member gave a sign of life within the detection window; for the viewing node itself, whether it could write.
    public let isAlive: Bool

    /// How long ago the viewing node received the member's last sign of life, on the viewer's own clock; for the viewer itself, how
    /// long ago it sent its last acknowledged heartbeat.
    public let lastSeen: Duration

    /// Whether the member claims to lead, and the claim is believed; see ``MembershipView/leaders``.
    public let isLeader: Bool

    /// The member's node id.
    public var id: String { record.id }

    /// Whether the member can be given work.
    public var status: MemberStatus { isAlive && record.report.health != .unhealthy ? .healthy : .unhealthy }
  }

  /// The known members by id, the viewer included.
  public let members: [Member]

  /// The ids whose fields could not be read, each with the reason; known members may be among them.
  public let unreadable: [String: String]

  /// Whether the last read failed or is overdue, so that the view is outdated.
  public let isStale: Bool

  /// When the members were last read, by the viewer's wall clock; nil before the first read.
  public let asOf: Date?

  /// The ids of the members that claim to lead and are believed: normally one at most.
  ///
  /// A dead or paused leader cannot take its claim back, so a claim of an older term is believed only if it was written anew after the
  /// newer claim stood in the store: two or more ids mean that several nodes act as leader at the same time.
  public var leaders: [String] { members.filter(\.isLeader).map(\.id) }

  /// The ids to show as leaders, given the holder that the election's record names.
  ///
  /// Where claims do not overlap, the record decides: right after a handover a member's field is outdated.
  ///
  /// - Parameter holder: The node that holds the term by the election's record; nil when none does.
  /// - Returns: The holder alone or nobody; where claims overlap, all members with a believed claim.
  public func leaders(holder: String?) -> [String] {
    let claiming = leaders
    guard claiming.count > 1 else { return holder.map { [$0] } ?? [] }
    guard let holder, !claiming.contains(holder) else { return claiming }
    return (claiming + [holder]).sorted()
  }

  /// How many members can be given work.
  public var healthyCount: Int { members.count { $0.status == .healthy } }

  /// The member with an id; nil if there is none.
  public subscript(id: String) -> Member? { members.first { $0.id == id } }
}
