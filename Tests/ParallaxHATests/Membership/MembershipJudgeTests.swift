import ParallaxHA
import Testing

@Suite struct MembershipJudgeTests {
  // MARK: Silence

  @Test func aMemberIsUnhealthyAfterThreeSilentIntervals() throws {
    var test = try JudgeUnderTest()
    #expect(test.read(memberRecord("b", 1), at: 0) == [.joined(memberRecord("b", 1))])
    #expect(test.read(memberRecord("b", 1), at: 5).isEmpty)
    #expect(test.read(memberRecord("b", 1), at: 10).isEmpty)
    #expect(test.read(memberRecord("b", 1), at: 14.999).isEmpty)
    #expect(test.view(at: 14.999)["b"]?.isAlive == true)
    #expect(test.read(memberRecord("b", 1), at: 15) == [.becameUnhealthy(memberRecord("b", 1))])
    #expect(test.view(at: 15)["b"]?.status == .unhealthy)
    #expect(test.read(memberRecord("b", 1), at: 20).isEmpty)
  }

  @Test func everyChangeStartsANewWindow() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 1), at: 0)
    _ = test.read(memberRecord("b", 2), at: 9)
    #expect(test.read(memberRecord("b", 2), at: 15).isEmpty)
    #expect(test.read(memberRecord("b", 2), at: 23.9).isEmpty)
    #expect(test.read(memberRecord("b", 2), at: 24) == [.becameUnhealthy(memberRecord("b", 2))])
  }

  @Test func aSignOfLifeRestoresHealth() throws {
    var test = try JudgeUnderTest()
    for second in [0.0, 5, 10, 15] { _ = test.read(memberRecord("b", 1), at: second) }
    #expect(test.read(memberRecord("b", 2), at: 20) == [.becameHealthy(memberRecord("b", 2))])
    #expect(test.view(at: 20)["b"]?.status == .healthy)
  }

  @Test func anEarlierRecordIsNoSignOfLife() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 7), at: 0)
    for second in [5.0, 10] { _ = test.read(memberRecord("b", 6), at: second) }
    #expect(test.read(memberRecord("b", 6), at: 15) == [.becameUnhealthy(memberRecord("b", 7))])
  }

  @Test func theWindowFollowsTheIntervalOfTheMember() throws {
    var test = try JudgeUnderTest()
    let slow = memberRecord("b", 1, checkInterval: .seconds(10))
    for second in stride(from: 0.0, through: 25, by: 5) { _ = test.read(slow, at: second) }
    #expect(test.view(at: 25)["b"]?.isAlive == true)
    #expect(test.read(slow, at: 30) == [.becameUnhealthy(slow)])
  }

  @Test func aMemberWithAnUnreadableFieldIsSilent() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 1), at: 0)
    for second in [5.0, 10] { #expect(test.read(unreadable: ["b": "newer", "c": "broken"], at: second).isEmpty) }
    #expect(test.read(unreadable: ["b": "newer"], at: 15) == [.becameUnhealthy(memberRecord("b", 1))])
    #expect(test.view(at: 15).unreadable == ["b": "newer"])
  }

  @Test func aMemberThatReportsItselfUnhealthyIsAlive() throws {
    var test = try JudgeUnderTest()
    #expect(test.read(memberRecord("b", 1, health: .unhealthy), at: 0).count == 1)
    #expect(test.view(at: 0)["b"]?.isAlive == true)
    #expect(test.view(at: 0)["b"]?.status == .unhealthy)
    #expect(test.view(at: 0).healthyCount == 1)
  }

  // MARK: Proof

  private func ended(_ record: MemberRecord) -> MemberRecord {
    var record = record
    record.end = MemberEnd(at: someInstant, cause: .signal(9))
    return record
  }

  @Test func aMarkedMemberIsLostAtOnce() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 3), at: 0)
    let marked = ended(memberRecord("b", 3))
    #expect(test.read(marked, at: 0.1) == [.ended(marked)])
    #expect(test.view(at: 0.1)["b"]?.isAlive == false && test.view(at: 0.1)["b"]?.record.end == marked.end)
    #expect(test.read(marked, at: 5).isEmpty && test.read(marked, at: 30).isEmpty)
  }

  @Test("A mark counts beside any heartbeat of the incarnation", arguments: [2, 3, 4])
  func mark(sequence: Int64) throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 3), at: 0)
    let marked = ended(memberRecord("b", sequence))
    #expect(test.read(marked, at: 1) == [.ended(marked)])
    #expect(test.view(at: 1)["b"]?.isAlive == false)
  }

  @Test func aMemberThatWasSilentBeforeItsMarkIsReportedAsEndedToo() throws {
    var test = try JudgeUnderTest()
    for second in [0.0, 5, 10, 15] { _ = test.read(memberRecord("b", 1), at: second) }
    let marked = ended(memberRecord("b", 1))
    #expect(test.read(marked, at: 20) == [.ended(marked)])
  }

  @Test func aMarkedMemberIsLostForANodeThatStartsLater() throws {
    var test = try JudgeUnderTest()
    let marked = ended(memberRecord("b", 3))
    #expect(test.read(marked, at: 0) == [.joined(marked), .ended(marked)])
    #expect(test.view(at: 0)["b"]?.isAlive == false)
  }

  @Test func aHeartbeatThatArrivesAfterTheMarkCountsUntilTheNextMark() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 3), at: 0)
    _ = test.read(ended(memberRecord("b", 3)), at: 1)
    #expect(test.read(memberRecord("b", 4), at: 2) == [.becameHealthy(memberRecord("b", 4))])
    let marked = ended(memberRecord("b", 4))
    #expect(test.read(marked, at: 3) == [.ended(marked)])
  }

  @Test func aNewLifeOfAMarkedMemberIsAlive() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 3), at: 0)
    _ = test.read(ended(memberRecord("b", 3)), at: 1)
    let again = memberRecord("b", 1, life: 2)
    #expect(test.read(again, at: 2) == [.restarted(again, former: memberSession("b")), .becameHealthy(again)])
    #expect(test.view(at: 2)["b"]?.isAlive == true)
  }

  @Test func aNewLifeThatEndedAtOnceIsLostToo() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 3), at: 0)
    let again = ended(memberRecord("b", 1, life: 2))
    #expect(test.read(again, at: 2) == [.restarted(again, former: memberSession("b")), .ended(again)])
  }

  @Test func aMarkedLeaderClaimsNothing() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 3, leads: 7), at: 0)
    #expect(test.view(at: 0).leaders == ["b"])
    _ = test.read(ended(memberRecord("b", 3, leads: 7)), at: 1)
    #expect(test.view(at: 1).leaders == [])
  }

  // MARK: Silence that does not count

  @Test func aPauseOrAnOutageStartsANewWindowForEveryMember() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 1), at: 0)
    _ = test.read(memberRecord("b", 1), at: 5)
    #expect(test.read(memberRecord("b", 1), at: 60).isEmpty)
    #expect(test.view(at: 60)["b"]?.lastSeen == .seconds(60))
    #expect(test.read(memberRecord("b", 1), at: 65).isEmpty)
    #expect(test.read(memberRecord("b", 1), at: 70).isEmpty)
    #expect(test.read(memberRecord("b", 1), at: 75) == [.becameUnhealthy(memberRecord("b", 1))])
  }

  @Test func anOutageRevivesNoUnhealthyMember() throws {
    var test = try JudgeUnderTest()
    for second in [0.0, 5, 10, 15] { _ = test.read(memberRecord("b", 1), at: second) }
    #expect(test.read(memberRecord("b", 1), at: 60).isEmpty)
    #expect(test.view(at: 60)["b"]?.isAlive == false)
  }

  @Test func fieldsLostTogetherWithTheOwnAreALossOfData() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 1), memberRecord("c", 1), at: 0)
    #expect(test.judge.read(MembershipSnapshot(records: []), now: .seconds(5)).isEmpty)
    #expect(test.write(.added, at: 10).isEmpty)
    #expect(test.read(memberRecord("b", 2), at: 10).isEmpty)
    #expect(test.view(at: 10).members.map(\.id) == ["b", "c", "me"])
    #expect(test.read(memberRecord("b", 3), at: 15).isEmpty)
    #expect(test.read(memberRecord("b", 4), at: 20).isEmpty)
    #expect(test.read(memberRecord("b", 5), at: 25) == [.left(memberRecord("c", 1))])
  }

  @Test func theOwnWriteRevealsALossOfDataBetweenReads() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 1), at: 0)
    _ = test.write(.added, at: 5)
    #expect(test.read(at: 5).isEmpty)
    #expect(test.read(memberRecord("b", 2), at: 10).isEmpty)
  }

  // MARK: Arrivals and departures

  @Test func aRemovedFieldIsADeparture() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 1), at: 0)
    #expect(test.read(at: 5) == [.left(memberRecord("b", 1))])
    #expect(test.view(at: 5)["b"] == nil)
    #expect(test.read(memberRecord("b", 2), at: 10) == [.joined(memberRecord("b", 2))])
  }

  @Test func anotherIncarnationIsARestart() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 9), at: 0)
    #expect(test.read(memberRecord("b", 1, life: 2), at: 5) == [.restarted(memberRecord("b", 1, life: 2), former: memberSession("b"))])
  }

  @Test func aRestartOfASilentMemberIsBoth() throws {
    var test = try JudgeUnderTest()
    for second in [0.0, 5, 10, 15] { _ = test.read(memberRecord("b", 9), at: second) }
    let again = memberRecord("b", 1, life: 2)
    #expect(test.read(again, at: 20) == [.restarted(again, former: memberSession("b")), .becameHealthy(again)])
  }

  // MARK: The own field

  @Test func theNodeIsCutOffAfterAWindowWithoutWrites() throws {
    var test = try JudgeUnderTest()
    #expect(!test.judge.isCutOff(now: .milliseconds(14_999)))
    #expect(test.judge.check(now: .milliseconds(14_999)).isEmpty)
    #expect(test.judge.isCutOff(now: .seconds(15)))
    #expect(test.judge.check(now: .seconds(15)) == [.cutOff])
    #expect(test.judge.check(now: .seconds(20)).isEmpty)
    #expect(test.view(at: 20)["me"]?.status == .unhealthy)
    #expect(test.write(at: 25) == [.reconnected])
    #expect(!test.judge.isCutOff(now: .seconds(25)))
  }

  @Test func aPausedNodeLearnsThatItWasCutOff() throws {
    var test = try JudgeUnderTest()
    #expect(test.write(at: 14) == [])
    #expect(test.write(at: 29) == [.cutOff, .reconnected])
    #expect(test.write(at: 34) == [])
  }

  @Test func theWindowStartsWhenTheLastWriteIsSent() throws {
    var test = try JudgeUnderTest()
    _ = test.judge.wrote(memberRecord("me", 2), .renewed, sentAt: .seconds(5), now: .seconds(8))
    #expect(!test.judge.isCutOff(now: .milliseconds(19_999)))
    #expect(test.judge.isCutOff(now: .seconds(20)))
  }

  @Test func aStartingNodeTakesOverTheFieldOfItsFormerIncarnation() throws {
    var judge = MembershipJudge(record: memberRecord("me", 0, life: 2), settings: try MembershipSettings(), now: .zero)
    let mine = memberRecord("me", 1, life: 2)
    #expect(judge.replacedIncarnation == nil)
    #expect(judge.wrote(mine, .twin(memberRecord("me", 50)), sentAt: .zero, now: .zero).isEmpty)
    #expect(judge.twin == nil)
    #expect(judge.replacedIncarnation == "me-life-1")
    #expect(judge.wrote(mine, .replaced, sentAt: .zero, now: .zero) == [.restarted(mine, former: memberSession("me"))])
    #expect(judge.replacedIncarnation == nil)
  }

  @Test func aTakeoverOfUnknownOutcomeIsReported() throws {
    var judge = MembershipJudge(record: memberRecord("me", 0, life: 2), settings: try MembershipSettings(), now: .zero)
    _ = judge.wrote(memberRecord("me", 1, life: 2), .twin(memberRecord("me", 50)), sentAt: .zero, now: .zero)
    let mine = memberRecord("me", 3, life: 2)
    #expect(judge.wrote(mine, .renewed, sentAt: .zero, now: .zero) == [.restarted(mine, former: memberSession("me"))])
  }

  @Test(arguments: [true, false]) func anIncarnationThatTakesTheFieldIsATwinForGood(isSeenByWrite: Bool) throws {
    var test = try JudgeUnderTest()
    let other = memberRecord("me", 1, life: 2)
    let events = isSeenByWrite ? test.write(.twin(other), at: 5) : test.judge.read(memberSnapshot(other), now: .seconds(5))
    #expect(events == [.twin(other)])
    #expect(test.judge.twin == other)
    #expect(test.judge.isCutOff(now: .seconds(5)))
    #expect(test.judge.check(now: .seconds(60)).isEmpty)
    #expect(test.write(.added, at: 65).isEmpty)
    #expect(test.judge.twin == other)
  }

  /// A store that fails over may have the field of the former life again, with the mark of its witness.
  @Test(arguments: [true, false]) func aFormerLifeThatIsMarkedIsNoTwinAndLosesTheField(isSeenByWrite: Bool) throws {
    var test = try JudgeUnderTest()
    let former = ended(memberRecord("me", 50, life: 0))
    let events = isSeenByWrite ? test.write(.twin(former), at: 5) : test.judge.read(memberSnapshot(former), now: .seconds(5))
    #expect(events.isEmpty)
    #expect(test.judge.twin == nil && !test.judge.isCutOff(now: .seconds(5)))
    #expect(test.judge.replacedIncarnation == "me-life-0")
    let written = test.write(.replaced, at: 6)
    #expect(written.map { $0 == .restarted(test.view(at: 6)["me"]!.record, former: memberSession("me", life: 0)) } == [true])
    #expect(test.judge.replacedIncarnation == nil)
    // It holds the field as before, and loses it to a life that is not marked.
    #expect(test.write(.twin(memberRecord("me", 1, life: 2)), at: 7) == [.twin(memberRecord("me", 1, life: 2))])
  }

  @Test func aPauseBeforeTheFieldIsTakenBackCounts() throws {
    var test = try JudgeUnderTest()
    _ = test.write(.twin(ended(memberRecord("me", 50, life: 0))), at: 20)
    #expect(test.write(.replaced, at: 20).prefix(2) == [.cutOff, .reconnected])
  }

  @Test func aFieldReadBeforeTheFirstWriteIsNoTwin() throws {
    var judge = MembershipJudge(record: memberRecord("me", 0, life: 2), settings: try MembershipSettings(), now: .zero)
    #expect(judge.read(memberSnapshot(memberRecord("me", 50)), now: .zero).isEmpty)
    #expect(judge.twin == nil)
  }

  // MARK: The view

  @Test func theViewHasTheAgeOfEachMember() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 1), at: 0)
    _ = test.read(memberRecord("b", 2), at: 5)
    let view = test.view(at: 7)
    #expect(view.members.map(\.id) == ["b", "me"])
    #expect(view.members.map(\.lastSeen) == [.seconds(2), .seconds(7)])
  }

  @Test func aViewIsStaleWithoutASuccessfulRead() throws {
    var test = try JudgeUnderTest()
    #expect(test.view(at: 0).isStale)
    _ = test.read(at: 0)
    #expect(!test.view(at: 10).isStale)
    #expect(test.view(at: 10.001).isStale)
    test.judge.readFailed()
    #expect(test.view(at: 1).isStale)
    _ = test.read(at: 15)
    #expect(!test.view(at: 15).isStale)
  }

  // MARK: Leaders

  @Test func aSingleClaimIsTheLeader() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 1, leads: 5), memberRecord("c", 1), at: 0)
    #expect(test.view(at: 0).leaders == ["b"])
    #expect(test.view(at: 0).members.filter(\.isLeader).map(\.id) == ["b"])
  }

  @Test func aClaimLeftByAFormerLeaderIsIgnored() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 8, leads: 5), memberRecord("c", 1), at: 0)
    _ = test.read(memberRecord("b", 8, leads: 5), memberRecord("c", 2, leads: 6), at: 5)
    #expect(test.view(at: 5).leaders == ["c"])
    _ = test.read(memberRecord("b", 8, leads: 5), memberRecord("c", 3, leads: 6), at: 10)
    #expect(test.view(at: 10).leaders == ["c"])
  }

  @Test func aRenewedClaimBesideANewerOneIsAnOverlap() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 8, leads: 5), memberRecord("c", 2, leads: 6), at: 0)
    #expect(test.view(at: 0).leaders == ["c"])
    _ = test.read(memberRecord("b", 9, leads: 5), memberRecord("c", 3, leads: 6), at: 5)
    #expect(test.view(at: 5).leaders == ["b", "c"])
    _ = test.read(memberRecord("b", 10), memberRecord("c", 4, leads: 6), at: 10)
    #expect(test.view(at: 10).leaders == ["c"])
  }

  @Test func theElectionRecordDecidesWhereClaimsDoNotOverlap() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 8, leads: 5), memberRecord("c", 2), at: 0)
    #expect(test.view(at: 0).leaders(holder: "c") == ["c"])
    #expect(test.view(at: 0).leaders(holder: nil) == [])
    _ = test.read(memberRecord("b", 9, leads: 5), memberRecord("c", 3, leads: 6), at: 5)
    _ = test.read(memberRecord("b", 10, leads: 5), memberRecord("c", 4, leads: 6), at: 10)
    #expect(test.view(at: 10).leaders(holder: "c") == ["b", "c"])
    #expect(test.view(at: 10).leaders(holder: nil) == ["b", "c"])
    #expect(test.view(at: 10).leaders(holder: "a") == ["a", "b", "c"])
  }

  @Test func twoHoldersOfOneTermAreAnOverlap() throws {
    var test = try JudgeUnderTest()
    _ = test.read(memberRecord("b", 1, leads: 5), memberRecord("c", 1, leads: 5), at: 0)
    #expect(test.view(at: 0).leaders == ["b", "c"])
  }

  @Test func theClaimOfASilentLeaderIsIgnored() throws {
    var test = try JudgeUnderTest()
    for second in [0.0, 5, 10, 15] { _ = test.read(memberRecord("b", 1, leads: 5), at: second) }
    #expect(test.view(at: 15).leaders == [])
  }
}
