import ParallaxHA
import ParallaxTesting
import Testing
import UnitTestingYourService

/// Tests of a service without a server, without waiting, and with every fault of its store: with a manual clock and a store that fails on
/// demand.
@Suite(.timeLimit(.minutes(1))) struct ImporterTests {
  @Test func itImportsAtOnceAndOnceAMinute() async throws {
    let bench = Bench(nodes: 1)
    try await bench.run {
      _ = await bench.imports.next()
      // A minute passes, with its jitter, and the leader renews its lease meanwhile.
      await bench.pass(.seconds(72))
      _ = await bench.imports.next()
    }
  }

  @Test func oneOfTwoNodesImportsAndTheOtherFollowsWhenItStops() async throws {
    let bench = Bench(nodes: 2)
    try await bench.run {
      let first = try #require(await bench.imports.next())
      await bench.elections[first.node].resign()
      let second = try #require(await bench.imports.next())
      #expect(second.node == 1 - first.node)
      // The resource accepts the second leader's writes and refuses the first's.
      let guarded = FencingGuard(accepted: first.fencingToken)
      try guarded.accept(second.fencingToken)
      #expect(throws: ElectionError.self) { try guarded.accept(first.fencingToken) }
    }
  }

  @Test func aNodeThatLosesItsStoreStopsAndStartsAgain() async throws {
    let bench = Bench(nodes: 1)
    try await bench.run {
      let first = try #require(await bench.imports.next())
      bench.stores[0].faults = .cutOff
      // Beyond the deadline no renewal is possible: leadership is lost, whatever the store contains.
      bench.clock.advance(by: bench.elections[0].configuration.timings.renewDeadline)
      #expect(!bench.elections[0].isLeader)
      bench.stores[0].faults = .init()
      await bench.pass(.seconds(5))
      let second = try #require(await bench.imports.next())
      #expect(second.fencingToken.term > first.fencingToken.term)
    }
  }

  @Test func anImportIsCancelledWhenLeadershipIsLost() async throws {
    let bench = Bench(nodes: 1, importsUntilCancelled: true)
    try await bench.run {
      _ = await bench.imports.next()
      bench.stores[0].faults = .cutOff
      bench.clock.advance(by: bench.elections[0].configuration.timings.renewDeadline)
      #expect(await bench.cancellations.next() != nil)
    }
  }
}
