import Logging
import ParallaxAPI
import ParallaxState

/// Removes ended executions that are older than the retention, and the oldest ones beyond the number to keep.
///
/// A round ends only when nothing is left to remove, so that removal keeps up with any rate of creation. The duty removes small batches
/// with pauses between them, so that a long round does not delay live traffic.
struct GarbageCollection: Sendable {
  let store: any StateStore
  let settings: NodeConfiguration.Executions
  let clock: NodeClock
  let logger: Logger

  static let interval: Duration = .seconds(15)
  /// The largest number of executions that one call removes.
  static let batchSize = 1_000
  /// The pause between two calls.
  private static let pause: Duration = .milliseconds(20)

  /// Removes all due executions.
  func run() async throws {
    // The store's clock decides: a node whose own clock is a day ahead would remove executions that are not due.
    let oldest = Timestamp(milliseconds: try await store.currentTime().milliseconds - settings.retention.wholeMilliseconds)
    var total = 0
    defer { if total > 0 { logger.info("removed old executions", metadata: ["count": "\(total)"]) } }
    while true {
      let removed = try await store.removeExecutions(createdBefore: oldest, maxRetained: settings.maxRetained, limit: Self.batchSize)
      total += removed
      // A full batch suggests that more executions are due.
      if removed < Self.batchSize { return }
      try await clock.sleep(for: Self.pause)
    }
  }
}
