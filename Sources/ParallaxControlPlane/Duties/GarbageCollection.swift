import Logging
import ParallaxAPI
import ParallaxState

/// Removes executions that ended long ago, or that are more than are kept.
///
/// A round goes on until nothing is left to remove, so that removal keeps up with any rate of creation. The store removes in small batches,
/// each after the answer to the last, so that a long round delays no request.
struct GarbageCollection: Sendable {
  let store: any StateStore
  let settings: NodeConfiguration.Executions
  let clock: NodeClock
  let logger: Logger

  static let interval: Duration = .seconds(15)
  /// How many executions one call removes at most, so that it does not hold up live traffic.
  static let batchSize = 1_000
  /// The rest between two calls, for the same reason.
  private static let rest: Duration = .milliseconds(20)

  /// Removes all that is due.
  func run() async throws {
    // By the store's clock: a node whose own is a day ahead would remove what all the others still want.
    let oldest = Timestamp(milliseconds: try await store.currentTime().milliseconds - settings.retention.wholeMilliseconds)
    var total = 0
    defer { if total > 0 { logger.info("removed old executions", metadata: ["count": "\(total)"]) } }
    while true {
      let removed = try await store.removeExecutions(createdBefore: oldest, maxRetained: settings.maxRetained, limit: Self.batchSize)
      total += removed
      // A full batch is likely to have left some.
      if removed < Self.batchSize { return }
      try await clock.sleep(for: Self.rest)
    }
  }
}
