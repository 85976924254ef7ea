import ParallaxState

/// Schedules the writes that restore a store which may have lost acknowledged writes.
struct RestorationMachine: Sendable {
  /// The time within which all nodes notice that the store has lost writes, and restore them.
  static let window = Duration.seconds(10)

  private let width: Int
  /// The recent writes; nil if the store cannot lose acknowledged writes.
  private var recent: RecentWrites?
  /// The executions of this node to rewrite.
  private var queue: WorkQueue
  /// The instant of the last reset.
  private var resetAt: Duration?
  /// The earliest time of a write that the store may have lost and that is not restored yet.
  private var unrestoredSince: Duration?
  /// The number of restorations of recent writes, and the number of the last one.
  private var lastNumber = 0

  init(settings: DispatchMachine.Settings) {
    width = settings.width
    queue = WorkQueue(settings.partitions)
    recent = settings.isStoreLossy ? RecentWrites(maxRetained: settings.maxRetained) : nil
  }

  // MARK: Recent writes

  mutating func add(_ stored: StoredExecution, at now: Moment) { recent?.add(stored, at: now.instant) }

  mutating func add(_ claim: RecentWrites.Claim, at now: Moment) { recent?.add(claim, at: now.instant) }

  mutating func add(_ outcome: RecentWrites.Outcome, at now: Moment) { recent?.add(outcome, at: now.instant) }

  // MARK: Restoration

  /// Begins a restoration: queues all executions of this node, to be rewritten a few at a time, and restores the recent writes beside them.
  mutating func reset(connectedAt connection: Duration?, executions: [String], at now: Moment) -> [DispatchAction] {
    for id in executions { queue.add(id) }
    resetAt = now.instant
    guard var recent else { return [] }
    // An earlier restoration may be unfinished.
    let since = min(connection.map { recent.endangered(at: $0) } ?? .zero, unrestoredSince ?? now.instant)
    unrestoredSince = since
    recent.drop(before: since)
    lastNumber += 1
    recent.number = lastNumber
    return [.restore(recent)]
  }

  /// Records the end of a restoration of the recent writes; a later reset may have begun another.
  mutating func ended(_ number: Int) {
    if number == lastNumber { unrestoredSince = nil }
  }

  /// Whether the restoration of an execution's end is pending; the store may still have an earlier state.
  func knowsEnd(of id: String) -> Bool { unrestoredSince != nil && hasEnded(id) }

  /// Whether this node has ended an execution lately.
  func hasEnded(_ id: String) -> Bool { recent?.hasEnded(id) == true }

  /// Takes the next execution to rewrite.
  mutating func next() -> String? { queue.next(width: width) }

  /// Whether an execution is being rewritten.
  func isUnderway(_ id: String) -> Bool { queue.isActive(id) }

  /// Records that an execution was rewritten, or is no longer this node's.
  mutating func finish(_ id: String) { queue.finish(id) }

  /// Whether the store may lack executions that their owners are about to restore.
  func mayBeUnderway(at now: Moment) -> Bool {
    resetAt.map { now.instant - $0 < Self.window } ?? false
  }
}
