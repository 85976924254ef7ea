import ParallaxAPI
import ParallaxHA

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What `/ha/status` says of a node that runs alone: itself, and whoever else left a field in its store.
struct NodeStatus: Sendable {
  let session: NodeSession
  let clusterID: String
  let configuredAddress: String?
  let boundAddress: Eventual<String>
  /// Nil if the state ends with the process.
  let soleNode: SoleNode?
  let clock: NodeClock

  func document() async throws -> HAStatusDocument {
    guard let view = try await soleNode?.view else {
      let address: String
      if let configuredAddress { address = configuredAddress } else { address = try await boundAddress.value }
      let own = HAStatusDocument.Member(
        id: session.nodeID, address: address, role: .standby, status: .healthy, lastHeartbeat: clock.now.wall, lastSeen: .zero)
      return HAStatusDocument(clusterId: clusterID, members: [own])
    }
    let members = view.members.map { member in
      HAStatusDocument.Member(
        id: member.id, address: member.record.address, role: .standby, status: member.status == .healthy ? .healthy : .unhealthy,
        lastHeartbeat: Self.timestamp(member.record.lastHeartbeat), lastSeen: member.lastSeen)
    }
    return HAStatusDocument(
      clusterId: clusterID, stale: view.isStale, staleSince: view.isStale ? view.asOf.map(Self.timestamp) : nil, members: members)
  }

  private static func timestamp(_ date: Date) -> Timestamp {
    Timestamp(milliseconds: Int64((date.timeIntervalSince1970 * 1_000).rounded()))
  }
}
