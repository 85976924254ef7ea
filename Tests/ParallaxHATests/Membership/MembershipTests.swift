import ParallaxHA
import ParallaxTesting
import ServiceLifecycleTestKit
import Testing

@Suite(.timeLimit(.minutes(1))) struct MembershipTests {
  @Test func aNodeWritesAndReadsAtOnceAndAtEveryInterval() async throws {
    let node = try NodeUnderTest()
    try await node.run {
      #expect(node.store.written.map(\.sequence) == [1])
      await node.beat()
      await node.beat()
      #expect(node.store.written.map(\.sequence) == [1, 2, 3])
      #expect(node.store.written.map(\.session) == Array(repeating: memberSession("me"), count: 3))
      #expect(node.store.written.map(\.lastHeartbeat) == Array(repeating: someInstant, count: 3))
    }
  }

  @Test func anAnnouncementIsWrittenAtOnce() async throws {
    let node = try NodeUnderTest()
    try await node.run {
      node.box.report = MemberReport(role: .leader, term: 7, executions: 3, agents: 2)
      node.membership.announce()
      await node.store.calls(atLeast: 3)
      #expect(node.store.written.map(\.report) == [MemberReport(), node.box.report])
      #expect(node.clock.now.sinceStart == .zero)
    }
  }

  @Test func nodesSeeEachOther() async throws {
    let one = try NodeUnderTest("a")
    let other = try NodeUnderTest("b", store: one.store, clock: one.clock)
    try await one.run {
      other.box.report = MemberReport(role: .leader, term: 3)
      try await other.run {
        await one.store.calls(atLeast: 4)
        let view = await one.membership.refreshedView()
        #expect(view.members.map(\.id) == ["a", "b"])
        #expect(view.leaders == ["b"])
        #expect(view.healthyCount == 2)
        #expect(view.asOf == someInstant)
        #expect(!view.isStale)
      }
    }
  }

  @Test func aCrashedNodeIsFoundUnhealthyAfterTheWindow() async throws {
    let one = try NodeUnderTest("a")
    let other = try NodeUnderTest("b", store: one.store, clock: one.clock)
    try await one.run {
      try await other.run { await one.beat(nodes: 2) }
      _ = await one.membership.refreshedView()
      await one.beat()
      await one.beat()
      #expect(await one.membership.refreshedView()["b"]?.status == .healthy)
      await one.beat()
      let last = try #require(one.membership.view["b"]).record
      #expect(await one.event { $0 == .becameUnhealthy(last) } != nil)
      #expect(one.membership.view["b"]?.status == .unhealthy)
    }
  }

  @Test func aNodeWhoseDeathIsRecordedIsLostWithoutSilence() async throws {
    let one = try NodeUnderTest("a")
    let other = try NodeUnderTest("b", store: one.store, clock: one.clock)
    try await one.run {
      try await other.run { await one.beat(nodes: 2) }
      _ = await one.membership.refreshedView()
      let end = MemberEnd(at: someInstant, cause: .signal(9))
      let clock = ManualClock()
      let isMarked = try await clock.advance { try await one.store.recordDeath(of: memberSession("b"), end, clock: clock) }
      #expect(isMarked && clock.now.sinceStart >= .seconds(15))
      let view = await one.membership.refreshedView()
      #expect(view["b"]?.status == .unhealthy && view["b"]?.record.end == end)
      #expect(await one.event { if case .ended(let record) = $0 { record.id == "b" } else { false } } != nil)
    }
  }

  @Test func aNodeThatLivesRemovesTheMarkOfItsEnd() async throws {
    let one = try NodeUnderTest("a")
    try await one.run {
      _ = one.store.store.markEnded(memberSession("a"), MemberEnd(at: someInstant))
      let calls = one.store.calls
      _ = await one.membership.refreshedView()
      // The read finds the mark, and a write follows it at once.
      await one.store.calls(atLeast: calls + 2)
      try await eventually { one.store.store.members().records.first?.end == nil }
    }
  }

  @Test func aLateHeartbeatIsMarkedAgainWithinARetryPeriod() async throws {
    let store = InMemoryMembershipStore()
    let clock = ManualClock()
    _ = store.write(memberRecord("b", 1), replacing: nil)
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask { try await store.recordDeath(of: memberSession("b"), MemberEnd(at: someInstant), clock: clock) }
      let isMarked = try await clock.advance {
        try await eventually { store.members().records[0].end != nil }
        _ = store.write(memberRecord("b", 2), replacing: nil)
        try await eventually { store.members().records[0].end != nil }
        return try await group.next()
      }
      #expect(isMarked == true && store.members().records[0].sequence == 2)
    }
  }

  @Test func aNodeThatHasLeftIsNotMarked() async throws {
    let store = InMemoryMembershipStore()
    let clock = ManualClock()
    let isMarked = try await clock.advance {
      try await store.recordDeath(of: memberSession("b"), MemberEnd(at: someInstant), clock: clock)
    }
    #expect(!isMarked && store.members().records == [])
  }

  @Test func aStoreThatStaysAwayEndsTheMarkingWithTheLease() async throws {
    let store = ScriptedMembershipStore()
    store.failsWrites = true
    let clock = ManualClock()
    await #expect(throws: ScriptedMembershipStore.Failure.self) {
      try await clock.advance { try await store.recordDeath(of: memberSession("b"), MemberEnd(at: someInstant), clock: clock) }
    }
    #expect(clock.now.sinceStart >= .seconds(15))
  }

  @Test func aNodeThatShutsDownGracefullyLeaves() async throws {
    let one = try NodeUnderTest("a")
    let other = try NodeUnderTest("b", store: one.store, clock: one.clock)
    try await one.run {
      try await testGracefulShutdown { trigger in
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask { try await other.membership.run() }
          await one.store.calls(atLeast: 4)
          #expect(await one.membership.refreshedView().members.count == 2)
          trigger.triggerGracefulShutdown()
          try await group.waitForAll()
        }
      }
      #expect(one.store.store.members().records.map(\.id) == ["a"])
      #expect(await one.membership.refreshedView().members.map(\.id) == ["a"])
      #expect(await one.event { if case .left(let record) = $0 { record.id == "b" } else { false } } != nil)
    }
  }

  @Test func aNodeThatIsCancelledLeavesItsField() async throws {
    let node = try NodeUnderTest()
    try await node.run {}
    #expect(node.store.calls == 2)
    #expect(node.store.store.members().records.map(\.id) == ["me"])
  }

  @Test func aNodeIsCutOffUntilItCanWrite() async throws {
    let node = try NodeUnderTest()
    try await node.run {
      node.store.failsWrites = true
      await node.beat()
      await node.beat()
      #expect(!node.membership.isCutOff)
      await node.beat()
      #expect(await node.event { $0 == .cutOff } != nil)
      #expect(node.membership.isCutOff)
      node.store.failsWrites = false
      await node.beat()
      #expect(await node.event { $0 == .reconnected } != nil)
      #expect(!node.membership.isCutOff)
      // The write of the cut-off node is corrected at once: two calls at the start and at each of four heartbeats, and one more.
      await node.store.calls(atLeast: 11)
    }
  }

  @Test func aNodeThatWasPausedIsCutOffAtOnce() async throws {
    let node = try NodeUnderTest()
    try await node.run {
      node.store.hangs = true
      node.clock.advance(by: .seconds(15))
      #expect(node.membership.isCutOff)
    }
  }

  @Test func aHangingCallIsAbandonedAfterTheTimeout() async throws {
    let node = try NodeUnderTest()
    try await node.run {
      node.store.hangs = true
      try await node.clock.sleepers(atLeast: 1)
      node.clock.advance(by: .seconds(5))
      await node.store.calls(atLeast: 3)
      try await node.clock.sleepers(atLeast: 2)
      node.clock.advance(by: .seconds(3))
      await node.store.calls(atLeast: 4)
      try await node.clock.sleepers(atLeast: 2)
      #expect(node.clock.nextDeadline?.sinceStart == .seconds(10))
      node.store.hangs = false
      node.clock.advance(by: .seconds(3))
      await node.store.calls(atLeast: 6)
      #expect(node.store.written.map(\.sequence) == [1, 2, 3])
    }
  }

  @Test func theLaterOfTwoProcessesWithOneIDStays() async throws {
    let first = try NodeUnderTest("me", life: 1)
    let second = try NodeUnderTest("me", life: 2, store: first.store, clock: first.clock)
    try await first.run {
      try await second.run {
        let restarted = await second.event { if case .restarted = $0 { true } else { false } }
        guard case .restarted(let record, let former)? = restarted else { return }
        #expect(record.session == memberSession("me", life: 2))
        #expect(former == memberSession("me", life: 1))
        first.clock.advance(by: .seconds(5))
        let twin = await first.event { if case .twin = $0 { true } else { false } }
        guard case .twin(let other)? = twin else { return }
        #expect(other.session == memberSession("me", life: 2))
        #expect(first.membership.twin?.session == memberSession("me", life: 2))
        #expect(first.membership.isCutOff)
        #expect(!second.membership.isCutOff)
        let writes = first.store.written.count { $0.incarnation == "me-life-1" }
        first.membership.announce()
        _ = await first.membership.refreshedView()
        #expect(first.store.written.count { $0.incarnation == "me-life-1" } == writes)
      }
    }
  }

  @Test func aNodeTakesItsFieldBackFromAFormerLifeThatIsMarkedAsSoonAsItReadsIt() async throws {
    let node = try NodeUnderTest("me", life: 2)
    try await node.run {
      // A store that has lost the last writes in a failover.
      let store = node.store.store
      store.remove(memberSession("me", life: 2))
      _ = store.write(memberRecord("me", 9), replacing: nil)
      #expect(store.markEnded(memberSession("me"), MemberEnd(at: someInstant, cause: .signal(9))))
      let calls = node.store.calls
      _ = await node.membership.refreshedView()
      // The read, and a write that replaces what it found.
      await node.store.calls(atLeast: calls + 2)
      _ = await node.event { if case .restarted = $0 { true } else { false } }
      #expect(store.members().records.map(\.session) == [memberSession("me", life: 2)])
      #expect(node.membership.twin == nil)
      #expect(node.clock.now.sinceStart == .zero)
    }
  }

  @Test func aRefreshReadsWithoutWaitingForTheInterval() async throws {
    let node = try NodeUnderTest()
    try await node.run {
      _ = node.store.store.write(memberRecord("b"), replacing: nil)
      #expect(await node.membership.refreshedView().members.map(\.id) == ["b", "me"])
      #expect(node.clock.now.sinceStart == .zero)
    }
  }

  @Test func aRefreshDoesNotWaitForAFailingStore() async throws {
    let node = try NodeUnderTest()
    try await node.run {
      node.store.failsReads = true
      _ = await node.membership.refreshedView()
      let calls = node.store.calls
      let view = await node.membership.refreshedView()
      #expect(node.store.calls == calls)
      #expect(view.isStale)
      #expect(view.members.map(\.id) == ["me"])
    }
  }

  @Test func eventsEndWithTheNode() async throws {
    let node = try NodeUnderTest()
    let before = node.membership.events()
    try await node.run {}
    #expect(await before.reduce(0) { count, _ in count + 1 } == 0)
    #expect(await node.membership.events().first { _ in true } == nil)
    #expect(await node.membership.refreshedView().members.map(\.id) == ["me"])
  }
}
