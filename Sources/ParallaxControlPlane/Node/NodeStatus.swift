import ParallaxAPI
import ParallaxHA

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Makes the document of `/ha/status`: the members in this node's view, and the leader.
struct NodeStatus: Sendable {
  let clusterID: String
  let members: NodeMembers
  let election: NodeElection
  let clock: NodeClock

  func document() async -> HAStatusDocument {
    let view = await members.refreshedView()
    let status = election.status
    // The holder of an expired lease no longer leads.
    let holder = (status.leaseRemaining ?? .zero) > .zero ? status.leader : nil
    let leaders = view.leaders(holder: holder)
    let isStale = view.isStale || status.staleFor != nil
    return HAStatusDocument(
      clusterId: clusterID, leader: holder, term: status.term > 0 ? status.term : nil, transitions: status.transitionCount,
      paused: status.isPaused, leaseRemaining: holder == nil ? nil : status.leaseRemaining, stale: isStale,
      staleSince: isStale ? staleSince(view, status) : nil, members: view.members.map { member($0, leaders: leaders) })
  }

  private func member(_ member: MembershipView.Member, leaders: [String]) -> HAStatusDocument.Member {
    HAStatusDocument.Member(
      id: member.id, address: member.record.address, role: leaders.contains(member.id) ? .leader : .standby,
      status: member.status == .healthy ? .healthy : .unhealthy, lastHeartbeat: Timestamp(member.record.lastHeartbeat),
      lastSeen: member.lastSeen, term: member.record.term > 0 ? member.record.term : nil)
  }

  private func staleSince(_ view: MembershipView, _ status: ElectionStatus) -> Timestamp? {
    if let silence = status.staleFor { return clock.now.wall - silence }
    return view.asOf.map { Timestamp($0) }
  }
}

extension Timestamp {
  /// The millisecond that is nearest to an instant.
  init(_ date: Date) {
    self.init(milliseconds: Int64((date.timeIntervalSince1970 * 1_000).rounded()))
  }
}
