/// Asks again and again until nothing is wrong; the error at the deadline says what still was.
///
/// A server that just goes down or comes up is one that cannot be asked: that is a complaint as well.
package func awaitNoComplaint(
  _ what: String, within limit: Duration, every interval: Duration = .milliseconds(10),
  isolation: isolated (any Actor)? = #isolation, _ complaint: () throws -> String?
) async throws {
  let deadline = ContinuousClock.now + limit
  while true {
    let asked = ContinuousClock.now
    let found: String
    do {
      guard let answer = try complaint() else { return }
      found = answer
    } catch {
      found = "\(error)"
    }
    guard asked < deadline else { throw DeadlineExceeded(description: "not within \(limit): \(what): \(found)") }
    try await Task.sleep(for: interval)
  }
}
