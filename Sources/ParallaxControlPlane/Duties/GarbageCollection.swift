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
  let logger: Logger

  /// How many executions one call removes at most.
  private static let limit = 5_000
  static let interval: Duration = .seconds(15)

  func run() async throws {
    // By the store's clock: a node whose own is a day ahead would remove what all the others still want.
    let oldest = Timestamp(milliseconds: try await store.currentTime().milliseconds - settings.retention.wholeMilliseconds)
    var total = 0
    defer { if total > 0 { logger.info("removed old executions", metadata: ["count": "\(total)"]) } }
    while true {
      try Task.checkCancellation()
      let removed = try await store.removeExecutions(createdBefore: oldest, maxRetained: settings.maxRetained, limit: Self.limit)
      total += removed
      if removed < Self.limit { return }
      await Task.yield()
    }
  }
}
