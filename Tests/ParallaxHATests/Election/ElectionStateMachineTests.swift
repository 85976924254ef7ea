import Foundation
import ParallaxHA
import Testing

@Suite struct ElectionStateMachineTests {
  @Test func anAbsentRecordIsMarkedThenAcquiredAfterOneLease() throws {
    var node = Scripted("a")
    node.start(finding: nil)
    let mark = try #require(node.written(.bootstrap))
    #expect(mark.isBootstrap)
    #expect(mark.leader == nil)
    #expect(mark.term == 1_700_000_000_000)
    node.acknowledge()
    node.advance(to: .milliseconds(14_900))
    #expect(node.call?.purpose != .acquire)
    node.advance(to: .milliseconds(15_100))
    let record = try #require(node.written(.acquire))
    #expect(record.term > mark.term)
    #expect(record.transitionCount == 1)
    node.acknowledge()
    #expect(node.machine.lease?.token == record.fencingToken)
  }

  @Test func validityCountsFromTheSendAndEndsWithoutAnEvent() {
    var node = Scripted.leader()
    let sentAt = node.call?.sentAt
    node.now += .seconds(1)
    node.acknowledge()
    #expect(node.machine.lease?.validUntil == sentAt.map { $0 + .seconds(10) })
    node.failAllCalls(until: node.now + .seconds(10))
    #expect(node.machine.lease == nil)
    #expect(node.ended.map(\.1) == [.deadlinePassed])
  }

  @Test(
    "The notice of a term names the reason of the takeover",
    arguments: [
      (true, true, .witnessed, 0.0), (true, false, .released, 0), (false, false, .expired, 15),
    ] as [(Bool, Bool, Takeover.Cause, Double)])
  func takeover(isReleased: Bool, isWitnessed: Bool, cause: Takeover.Cause, silence: Double) throws {
    var node = Scripted("a")
    var record = ElectionRecord(
      clusterID: "default", leader: isReleased ? nil : "b", incarnation: "b1", term: 7, leaseDuration: .seconds(15))
    record.isWitnessed = isWitnessed
    node.start(finding: record)
    if !isReleased { node.advance(to: .seconds(16)) }
    #expect(node.written(.acquire)?.isWitnessed == false)
    node.acknowledge()
    let takeover = try #require(node.elected.first)
    #expect(takeover.cause == cause && abs(takeover.silence / .seconds(1) - silence) < 0.2, "\(takeover)")
  }

  @Test func aReadDoesNotSettleAnUnknownRenewal() throws {
    var node = Scripted.leader()
    node.acknowledge()
    let validUntil = try #require(node.machine.lease?.validUntil)
    node.advance(to: node.now + .milliseconds(2_500))
    let renewal = try #require(node.written(.renew))
    node.advance(to: node.now + .milliseconds(2_600))
    #expect(node.call?.purpose == .read)
    node.answer(.read(node.snapshot(renewal)))
    #expect(node.machine.lease?.validUntil == validUntil)
    let next = try #require(node.written(.renew))
    #expect(next.renewalCount > renewal.renewalCount)
    node.acknowledge()
    #expect(try #require(node.machine.lease?.validUntil) > validUntil)
  }

  @Test func aLateReplyDoesNotCount() throws {
    var node = Scripted.leader()
    node.acknowledge()
    node.advance(to: node.now + .milliseconds(2_500))
    let late = try #require(node.call)
    node.failAllCalls(until: node.now + .seconds(10))
    node.handle(.reply(late.id, .written(ElectionVersion([9]))))
    #expect(node.machine.lease == nil)
  }

  @Test func patienceIsTheLongerLeaseSinceTheLastRenewalDespiteRequests() {
    var node = Scripted("b")
    var held = Scripted.held
    held.leaseDuration = .seconds(20)
    node.start(finding: held)
    node.now += .seconds(10)
    var asked = held
    asked.sequence += 1
    asked.request = ElectionRequest(id: "r", kind: .stepDown, targetTerm: held.term)
    node.handle(.hint(node.snapshot(asked)))
    node.failAllCalls(until: .milliseconds(19_990))
    #expect(node.call?.purpose != .acquire)
    node.failAllCalls(until: .milliseconds(20_101))
    #expect(node.sent.contains { $0.purpose == .acquire })
  }

