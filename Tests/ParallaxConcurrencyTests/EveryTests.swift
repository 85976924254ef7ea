import ParallaxConcurrency
import ParallaxTesting
import Testing

@Suite(.timeLimit(.minutes(1))) struct EveryTests {
  private let clock = ManualClock()

  @Test func theFirstRunComesAtOnceAndTheOthersAtAFixedRate() async throws {
    let times = Record()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [clock] in await every(.seconds(2), clock: clock) { times.add(clock) } }
      for _ in 0..<3 {
        try await clock.sleepers()
        clock.advance(by: .seconds(1))
        clock.advance(by: .seconds(1))
      }
      try await clock.sleepers()
      group.cancelAll()
    }
    #expect(times.all == [.zero, .seconds(2), .seconds(4), .seconds(6)])
    #expect(clock.nextDeadline == nil)
  }

  @Test func theFirstRunCanWaitForAnInterval() async throws {
    let times = Record()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [clock] in
        await every(.seconds(2), clock: clock, startsAtOnce: false) { times.add(clock) }
      }
      try await clock.sleepers()
      clock.advance(by: .seconds(2))
      try await clock.sleepers()
      group.cancelAll()
    }
    #expect(times.all == [.seconds(2)])
  }

  @Test func aSlowRunMovesTheSchedule() async throws {
    let times = Record()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [clock] in
        await every(.seconds(2), clock: clock) {
          times.add(clock)
          // A run that takes five seconds.
          clock.advance(by: .seconds(5))
        }
      }
      try await clock.sleepers()
      #expect(clock.nextDeadline?.sinceStart == .seconds(7))
      clock.advance(by: .seconds(2))
      try await clock.sleepers()
      group.cancelAll()
    }
    #expect(times.all == [.zero, .seconds(7)])
  }

  @Test func missedRunsAreSkipped() async throws {
    let times = Record()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [clock] in await every(.seconds(2), clock: clock) { times.add(clock) } }
      try await clock.sleepers()
      clock.advance(by: .seconds(20))
      try await clock.sleepers()
      #expect(clock.nextDeadline?.sinceStart == .seconds(22))
      group.cancelAll()
    }
    #expect(times.all == [.zero, .seconds(20)])
  }

  @Test func itEndsAtCancellationWithoutAnotherRun() async {
    let runs = Counter()
    _ = await whenCancelled { [clock] in await every(.seconds(2), clock: clock) { runs.add() } }
    #expect(runs.value == 0)
  }

  @Test func itEndsAtCancellationOnAClockThatIgnoresIt() async {
    struct DeafClock: Clock {
      var now: ManualClock.Instant { ManualClock.Instant(sinceStart: .zero) }
      var minimumResolution: Duration { .zero }
      func sleep(until deadline: ManualClock.Instant, tolerance: Duration?) {}
    }
    let runs = Counter()
    _ = await whenCancelled { await every(.seconds(2), clock: DeafClock()) { runs.add() } }
    #expect(runs.value == 0)
  }

  @Test func anErrorOfTheWorkEndsIt() async {
    await #expect(throws: WorkFailure()) {
      try await every(.seconds(2), clock: clock) { () throws(WorkFailure) in throw WorkFailure() }
    }
  }
}
