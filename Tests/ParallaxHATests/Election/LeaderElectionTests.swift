import Logging
import ParallaxHA
import ParallaxTesting
import Synchronization
import Testing

@Suite struct LeaderElectionTests {
  @Test func theFirstNodeOfAProcessLeadsAtOnceAndItsBodyRunsUntilItReturns() async throws {
    let store = InMemoryElectionStore()
    let election = LeaderElection(store: store, nodeID: "worker-1", logger: quiet)
    let fences = Mutex<[Fence]>([])
    try await election.run { fence in
      #expect(election.isLeader)
      #expect(election.fence == fence)
      fences.withLock { $0.append(fence) }
    }
    let fence = try #require(fences.withLock { $0 }.first)
    #expect(fence.incarnation == election.session.incarnation)
    #expect(!election.isLeader)
    let record = try #require(store.read()?.record)
    #expect(record.isReleased)
    #expect(record.term == fence.term)
  }

  @Test func whatTheBodyThrowsIsThrownOnceTheTermIsReleased() async throws {
    struct Failure: Error {}
    let store = InMemoryElectionStore()
    let election = LeaderElection(store: store, nodeID: "worker-1", logger: quiet)
    await #expect(throws: Failure.self) { try await election.run { _ in throw Failure() } }
    #expect(store.read()?.record.isReleased == true)
  }

  @Test func cancellationEndsTheBodyAndReleasesTheTerm() async throws {
    let store = InMemoryElectionStore()
    let election = LeaderElection(store: store, nodeID: "worker-1", logger: quiet)
    let (began, beginning) = AsyncStream.makeStream(of: Void.self)
    let task = Task {
      try await election.run { _ in
        beginning.yield()
        try await Task.sleep(for: .seconds(3_600))
      }
    }
    for await _ in began { break }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(store.read()?.record.isReleased == true)
  }

  @Test func anElectionHasOneBody() async throws {
    let election = LeaderElection(store: InMemoryElectionStore(), nodeID: "worker-1", logger: quiet)
    try await election.run { _ in
      let error = await #expect(throws: ElectionError.self) { try await election.run { _ in } }
      #expect(error?.code == .alreadyRunning)
    }
    try await election.run { _ in }
  }

  @Test func aStandbyTakesOverAtOnceWhenTheLeaderResigns() async throws {
    try await withCluster(of: 3) { cluster in
      let first = try await cluster.leader()
      let record = try #require(cluster.store.read()?.record)
      await cluster.elections[first].resign()
      let second = try await cluster.leader(otherThan: first)
      #expect(second != first)
      let next = try #require(cluster.store.read()?.record)
      #expect(next.term > record.term)
      #expect(next.transitions == record.transitions + 1)
      #expect(cluster.clock.now.sinceStart == .zero)
    }
  }

  @Test func aLeaderThatIsCutOffStopsByItsDeadlineAndAStandbyFollowsAfterTheLease() async throws {
    try await withCluster(of: 2) { cluster in
      let first = try await cluster.leader()
      let cutAt = cluster.clock.now
      cluster.stores[first].faults = .cutOff
      try await cluster.advance { !cluster.elections[first].isLeader }
      #expect(cutAt.duration(to: cluster.clock.now) <= .milliseconds(10_100))
      #expect(!cluster.elections[1 - first].isLeader)
      try await cluster.advance { cluster.elections[1 - first].isLeader }
      let gone = cutAt.duration(to: cluster.clock.now)
      #expect(gone > .seconds(12) && gone < .seconds(17))
      cluster.stores[first].faults = .init()
      try await cluster.advance { cluster.elections[first].status.leader == "node-\(1 - first)" }
      #expect(cluster.elections[first].status.problem == nil)
    }
  }

