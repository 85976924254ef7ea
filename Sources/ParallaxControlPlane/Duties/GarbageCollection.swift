import Logging
package import ParallaxAPI
import ParallaxState

/// One round of the removal of ended executions, in small batches.
///
/// A round ends only when nothing is left to remove, so that removal keeps up with any rate of creation.
package struct CollectionRound: Sendable, Hashable {
  /// The time between the begins of two rounds.
  package static let interval: Duration = .seconds(15)
  /// The largest number of executions that one call removes.
  package static let batchSize = 1_000

  /// The executions that were created and ended before are due.
  package let oldest: Timestamp
  /// The number of executions beyond which the oldest ended ones are due.
  package let maxRetained: Int

  /// Plans a round by the store's clock: a node whose own clock is a day ahead would remove executions that are not due.
  package init(storeTime: Timestamp, retention: Duration, maxRetained: Int) {
    oldest = Timestamp(milliseconds: storeTime.milliseconds - retention.wholeMilliseconds)
    self.maxRetained = maxRetained
  }

  /// Whether the round ends with a batch; a full one suggests that more executions are due.
  package func isOver(afterRemoving count: Int) -> Bool { count < Self.batchSize }
}

/// Removes ended executions that are older than the retention, and the oldest ones beyond the number to keep.
///
/// Pauses between the batches keep a long round from delaying live traffic.
struct GarbageCollection: Sendable {
  let store: any StateStore
  let settings: NodeConfiguration.Executions
  let clock: NodeClock
  let logger: Logger

  /// The pause between two calls.
  private static let pause: Duration = .milliseconds(20)

  /// Removes all due executions.
  func run() async throws {
    let round = CollectionRound(
      storeTime: try await store.currentTime(), retention: settings.retention, maxRetained: settings.maxRetained)
    var total = 0
    defer { if total > 0 { logger.info("removed old executions", metadata: ["count": "\(total)"]) } }
    while true {
      let removed = try await store.removeExecutions(
        createdBefore: round.oldest, maxRetained: round.maxRetained, limit: CollectionRound.batchSize)
      total += removed
      if round.isOver(afterRemoving: removed) { return }
      try await clock.sleep(for: Self.pause)
    }
  }
}
