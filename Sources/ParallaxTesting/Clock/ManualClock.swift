import Synchronization

/// A clock whose time only moves when a test says so.
///
/// Hand it to what takes a `Clock`, wait until the code under test sleeps, then move the time:
///
/// ```swift
/// let clock = ManualClock()
/// async let work: Void = poll(every: .seconds(2), clock: clock)
/// await clock.sleepers(atLeast: 1)
/// clock.advance(by: .seconds(2))
/// ```
///
/// Nothing ever waits on real time. A task that sleeps until an instant that has been reached does not wait at all, so a task that
/// is woken by a long step and sleeps again catches up within that step.
public final class ManualClock: Clock {
  /// A point in the clock's time.
  public struct Instant: InstantProtocol, CustomStringConvertible {
    /// The time since the clock was made.
    public var sinceStart: Duration

    /// Makes an instant.
    ///
    /// - Parameter sinceStart: The time since the clock was made.
    public init(sinceStart: Duration) {
      self.sinceStart = sinceStart
    }

    /// The instant that lies a duration later.
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

    /// The time since the clock was made.
    public var description: String { "\(sinceStart)" }
  }

  private struct Sleeper {
    var id: UInt64
    var deadline: Instant
    var continuation: CheckedContinuation<Void, any Error>
  }

  private struct Watcher {
    var count: Int
    var continuation: CheckedContinuation<Void, Never>
  }

  private struct State {
    var now = Instant(sinceStart: .zero)
    var lastID: UInt64 = 0
    /// By deadline, then in the order in which they began.
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

  /// Makes a clock that stands at zero.
  public init() {}

  /// Where the clock stands.
  public var now: Instant { state.withLock { $0.now } }

  /// Zero: the clock moves by any duration.
  public var minimumResolution: Duration { .zero }

  /// The earliest instant that anyone sleeps until; `nil` when nobody sleeps.
  public var nextDeadline: Instant? { state.withLock { $0.sleepers.first?.deadline } }

  /// Moves the time forward and wakes, in the order of their deadlines, all who sleep until then.
  ///
  /// Those who are woken run when their executor lets them, not before this returns.
  ///
  /// - Parameter duration: How far; not negative.
  public func advance(by duration: Duration) {
    precondition(duration >= .zero, "a clock does not go back: advance(by: \(duration))")
    let due = state.withLock { state in
      state.now = state.now.advanced(by: duration)
      return state.takeDueSleepers()
    }
    for sleeper in due { sleeper.continuation.resume() }
  }

  /// Waits until at least so many tasks sleep; cancellation does not end the wait.
  ///
  /// - Parameter count: How many; 1 by default.
  public func sleepers(atLeast count: Int = 1) async {
    await withCheckedContinuation { continuation in
      let isSatisfied = state.withLock { state in
        if state.sleepers.count >= count { return true }
        state.watchers.append(Watcher(count: count, continuation: continuation))
        return false
      }
      if isSatisfied { continuation.resume() }
    }
  }

  /// Sleeps until the clock is advanced to the deadline; at once if it stands there already.
  ///
  /// - Parameters:
  ///   - deadline: Until when.
  ///   - tolerance: Without meaning here.
  /// - Throws: `CancellationError` if the task is cancelled before.
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
      // Under the lock: a cancellation that comes later finds the sleeper.
      if Task.isCancelled { return .cancelled }
      if sleeper.deadline <= state.now { return .due }
      let place = state.sleepers.firstIndex { sleeper.deadline < $0.deadline } ?? state.sleepers.endIndex
      state.sleepers.insert(sleeper, at: place)
      return .asleep(state.takeSatisfiedWatchers())
    }
    switch outcome {
    case .cancelled: sleeper.continuation.resume(throwing: CancellationError())
    case .due: sleeper.continuation.resume()
    case .asleep(let watchers): for watcher in watchers { watcher.continuation.resume() }
    }
  }
}