  @Test func aDutyThatIgnoresCancellationKeepsItsLeaseAndIsReported() async throws {
    let clock = ManualClock()
    let store = InMemoryElectionStore()
    let (release, releasing) = AsyncStream.makeStream(of: Void.self)
    let stuck = Mutex<[Fence]>([])
    let election = LeaderElection(
      store: store, session: .starting(nodeID: "node-0"), clock: clock, logger: quiet,
      onStuckDuties: { fence in stuck.withLock { $0.append(fence) } })
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        try await election.run { _ in
          // A task of its own does not hear of the cancellation.
          await Task { for await _ in release { break } }.value
        }
      }
      try await eventually { election.isLeader }
      let resignation = Task { await election.resign() }
      try await advance(clock) { !stuck.withLock { $0 }.isEmpty }
      await resignation.value
      #expect(store.read()?.record.leader == "node-0")
      #expect(!election.isLeader)
      #expect(election.status.problem?.contains("ignored their cancellation") == true)
      releasing.yield()
      try await group.waitForAll()
      #expect(store.read()?.record.isReleased == true)
    }
  }

  @Test func losingTheStoresDataChangesNeitherLeaderNorTerm() async throws {
    try await withCluster(of: 3) { cluster in
      let first = try await cluster.leader()
      let term = try #require(cluster.elections[first].fence)
      for _ in 0..<3 {
        cluster.store.removeRecord()
        try await cluster.advance { cluster.store.read()?.record.leader != nil }
        #expect(cluster.elections[first].fence == term)
      }
      #expect(cluster.leaders == [first])
    }
  }

  @Test func aNodeThatIsNotFitHandsOver() async throws {
    try await withCluster(of: 2) { cluster in
      let first = try await cluster.leader()
      cluster.elections[first].setEligible(false)
      let second = try await cluster.leader(otherThan: first)
      #expect(second != first)
      await cluster.elections[second].resign()
      try await cluster.advance(atLeast: .seconds(40)) { true }
      #expect(cluster.leaders.isEmpty)
      cluster.elections[first].setEligible(true)
      _ = try await cluster.leader(otherThan: second)
    }
  }

  @Test func observersSeeLeadersComeAndGo() async throws {
    try await withCluster(of: 2, watchers: 1) { cluster in
      let watcher = cluster.elections[2]
      var changes = watcher.changes().makeAsyncIterator()
      let first = try await cluster.leader()
      var seen: ElectionStatus?
      while seen?.leader == nil { seen = await changes.next() }
      #expect(seen?.leader == "node-\(first)")
      #expect(seen?.isLeader == false)
      await cluster.elections[first].resign()
      while seen?.leader != "node-\(1 - first)" { seen = await changes.next() }
      #expect(!watcher.isLeader)
    }
  }
}

@Suite struct ElectionRequestTests {
  @Test func stepDownHandsOverWithoutTimePassing() async throws {
    try await withCluster(of: 3) { cluster in
      let first = try await cluster.leader()
      let other = (first + 1) % 3
      let handOver = try await cluster.elections[other].stepDown()
      #expect(handOver.from == "node-\(first)")
      #expect(handOver.to != "node-\(first)")
      #expect(handOver.duration == .zero)
      #expect(cluster.clock.now.sinceStart == .zero)
    }
  }

  @Test func stepDownToANodeMakesItTheLeader() async throws {
    try await withCluster(of: 5) { cluster in
      let first = try await cluster.leader()
      let target = (first + 2) % 5
      let handOver = try await cluster.elections[first].stepDown(to: "node-\(target)")
      #expect(handOver.to == "node-\(target)")
      try await eventually { cluster.elections[target].isLeader }
    }
  }

  @Test func aTargetThatIsGoneDelaysTheOthersByTheReservationOnly() async throws {
    try await withCluster(of: 2) { cluster in
      let first = try await cluster.leader()
      async let handOver = cluster.elections[1 - first].stepDown(to: "nobody")
      try await cluster.advance {
        !cluster.leaders.isEmpty && cluster.store.read()?.record.reserved == nil && cluster.elapsed > .seconds(5)
      }
      let duration = try await handOver.duration
      #expect(duration >= .seconds(10) && duration <= .seconds(13))
    }
  }

  @Test func theOnlyNodeLeadsAgainAfterItsCoolDown() async throws {
    try await withCluster(of: 1) { cluster in
      _ = try await cluster.leader()
      async let handOver = cluster.elections[0].stepDown()
      try await cluster.advance { cluster.elapsed >= .seconds(14) && cluster.elections[0].isLeader }
      #expect(try await handOver.to == "node-0")
      #expect(cluster.elapsed >= .seconds(15))
    }
  }

  @Test func forceReplacesALeaderAndIsIdempotentInATerm() async throws {
    try await withCluster(of: 2) { cluster in
      let first = try await cluster.leader()
      let handOver = try await cluster.elections[1 - first].elect(force: true)
      #expect(handOver.from == "node-\(first)")
      #expect(handOver.to == "node-\(1 - first)")
    }
  }

