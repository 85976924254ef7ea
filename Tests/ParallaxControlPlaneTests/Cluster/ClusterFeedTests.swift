import Foundation
import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxMetrics
import ParallaxState
import ParallaxTesting
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// The view of the agents at other nodes, on a manual clock.
@Suite(.timeLimit(.minutes(1))) struct ClusterFeedTests {
  private let clock = ManualClock()
  private let backend = InMemoryBackend()
  private let assembly: NodeAssembly

  init() throws {
    var configuration = NodeConfiguration(nodeID: World.session.nodeID)
    configuration.node.address = "10.0.0.1:8080"
    configuration.highAvailability.enabled = true
    configuration.highAvailability.memberHealth.checkInterval = .seconds(1)
    configuration.highAvailability.memberHealth.unhealthyThreshold = 3
    assembly = try NodeAssembly(
      configuration: configuration, backend: backend, registry: MetricsRegistry(), onStuckDuty: {}, clock: NodeClock(clock),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  private var agents: [String: Int64] { assembly.dispatcher.agentEpochs(at: World.other) }

  private func announce() async throws {
    let announcement = AgentAnnouncement.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: [])
    let form = announcement.event(nodeID: World.other.nodeID)
    let event = ClusterEvent(
      type: form.type, id: form.id, session: World.other, timestamp: World.start, sequence: 1, details: form.details)
    try await backend.events.publish(event, on: .agent)
  }

  /// Runs the membership and the feed of the node until the body ends; another node has written its record once.
  private func joined(_ body: @escaping @Sendable () async throws -> Void) async throws {
    let instant = Date(timeIntervalSince1970: 1_768_473_000)
    _ = try await backend.membership.write(
      MemberRecord(
        session: World.other, clusterID: nil, address: "10.0.0.2:8080", sequence: 1, report: MemberReport(), startedAt: instant,
        lastHeartbeat: instant, version: "1"), replacing: nil)
    try await running([assembly.membership, assembly.makeFeed()], body)
  }

  private func eventuallyAdvancing(_ what: String, _ condition: @escaping @Sendable () -> Bool) async throws {
    // A minute is 120 steps, each with a wait of its own.
    try await eventually(what, within: .seconds(50)) {
      if !condition() { clock.advance(by: .milliseconds(500)) }
      return condition()
    }
  }

  @Test func aLateAnnouncementRevivesAgentsOfALostSessionForAMinuteAtMost() async throws {
    try await joined {
      try await eventually("the other node") { assembly.membership.members.view.members.contains { $0.id == World.other.nodeID } }
      try await eventually("the subscription") {
        try await announce()
        return agents == ["far": 1]
      }
      try await eventuallyAdvancing("the loss") { agents.isEmpty }
      try await announce()
      try await eventually("the late announcement") { agents == ["far": 1] }
      clock.advance(by: .seconds(60))
      try await eventually("the loss once more") { agents.isEmpty }
    }
  }
}
