import Logging
import ParallaxHA
import ParallaxTesting
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct LeaderElectionTests {
  @Test func theFirstNodeLeadsAtOnceAndItsBodyRunsToItsEnd() async throws {
    let store = InMemoryElectionStore()
    let election = LeaderElection(store: store, nodeID: "worker-1", logger: quiet)
    let tokens = Mutex<[FencingToken]>([])
    try await election.campaign { token in
      #expect(election.isLeader)
      #expect(election.fencingToken == token)
      tokens.withLock { $0.append(token) }
    }
    let token = try #require(tokens.withLock { $0 }.first)
    #expect(token.incarnation == election.session.incarnation)
    #expect(!election.isLeader)
    let record = try #require(store.read()?.record)
    #expect(record.isReleased)
    #expect(record.term == token.term)
  }

  @Test func anErrorOfTheBodyIsThrownAfterTheRelease() async throws {
    struct Failure: Error {}
    let store = InMemoryElectionStore()
    let election = LeaderElection(store: store, nodeID: "worker-1", logger: quiet)
    await #expect(throws: Failure.self) { try await election.campaign { _ in throw Failure() } }
    #expect(store.read()?.record.isReleased == true)
  }

  @Test func cancellationEndsTheBodyAndReleasesTheTerm() async throws {
    let store = InMemoryElectionStore()
    let election = LeaderElection(store: store, nodeID: "worker-1", logger: quiet)
    let (began, beginning) = AsyncStream.makeStream(of: Void.self)
    let task = Task {
      try await election.campaign { _ in
        beginning.yield()
        await untilCancelled()
      }
    }
    for await _ in began { break }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(store.read()?.record.isReleased == true)
  }

  @Test func anElectionHasOneBody() async throws {
    let election = LeaderElection(store: InMemoryElectionStore(), nodeID: "worker-1", logger: quiet)
    try await election.campaign { _ in
      let error = await #expect(throws: ElectionError.self) { try await election.campaign { _ in } }
      #expect(error?.code == .alreadyRunning)
    }
    try await election.campaign { _ in }
  }

  @Test func everyNodeLogsWhoLeadsOnceForEachTerm() async throws {
    let logs = (0..<3).map { _ in RecordedLog() }
    try await withCluster(of: 3, logger: { index in Logger(label: "test") { _ in logs[index] } }) { cluster in
      /// The lines about leaders, of which each node has one for each term.
      func lines(_ index: Int) -> [String] {
        logs[index].texts.filter { $0.hasPrefix("another node leads") || $0.hasPrefix("this node leads") }
      }
      let first = try await cluster.leader()
      try await cluster.advance { (0..<3).allSatisfy { lines($0).count == 1 } }
      let term = try #require(cluster.store.read()?.record.term)
      for other in 0..<3 where other != first {
        #expect(lines(other) == ["another node leads address=unknown leader=node-\(first) term=\(term)"])
      }
      try await cluster.advance(atLeast: .seconds(60)) { true }
      #expect((0..<3).allSatisfy { lines($0).count == 1 }, "renewals are no news")
      try await cluster.passTime { await cluster.elections[first].resign() }
      let second = try await cluster.leader(otherThan: first)
      try await cluster.advance { (0..<3).allSatisfy { lines($0).count == 2 } }
      #expect(lines(first).last?.contains("leader=node-\(second) ") == true)
    }
  }

  @Test func aStandbyTakesOverAtOnceAfterAResignation() async throws {
    try await withCluster(of: 3) { cluster in
      let first = try await cluster.leader()
      let record = try #require(cluster.store.read()?.record)
      await cluster.elections[first].resign()
      let second = try await cluster.leader(otherThan: first)
      #expect(second != first)
      let next = try #require(cluster.store.read()?.record)
      #expect(next.term > record.term)
      #expect(next.transitionCount == record.transitionCount + 1)
      #expect(cluster.clock.now.sinceStart == .zero)
    }
  }

  @Test func aLeaderCutOffFromTheStoreStopsByItsDeadlineAndIsReplaced() async throws {
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

  @Test func aDutyThatIgnoresCancellationKeepsTheLeaseAndIsReported() async throws {
    let clock = ManualClock()
    let store = InMemoryElectionStore()
    let (release, releasing) = AsyncStream.makeStream(of: Void.self)
    let stuck = Mutex<[FencingToken]>([])
    let election = LeaderElection(
      store: store, session: .starting(nodeID: "node-0"), clock: clock, logger: quiet,
      onStuckDuties: { token in stuck.withLock { $0.append(token) } })
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        try await election.campaign { _ in
          // A separate task does not receive the cancellation.
          await Task { for await _ in release { break } }.value
        }
      }
      try await eventually { election.isLeader && election.isWaiting() }
      async let resignation: Void = election.resign()
      try await eventually { !election.isLeader }
      clock.advance(by: election.configuration.timings.stopBudget)
      await resignation
      // A second caller does not wait for duties that are known to be stuck.
      await election.resign()
      try await eventually { !stuck.withLock { $0 }.isEmpty }
      #expect(store.read()?.record.leader == "node-0")
      #expect(!election.isLeader)
      #expect(election.status.problem?.contains("ignored their cancellation") == true)
      releasing.yield()
      try await group.waitForAll()
      #expect(store.read()?.record.isReleased == true)
    }
  }

  @Test func aLossOfTheStoreChangesNeitherLeaderNorTerm() async throws {
    try await withCluster(of: 3) { cluster in
      let first = try await cluster.leader()
      let term = try #require(cluster.elections[first].fencingToken)
      for _ in 0..<3 {
        cluster.store.removeRecord()
        try await cluster.advance { cluster.store.read()?.record.leader != nil }
        #expect(cluster.elections[first].fencingToken == term)
      }
      #expect(cluster.leaders == [first])
    }
  }

  @Test func anUnfitNodeHandsOver() async throws {
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

  @Test func groupsOfAProcessElectIndependently() async throws {
    let clock = ManualClock()
    let stores = (0..<3).map { _ in InMemoryElectionStore() }
    let nodes = ["a", "b"].map { id in stores.map { LeaderElection(store: $0, session: .starting(nodeID: id), clock: clock, logger: quiet) }
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for election in nodes.flatMap(\.self) {
        group.addTask { do { try await election.campaign { _ in await untilCancelled() } } catch is CancellationError {} }
      }
      func leader(of group: Int, otherThan former: Int? = nil) async throws -> Int {
        try await eventually { nodes.indices.contains { $0 != former && nodes[$0][group].isLeader } }
        return try #require(nodes.indices.first { nodes[$0][group].isLeader })
      }
      var leaders: [Int] = []
      for index in stores.indices { leaders.append(try await leader(of: index)) }
      await nodes[leaders[1]][1].resign()
      #expect(try await leader(of: 1, otherThan: leaders[1]) == 1 - leaders[1])
      #expect(nodes[leaders[0]][0].isLeader && nodes[leaders[2]][2].isLeader)
      group.cancelAll()
      try await group.waitForAll()
    }
    #expect(stores.allSatisfy { $0.read()?.record.isReleased == true })
  }

  @Test func aNodeThatDoesNotCampaignOnlyObserves() async throws {
    let (clock, store) = (ManualClock(), InMemoryElectionStore())
    let watcher = LeaderElection(
      store: store, session: .starting(nodeID: "watcher"), configuration: ElectionConfiguration(campaigns: false), clock: clock,
      logger: quiet)
    let leader = LeaderElection(store: store, session: .starting(nodeID: "leader"), clock: clock, logger: quiet)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { do { try await watcher.campaign { _ in Issue.record("it leads") } } catch is CancellationError {} }
      try await eventually { watcher.status.staleFor == nil && watcher.isWaiting() }
      #expect(store.read() == nil)
      group.addTask { do { try await leader.campaign { _ in await untilCancelled() } } catch is CancellationError {} }
      try await eventually { watcher.status.leader == "leader" }
      #expect(!watcher.isLeader)
      group.cancelAll()
      try await group.waitForAll()
    }
  }

  @Test func observersSeeEachChangeOfTheLeader() async throws {
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

  @Test func anElectionCancelledAtItsStartEnds() async throws {
    for round in 0..<300 {
      let election = LeaderElection(store: InMemoryElectionStore(), session: .starting(nodeID: "n"), clock: ManualClock(), logger: quiet)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await election.observe() }
        group.addTask { do { try await election.campaign { _ in await untilCancelled() } } catch is CancellationError {} }
        for _ in 0..<round % 7 { await Task.yield() }
        group.cancelAll()
        try await group.waitForAll()
      }
      #expect(!election.isLeader)
    }
  }

  @Test func anElectionCanRunRepeatedly() async throws {
    let store = InMemoryElectionStore()
    let election = LeaderElection(store: store, session: .starting(nodeID: "n"), clock: ManualClock(), logger: quiet)
    let terms = Mutex<[Int64]>([])
    for _ in 0..<50 { try await election.campaign { token in terms.withLock { $0.append(token.term) } } }
    let led = terms.withLock { $0 }
    #expect(led.count == 50)
    #expect(led == Set(led).sorted())
    #expect(store.read()?.record.isReleased == true)
  }

  @Test func observersAreNotifiedOfTheEnd() async throws {
    let election = LeaderElection(store: InMemoryElectionStore(), nodeID: "n", logger: quiet)
    let changes = election.changes()
    try await election.campaign { _ in }
    let seen = await changes.reduce(into: []) { $0.append($1.isLeader) }
    #expect(seen.contains(true))
    #expect(seen.last == false)
  }

  /// A cancellation handler runs while the runtime holds a lock of its task, and resuming that task waits for the lock.
  @Test func aCancellationHandlerMayReadTheStatusDuringItsChange() async throws {
    let election = LeaderElection(store: InMemoryElectionStore(), session: .starting(nodeID: "n"), clock: ManualClock(), logger: quiet)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { do { try await election.campaign { _ in await untilCancelled() } } catch is CancellationError {} }
      group.addTask {
        for round in 0..<2_000 {
          election.setEligible(round.isMultiple(of: 2))
          if round.isMultiple(of: 16) { await Task.yield() }
        }
        election.setEligible(true)
      }
      for _ in 0..<500 {
        await withTaskGroup(of: Void.self) { observers in
          observers.addTask {
            await withTaskCancellationHandler {
              for await _ in election.changes() {}
            } onCancel: {
              _ = election.status
            }
          }
          await Task.yield()
          observers.cancelAll()
        }
      }
      group.cancelAll()
      try await group.waitForAll()
    }
  }
}