  @Test func forceOnALeaderThatHangsWaitsForItsLease() async throws {
    try await withCluster(of: 2) { cluster in
      let first = try await cluster.leader()
      let fence = cluster.elections[first].fence
      cluster.stores[first].faults.hangs = true
      cluster.stores[first].faults.losesHints = true
      let begin = cluster.elapsed
      async let handOver = cluster.elections[1 - first].elect(force: true)
      try await cluster.advance { cluster.elections[1 - first].isLeader }
      #expect(cluster.elapsed - begin > .seconds(10))
      #expect(cluster.elections[first].fence == nil)
      #expect(try await handOver.term > (fence?.term ?? .max))
    }
  }

  @Test func nobodyIsElectedWhileTheClusterIsPaused() async throws {
    try await withCluster(of: 2) { cluster in
      let first = try await cluster.leader()
      try await cluster.elections[1 - first].pause()
      try await cluster.elections[1 - first].pause()
      #expect(cluster.elections[first].isLeader)
      let error = await #expect(throws: ElectionError.self) { try await cluster.elections[first].stepDown() }
      #expect(error?.code == .paused)
      await cluster.elections[first].resign()
      try await cluster.advance(atLeast: .seconds(60)) { true }
      #expect(cluster.leaders.isEmpty)
      try await cluster.elections[1 - first].resume()
      #expect(try await cluster.leader(otherThan: first) == 1 - first)
    }
  }

  @Test func requestsOnNoRecordOrAPlaceholderAreRefused() throws {
    let placeholder = ElectionRecord(
      clusterID: "c", leader: nil, incarnation: "i", term: 1, leaseDuration: .seconds(1), isPlaceholder: true)
    for command in [ElectionCommand.stepDown(to: nil), .elect, .force, .pause, .resume] {
      for record in [nil, placeholder] {
        let error = #expect(throws: ElectionError.self) {
          try command.apply(to: record, id: "r", clusterID: "c", timings: .standard)
        }
        #expect(error?.code == .noRecord)
      }
    }
  }

  @Test func aPauseThatAPlaceholderTookAlongCanBeEnded() throws {
    var placeholder = ElectionRecord(
      clusterID: "c", leader: nil, incarnation: "i", term: 1, leaseDuration: .seconds(1), isPlaceholder: true)
    placeholder.isPaused = true
    let resumed = try #require(try ElectionCommand.resume.apply(to: placeholder, id: "r", clusterID: "c", timings: .standard))
    #expect(resumed.isPlaceholder)
    #expect(!resumed.isPaused)
    #expect(throws: ElectionError.self) {
      try ElectionCommand.force.apply(to: placeholder, id: "r", clusterID: "c", timings: .standard)
    }
  }

  @Test func requestsThatMakeNoSenseSaySo() throws {
    let held = ElectionRecord(clusterID: "c", leader: "n", incarnation: "i", term: 1, leaseDuration: .seconds(1))
    var released = held
    released.leader = nil
    let cases: [(ElectionCommand, ElectionRecord, String, ElectionError.Code)] = [
      (.stepDown(to: nil), released, "c", .noLeader), (.stepDown(to: "n"), held, "c", .invalidTarget), (.elect, held, "d", .foreignCluster),
    ]
    for (command, record, clusterID, code) in cases {
      let error = #expect(throws: ElectionError.self) {
        try command.apply(to: record, id: "r", clusterID: clusterID, timings: .standard)
      }
      #expect(error?.code == code)
    }
    let forced = try #require(try ElectionCommand.force.apply(to: held, id: "r", clusterID: "c", timings: .standard))
    #expect(try ElectionCommand.force.apply(to: forced, id: "s", clusterID: "c", timings: .standard) == nil)
  }

  @Test func anElectionThatDoesNotRunRefusesRequests() async {
    let election = LeaderElection(store: InMemoryElectionStore(), nodeID: "n", logger: quiet)
    let error = await #expect(throws: ElectionError.self) { try await election.stepDown() }
    #expect(error?.code == .notRunning)
  }

  @Test func aStoreThatDoesNotAnswerMakesARequestFailInTime() async throws {
    try await withCluster(of: 1) { cluster in
      _ = try await cluster.leader()
      cluster.stores[0].faults.losesRequests = true
      let error = await #expect(throws: ElectionError.self) { try await cluster.elections[0].pause() }
      #expect(error?.code == .storeUnavailable)
    }
  }
}
