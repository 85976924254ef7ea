import ParallaxTesting
import Testing

@Suite(.timeLimit(.minutes(1))) struct ManualClockTests {
  private let clock = ManualClock()

  @Test func timeMovesOnlyByAdvances() {
    #expect(clock.now == ManualClock.Instant(sinceStart: .zero))
    clock.advance(by: .milliseconds(1_500))
    clock.advance(by: .zero)
    #expect(clock.now == ManualClock.Instant(sinceStart: .milliseconds(1_500)))
  }

  @Test func aSleeperWakesAtItsDeadline() async throws {
    try await withThrowingTaskGroup(of: ManualClock.Instant.self) { group in
      group.addTask { [clock] in
        try await clock.sleep(for: .seconds(2))
        return clock.now
      }
      try await clock.sleepers(atLeast: 1)
      clock.advance(by: .milliseconds(1_999))
      #expect(clock.nextDeadline == ManualClock.Instant(sinceStart: .seconds(2)))
      clock.advance(by: .milliseconds(1))
      #expect(clock.nextDeadline == nil)
      let wokenAt = try await group.next()
      #expect(wokenAt == ManualClock.Instant(sinceStart: .seconds(2)))
    }
  }

  @Test func sleepersWakeInTheOrderOfTheirDeadlines() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for seconds in [3, 1, 2] { group.addTask { [clock] in try await clock.sleep(for: .seconds(seconds)) } }
      try await clock.sleepers(atLeast: 3)
      var deadlines: [Duration] = []
      while let next = clock.nextDeadline {
        deadlines.append(next.sinceStart)
        clock.advance(by: clock.now.duration(to: next))
      }
      #expect(deadlines == [.seconds(1), .seconds(2), .seconds(3)])
      try await group.waitForAll()
    }
  }

  @Test func aPastDeadlineDoesNotWait() async throws {
    clock.advance(by: .seconds(5))
    try await clock.sleep(until: ManualClock.Instant(sinceStart: .seconds(5)))
    try await clock.sleep(for: .seconds(-1))
    #expect(clock.nextDeadline == nil)
  }

  @Test func aCancelledSleeperLeavesTheClock() async throws {
    let task = Task { [clock] in try await clock.sleep(for: .seconds(1)) }
    try await clock.sleepers(atLeast: 1)
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(clock.nextDeadline == nil)
    clock.advance(by: .seconds(2))
  }

  @Test func aCancelledTaskDoesNotSleep() async {
    let task = Task { [clock] in
      while !Task.isCancelled { await Task.yield() }
      try await clock.sleep(for: .seconds(1))
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  // MARK: Waiting for sleepers

  @Test func aWaitForMissingSleepersEndsAtItsLimitWithTheirNumber() async throws {
    let realTime = ManualClock()
    let sleeper = Task { [clock] in try await clock.sleep(for: .seconds(1)) }
    try await clock.sleepers()
    let wait = Task { [clock] in try await clock.sleepers(atLeast: 2, within: .seconds(3), by: realTime) }
    try await realTime.sleepers()
    realTime.advance(by: .seconds(3))
    let error = await #expect(throws: MissingSleepers.self) { try await wait.value }
    #expect(error?.expected == 2 && error?.found == 1)
    #expect(error?.description == "1 tasks sleep on the clock after 3.0 seconds, not 2")
    sleeper.cancel()
  }

  @Test func aCancelledWaitForSleepersEnds() async throws {
    let realTime = ManualClock()
    let wait = Task { [clock] in try await clock.sleepers(by: realTime) }
    try await realTime.sleepers()
    wait.cancel()
    await #expect(throws: CancellationError.self) { try await wait.value }
    #expect(realTime.nextDeadline == nil)
    // A later sleeper resumes no waiter.
    let sleeper = Task { [clock] in try await clock.sleep(for: .seconds(1)) }
    try await clock.sleepers()
    sleeper.cancel()
  }
}
