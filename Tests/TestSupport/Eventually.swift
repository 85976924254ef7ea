/// A condition that did not become true in time.
package struct DeadlineExceeded: Error, CustomStringConvertible {
  package let description: String
}

/// Polls until there is a value; throws `DeadlineExceeded` if there is none within the limit.
///
/// Polling is for the state of other processes, which offer neither events nor a manual clock.
package func eventualValue<Value>(
  _ what: String, within limit: Duration = .seconds(15), every interval: Duration = .milliseconds(20),
  _ answer: () async throws -> Value?
) async throws -> Value {
  let deadline = ContinuousClock.now + limit
  while true {
    // The last poll begins after the deadline, because an earlier one may have been slow.
    let asked = ContinuousClock.now
    if let value = try await answer() { return value }
    guard asked < deadline else { throw DeadlineExceeded(description: "not within \(limit): \(what)") }
    try await Task.sleep(for: interval)
  }
}

/// Polls until the condition holds; throws `DeadlineExceeded` if it does not within the limit.
package func eventually(
  _ what: String, within limit: Duration = .seconds(15), every interval: Duration = .milliseconds(20),
  holds condition: () async throws -> Bool
) async throws {
  try await eventualValue(what, within: limit, every: interval) { try await condition() ? () : nil }
}
