import ParallaxTesting
import Testing

@Suite(.timeLimit(.minutes(1))) struct ManualClockTests {
  private let clock = ManualClock()

  @Test func timeMovesByAdvancesOnly() {
    #expect(clock.now == ManualClock.Instant(sinceStart: .zero))
    clock.advance(by: .milliseconds(1_500))
    clock.advance(by: .zero)
    #expect(clock.now == ManualClock.Instant(sinceStart: .milliseconds(1_500)))
  }

  @Test func aSleeperWakesAtItsDeadlineAndNotBefore() async throws {
    try await withThrowingTaskGroup(of: ManualClock.Instant.self) { group in
      group.addTask { [clock] in
        try await clock.sleep(for: .seconds(2))
        return clock.now
      }
      await clock.sleepers(atLeast: 1)
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
      await clock.sleepers(atLeast: 3)
      var deadlines: [Duration] = []
      while let next = clock.nextDeadline {
        deadlines.append(next.sinceStart)
        clock.advance(by: clock.now.duration(to: next))
      }
      #expect(deadlines == [.seconds(1), .seconds(2), .seconds(3)])
      try await group.waitForAll()
    }
  }

  @Test func aDeadlineThatIsReachedDoesNotWait() async throws {
    clock.advance(by: .seconds(5))
    try await clock.sleep(until: ManualClock.Instant(sinceStart: .seconds(5)))
    try await clock.sleep(for: .seconds(-1))
    #expect(clock.nextDeadline == nil)
  }

  @Test func aCancelledSleeperLeavesTheClock() async {
    let task = Task { [clock] in try await clock.sleep(for: .seconds(1)) }
    await clock.sleepers(atLeast: 1)
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
}