  @Test func aReleasedRecordIsAcquiredAtOnceWithAHigherTerm() throws {
    var node = Scripted("b")
    node.start(finding: Scripted.held)
    var released = Scripted.held
    released.leader = nil
    released.sequence += 1
    node.handle(.hint(node.snapshot(released)))
    let record = try #require(node.written(.acquire))
    #expect(record.term == released.term + 1)
    #expect(record.request == nil)
  }

  @Test func theCandidateWithTheHigherPriorityAcquiresFirst() {
    func turn(_ id: String, _ priority: Int) -> Duration? {
      var node = Scripted(id, ElectionConfiguration(priority: priority))
      node.start(finding: Scripted.held)
      return node.machine.turn
    }
    for (low, high) in [(0, 1), (1, 2), (-1, 0), (-100, -3), (7, 8), (0, 100)] {
      for id in ["x", "y", "z"] {
        guard let first = turn("n", high), let second = turn(id, low) else {
          Issue.record("a candidate has no turn")
          return
        }
        #expect(first < second)
        #expect(second <= .milliseconds(15_100))
      }
    }
  }

  @Test func aPriorityBeyondItsBoundsDoesNotShortenPatience() {
    var configuration = ElectionConfiguration(bootstrapWait: .seconds(-20))
    configuration.priority = .max
    var node = Scripted("n", configuration)
    node.start(finding: Scripted.held)
    #expect(node.machine.turn.map { $0 >= .seconds(15) } == true)
    configuration.priority = .min
    var last = Scripted("n", configuration)
    last.start(finding: Scripted.held)
    #expect(last.machine.turn.map { $0 <= .milliseconds(15_100) } == true)
    var fresh = Scripted("n", configuration)
    fresh.start(finding: nil)
    fresh.acknowledge()
    #expect(fresh.call?.purpose == .acquire)
  }

  @Test func aLeaderWithAnotherLeaseIsReported() {
    var node = Scripted("b")
    var held = Scripted.held
    node.start(finding: held)
    #expect(node.machine.status(at: node.now).problem == nil)
    held.leaseDuration = .seconds(30)
    held.sequence += 1
    node.handle(.hint(node.snapshot(held)))
    #expect(node.machine.status(at: node.now).problem?.contains("a lease of 30.0 seconds and this node one of 15.0 seconds") == true)
  }

  @Test func aStaleHintOnlyTriggersARead() {
    var node = Scripted("b")
    var newer = Scripted.held
    newer.sequence += 5
    node.start(finding: newer)
    node.handle(.hint(node.snapshot(Scripted.held)))
    #expect(node.call?.purpose == .read)
    #expect(node.machine.lastRecord == newer)
  }

  @Test func theRecordOfAnotherClusterIsReportedAndNotChanged() {
    var node = Scripted("b")
    var foreign = Scripted.held
    foreign.clusterID = "other"
    foreign.leader = nil
    node.start(finding: foreign)
    node.failAllCalls(until: .seconds(60), reading: foreign)
    #expect(node.sent.allSatisfy { $0.purpose == .read })
    #expect(node.notices == [.foreignCluster("other")])
    #expect(node.machine.status(at: node.now).problem?.contains("\"other\" and this node to \"default\"") == true)
  }

  @Test func anUnreadableRecordIsNeverOverwritten() {
    var node = Scripted("b")
    node.handle(.start)
    node.handle(.candidacy(true))
    for _ in 0..<30 {
      node.answer(.unreadable)
      node.advance(to: node.now + .seconds(3))
    }
    #expect(node.sent.allSatisfy { $0.purpose == .read })
    #expect(node.notices == [.unreadableRecord])
  }

  @Test func aRecordWithImpossibleValuesIsIgnoredWithoutATrap() {
    var node = Scripted("b")
    var record = Scripted.held
    record.leader = nil
    record.term = .max
    node.start(finding: record)
    #expect(node.sent.allSatisfy { $0.purpose == .read })
    node.handle(.hint(node.snapshot(record)))
    #expect(node.sent.allSatisfy { $0.purpose == .read })
  }

