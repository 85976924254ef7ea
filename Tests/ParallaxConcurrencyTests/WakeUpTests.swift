import ParallaxConcurrency
import ParallaxTesting
import Testing

@Suite(.timeLimit(.minutes(1))) struct WakeUpTests {
  private let wakeUp = WakeUp()
  private let clock = ManualClock()

  @Test func aSignalWakesTheWaitingTask() async throws {
    async let wait: Void = wakeUp.wait()
    wakeUp.signal()
    try await wait
    #expect(!wakeUp.silence())
  }

  @Test func signalsWithoutAWaiterAreKeptAsOne() async throws {
    for _ in 0..<3 { wakeUp.signal() }
    try await wakeUp.wait()
    #expect(!wakeUp.silence())
  }

  @Test func aSilencedSignalDoesNotWake() async throws {
    wakeUp.signal()
    #expect(wakeUp.silence())
    #expect(try await !wakeUp.wait(until: clock.now, on: clock))
  }

  @Test func cancellationEndsAWaitByAnError() async {
    let task = Task { [wakeUp] in try await wakeUp.wait() }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  @Test func aWaitOfACancelledTaskThrowsAndKeepsTheSignal() async throws {
    wakeUp.signal()
    let wait = await whenCancelled { [wakeUp] in try await wakeUp.wait() }
    #expect(throws: CancellationError.self) { try wait.get() }
    let bounded = await whenCancelled { [wakeUp, clock] in
      try await wakeUp.wait(until: clock.now.advanced(by: .seconds(1)), on: clock)
    }
    #expect(throws: CancellationError.self) { try bounded.get() }
    #expect(wakeUp.silence())
  }

  @Test func aBoundedWaitEndsAtTheDeadline() async throws {
    async let isSignaled = wakeUp.wait(until: clock.now.advanced(by: .seconds(2)), on: clock)
    try await clock.sleepers(atLeast: 1)
    clock.advance(by: .seconds(2))
    #expect(try await !isSignaled)
    // No task waits, so the signal is kept for the next wait.
    wakeUp.signal()
    #expect(wakeUp.silence())
  }

  @Test func aBoundedWaitEndsAtASignal() async throws {
    async let isSignaled = wakeUp.wait(until: clock.now.advanced(by: .seconds(2)), on: clock)
    try await clock.sleepers(atLeast: 1)
    wakeUp.signal()
    #expect(try await isSignaled)
    #expect(clock.nextDeadline == nil)
  }

  @Test func aBoundedWaitTakesAKeptSignalEvenAfterItsDeadline() async throws {
    wakeUp.signal()
    #expect(try await wakeUp.wait(until: clock.now, on: clock))
    #expect(try await !wakeUp.wait(until: clock.now, on: clock))
  }

  @Test func cancellationEndsABoundedWaitByAnError() async throws {
    let task = Task { [wakeUp, clock] in try await wakeUp.wait(until: clock.now.advanced(by: .seconds(2)), on: clock) }
    try await clock.sleepers(atLeast: 1)
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(clock.nextDeadline == nil)
  }

  @Test("A signal in the moment of the deadline is reported or kept, never lost")
  func signalAtTheDeadline() async throws {
    for _ in 0..<200 {
      async let isSignaled = wakeUp.wait(until: clock.now.advanced(by: .seconds(1)), on: clock)
      try await clock.sleepers(atLeast: 1)
      async let signal: Void = wakeUp.signal()
      clock.advance(by: .seconds(1))
      await signal
      let wasSignaled = try await isSignaled
      #expect(wakeUp.silence() != wasSignaled)
    }
  }

  @Test func aLoopOverSignalsEndsAtCancellation() async {
    let turns = Counter()
    await withTaskGroup { group in
      group.addTask { [wakeUp] in for await _ in wakeUp { turns.add() } }
      wakeUp.signal()
      await until { turns.value == 1 }
      wakeUp.signal()
      await until { turns.value == 2 }
      group.cancelAll()
    }
    #expect(turns.value == 2)
  }

  @Test("No signal is lost between a sender and a loop that takes all there is at each signal")
  func noSignalIsLost() async {
    let sent = 20_000
    let waiting = Counter()
    let taken = Counter()
    await withTaskGroup { group in
      group.addTask { [wakeUp] in
        for await _ in wakeUp {
          if taken.add(waiting.take()) == sent { return }
        }
      }
      for _ in 0..<2 {
        group.addTask { [wakeUp] in
          for _ in 0..<sent / 2 {
            waiting.add()
            wakeUp.signal()
          }
        }
      }
    }
    #expect(taken.value == sent)
  }
}
