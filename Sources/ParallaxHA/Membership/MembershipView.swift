#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// Whether a member can receive work.
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

    /// Whether the member has written within the detection window; for the viewing node itself, whether it could write.
    public let isAlive: Bool

    /// The time since the viewing node observed the member's last write, on the viewer's own clock; for the viewer itself, since it sent
    /// its last acknowledged heartbeat.
    public let lastSeen: Duration

    /// Whether the member claims to lead, and the claim is valid; see ``MembershipView/leaders``.
    public let isLeader: Bool

    /// The member's node id.
    public var id: String { record.id }

    /// Whether the member can receive work.
    public var status: MemberStatus { isAlive && record.report.health != .unhealthy ? .healthy : .unhealthy }
  }

  /// The known members by id, including the viewer.
  public let members: [Member]

  /// The ids of unreadable fields, each with the reason; known members may be among them.
  public let unreadable: [String: String]

  /// Whether the last read failed or is overdue, so that the view is outdated.
  public let isStale: Bool

  /// The last read of the members by the viewer's wall clock; nil before the first read.
  public let asOf: Date?

  /// The ids of the members with a valid claim of leadership: normally one at most.
  ///
  /// A dead or paused leader cannot withdraw its claim, so a claim of an older term is valid only if it was written again after the newer
  /// claim was stored: two or more ids mean that several nodes act as leader at the same time.
  public var leaders: [String] { members.filter(\.isLeader).map(\.id) }

  /// The ids to show as leaders, given the holder in the election's record.
  ///
  /// If claims do not overlap, the record decides: right after a handover a member's field is outdated.
  ///
  /// - Parameter holder: The node that holds the term by the election's record; nil if none does.
  /// - Returns: The holder alone, or no id; if claims overlap, all members with a valid claim.
  public func leaders(holder: String?) -> [String] {
    let claiming = leaders
    guard claiming.count > 1 else { return holder.map { [$0] } ?? [] }
    guard let holder, !claiming.contains(holder) else { return claiming }
    return (claiming + [holder]).sorted()
  }

  /// The number of members that can receive work.
  public var healthyCount: Int { members.count { $0.status == .healthy } }

  /// The member with an id; nil if there is none.
  public subscript(id: String) -> Member? { members.first { $0.id == id } }
}
