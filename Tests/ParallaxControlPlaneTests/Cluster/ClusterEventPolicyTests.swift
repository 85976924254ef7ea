import ParallaxAPI
import ParallaxHA
import ParallaxState
import Testing

@testable import ParallaxControlPlane

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite struct ClusterEventPolicyTests {
  private static let me = NodeSession(nodeID: "me", incarnation: "2")
  private static let other = NodeSession(nodeID: "other", incarnation: "1")
  private let policy = ClusterEventPolicy(session: me)

  private func event(_ type: String, _ details: JSONValue? = nil, from session: NodeSession, on channel: ClusterEvent.Channel)
    -> EventDelivery
  {
    .event(
      ClusterEvent(type: type, id: "x", session: session, timestamp: World.start, sequence: 1, details: details), channel)
  }

  private func member(_ session: NodeSession) -> MemberRecord {
    MemberRecord(
      session: session, clusterID: "c", address: "h:1", sequence: 1, startedAt: .init(timeIntervalSince1970: 0),
      lastHeartbeat: .init(timeIntervalSince1970: 0), version: "1")
  }

  @Test func aGapCausesARereadOfEverything() {
    #expect(policy.effects(of: .gap) == [.readAgents, .readMembers])
  }

  @Test func onlyAnnouncementsOfOtherNodesHaveEffects() {
    let left = AgentAnnouncement.left("x", epoch: 3, graceful: true)
    let details = left.event(nodeID: "other").details
    #expect(policy.effects(of: event("left", details, from: Self.other, on: .agent)) == [.announced(left, Self.other)])
    #expect(policy.effects(of: event("left", details, from: Self.me, on: .agent)).isEmpty)
    // A former session of this node counts as another node.
    let former = NodeSession(nodeID: "me", incarnation: "1")
    #expect(policy.effects(of: event("left", details, from: former, on: .agent)) == [.announced(left, former)])
  }

  @Test func agentsOfADeadOrDepartedNodeAndOfAFormerSessionAreLost() {
    let former = NodeSession(nodeID: "restarted", incarnation: "1")
    let restarted = NodeSession(nodeID: "restarted", incarnation: "2")
    let alive = NodeSession(nodeID: "alive", incarnation: "1")
    let newer = NodeSession(nodeID: "newer", incarnation: "1")
    let lost = policy.lostHomes([Self.other, former, alive, newer], living: [restarted, alive], unreadable: ["newer"])
    #expect(lost == [Self.other, former])
  }

  @Test func onlyOwnMarkersAreMeasured() {
    #expect(policy.effects(of: event("marker", ["marker": 7], from: Self.me, on: .cluster)) == [.markerReturned(7)])
    #expect(policy.effects(of: event("marker", ["marker": 7], from: Self.other, on: .cluster)).isEmpty)
  }

  @Test func clusterEventsOfOtherNodesCauseReads() {
    #expect(policy.effects(of: event("pattern", from: Self.other, on: .cluster)) == [.patternChanged("x")])
    #expect(policy.effects(of: event("pattern", from: Self.me, on: .cluster)).isEmpty)
    #expect(policy.effects(of: event("loads_wanted", from: Self.other, on: .cluster)) == [.publishLoads])
    #expect(policy.effects(of: event("loads_wanted", from: Self.me, on: .cluster)).isEmpty)
    #expect(policy.effects(of: event("joined", from: Self.other, on: .cluster)) == [.readMembers])
    #expect(policy.effects(of: event("joined", from: Self.me, on: .cluster)).isEmpty)
    #expect(policy.effects(of: event("ended", from: Self.other, on: .cluster)) == [.readMembers])
    #expect(policy.effects(of: event("completed", from: Self.other, on: .execution)).isEmpty)
  }

  @Test func lostAndReturningMembersHaveEffects() {
    let record = member(Self.other)
    let lost: [ClusterEventPolicy.Effect] = [.lost(Self.other), .readAgents]
    #expect(policy.effects(of: .left(record)) == lost)
    #expect(policy.effects(of: .becameUnhealthy(record)) == lost)
    #expect(policy.effects(of: .ended(record)) == lost)
    #expect(policy.effects(of: .restarted(member(NodeSession(nodeID: "other", incarnation: "2")), former: Self.other)) == lost)
    #expect(policy.effects(of: .becameHealthy(record)) == [.regained(Self.other), .readAgents])
    #expect(policy.effects(of: .left(member(Self.me))).isEmpty)
    #expect(policy.effects(of: .cutOff) == [.releaseAgents])
    #expect(policy.effects(of: .reconnected) == [.readAgents])
  }
}
