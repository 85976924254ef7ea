import DequeModule
import ParallaxAPI
package import ParallaxState

/// What this node wrote last and holds nowhere else: Redis replicates asynchronously, so what it acknowledged just before a failover may be
/// missing after it, and is written again from here.
///
/// Bounded by number and, roughly, by size: while the store is away nothing is added, so what was acknowledged last before an outage is
/// still here after it, however long it took. The executions that this node drives are not among these.
package struct RecentWrites: Sendable {
  /// The outcome of a task, recorded for another node's execution.
  package struct Outcome: Sendable, Hashable {
    package var task: TaskRecord
    package var execution: String

    package init(task: TaskRecord, execution: String) {
      self.task = task
      self.execution = execution
    }
  }

  /// An idempotency key and what it stands for.
  package struct Claim: Sendable, Hashable {
    package var key: String
    package var executionID: String
    package var digest: String

    package init(key: String, executionID: String, digest: String) {
      self.key = key
      self.executionID = executionID
      self.digest = digest
    }
  }

  /// How many of each kind are kept at most, and about how many bytes of them.
  package static let greatestCapacity = 4_096
  static let byteLimit = 16 << 20
  /// How far behind its master a replica can be, at most, that takes over: what was written so long before the last is not written again.
  static let greatestLag = Duration.seconds(60)

  package private(set) var finished: Bounded<StoredExecution>
  package private(set) var outcomes: Bounded<Outcome>
  package private(set) var claims: Bounded<Claim>

  /// - Parameter maxRetained: How many executions the store keeps at most: more that have ended need not be kept here.
  package init(maxRetained: Int = greatestCapacity) {
    finished = Bounded(capacity: min(maxRetained, Self.greatestCapacity))
    outcomes = Bounded(capacity: Self.greatestCapacity)
    claims = Bounded(capacity: Self.greatestCapacity)
  }

  package mutating func add(_ stored: StoredExecution, at now: Duration) { finished.add(stored, size: stored.size, at: now) }

  package mutating func add(_ outcome: Outcome, at now: Duration) { outcomes.add(outcome, size: outcome.task.size, at: now) }

  package mutating func add(_ claim: Claim, at now: Duration) { claims.add(claim, size: 128 + claim.key.utf8.count, at: now) }

  /// Since when there may be writes that a server lacks which was connected to at `instant`.
  package func endangered(at instant: Duration) -> Duration {
    let last = [finished.last(before: instant), outcomes.last(before: instant), claims.last(before: instant)].compactMap { $0 }.max()
    return (last ?? instant) - Self.greatestLag
  }

  /// Forgets what was written before an instant.
  package mutating func drop(before instant: Duration) {
    finished.drop(before: instant)
    outcomes.drop(before: instant)
    claims.drop(before: instant)
  }
}

/// The latest of some elements, as many as there is room for.
package struct Bounded<Element: Sendable>: Sendable {
  private var entries: Deque<(element: Element, size: Int, instant: Duration)> = []
  private var size = 0
  private let capacity: Int

  init(capacity: Int) {
    self.capacity = capacity
  }

  /// The elements with when they were added, oldest first.
  package var elements: [(element: Element, instant: Duration)] { entries.map { ($0.element, $0.instant) } }

  mutating func add(_ element: Element, size: Int, at now: Duration) {
    entries.append((element, size, now))
    self.size += size
    while entries.count > capacity || self.size > RecentWrites.byteLimit { removeFirst() }
  }

  /// When the last element before an instant was added.
  func last(before instant: Duration) -> Duration? {
    entries.last { $0.instant < instant }?.instant
  }

  mutating func drop(before instant: Duration) {
    while let first = entries.first, first.instant < instant { removeFirst() }
  }

  private mutating func removeFirst() {
    if let first = entries.popFirst() { size -= first.size }
  }
}

extension StoredExecution {
  /// About how many bytes it takes up.
  fileprivate var size: Int {
    let values = [execution.input, execution.result, execution.metadata].reduce(0) { $0 + ($1?.approximateSize ?? 0) }
    return 512 + values + (execution.error?.size ?? 0) + tasks.reduce(0) { $0 + $1.size }
  }
}

extension TaskRecord {
  /// About how many bytes it takes up.
  fileprivate var size: Int { 128 + (result?.approximateSize ?? 0) + (error?.size ?? 0) }
}

extension ExecutionFailure {
  fileprivate var size: Int { message.utf8.count + (details?.approximateSize ?? 0) }
}
