import Foundation
import ParallaxAPI
import ParallaxHA
import ParallaxRedisStores
import Testing

@testable import ParallaxControlPlane

/// What the store tells about a cluster to a node that has not started.
@Suite struct OfflineDiagnosisTests {
  private static let now = Timestamp(milliseconds: 1_800_000_000_000)

  private func member(age: Duration, interval: Duration = .seconds(5), end: MemberEnd? = nil) -> ClusterFacts.Member {
    let written = Date(timeIntervalSince1970: Double((Self.now - age).milliseconds) / 1_000)
    var record = MemberRecord(
      session: NodeSession(nodeID: "a", incarnation: "1"), clusterID: "production", address: "a:8080", sequence: 3,
      report: MemberReport(role: .leader, term: 9, health: .unhealthy), checkInterval: interval, startedAt: written, lastHeartbeat: written,
      version: "1.0.0")
    record.end = end
    return ClusterFacts.Member(record, now: Self.now)
  }

  @Test func aMemberIsAliveIfItWroteWithinThreeOfItsIntervals() {
    #expect(member(age: .milliseconds(14_999)).isAlive)
    #expect(!member(age: .seconds(15)).isAlive)
    #expect(member(age: .seconds(15), interval: .seconds(6)).isAlive)
    #expect(!member(age: .seconds(1), end: MemberEnd(at: Date(timeIntervalSince1970: 0))).isAlive, "its witness has reported its end")
    let member = member(age: .seconds(1))
    #expect(member.claimsToLead && member.term == 9 && !member.isHealthy && member.clusterID == "production")
  }

  @Test func onlyAHeartbeatFromTheFutureShowsAClock() {
    #expect(member(age: .seconds(-60)).clock == .seconds(60) ... .seconds(60))
    #expect(member(age: .seconds(4)).clock == .seconds(-4) ... .zero)
  }

  @Test func theStateOfARecord() {
    func state(_ change: (inout ElectionRecord) -> Void) -> ClusterFacts.Election {
      var record = ElectionRecord(clusterID: "c", leader: "a", incarnation: "1", term: 9, leaseDuration: .seconds(15))
      change(&record)
      return ClusterFacts.Election(record)
    }
    #expect(ClusterFacts.Election(nil).record == .absent)
    #expect(state { $0.leader = nil }.record == .released)
    let bootstrap = state {
      $0.leader = nil
      $0.isBootstrap = true
    }
    #expect(bootstrap.record == .bootstrap)
    let held = state { $0.isPaused = true }
    #expect(held.record == .held(by: "a") && held.term == 9 && held.isPaused && held.clusterID == "c" && held.leaseRemaining == nil)
  }

  @Test func withoutRedisItsChecksAreSkippedAndNothingFails() async throws {
    let document = try await OfflineDiagnosis.document(of: NodeConfiguration(nodeID: "a"), clock: ContinuousClock())
    #expect(document.status == .ok && document.nodeId == "a" && document.incarnation == nil)
    #expect(document.checks.map(\.id) == DiagnosisCheck.ofNode.map(\.rawValue))
    #expect(document.checks.filter { $0.id.hasPrefix("redis.") }.allSatisfy { $0.status == .skip && $0.summary.contains("redis.url") })
  }
}
