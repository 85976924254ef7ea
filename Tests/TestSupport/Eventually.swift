/// A condition that did not come true in time.
package struct DeadlineExceeded: Error, CustomStringConvertible {
  package let description: String
}

/// Asks again and again until there is an answer, and throws `DeadlineExceeded` when there is none within the limit.
///
/// For what another process does: there, no event can be awaited and no clock can be moved.
package func eventualValue<Value>(
  _ what: String, within limit: Duration = .seconds(15), every interval: Duration = .milliseconds(20),
  _ answer: () async throws -> Value?
) async throws -> Value {
  let deadline = ContinuousClock.now + limit
  while true {
    // The last answer is to a question that was asked when the time was up: one that was asked before may have been long on its way.
    let asked = ContinuousClock.now
    if let value = try await answer() { return value }
    guard asked < deadline else { throw DeadlineExceeded(description: "not within \(limit): \(what)") }
    try await Task.sleep(for: interval)
  }
}

/// Waits until the condition holds, and throws `DeadlineExceeded` when it does not within the limit.
package func eventually(
  _ what: String, within limit: Duration = .seconds(15), every interval: Duration = .milliseconds(20),
  holds condition: () async throws -> Bool
) async throws {
  try await eventualValue(what, within: limit, every: interval) { try await condition() ? () : nil }
}
