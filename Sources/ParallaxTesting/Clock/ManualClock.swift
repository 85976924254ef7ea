import ParallaxConcurrency
import Synchronization

/// A clock whose time moves only when a test moves it.
///
/// Pass the clock to the code under test, wait until that code sleeps, then move the time:
///
/// ```swift
/// let clock = ManualClock()
/// async let work: Void = poll(every: .seconds(2), clock: clock)
/// try await clock.sleepers(atLeast: 1)
/// clock.advance(by: .seconds(2))
/// ```
///
/// No call waits for real time, except up to the limit of ``sleepers(atLeast:within:by:)``. A task that sleeps until a past instant does
/// not wait, so a task that is woken by a long step and sleeps again catches up within that step.
public final class ManualClock: Clock {
  /// An instant of the clock.
  public struct Instant: InstantProtocol, CustomStringConvertible {
    /// The time since the beginning of the clock.
    public var sinceStart: Duration

    /// Creates an instant.
    ///
    /// - Parameter sinceStart: The time since the beginning of the clock.
    public init(sinceStart: Duration) {
      self.sinceStart = sinceStart
    }

    /// The instant after a duration.
    public func advanced(by duration: Duration) -> Instant {
      Instant(sinceStart: sinceStart + duration)
    }

    /// The time from this instant to another; negative if the other is earlier.
    public func duration(to other: Instant) -> Duration {
      other.sinceStart - sinceStart
    }

    /// Orders instants by time.
    public static func < (left: Instant, right: Instant) -> Bool {
      left.sinceStart < right.sinceStart
    }

    /// The time since the beginning of the clock.
    public var description: String { "\(sinceStart)" }
  }

  private struct Sleeper {
    var id: UInt64
    var deadline: Instant
    var continuation: CheckedContinuation<Void, any Error>
  }

  private struct Watcher {
    var id: UInt64
    var count: Int
    /// Resumed with whether so many sleep.
    var continuation: UnsafeContinuation<Bool, Never>
  }

  private struct State {
    var now = Instant(sinceStart: .zero)
    var lastID: UInt64 = 0
    /// By deadline, then in the order in which the sleeps began.
    var sleepers: [Sleeper] = []
    var watchers: [Watcher] = []

    mutating func takeDueSleepers() -> ArraySlice<Sleeper> {
      let due = sleepers.prefix { $0.deadline <= now }
      sleepers.removeFirst(due.count)
      return due
    }

    mutating func takeSatisfiedWatchers() -> [Watcher] {
      let satisfied = watchers.filter { $0.count <= sleepers.count }
      watchers.removeAll { $0.count <= sleepers.count }
      return satisfied
    }
  }

  private let state = Mutex(State())

  /// Creates a clock at zero.
  public init() {}

  /// The current instant.
  public var now: Instant { state.withLock { $0.now } }

  /// Zero: the clock can move by any duration.
  public var minimumResolution: Duration { .zero }

  /// The earliest deadline of a sleeping task; `nil` if none sleeps.
  public var nextDeadline: Instant? { state.withLock { $0.sleepers.first?.deadline } }

  /// Moves the time forward and wakes the tasks whose deadlines have been reached, in the order of the deadlines.
  ///
  /// The woken tasks run when their executors schedule them, not before this call returns.
  ///
  /// - Parameter duration: The step; not negative.
  public func advance(by duration: Duration) {
    precondition(duration >= .zero, "a clock does not go back: advance(by: \(duration))")
    let due = state.withLock { state in
      state.now = state.now.advanced(by: duration)
      return state.takeDueSleepers()
    }
    for sleeper in due { sleeper.continuation.resume() }
  }

  /// Waits until at least this number of tasks sleep.
  ///
  /// - Parameters:
  ///   - count: The number of tasks; 1 by default.
  ///   - limit: The limit of the wait, 30 seconds by default, so that a test fails whose code never sleeps.
  ///   - clock: The clock of the limit, real time by default.
  /// - Throws: ``MissingSleepers`` at the limit, or `CancellationError`.
  public func sleepers(
    atLeast count: Int = 1, within limit: Duration = .seconds(30), by clock: some Clock<Duration> = ContinuousClock()
  ) async throws {
    if state.withLock({ $0.sleepers.count >= count }) { return try Task.checkCancellation() }
    do {
      try await withTimeout(limit, clock: clock) { try await self.watch(for: count) }
    } catch is TimeoutError {
      throw MissingSleepers(expected: count, found: state.withLock { $0.sleepers.count }, limit: limit)
    }
  }

  private func watch(for count: Int) async throws {
    let id = state.withLock { state in
      state.lastID += 1
      return state.lastID
    }
    let isSatisfied = await suspend { (continuation: UnsafeContinuation<Bool, Never>) in
      let isSatisfied = state.withLock { state in
        if state.sleepers.count >= count { return true }
        state.watchers.append(Watcher(id: id, count: count, continuation: continuation))
        return false
      }
      if isSatisfied { continuation.resume(returning: true) }
    } onCancel: {
      let watcher = state.withLock { state in
        state.watchers.firstIndex { $0.id == id }.map { state.watchers.remove(at: $0) }
      }
      watcher?.continuation.resume(returning: false)
    }
    if !isSatisfied { throw CancellationError() }
  }

  /// Sleeps until the clock reaches the deadline; returns at once if it already has.
  ///
  /// - Parameters:
  ///   - deadline: The end of the sleep.
  ///   - tolerance: Has no effect.
  /// - Throws: `CancellationError` if the task is cancelled before the deadline.
  public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
    let id = state.withLock { state in
      state.lastID += 1
      return state.lastID
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        enter(Sleeper(id: id, deadline: deadline, continuation: continuation))
      }
    } onCancel: {
      let sleeper = state.withLock { state in
        state.sleepers.firstIndex { $0.id == id }.map { state.sleepers.remove(at: $0) }
      }
      sleeper?.continuation.resume(throwing: CancellationError())
    }
  }

  private func enter(_ sleeper: Sleeper) {
    enum Outcome {
      case cancelled
      case due
      case asleep([Watcher])
    }
    let outcome: Outcome = state.withLock { state in
      // Under the lock, so that a later cancellation finds the sleeper.
      if Task.isCancelled { return .cancelled }
      if sleeper.deadline <= state.now { return .due }
      let place = state.sleepers.firstIndex { sleeper.deadline < $0.deadline } ?? state.sleepers.endIndex
      state.sleepers.insert(sleeper, at: place)
      return .asleep(state.takeSatisfiedWatchers())
    }
    switch outcome {
    case .cancelled: sleeper.continuation.resume(throwing: CancellationError())
    case .due: sleeper.continuation.resume()
    case .asleep(let watchers): for watcher in watchers { watcher.continuation.resume(returning: true) }
    }
  }
}

/// Fewer tasks sleep on a ``ManualClock`` than a test has waited for.
public struct MissingSleepers: Error, CustomStringConvertible {
  /// How many were waited for.
  public let expected: Int
  /// How many there were in the end.
  public let found: Int
  /// How long they were waited for.
  public let limit: Duration

  /// All three, for people.
  public var description: String { "\(found) tasks sleep on the clock after \(limit), not \(expected)" }
}
