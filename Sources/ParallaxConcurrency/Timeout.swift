/// The error of work that has not ended in time.
package struct TimeoutError: Error, CustomStringConvertible {
  /// The limit of the work; `nil` if it had a deadline.
  package let limit: Duration?
  /// The error that the work threw after its cancellation.
  package let cause: any Error

  /// The limit as a sentence.
  package var description: String {
    limit.map { "it took longer than \($0)" } ?? "it did not end before its deadline"
  }
}

/// Runs work and cancels it if it has not ended within a limit.
///
/// The work is always joined, so the call exceeds the limit if the work ignores its cancellation. A value that the work returns is never
/// lost: the call returns it, even if it arrives after the limit or after a cancellation of the caller's task.
///
/// - Parameters:
///   - limit: The limit.
///   - clock: The clock of the limit.
///   - work: The work, which should end soon after its cancellation.
/// - Returns: The value of the work.
/// - Throws: ``TimeoutError`` if the limit passed and the work then threw; else the error of the work, also after a cancellation of the
///   caller's task.
package func withTimeout<C: Clock, Value: Sendable>(
  _ limit: Duration, clock: C, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value where C.Duration == Duration {
  try await withDeadline(clock.now.advanced(by: limit), limit: limit, clock: clock, work)
}

/// Runs work and cancels it if it has not ended by an instant.
///
/// The contract is that of `withTimeout(_:clock:_:)`, with an instant instead of a duration.
///
/// - Parameters:
///   - deadline: The instant.
///   - clock: The clock of the deadline.
///   - work: The work, which should end soon after its cancellation.
/// - Returns: The value of the work.
/// - Throws: ``TimeoutError`` if the deadline passed and the work then threw; else the error of the work.
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
