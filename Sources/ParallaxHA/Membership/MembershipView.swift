#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// Whether a member can be given work.
public enum MemberStatus: String, Sendable, Hashable, CaseIterable {
  /// It gives signs of life, and does not find itself unhealthy.
  case healthy
  /// It is silent, or finds itself unhealthy.
  case unhealthy
}

/// The members of the cluster as one node sees them.
public struct MembershipView: Sendable, Hashable {
  /// One member.
  public struct Member: Sendable, Hashable, Identifiable {
    /// What the member last said of itself.
    public let record: MemberRecord

    /// Whether it gave a sign of life within the detection window; of the viewing node itself, whether it could write.
    public let isAlive: Bool

    /// How long ago the viewing node received the member's last sign of life, on the viewer's own clock; of the viewer itself, how long
    /// ago it sent the last heartbeat that was acknowledged.
    public let lastSeen: Duration

    /// Whether the member says that it leads, and is believed; see ``MembershipView/leaders``.
    public let isLeader: Bool

    /// The member's node id.
    public var id: String { record.id }

    /// Whether it can be given work.
    public var status: MemberStatus { isAlive && record.report.health != .unhealthy ? .healthy : .unhealthy }
  }

  /// The members that are known, the viewer included, by id.
  public let members: [Member]

  /// The ids whose fields could not be read, each with the reason; they may be known members too.
  public let unreadable: [String: String]

  /// Whether the last read failed or is overdue, so that the view is what was last known.
  public let isStale: Bool

  /// When the members were last read, by the viewer's wall clock; nil before the first time.
  public let asOf: Date?

  /// The ids of the members that claim to lead and are believed: normally one at most.
  ///
  /// A former leader that is dead or paused cannot take its claim back, so a claim of an older term is believed only if it was written anew
  /// after the newer one stood in the store: two or more ids mean that two nodes act as leader at the same time.
  public var leaders: [String] { members.filter(\.isLeader).map(\.id) }

  /// The ids to show as leaders, given the holder that the election's record names.
  ///
  /// The record is right where claims do not overlap: for a moment after a handover a member's field still says what was.
  ///
  /// - Parameter holder: The node that holds the term by the election's record; nil when none does.
  /// - Returns: The holder alone or nobody; where claims overlap, all who hold one.
  public func leaders(holder: String?) -> [String] {
    let claiming = leaders
    guard claiming.count > 1 else { return holder.map { [$0] } ?? [] }
    guard let holder, !claiming.contains(holder) else { return claiming }
    return (claiming + [holder]).sorted()
  }

  /// How many members can be given work.
  public var healthyCount: Int { members.count { $0.status == .healthy } }

  /// The member with an id, if it is known.
  public subscript(id: String) -> Member? { members.first { $0.id == id } }
}
