import DequeModule
import ParallaxAPI
import ParallaxState

/// What this node wrote last and holds nowhere else: Redis replicates asynchronously, so what it acknowledged just before a failover may be
/// missing after it, and is written again from here.
///
/// Bounded by number and, roughly, by size, not by time: while the store is away nothing is added, so what was acknowledged last before an
/// outage is still here after it, however long it took. The executions that this node drives are not among these.
struct RecentWrites: Sendable {
  /// The outcome of a task, recorded for another node's execution.
  struct Outcome: Sendable, Hashable {
    var task: TaskRecord
    var execution: String
  }

  /// An idempotency key and what it stands for.
  struct Claim: Sendable, Hashable {
    var key: String
    var executionID: String
    var digest: String
  }

  /// How many of each kind are kept, and how many bytes of JSON in them, each about.
  static let capacity = 4_096
  static let byteLimit = 16 << 20

  private(set) var finished: Deque<StoredExecution> = []
  private(set) var outcomes: Deque<Outcome> = []
  private(set) var claims: Deque<Claim> = []
  private var finishedBytes = 0
  private var outcomeBytes = 0

  mutating func add(_ stored: StoredExecution) {
    finished.append(stored)
    finishedBytes += stored.size
    while finished.count > Self.capacity || finishedBytes > Self.byteLimit, let oldest = finished.popFirst() {
      finishedBytes -= oldest.size
    }
  }

  mutating func add(_ outcome: Outcome) {
    outcomes.append(outcome)
    outcomeBytes += outcome.task.size
    while outcomes.count > Self.capacity || outcomeBytes > Self.byteLimit, let oldest = outcomes.popFirst() {
      outcomeBytes -= oldest.task.size
    }
  }

  mutating func add(_ claim: Claim) {
    claims.append(claim)
    if claims.count > Self.capacity { claims.removeFirst() }
  }
}

extension StoredExecution {
  /// About how many bytes it takes up.
  fileprivate var size: Int {
    let values = [execution.input, execution.result, execution.metadata].reduce(0) { $0 + ($1?.approximateSize ?? 0) }
    return 512 + values + tasks.reduce(0) { $0 + $1.size }
  }
}

extension TaskRecord {
  /// About how many bytes it takes up.
  fileprivate var size: Int { 128 + (result?.approximateSize ?? 0) }
}