  @Test func aFormerLeaseIsAwaitedUnlessReclaimingIsAllowed() {
    var former = Scripted.held
    former.leader = "b"
    for reclaims in [false, true] {
      var node = Scripted("b", ElectionConfiguration(reclaimsOnRestart: reclaims))
      node.start(finding: former)
      #expect((node.call?.purpose == .acquire) == reclaims)
    }
  }

  @Test func aTwinIsReportedAtItsFirstSignOfLife() {
    var node = Scripted("b")
    var twin = Scripted.held
    twin.leader = "b"
    node.start(finding: twin)
    for _ in 0..<4 {
      twin.renewalCount += 1
      twin.sequence += 1
      node.handle(.hint(node.snapshot(twin)))
    }
    #expect(node.notices == [.twin(incarnation: "other", address: nil)])
  }

  @Test func aNodeThatDoesNotLeadReleasesItsOwnRecord() throws {
    var node = Scripted("b")
    var own = Scripted.held
    own.leader = "b"
    own.incarnation = node.machine.session.incarnation
    node.start(finding: own)
    #expect(try #require(node.written(.release)).isReleased)
  }

  @Test func aLeaderMarksItsLostRecordThenReassertsItsTerm() throws {
    var node = Scripted.leader()
    let term = try #require(node.call?.record?.term)
    node.acknowledge()
    node.advance(to: node.now + .milliseconds(2_500))
    node.answer(.conflict(nil))
    let mark = try #require(node.written(.bootstrap))
    #expect(mark.isBootstrap)
    node.acknowledge()
    let record = try #require(node.written(.reassert))
    #expect(record.term == term)
    #expect(record.renewalCount > mark.renewalCount)
    node.acknowledge()
    #expect(node.machine.lease?.token.term == term)
    #expect(node.ended.isEmpty)
  }

  @Test func dutiesAreJoinedBeforeAReleaseThatReservesTheTarget() throws {
    var node = Scripted.leader()
    let acquired = try #require(node.call?.record)
    node.acknowledge()
    var asked = acquired
    asked.sequence += 1
    asked.request = ElectionRequest(id: "r", kind: .stepDown, to: "c", targetTerm: acquired.term)
    node.handle(.hint(node.snapshot(asked)))
    #expect(node.call?.purpose == .read)
    node.answer(.read(node.snapshot(asked)))
    #expect(node.ended.map(\.1) == [.requested(.stepDown)])
    #expect(node.machine.lease == nil)
    #expect(node.call == nil)
    node.handle(.dutiesJoined)
    let released = try #require(node.written(.release))
    #expect(released.isReleased)
    #expect(released.reservation == ElectionHold(id: "r", node: "c", duration: .seconds(10)))
    #expect(released.request == nil)
  }

  @Test func aReplyOvertakenByAHintDoesNotRevertTheRecord() throws {
    var node = Scripted.leader()
    node.acknowledge()
    node.handle(.resign)
    node.handle(.dutiesJoined)
    let released = try #require(node.written(.release))
    var taken = released
    taken.leader = "b"
    taken.incarnation = "incarnation-b"
    taken.term += 1
    taken.renewalCount += 1
    taken.sequence += 1
    node.handle(.hint(node.snapshot(taken)))
    node.acknowledge()
    #expect(node.machine.status(at: node.now).leader == "b" && node.machine.isSettled)
    #expect(node.call?.purpose == .read)

    var other = Scripted("c")
    other.start(finding: Scripted.held)
    other.advance(to: .milliseconds(2_400))
    other.now += .milliseconds(2_000)
    other.handle(.timer)
    #expect(other.call?.purpose == .read)
    let reads = other.sent.count
    var renewed = Scripted.held
    renewed.renewalCount += 1
    renewed.sequence += 1
    other.handle(.hint(other.snapshot(renewed)))
    other.answer(.read(other.snapshot(Scripted.held)))
    #expect(other.machine.lastRecord == renewed && other.call?.purpose == .read && other.sent.count == reads + 1)
    // The store has lost its data, by an answer that no hint has overtaken.
    other.answer(.read(nil))
    #expect(other.call?.purpose == .bootstrap)
  }

