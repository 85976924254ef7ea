import ParallaxState

/// Schedules the writes that restore a store which may have lost acknowledged writes.
struct RestorationMachine: Sendable {
  /// How long it may take every node to find out that the store has lost writes, and to restore them.
  private static let window = Duration.seconds(10)

  private let width: Int
  /// Nil if the store cannot lose what it has acknowledged.
  private var recent: RecentWrites?
  /// Executions of this node to be written again.
  private var queue = WorkQueue()
  /// When the store was last said to have lost writes.
  private var resetAt: Duration?
  /// Since when there may be writes that the store has lost and that were not written again yet.
  private var unrestoredSince: Duration?

  init(settings: DispatchMachine.Settings) {
    width = settings.width
    recent = settings.isStoreLossy ? RecentWrites(maxRetained: settings.maxRetained) : nil
  }

  // MARK: Recent writes

  mutating func add(_ stored: StoredExecution, at now: Moment) { recent?.add(stored, at: now.instant) }

  mutating func add(_ claim: RecentWrites.Claim, at now: Moment) { recent?.add(claim, at: now.instant) }

  mutating func add(_ outcome: RecentWrites.Outcome, at now: Moment) { recent?.add(outcome, at: now.instant) }

  // MARK: Restoration

  /// The store may have lost writes: what this node drives is written again, few executions at once, and beside it the recent writes.
  mutating func reset(connectedAt connection: Duration?, executions: [String], at now: Moment) -> [DispatchAction] {
    for id in executions { queue.add(id) }
    resetAt = now.instant
    guard var recent else { return [] }
    // What an earlier restoration has not come to is still to be done.
    let since = min(connection.map { recent.endangered(at: $0) } ?? .zero, unrestoredSince ?? now.instant)
    unrestoredSince = since
    recent.drop(before: since)
    return [.restore(recent)]
  }

  /// The recent writes are in the store.
  mutating func ended() { unrestoredSince = nil }

  /// Takes the next execution to be written again.
  mutating func next() -> String? { queue.next(width: width) }

  /// Whether an execution is being written again.
  func isUnderway(_ id: String) -> Bool { queue.isActive(id) }

  /// An execution was written again, or is not this node's any more.
  mutating func finish(_ id: String) { queue.finish(id) }

  /// Whether the store may lack what its owners are about to restore.
  func mayBeUnderway(at now: Moment) -> Bool {
    resetAt.map { now.instant - $0 < Self.window } ?? false
  }
}
