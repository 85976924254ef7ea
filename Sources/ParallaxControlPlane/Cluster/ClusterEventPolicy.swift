package import ParallaxAPI
package import ParallaxHA
import ParallaxState

/// Maps an event of the cluster or of its membership to effects on this node; a value.
package struct ClusterEventPolicy: Sendable {
  /// An effect for the feed to perform.
  package enum Effect: Sendable, Hashable {
    /// Reread the agents of all members, and the patterns.
    case readAgents
    /// Read the members now, ahead of the next heartbeat.
    case readMembers
    case announced(AgentAnnouncement, NodeSession)
    case patternChanged(String)
    /// Publish the load of every agent of this node: another node may have missed it.
    case publishLoads
    /// This node received its own marker.
    case markerReturned(Int64)
    case lost(NodeSession)
    case regained(NodeSession)
    /// Another node has told what its executions did.
    case activity(ActivitySample, of: String)
    /// Send this node's agents to other nodes, which no longer see its heartbeats.
    case releaseAgents
  }

  /// The type of the event that requests the loads of the other nodes' agents, which the store does not keep.
  static let loadRequest = "loads_wanted"

  /// This node.
  let session: NodeSession

  /// Makes the policy of one node.
  package init(session: NodeSession) {
    self.session = session
  }

  /// The effects of a delivery on the bus; a gap may hide any event.
  func effects(of delivery: EventDelivery) -> [Effect] {
    switch delivery {
    case .gap: [.readAgents, .readMembers]
    case .event(let event, .agent): announcement(event).map { [$0] } ?? []
    case .event(let event, .cluster): effects(of: event)
    case .event(_, .execution): []
    }
  }

  private func announcement(_ event: ClusterEvent) -> Effect? {
    let sender = sender(of: event)
    guard sender != session, let announcement = AgentAnnouncement(event) else { return nil }
    return .announced(announcement, sender)
  }

  private func effects(of event: ClusterEvent) -> [Effect] {
    let isOwn = sender(of: event) == session
    switch event.type {
    case "marker":
      guard isOwn, let marker = event.details?["marker"]?.integerValue else { return [] }
      return [.markerReturned(marker)]
    case Self.loadRequest: return isOwn ? [] : [.publishLoads]
    case Activity.eventType:
      guard !isOwn, let sample = ActivitySample(details: event.details) else { return [] }
      return [.activity(sample, of: event.nodeId)]
    case "pattern": return isOwn ? [] : [.patternChanged(event.id)]
    default: return isOwn ? [] : [.readMembers]
    }
  }

  private func sender(of event: ClusterEvent) -> NodeSession {
    NodeSession(nodeID: event.nodeId, incarnation: event.incarnation)
  }

  /// The effects of a membership event.
  package func effects(of event: MembershipEvent) -> [Effect] {
    switch event {
    case .joined(let member), .becameHealthy(let member): [.regained(member.session), .readAgents]
    case .restarted(_, let former): lost(former)
    case .left(let member), .becameUnhealthy(let member), .ended(let member): lost(member.session)
    case .cutOff: [.releaseAgents]
    case .reconnected: [.readAgents]
    case .twin: []
    }
  }

  /// Finds the lost sessions to which agents count as connected.
  ///
  /// - Parameters:
  ///   - homes: The sessions to which agents count as connected.
  ///   - living: The sessions of the living members, read after `homes`.
  ///   - unreadable: The nodes whose records this version cannot read.
  /// - Returns: The lost sessions, sorted.
  func lostHomes(_ homes: Set<NodeSession>, living: Set<NodeSession>, unreadable: Set<String>) -> [NodeSession] {
    homes.subtracting(living).filter { !unreadable.contains($0.nodeID) }.sorted { $0.description < $1.description }
  }

  private func lost(_ other: NodeSession) -> [Effect] {
    other == session ? [] : [.lost(other), .readAgents]
  }
}
