/// Polls until there is no complaint; the error at the deadline names the last one.
///
/// An error of the poll, as from a server that is starting or stopping, is a complaint too.
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
