import ParallaxHA
import ParallaxTesting
import Testing

@Suite(.timeLimit(.minutes(1))) struct StoreGuardTests {
  private typealias Decision = StoreWatch.Decision

  @Test func aStoreWithoutOtherMembersIsClearAtOnce() {
    var watch = StoreWatch(nodeID: "me")
    #expect(watch.read(memberSnapshot(), now: .zero) == .clear(silent: []))
  }

  @Test func theFormerIncarnationOfTheNodeIsNoConflict() {
    var watch = StoreWatch(nodeID: "me")
    #expect(watch.read(memberSnapshot(memberRecord("me", 7), unreadable: ["me": "broken"]), now: .zero) == .clear(silent: []))
  }

  @Test func aWriteOfAnotherNodeIsAConflict() {
    for changed in [memberRecord("b", 2), memberRecord("b", 1, life: 2)] {
      var watch = StoreWatch(nodeID: "me")
      #expect(watch.read(memberSnapshot(memberRecord("b", 1)), now: .zero) == .undecided(next: .milliseconds(500)))
      #expect(watch.read(memberSnapshot(changed), now: .seconds(1)) == .conflict(with: changed))
    }
  }

  @Test func aNodeThatAppearsIsAConflict() {
    var watch = StoreWatch(nodeID: "me")
    _ = watch.read(memberSnapshot(memberRecord("b", 1)), now: .zero)
    let both = memberSnapshot(memberRecord("b", 1), memberRecord("c", 1))
    #expect(watch.read(both, now: .seconds(1)) == .conflict(with: memberRecord("c", 1)))
  }

  @Test func aNodeIsSilentAfterSixFifthsOfItsInterval() {
    var watch = StoreWatch(nodeID: "me")
    let other = memberSnapshot(memberRecord("b", 1, checkInterval: .seconds(10)))
    for second in stride(from: 0, through: 11, by: 1) {
      #expect(watch.read(other, now: .seconds(second)) == .undecided(next: .milliseconds(500)))
    }
    #expect(watch.read(other, now: .milliseconds(11_999)) == .undecided(next: .milliseconds(500)))
    #expect(watch.read(other, now: .seconds(12)) == .clear(silent: [memberSession("b")]))
  }

  @Test func aGapBetweenReadsRestartsTheWatch() {
    var watch = StoreWatch(nodeID: "me")
    let other = memberSnapshot(memberRecord("b", 1))
    _ = watch.read(other, now: .zero)
    #expect(watch.read(other, now: .seconds(6)) == .undecided(next: .milliseconds(500)))
    for second in [7, 8, 9, 10, 11] { #expect(watch.read(other, now: .seconds(second)) == .undecided(next: .milliseconds(500))) }
    #expect(watch.read(other, now: .seconds(12)) == .clear(silent: [memberSession("b")]))
  }

  @Test func aNodeWhoseProcessHasEndedIsGoneAtOnce() {
    var watch = StoreWatch(nodeID: "me")
    var ended = memberRecord("b", 1)
    ended.end = MemberEnd(at: someInstant)
    #expect(watch.read(memberSnapshot(ended), now: .zero) == .clear(silent: [memberSession("b")]))
  }

  @Test func aNodeThatLeavesIsGone() {
    var watch = StoreWatch(nodeID: "me")
    _ = watch.read(memberSnapshot(memberRecord("b", 1)), now: .zero)
    #expect(watch.read(memberSnapshot(), now: .seconds(1)) == .clear(silent: []))
  }

  @Test("Only members of the node's own cluster do not count", arguments: [nil, "own"], [nil, "own", "other"])
  func cluster(own: String?, found: String?) {
    var watch = StoreWatch(nodeID: "me", clusterID: own)
    let first = watch.read(memberSnapshot(memberRecord("b", 1, clusterID: found)), now: .zero)
    let second = watch.read(memberSnapshot(memberRecord("b", 2, clusterID: found)), now: .seconds(1))
    if own != nil, own == found {
      #expect(first == .clear(silent: []) && second == .clear(silent: []))
    } else {
      #expect(first == .undecided(next: .milliseconds(500)))
      #expect(second == .conflict(with: memberRecord("b", 2, clusterID: found)))
    }
  }

  @Test func aMemberOfAnotherClusterIsFoundAmongOwnMembers() {
    var watch = StoreWatch(nodeID: "me", clusterID: "own")
    let mate = memberRecord("a", 1, clusterID: "own")
    _ = watch.read(memberSnapshot(mate, memberRecord("b", 1, clusterID: "other")), now: .zero)
    let changed = memberRecord("b", 2, clusterID: "other")
    #expect(watch.read(memberSnapshot(mate, changed), now: .seconds(1)) == .conflict(with: changed))
  }

  @Test func anUnreadableFieldIsNotPresumedSilent() {
    var watch = StoreWatch(nodeID: "me")
    #expect(watch.read(memberSnapshot(unreadable: ["b": "newer"]), now: .zero) == .unreadable(nodeID: "b", reason: "newer"))
  }

  // MARK: The driver

  private func check(_ store: some MembershipStore, clock: ManualClock) async throws -> [NodeSession] {
    try await StoreGuard(store: store, nodeID: "me", keyPrefix: "parallax:", clock: clock).check()
  }

  @Test func theRefusalNamesBothNodesThePrefixAndTheRemedy() async throws {
    let store = InMemoryMembershipStore()
    let clock = ManualClock()
    _ = store.write(memberRecord("b", 1), replacing: nil)
    async let liveNode: Void = {
      try await clock.sleepers()
      _ = store.write(memberRecord("b", 2), replacing: nil)
      clock.advance(by: .milliseconds(500))
    }()
    let error = await #expect(throws: MembershipError.self) { try await check(store, clock: clock) }
    try await liveNode
    #expect(error?.code == .storeInUse)
    for word in ["\"me\"", "\"b\"", "b:8080", "\"parallax:\"", "highAvailability.enabled: true", "keyPrefix"] {
      #expect(error?.message.contains(word) == true, "\(word)")
    }
  }

  @Test("The refusal names the clusters and the remedy", arguments: [("other", "highAvailability.clusterId"), (nil, "without high")])
  func foreignMember(clusterID: String?, remedy: String) async throws {
    let store = InMemoryMembershipStore()
    let clock = ManualClock()
    _ = store.write(memberRecord("b", 1, clusterID: clusterID), replacing: nil)
    async let liveNode: Void = {
      try await clock.sleepers()
      _ = store.write(memberRecord("b", 2, clusterID: clusterID), replacing: nil)
      clock.advance(by: .milliseconds(500))
    }()
    let storeGuard = StoreGuard(store: store, nodeID: "me", clusterID: "own", keyPrefix: "parallax:", clock: clock)
    let error = await #expect(throws: MembershipError.self) { try await storeGuard.check() }
    try await liveNode
    #expect(error?.code == .storeInUse)
    for word in ["\"me\"", "\"b\"", "b:8080", "cluster \"own\"", remedy, "redis.keyPrefix"]
      + [clusterID.map { "cluster \"\($0)\"" }].compactMap(\.self)
    {
      #expect(error?.message.contains(word) == true, "\(word)")
    }
  }

  @Test func silentNodesAreReportedAfterTheWindow() async throws {
    let store = InMemoryMembershipStore()
    let clock = ManualClock()
    _ = store.write(memberRecord("b", 1), replacing: nil)
    async let answer = check(store, clock: clock)
    for _ in 0..<12 {
      try await clock.sleepers()
      clock.advance(by: .milliseconds(500))
    }
    #expect(try await answer == [memberSession("b")])
    #expect(clock.now.sinceStart == .seconds(6))
  }

  @Test func aStoreThatFailsIsNoAnswer() async throws {
    let store = ScriptedMembershipStore()
    store.failsReads = true
    await #expect(throws: ScriptedMembershipStore.Failure.self) { try await check(store, clock: ManualClock()) }
  }
}
