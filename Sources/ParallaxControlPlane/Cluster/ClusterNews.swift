import ParallaxAPI
import ParallaxHA
import ParallaxState

/// Decides what this node does about an event of the cluster or of its membership; a value.
struct ClusterNews: Sendable {
  /// What is to be done.
  enum Effect: Sendable, Hashable {
    /// Read the agents and patterns of all members anew.
    case readAgents
    /// Read the members now rather than at the next heartbeat.
    case readMembers
    case announced(AgentAnnouncement, NodeSession)
    case patternChanged(String)
    /// Another node may have missed how busy this node's agents are.
    case tellLoads
    /// A marker that this node sent has come back.
    case markerReturned(Int64)
    case lost(NodeSession)
    case regained(NodeSession)
    /// This node cannot be heard by the others: its agents are to go to those.
    case releaseAgents
  }

  /// The event that asks the other nodes for the loads of their agents, which the store does not keep.
  static let loadsWanted = "loads_wanted"

  /// This node.
  let session: NodeSession

  /// What an event on the bus calls for; a gap may hide any event.
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
    guard sender != session, let news = AgentAnnouncement(event) else { return nil }
    return .announced(news, sender)
  }

  private func effects(of event: ClusterEvent) -> [Effect] {
    let isOwn = sender(of: event) == session
    switch event.type {
    case "marker":
      guard isOwn, let marker = event.details?["marker"]?.integerValue else { return [] }
      return [.markerReturned(marker)]
    case Self.loadsWanted: return isOwn ? [] : [.tellLoads]
    case "pattern": return isOwn ? [] : [.patternChanged(event.id)]
    default: return isOwn ? [] : [.readMembers]
    }
  }

  private func sender(of event: ClusterEvent) -> NodeSession {
    NodeSession(nodeID: event.nodeId, incarnation: event.incarnation)
  }

  /// What an event of the membership calls for.
  func effects(of event: MembershipEvent) -> [Effect] {
    switch event {
    case .joined(let member), .becameHealthy(let member): [.regained(member.session), .readAgents]
    case .restarted(_, let former): lost(former)
    case .left(let member), .becameUnhealthy(let member): lost(member.session)
    case .cutOff: [.releaseAgents]
    case .reconnected: [.readAgents]
    case .twin: []
    }
  }

  private func lost(_ other: NodeSession) -> [Effect] {
    other == session ? [] : [.lost(other), .readAgents]
  }
}
