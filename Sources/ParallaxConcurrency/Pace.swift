/// Limits the rate of a loop whose wait may return at once without a result.
///
/// A loop that waits for a reply or a connection spins if each wait returns at once without one. With a pace, an iteration without a result
/// lasts at least an interval.
///
/// ```swift
/// var pace = Pace(clock: clock)
/// while true {
///   pace.begin()
///   if let message = try await read() { handle(message) } else { try await pace.rest(atLeast: .milliseconds(100)) }
/// }
/// ```
package struct Pace<C: Clock>: Sendable {
  private let clock: C
  private var began: C.Instant?

  /// Makes the pace of a loop before its first iteration.
  ///
  /// - Parameter clock: The clock of the iterations.
  package init(clock: C) {
    self.clock = clock
  }

  /// Begins an iteration.
  package mutating func begin() {
    began = clock.now
  }

  /// Ends an iteration without a result: sleeps for the rest of the interval, then begins the next iteration.
  ///
  /// - Parameter interval: The shortest duration of the iteration, counted from ``begin()``; from this call without one.
  /// - Throws: `CancellationError` if the task is cancelled, even if the interval has passed.
  package mutating func rest(atLeast interval: C.Duration) async throws {
    try Task.checkCancellation()
    try await clock.sleep(until: (began ?? clock.now).advanced(by: interval), tolerance: nil)
    began = clock.now
  }
}
