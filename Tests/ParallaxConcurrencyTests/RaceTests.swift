import ParallaxConcurrency
import ParallaxTesting
import Testing

@Suite(.timeLimit(.minutes(1))) struct RaceTests {
  private let interruption = Deferred<Void>()

  @Test func workThatEndsFirstIsNotInterrupted() async throws {
    let outcome = await race {
      1
    } until: { [interruption] in
      try await interruption.value()
    }
    #expect(try outcome.result.get() == 1)
    #expect(!outcome.isInterrupted)
  }

  @Test func anInterruptionCancelsTheWorkAndJoinsIt() async {
    let end = Deferred<Void>()
    let outcome = await race {
      defer { end.set() }
      try await Deferred<Void>().value()
    } until: {
    }
    #expect(end.current != nil)
    #expect(outcome.isInterrupted)
    #expect(throws: CancellationError.self) { try outcome.result.get() }
  }

  @Test func theResultOfInterruptedWorkIsReturned() async throws {
    let outcome = await race {
      try? await Deferred<Void>().value()
      return 5
    } until: {
    }
    #expect(outcome.isInterrupted)
    #expect(try outcome.result.get() == 5)
  }

  @Test func theInterruptionIsReportedBeforeTheWorkIsJoined() async {
    let stubborn = Deferred<Void>()
    let outcome = await race {
      // This work ignores its cancellation.
      await Task { try await stubborn.value() }.result
    } until: {
    } onInterruption: {
      stubborn.set()
    }
    #expect(outcome.isInterrupted)
  }

  @Test func anInterruptionThatThrowsDoesNotInterrupt() async throws {
    let gate = Deferred<Int>()
    let outcome = await race {
      try await gate.value()
    } until: {
      defer { gate.set(9) }
      throw WorkFailure()
    }
    #expect(!outcome.isInterrupted)
    #expect(try outcome.result.get() == 9)
  }

  @Test func cancellationOfTheCallerCancelsTheWorkWithoutAnInterruption() async {
    let task = Task { [interruption] in
      await race {
        try await Deferred<Void>().value()
      } until: {
        try await interruption.value()
      }
    }
    task.cancel()
    let outcome = await task.value
    #expect(!outcome.isInterrupted)
    #expect(throws: CancellationError.self) { try outcome.result.get() }
  }
}

@Suite(.timeLimit(.minutes(1))) struct TimeoutTests {
  private let clock = ManualClock()

  private static func fail() throws { throw WorkFailure() }

  @Test func workInTimeReturnsItsValue() async throws {
    #expect(try await withTimeout(.seconds(1), clock: clock) { 1 } == 1)
    #expect(clock.nextDeadline == nil)
  }

  @Test func workInTimeThrowsItsError() async {
    let task = Task { [clock] in try await withTimeout(.seconds(1), clock: clock) { try Self.fail() } }
    await #expect(throws: WorkFailure()) { try await task.value }
  }

  @Test func slowWorkIsCancelled() async throws {
    let task = Task { [clock] in try await withTimeout(.seconds(2), clock: clock) { try await Deferred<Void>().value() } }
    try await clock.sleepers(atLeast: 1)
    clock.advance(by: .milliseconds(1_999))
    #expect(clock.nextDeadline != nil)
    clock.advance(by: .milliseconds(1))
    let error = await #expect(throws: TimeoutError.self) { try await task.value }
    #expect(error?.limit == .seconds(2))
    #expect(error?.cause is CancellationError)
  }

  @Test func anErrorAfterTheTimeoutIsItsCause() async throws {
    let task = Task { [clock] in
      try await withDeadline(clock.now.advanced(by: .seconds(2)), clock: clock) {
        try? await Deferred<Void>().value()
        if Task.isCancelled { throw WorkFailure() }
      }
    }
    try await clock.sleepers(atLeast: 1)
    clock.advance(by: .seconds(2))
    let error = await #expect(throws: TimeoutError.self) { try await task.value }
    #expect(error?.cause is WorkFailure)
    #expect(error?.limit == nil)
  }

  @Test func aValueAtTheTimeoutIsReturned() async throws {
    let task = Task { [clock] in
      try await withTimeout(.seconds(2), clock: clock) {
        try? await Deferred<Void>().value()
        return 6
      }
    }
    try await clock.sleepers(atLeast: 1)
    clock.advance(by: .seconds(2))
    #expect(try await task.value == 6)
  }

  @Test func cancellationOfTheCallerIsNoTimeout() async throws {
    let task = Task { [clock] in try await withTimeout(.seconds(2), clock: clock) { try await Deferred<Void>().value() } }
    try await clock.sleepers(atLeast: 1)
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(clock.nextDeadline == nil)
  }

  @Test func aValueAtTheCancellationIsReturned() async throws {
    let task = Task { [clock] in
      try await withTimeout(.seconds(2), clock: clock) {
        try? await Deferred<Void>().value()
        return 7
      }
    }
    try await clock.sleepers(atLeast: 1)
    task.cancel()
    #expect(try await task.value == 7)
  }

  @Test("On a cancelled task a time-out never hides the cancellation, so that a loop of attempts ends")
  func alreadyCancelled() async {
    let result = await whenCancelled { [clock] in
      try await withTimeout(.seconds(2), clock: clock) { try await Deferred<Void>().value() }
    }
    #expect(throws: CancellationError.self) { try result.get() }
  }
}
