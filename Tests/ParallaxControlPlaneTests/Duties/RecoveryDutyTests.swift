import ParallaxHA
import Testing

@testable import ParallaxControlPlane

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite struct RecoveryDutyTests {
  private static let settings: MembershipSettings? = try? MembershipSettings(checkInterval: .seconds(5))
  private static let removeAfter: Duration = .seconds(60)

  /// A session is lost only if its member is silent, absent, or of a later incarnation of the node.
  @Test func sessionsOfSilentAbsentAndRestartedMembersAreLost() throws {
    let view = try makeView(at: 20)
    #expect(RecoveryDuty.isAlive(session("alive", 1), in: view))
    #expect(RecoveryDuty.isAlive(session("odd", 1), in: view))
    #expect(!RecoveryDuty.isAlive(session("silent", 1), in: view))
    #expect(!RecoveryDuty.isAlive(session("restarted", 1), in: view))
    #expect(RecoveryDuty.isAlive(session("restarted", 2), in: view))
    #expect(!RecoveryDuty.isAlive(session("unknown", 1), in: view))
    #expect(!RecoveryDuty.isAlive(session("me", 7), in: view))
  }

  @Test func aRoundRecoversTheLostAndSparesTheNodeItself() throws {
    let listed: [NodeSession: Int64] = [session("me", 1): 9, session("alive", 1): 8, session("silent", 1): 7, session("unknown", 1): 6]
    let plan = RecoveryDuty.plan(listed, try makeView(at: 20), own: session("me", 1), removeAfter: Self.removeAfter)
    #expect(plan == RecoveryDuty.Plan(lost: [session("silent", 1): 7, session("unknown", 1): 6], silent: []))
  }

  @Test func aMemberIsRemovedOnceItHasBeenSilentForLong() throws {
    for (second, silent) in [(55, []), (60, [session("silent", 1)])] {
      let plan = RecoveryDuty.plan([:], try makeView(at: second), own: session("me", 1), removeAfter: Self.removeAfter)
      #expect(plan.silent == silent, "after \(second) s")
    }
  }

  /// Another process has taken over its record, or it could not write the record.
  @Test func aNodeThatLooksLostToItselfSparesItself() throws {
    let plan = RecoveryDuty.plan([session("me", 7): 1], try makeView(at: 20), own: session("me", 7), removeAfter: Self.removeAfter)
    #expect(plan.lost.isEmpty)
  }

  @Test func aMemberIsRemovedOnceItOwnsNothing() {
    let silent = [session("silent", 1), session("gone", 1)]
    #expect(RecoveryDuty.removable(silent, owning: [session("silent", 1): 3, session("gone", 2): 1]) == [session("gone", 1)])
  }

  /// A node that cannot read its members must not take them for lost, although all look silent.
  @Test func aStaleViewCausesNoAction() throws {
    let view = try makeView(at: 120, failsToRead: true)
    #expect(view.isStale && !RecoveryDuty.isAlive(session("silent", 1), in: view))
    let plan = RecoveryDuty.plan([session("silent", 1): 1], view, own: session("me", 1), removeAfter: Self.removeAfter)
    #expect(plan == RecoveryDuty.Plan())
  }

  /// The view of node `me` after watching a member that is silent from the start, and some that are not.
  private func makeView(at end: Int, failsToRead: Bool = false) throws -> MembershipView {
    let me = record("me", life: 1)
    var judge = MembershipJudge(record: me, settings: try #require(Self.settings), now: .zero)
    _ = judge.wrote(me, .added, sentAt: .zero, now: .zero)
    let others = [record("alive", life: 1), record("silent", life: 1), record("restarted", life: 2)]
    for second in stride(from: 0, through: end, by: 5) {
      let current = others.map { other in
        var other = other
        if other.id != "silent" { other.sequence += Int64(second) }
        return other
      }
      _ = judge.wrote(me, .renewed, sentAt: .seconds(second), now: .seconds(second))
      _ = judge.read(MembershipSnapshot(records: [me] + current, unreadable: ["odd": "newer"]), now: .seconds(second))
    }
    if failsToRead { judge.readFailed() }
    return judge.view(now: .seconds(end), asOf: nil)
  }

  private func session(_ id: String, _ life: Int) -> NodeSession { NodeSession(nodeID: id, incarnation: "\(life)") }

  private func record(_ id: String, life: Int) -> MemberRecord {
    MemberRecord(
      session: session(id, life), clusterID: "c", address: "\(id):1", sequence: 1, startedAt: .init(timeIntervalSince1970: 0),
      lastHeartbeat: .init(timeIntervalSince1970: 0), version: "1")
  }
}
