import ParallaxHA
import ParallaxTesting
import Testing

@Suite(.timeLimit(.minutes(1))) struct DeathNoticeTests {
  private static let dead = NodeSession(nodeID: "a", incarnation: "a1")
  private static let lease = ElectionTimings.standard.leaseDuration
  private let store = InMemoryElectionStore()

  private static func record(term: Int64 = 7, holder: NodeSession = dead) -> ElectionRecord {
    ElectionRecord(
      clusterID: "c", leader: holder.nodeID, address: "10.0.0.1:80", incarnation: holder.incarnation, term: term, renewalCount: 5,
      sequence: 9, transitionCount: 3, leaseDuration: .seconds(15))
  }

  private func put(_ record: ElectionRecord) -> ElectionVersion {
    guard case .written(let version) = store.compareAndSet(record, expecting: store.read()?.version) else {
      preconditionFailure("the only writer met a conflict")
    }
    return version
  }

  /// Performs the steps of a notice until its first wait, or its end.
  private func look(_ notice: inout DeathNotice, at now: Duration = .zero) async throws -> Duration? {
    while let step = notice.next(at: now) {
      if case .wait(let instant) = step { return instant }
      notice.heard(try await store.answer(to: step), at: now)
    }
    return nil
  }

  // MARK: The record

  @Test func theRecordIsReleasedAsItsLeaderWouldReleaseIt() async throws {
    var held = Self.record()
    held.isPaused = true
    _ = put(held)
    var notice = DeathNotice(of: Self.dead, timings: .standard)
    #expect(try await look(&notice) == .seconds(2))
    var expected = held
    expected.leader = nil
    expected.address = nil
    expected.sequence = 10
    expected.isWitnessed = true
    #expect(store.read()?.record == expected)
    #expect(notice.released == [held.fencingToken] && notice.isSettled)
  }

  @Test("A record that does not name the incarnation stays", arguments: [("a", "a2"), ("b", "a1"), ("b", "b1")])
  func otherHolder(_ id: String, _ incarnation: String) async throws {
    let version = put(Self.record(holder: NodeSession(nodeID: id, incarnation: incarnation)))
    var notice = DeathNotice(of: Self.dead, timings: .standard)
    #expect(try await look(&notice) == .seconds(2))
    #expect(store.read()?.version == version && notice.released == [] && notice.isSettled)
  }

  @Test func noRecordIsMadeWhereThereIsNone() async throws {
    var notice = DeathNotice(of: Self.dead, timings: .standard)
    #expect(try await look(&notice) == .seconds(2))
    #expect(store.read() == nil && notice.isSettled)
  }

  @Test func aBootstrapRecordOfTheDeadStays() async throws {
    let mark = ElectionRecord(
      clusterID: "c", leader: nil, incarnation: Self.dead.incarnation, term: 1, leaseDuration: .seconds(15), isBootstrap: true)
    let version = put(mark)
    var notice = DeathNotice(of: Self.dead, timings: .standard)
    #expect(try await look(&notice) == .seconds(2))
    #expect(store.read()?.version == version)
  }

  @Test func aRequestThatArrivesBeforeTheReleaseIsCarriedOutByIt() async throws {
    var held = Self.record()
    _ = put(held)
    var notice = DeathNotice(of: Self.dead, timings: .standard)
    guard case .read? = notice.next(at: .zero) else { return #expect(Bool(false), "it does not read first") }
    notice.heard(.found(store.read()), at: .zero)
    held.sequence += 1
    held.request = ElectionRequest(id: "r", kind: .stepDown, to: "b", targetTerm: held.term)
    _ = put(held)
    #expect(try await look(&notice) == .seconds(2))
    let after = try #require(store.read()?.record)
    #expect(after.isReleased && after.term == held.term && after.transitionCount == held.transitionCount)
    #expect(after.reservation == ElectionHold(id: "r", node: "b", duration: ElectionTimings.standard.reservation))
    #expect(after.request == nil && after.sequence == 11)
  }

  // MARK: Late writes

  @Test func aLateAcquisitionOfTheDeadIsReleasedAtTheNextLook() async throws {
    _ = put(Self.record())
    var notice = DeathNotice(of: Self.dead, timings: .standard)
    let second = try await look(&notice)
    #expect(second == .seconds(2))
    _ = put(Self.record(term: 8))
    #expect(try await look(&notice, at: .seconds(2)) == .seconds(4))
    #expect(store.read()?.record.isReleased == true && store.read()?.record.term == 8)
    #expect(notice.released.map(\.term) == [7, 8])
  }

  /// The writes behind it are lost, and with them the record of a successor that may be alive.
  @Test(arguments: [true, false])
  func aRecordThatTheStoreBringsBackKeepsItsLease(hasSuccessor: Bool) async throws {
    let record = Self.record()
    _ = put(record)
    var notice = DeathNotice(of: Self.dead, timings: .standard)
    _ = try await look(&notice)
    if hasSuccessor {
      _ = put(Self.record(term: 9, holder: NodeSession(nodeID: "b", incarnation: "b1")))
      _ = try await look(&notice, at: .seconds(2))
    }
    let version = put(hasSuccessor ? Self.record(term: 8) : record)
    #expect(try await look(&notice, at: .seconds(4)) == .seconds(6))
    #expect(store.read()?.version == version, "nobody may take it before its lease has passed")
  }

  @Test func theLastLookIsAtTheEndOfTheLease() async throws {
    var notice = DeathNotice(of: Self.dead, timings: .standard)
    var looks: [Duration] = []
    var now: Duration? = .zero
    while let instant = now {
      looks.append(instant)
      now = try await look(&notice, at: instant)
    }
    #expect(looks == [0, 2, 4, 6, 8, 10, 12, 14, 15].map { .seconds($0) })
  }

  @Test func aLateRenewalOfTheDeadIsRefused() async throws {
    let version = put(Self.record())
    var notice = DeathNotice(of: Self.dead, timings: .standard)
    _ = try await look(&notice)
    var renewal = Self.record()
    renewal.renewalCount += 1
    renewal.sequence += 1
    guard case .conflict = store.compareAndSet(renewal, expecting: version) else { return #expect(Bool(false), "the renewal was taken") }
    #expect(store.read()?.record.isReleased == true)
  }

  // MARK: Lost calls

  @Test func aReleaseWithoutAnAnswerIsFoundAtTheNextLook() async throws {
    _ = put(Self.record())
    var notice = DeathNotice(of: Self.dead, timings: .standard)
    notice.heard(.found(store.read()), at: .zero)
    let release = notice.next(at: .zero)
    let step = try #require(release)
    _ = try await store.answer(to: step)
    notice.heard(.failed, at: .zero)
    #expect(!notice.isSettled && notice.released == [])
    #expect(notice.next(at: .zero) == .wait(until: .milliseconds(500)))
    #expect(try await look(&notice, at: .milliseconds(500)) == .milliseconds(2_500))
    #expect(notice.isSettled && notice.released.map(\.term) == [7])
  }

  @Test func whatCannotBeReadIsNeverWrittenOver() {
    var record = Self.record()
    record.term = -1
    var notice = DeathNotice(of: Self.dead, timings: .standard)
    notice.heard(.found(ElectionSnapshot(record: record, version: ElectionVersion([1]))), at: .zero)
    #expect(notice.next(at: .zero) == .wait(until: .milliseconds(500)))
    #expect(!notice.isSettled)
  }

  @Test func aReleaseThatIsRefusedAfterTheLeaseIsTriedAgain() async throws {
    let old = put(Self.record())
    var notice = DeathNotice(of: Self.dead, timings: .standard)
    notice.heard(.found(ElectionSnapshot(record: Self.record(), version: old)), at: Self.lease)
    _ = put(Self.record(term: 8))
    #expect(try await look(&notice, at: Self.lease) == nil)
    #expect(store.read()?.record.isReleased == true && notice.released.map(\.term) == [8])
  }
}

@Suite(.timeLimit(.minutes(1))) struct RecordDeathTests {
  @Test func anotherNodeLeadsAtOnce() async throws {
    try await withCluster(of: 3) { cluster in
      let leader = try await cluster.leader()
      let term = try #require(cluster.store.read()).record.term
      let began = cluster.elapsed
      cluster.stores[leader].faults = .cutOff
      let session = cluster.elections[leader].session
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          _ = try await cluster.store.recordDeath(of: session.nodeID, incarnation: session.incarnation, clock: cluster.clock)
        }
        // The node that is cut off does not know yet; a process that has ended would not lead.
        try await eventually { cluster.leaders.contains { $0 != leader } }
        #expect(cluster.elapsed == began)
        let record = try #require(cluster.store.read()?.record)
        // By more than one if the successor had asked for the first term too.
        #expect(record.term > term && record.transitionCount == 2 && !record.isWitnessed)
        group.cancelAll()
        do { try await group.waitForAll() } catch is CancellationError {}
      }
    }
  }

  @Test func nobodyTakesTheRecordOfAPausedCluster() async throws {
    try await withCluster(of: 2, watchers: 1) { cluster in
      let leader = try await cluster.leader()
      try await cluster.passTime { try await cluster.elections[2].pause() }
      let before = try #require(cluster.store.read()).record
      cluster.stores[leader].faults = .cutOff
      let session = cluster.elections[leader].session
      let clock = ManualClock()
      let released = try await clock.advance {
        try await cluster.store.recordDeath(of: session.nodeID, incarnation: session.incarnation, clock: clock)
      }
      #expect(released == [before.fencingToken])
      try await cluster.advance(atLeast: .seconds(40)) { true }
      #expect(cluster.store.read()?.record.isReleased == true)
      try await cluster.passTime { try await cluster.elections[2].resume() }
      try await cluster.advance { cluster.leaders.contains { $0 != leader } }
    }
  }

  @Test func aStoreThatComesBackWithinTheLeaseIsTold() async throws {
    let base = InMemoryElectionStore()
    let store = FaultInjectingElectionStore(base)
    _ = base.compareAndSet(
      ElectionRecord(clusterID: "c", leader: "a", incarnation: "a1", term: 7, leaseDuration: .seconds(15)), expecting: nil)
    store.faults.losesRequests = true
    let clock = ManualClock()
    try await withThrowingTaskGroup(of: [FencingToken].self) { group in
      group.addTask { try await store.recordDeath(of: "a", incarnation: "a1", clock: clock) }
      let told = try await clock.advance {
        try await eventually { clock.now.sinceStart >= .seconds(5) }
        store.faults = .init()
        return try await group.next()
      }
      #expect(told?.map(\.term) == [7])
      #expect(base.read()?.record.isReleased == true)
    }
  }

  @Test func aStoreThatStaysAwayEndsTheCallWithTheLease() async throws {
    let store = FaultInjectingElectionStore(InMemoryElectionStore())
    store.faults.losesRequests = true
    let clock = ManualClock()
    let error = await #expect(throws: ElectionError.self) {
      try await clock.advance { try await store.recordDeath(of: "a", incarnation: "a1", clock: clock) }
    }
    #expect(error?.code == .storeUnavailable && error?.message.contains("15.0 seconds") == true)
    #expect(clock.now.sinceStart >= .seconds(15))
  }

  @Test func callsThatHangAreGivenUp() async throws {
    let store = FaultInjectingElectionStore(InMemoryElectionStore())
    store.faults.hangs = true
    let clock = ManualClock()
    let error = await #expect(throws: ElectionError.self) {
      try await clock.advance { try await store.recordDeath(of: "a", incarnation: "a1", clock: clock) }
    }
    #expect(error?.code == .storeUnavailable)
  }

  @Test func eachReleaseIsReportedAtOnce() async throws {
    let store = InMemoryElectionStore()
    _ = store.compareAndSet(
      ElectionRecord(clusterID: "c", leader: "a", incarnation: "a1", term: 7, leaseDuration: .seconds(15)), expecting: nil)
    let clock = ManualClock()
    await #expect(throws: CancellationError.self) {
      try await withThrowingTaskGroup(of: Void.self) { group in
        let (reports, report) = AsyncStream.makeStream(of: FencingToken.self)
        group.addTask {
          try await store.recordDeath(of: "a", incarnation: "a1", clock: clock) { report.yield($0) }
        }
        for await token in reports {
          #expect(token == FencingToken(term: 7, incarnation: "a1"))
          break
        }
        #expect(clock.now.sinceStart == .zero)
        // A cancelled call ends at its next step.
        group.cancelAll()
        try await group.waitForAll()
      }
    }
  }
}
