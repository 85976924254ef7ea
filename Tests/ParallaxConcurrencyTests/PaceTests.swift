import ParallaxConcurrency
import ParallaxTesting
import Testing

@Suite(.timeLimit(.minutes(1))) struct PaceTests {
  private let clock = ManualClock()

  @Test func aShortTurnLastsTheInterval() async throws {
    var pace = Pace(clock: clock)
    pace.begin()
    clock.advance(by: .milliseconds(30))
    async let wakes: Void = wake(at: .milliseconds(100))
    try await pace.rest(atLeast: .milliseconds(100))
    try await wakes
    #expect(clock.now.sinceStart == .milliseconds(100))
  }

  @Test func aLongTurnEndsAtOnce() async throws {
    var pace = Pace(clock: clock)
    pace.begin()
    clock.advance(by: .milliseconds(100))
    try await pace.rest(atLeast: .milliseconds(100))
    #expect(clock.now.sinceStart == .milliseconds(100))
  }

  @Test func theNextTurnBeginsWithTheEndOfTheRest() async throws {
    var pace = Pace(clock: clock)
    for turn in 1...3 {
      async let wakes: Void = wake(at: .milliseconds(100 * turn))
      try await pace.rest(atLeast: .milliseconds(100))
      try await wakes
      #expect(clock.now.sinceStart == .milliseconds(100 * turn))
    }
  }

  @Test func cancellationThrowsEvenAfterTheRest() async {
    let task = Task { [clock] in
      var pace = Pace(clock: clock)
      while !Task.isCancelled { await Task.yield() }
      try await pace.rest(atLeast: .zero)
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  /// Moves the clock to its only deadline, which must be the expected one.
  private func wake(at expected: Duration) async throws {
    try await clock.sleepers()
    #expect(clock.nextDeadline?.sinceStart == expected)
    if let next = clock.nextDeadline { clock.advance(by: clock.now.duration(to: next)) }
  }
}
