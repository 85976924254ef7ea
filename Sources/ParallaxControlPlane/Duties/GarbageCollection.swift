import Logging
import ParallaxAPI
import ParallaxState

/// Removes executions that ended long ago, or that are more than are kept.
struct GarbageCollection: Sendable {
  let store: any StateStore
  let settings: NodeConfiguration.Executions
  let logger: Logger

  /// How many executions one round removes at most, so that it does not starve live traffic.
  private static let limit = 5_000
  static let interval: Duration = .seconds(60)

  func run() async throws {
    let oldest = Timestamp(milliseconds: NodeClock.wall.milliseconds - settings.retention.wholeMilliseconds)
    let removed = try await store.removeExecutions(createdBefore: oldest, maxRetained: settings.maxRetained, limit: Self.limit)
    if removed > 0 { logger.info("removed old executions", metadata: ["count": "\(removed)"]) }
  }
}
