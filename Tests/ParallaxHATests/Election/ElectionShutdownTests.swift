import ParallaxHA
import ParallaxTesting
import ServiceLifecycle
import ServiceLifecycleTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct ElectionShutdownTests {
  private let store = InMemoryElectionStore()

  private func election(_ nodeID: String = "n") -> LeaderElection<InMemoryElectionStore, ManualClock> {
    LeaderElection(store: store, session: .starting(nodeID: nodeID), clock: ManualClock(), logger: quiet)
  }

  @Test func aGracefulShutdownJoinsTheBodyAndReleasesTheTerm() async throws {
    let election = election()
    final class Ends: Sendable {
      let list = Mutex<[String]>([])
    }
    let ends = Ends()
    try await testGracefulShutdown { trigger in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await election.observe() }
        group.addTask {
          try await election.campaign { _ in
            await untilCancelled()
            ends.list.withLock { $0.append("body") }
          }
          ends.list.withLock { $0.append("run") }
        }
        try await eventually { election.isLeader && election.isWaiting() }
        trigger.triggerGracefulShutdown()
        try await group.waitForAll()
      }
    }
    #expect(ends.list.withLock { $0 } == ["body", "run"])
    #expect(store.read()?.record.isReleased == true)
    #expect(!election.isLeader)
  }

  @Test func anEarlierGracefulShutdownEndsARunAtOnce() async throws {
    let election = election()
    try await testGracefulShutdown { trigger in
      trigger.triggerGracefulShutdown()
      await election.observe()
      try await election.campaign { _ in Issue.record("it leads") }
    }
    #expect(store.read()?.record.leader == nil)
  }

  @Test func anotherNodeLeadsAfterAShutdown() async throws {
    let (first, second, gate) = (election("first"), election("second"), Gate())
    try await withThrowingTaskGroup(of: Void.self) { group in
      // Outside the group that is shut down.
      group.addTask {
        await gate.pass()
        do { try await second.campaign { _ in await untilCancelled() } } catch is CancellationError {}
      }
      try await testGracefulShutdown { trigger in
        try await withThrowingTaskGroup(of: Void.self) { ofFirst in
          ofFirst.addTask { try await first.campaign { _ in await untilCancelled() } }
          try await eventually { first.isLeader && first.isWaiting() }
          gate.open()
          try await eventually { second.status.leader == "first" }
          trigger.triggerGracefulShutdown()
          try await ofFirst.waitForAll()
        }
      }
      try await eventually { second.isLeader }
      #expect(!first.isLeader)
      group.cancelAll()
      try await group.waitForAll()
    }
  }

  @Test func anElectionHasConcurrentUsers() async throws {
    let election = election()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<20 { group.addTask { await election.observe() } }
      group.addTask { do { try await election.campaign { _ in await untilCancelled() } } catch is CancellationError {} }
      try await eventually { election.isLeader }
      group.cancelAll()
      try await group.waitForAll()
    }
    #expect(store.read()?.record.isReleased == true)
    try await election.campaign { token in #expect(token.term > 0) }
  }
}
