import Synchronization

/// Wakes the one task that waits for it, for a loop with occasional work.
///
/// ```swift
/// for await _ in wakeUp { await flush() }                             // ends when the task is cancelled
/// let isSignaled = try await wakeUp.wait(until: deadline, on: clock)
/// ```
///
/// A signal is never lost: without a waiting task, any number of signals are kept as one for the next wait. Each wait consumes the signal
/// that ends it.
///
/// A wait of a cancelled task throws even if a signal is kept, which stays for the next wait. So repeated waits never return without a new
/// signal each.
package final class WakeUp: Sendable {
  private enum State {
    case idle  // → signaled, waiting
    case signaled  // → idle
    case waiting(UnsafeContinuation<Bool, Never>)  // → idle
  }

  private enum Start {
    case over(isSignaled: Bool)
    case waiting
  }

  private let state = Mutex(State.idle)

  /// Creates a wake-up without a signal.
  package init() {}

  /// Wakes the waiting task, or keeps the signal for the next wait; never blocks, and may be called on any thread.
  ///
  /// Must not be called under a lock that a cancellation handler of the waiting task takes.
  package func signal() {
    let waiter: UnsafeContinuation<Bool, Never>? = state.withLock { state in
      if case .waiting(let continuation) = state {
        state = .idle
        return continuation
      }
      state = .signaled
      return nil
    }
    waiter?.resume(returning: true)
  }

  /// Discards a kept signal.
  ///
  /// - Returns: Whether a signal was kept.
  @discardableResult
  package func silence() -> Bool {
    state.withLock { state in
      guard case .signaled = state else { return false }
      state = .idle
      return true
    }
  }

  /// Waits for a signal, or takes the kept one; one task at a time.
  ///
  /// - Throws: `CancellationError` if the task is cancelled before a signal ends the wait.
  package func wait() async throws(CancellationError) {
    let isSignaled = await suspend { (continuation: UnsafeContinuation<Bool, Never>) in
      if case .over(let isSignaled) = begin(continuation) { continuation.resume(returning: isSignaled) }
    } onCancel: {
      let waiter: UnsafeContinuation<Bool, Never>? = state.withLock { state in
        guard case .waiting(let continuation) = state else { return nil }
        state = .idle
        return continuation
      }
      waiter?.resume(returning: false)
    }
    if !isSignaled { throw CancellationError() }
  }

  private func begin(_ continuation: UnsafeContinuation<Bool, Never>) -> Start {
    state.withLock { state in
      // A kept signal stays for the next wait.
      if Task.isCancelled { return .over(isSignaled: false) }
      switch state {
      case .signaled:
        state = .idle
        return .over(isSignaled: true)
      case .idle:
        state = .waiting(continuation)
        return .waiting
      case .waiting: preconditionFailure("two tasks wait for one wake-up")
      }
    }
  }

  /// Waits for a signal until an instant; one task at a time.
  ///
  /// A signal at the moment of the deadline ends the wait as a signal, or is kept.
  ///
  /// - Parameters:
  ///   - deadline: The end of the wait; an instant in the past checks for a kept signal only.
  ///   - clock: The clock of the deadline.
  /// - Returns: `true` at a signal, `false` at the deadline.
  /// - Throws: `CancellationError` if the task is cancelled before either.
  package func wait<C: Clock>(until deadline: C.Instant, on clock: C) async throws(CancellationError) -> Bool {
    if Task.isCancelled { throw CancellationError() }
    if silence() { return true }
    if deadline <= clock.now { return false }
    let outcome = await race {
      try await self.wait()
    } until: {
      try await clock.sleep(until: deadline, tolerance: .zero)
    }
    if case .success = outcome.result { return true }
    if outcome.isInterrupted { return false }
    throw CancellationError()
  }
}

/// The signals, for a loop of one task; it ends when the task is cancelled.
extension WakeUp: AsyncSequence {
  /// Waits for one signal after the other.
  package struct Iterator: AsyncIteratorProtocol {
    let wakeUp: WakeUp

    /// Waits for a signal; `nil` if the task is cancelled.
    package func next() async -> Void? {
      try? await wakeUp.wait()
    }
  }

  /// Creates the iterator of the one loop.
  package func makeAsyncIterator() -> Iterator {
    Iterator(wakeUp: self)
  }
}