  @Test func aRequestOfAnotherTermIsIgnored() throws {
    var node = Scripted.leader()
    var asked = try #require(node.call?.record)
    node.acknowledge()
    asked.sequence += 1
    asked.request = ElectionRequest(id: "r", kind: .force, targetTerm: asked.term - 1)
    node.handle(.hint(node.snapshot(asked)))
    node.answer(.read(node.snapshot(asked)))
    #expect(node.ended.isEmpty)
  }

  @Test func aWatcherNeverWrites() {
    var node = Scripted("b", ElectionConfiguration(campaigns: false))
    node.start(finding: nil)
    node.failAllCalls(until: .seconds(60), reading: nil)
    #expect(node.sent.count > 10)
    #expect(node.sent.allSatisfy { $0.purpose == .read })
  }
}

/// One machine with a manual clock.
private struct Scripted {
  static let held = ElectionRecord(
    clusterID: "default", leader: "other", incarnation: "other", term: 1_700_000_000_100, renewalCount: 5, sequence: 7, transitionCount: 2,
    leaseDuration: .seconds(15))

  var machine: ElectionStateMachine
  var now = Duration.zero
  var sent: [ElectionStateMachine.Call] = []
  var notices: [ElectionNotice] = []
  var elected: [Takeover] = []
  var ended: [(FencingToken, TermEnd)] = []

  var call: ElectionStateMachine.Call? { machine.call }

  init(_ id: String, _ configuration: ElectionConfiguration = ElectionConfiguration()) {
    machine = ElectionStateMachine(session: NodeSession(nodeID: id, incarnation: "incarnation-\(id)"), configuration: configuration)
  }

  /// A machine whose acquisition is in transit.
  static func leader() -> Scripted {
    var node = Scripted("a")
    var released = held
    released.leader = nil
    node.start(finding: released)
    return node
  }

  func snapshot(_ record: ElectionRecord) -> ElectionSnapshot {
    ElectionSnapshot(record: record, version: ElectionVersion(Array("\(record.sequence)".utf8)))
  }

  mutating func handle(_ event: ElectionStateMachine.Event) {
    let wall = Date(timeIntervalSince1970: 1_700_000_000)
    for action in machine.handle(event, at: .init(instant: now, wall: wall)) {
      switch action {
      case .send(let call): sent.append(call)
      case .notice(let notice):
        switch notice {
        case .foreignCluster, .unreadableRecord, .twin: notices.append(notice)
        case .elected(_, let takeover): elected.append(takeover)
        default: break
        }
      case .endTerm(let token, let end): ended.append((token, end))
      case .beginTerm, .resigned: break
      }
    }
  }

  mutating func start(finding record: ElectionRecord?) {
    handle(.start)
    handle(.candidacy(true))
    answer(.read(record.map(snapshot)))
  }

  mutating func answer(_ reply: ElectionStateMachine.Reply) {
    if let call { handle(.reply(call.id, reply)) }
  }

  /// The record of the current call, if the call has that purpose.
  func written(_ purpose: ElectionStateMachine.Call.Purpose) -> ElectionRecord? {
    call?.purpose == purpose ? call?.record : nil
  }

  mutating func acknowledge() {
    if let record = call?.record { answer(.written(snapshot(record).version)) }
  }

  /// Moves the time; reads find no change.
  mutating func advance(to instant: Duration) {
    while let wakeUp = machine.wakeUp, wakeUp <= instant {
      now = max(now, wakeUp)
      if call?.purpose == .read, let known = machine.lastRecord { answer(.read(snapshot(known))) } else { handle(.timer) }
    }
    now = max(now, instant)
  }

  /// Moves the time while only reads of the given record are answered.
  mutating func failAllCalls(until instant: Duration, reading record: ElectionRecord?? = nil) {
    while let wakeUp = machine.wakeUp, wakeUp <= instant {
      now = max(now, wakeUp)
      if call?.purpose == .read, case .some(let record) = record { answer(.read(record.map(snapshot))) } else { handle(.timer) }
    }
    now = max(now, instant)
  }
}
