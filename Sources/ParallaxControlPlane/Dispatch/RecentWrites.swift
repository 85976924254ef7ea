import DequeModule
import ParallaxAPI
package import ParallaxState

/// The recent writes of this node that it keeps nowhere else, to restore them after a failover: Redis replicates asynchronously, so a new
/// master may lack the last acknowledged writes.
///
/// Bounded in number and, approximately, in size: nothing is added while the store is away, so the last writes before an outage are still
/// here after it, however long the outage was. Executions of this node are not included.
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

  /// An idempotency key with the execution and the digest of its request.
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

  /// The largest number of writes of each kind, and their approximate bound in bytes.
  package static let greatestCapacity = 4_096
  static let byteLimit = 16 << 20
  /// The largest lag of a replica that takes over; writes that precede the last one by more are not restored.
  static let greatestLag = Duration.seconds(60)

  package private(set) var finished: Bounded<StoredExecution>
  package private(set) var outcomes: Bounded<Outcome>
  package private(set) var claims: Bounded<Claim>
  /// The number of the restoration that is to restore them.
  package var number = 0

  /// Makes an empty record.
  ///
  /// - Parameter maxRetained: The largest number of executions that the store keeps, beyond which ended ones need no record.
  package init(maxRetained: Int = greatestCapacity) {
    finished = Bounded(capacity: min(maxRetained, Self.greatestCapacity))
    outcomes = Bounded(capacity: Self.greatestCapacity)
    claims = Bounded(capacity: Self.greatestCapacity)
  }

  package mutating func add(_ stored: StoredExecution, at now: Duration) { finished.add(stored, size: stored.approximateSize, at: now) }

  package mutating func add(_ outcome: Outcome, at now: Duration) { outcomes.add(outcome, size: outcome.task.size, at: now) }

  package mutating func add(_ claim: Claim, at now: Duration) { claims.add(claim, size: 128 + claim.key.utf8.count, at: now) }

  /// Whether an execution has ended.
  func hasEnded(_ id: String) -> Bool { finished.contains { $0.execution.id == id } }

  /// The earliest time of a write that a server connected to at `instant` may lack.
  package func endangered(at instant: Duration) -> Duration {
    let last = [finished.last(before: instant), outcomes.last(before: instant), claims.last(before: instant)].compactMap { $0 }.max()
    return (last ?? instant) - Self.greatestLag
  }

  /// Forgets the writes before an instant.
  package mutating func drop(before instant: Duration) {
    finished.drop(before: instant)
    outcomes.drop(before: instant)
    claims.drop(before: instant)
  }
}

/// The latest elements, within a bound on their number and size.
package struct Bounded<Element: Sendable>: Sendable {
  private var entries: Deque<(element: Element, size: Int, instant: Duration)> = []
  private var size = 0
  private let capacity: Int

  init(capacity: Int) {
    self.capacity = capacity
  }

  /// The elements with the instants of their addition, oldest first.
  package var elements: [(element: Element, instant: Duration)] { entries.map { ($0.element, $0.instant) } }

  func contains(where isWanted: (Element) -> Bool) -> Bool { entries.contains { isWanted($0.element) } }

  mutating func add(_ element: Element, size: Int, at now: Duration) {
    entries.append((element, size, now))
    self.size += size
    while entries.count > capacity || self.size > RecentWrites.byteLimit { removeFirst() }
  }

  /// The instant of the last element before `instant`.
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
  /// The approximate size in bytes.
  var approximateSize: Int {
    let values = [execution.input, execution.result, execution.metadata].reduce(0) { $0 + ($1?.approximateSize ?? 0) }
    return 512 + values + (execution.error?.size ?? 0) + tasks.reduce(0) { $0 + $1.size }
  }
}

extension TaskRecord {
  /// The approximate size in bytes.
  var size: Int { 128 + (result?.approximateSize ?? 0) + (error?.size ?? 0) }
}

extension ExecutionFailure {
  fileprivate var size: Int { message.utf8.count + (details?.approximateSize ?? 0) }
}
