import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxState

/// Finds executions that are long past their deadline although their owner lives, and has the owner end them.
///
/// An owner ends its executions in time by itself; this is for what an owner has lost sight of, by a fault nobody thought of.
struct OverdueExecutions: Sendable {
  let store: any StateStore
  /// The wall clock.
  let now: @Sendable () -> Timestamp
  /// Has the owner look at an execution again.
  let remind: @Sendable (_ execution: String, _ owner: NodeSession) -> Void
  let logger: Logger

  static let interval: Duration = .seconds(60)
  /// How long after its deadline an execution counts as forgotten.
  private static let patience: Duration = .seconds(30)
  private static let batchSize = 256

  func run() async throws {
    for owner in try await store.sessions().keys {
      let ids = try await store.executions(ownedBy: owner)
      for start in stride(from: 0, to: ids.count, by: Self.batchSize) {
        try await check(ids[start..<min(start + Self.batchSize, ids.count)], of: owner)
      }
    }
  }

  private func check(_ ids: ArraySlice<String>, of owner: NodeSession) async throws {
    let due = now().milliseconds - Self.patience.wholeMilliseconds
    // An id tells when its execution was created: what is younger than any time-out's patience is not read at all.
    let candidates = ids.filter { (SortableID.timestamp(of: $0)?.milliseconds ?? 0) < due }
    for id in candidates {
      guard let execution = try await store.execution(id)?.execution, execution.owner == owner, !execution.status.isTerminal,
        execution.deadline.milliseconds < due
      else { continue }
      logger.warning("an execution is long past its deadline", metadata: ["execution": "\(id)", "owner": "\(owner)"])
      remind(id, owner)
    }
  }
}
