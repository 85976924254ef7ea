/// Work has not ended in time.
package struct TimeoutError: Error, CustomStringConvertible {
  /// How long the work had; `nil` if it had a deadline.
  package let limit: Duration?
  /// What the work threw when it was cancelled.
  package let cause: any Error

  /// The limit, for people.
  package var description: String {
    limit.map { "it took longer than \($0)" } ?? "it did not end before its deadline"
  }
}

/// Runs work that is cancelled when it has not ended within a time.
///
/// The work is always joined, so this can take longer than the limit when the work ignores its cancellation. What the work returns counts,
/// however late: a value that arrives with the time-out, or with a cancellation of the caller's task, is returned rather than lost.
///
/// - Parameters:
///   - limit: How long.
///   - clock: What the limit is measured by.
///   - work: What to do; it should end soon after its cancellation.
/// - Returns: What the work returns.
/// - Throws: ``TimeoutError`` if the time was over first and the work then threw; else what the work throws, as after a cancellation of the
///   caller's task.
package func withTimeout<C: Clock, Value: Sendable>(
  _ limit: Duration, clock: C, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value where C.Duration == Duration {
  try await withDeadline(clock.now.advanced(by: limit), limit: limit, clock: clock, work)
}

/// Runs work that is cancelled when it has not ended by an instant.
///
/// As `withTimeout(_:clock:_:)`, with an instant in place of a time.
///
/// - Parameters:
///   - deadline: Until when.
///   - clock: The clock of the deadline.
///   - work: What to do; it should end soon after its cancellation.
/// - Returns: What the work returns.
/// - Throws: ``TimeoutError`` if the deadline passed first and the work then threw; else what the work throws.
package func withDeadline<C: Clock, Value: Sendable>(
  _ deadline: C.Instant, clock: C, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  try await withDeadline(deadline, limit: nil, clock: clock, work)
}

private func withDeadline<C: Clock, Value: Sendable>(
  _ deadline: C.Instant, limit: Duration?, clock: C, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  let outcome = await race(work) { try await clock.sleep(until: deadline, tolerance: nil) }
  switch outcome.result {
  case .success(let value): return value
  case .failure(let error) where outcome.isInterrupted: throw TimeoutError(limit: limit, cause: error)
  case .failure(let error): throw error
  }
}
