import HeapModule
package import ParallaxAPI

/// The executions that wait for agents, by priority, then by age.
///
/// Executions that need equally many agents at once form one line: if its first entry cannot be served, no later one can, so the whole line
/// is skipped. Entries are outdated rather than removed: a consumer checks whether an entry still waits.
package struct WaitingQueue: Sendable {
  /// The agents that an execution waits for.
  package enum Need: Sendable, Hashable {
    /// At least this number of agents, for all slots.
    case start(agents: Int)
    /// Another agent for one slot.
    case slot(Int)
  }

  /// A line of the queue.
  package enum Line: Hashable, Sendable {
    case start(agents: Int)
    case retries
  }

  /// A place in the queue.
  package struct Entry: Comparable, Sendable {
    package var executionID: String
    package var need: Need
    private var rank: Int
    private var order: UInt64

    package var line: Line {
      switch need {
      case .start(let agents): .start(agents: agents)
      case .slot: .retries
      }
    }

    fileprivate init(executionID: String, need: Need, priority: ExecutionPriority, order: UInt64) {
      self.executionID = executionID
      self.need = need
      self.order = order
      rank =
        switch priority {
        case .high: 0
        case .normal: 1
        case .low: 2
        }
    }

    package static func < (left: Entry, right: Entry) -> Bool { (left.rank, left.order) < (right.rank, right.order) }
  }

  private var lines: [Line: Heap<Entry>] = [:]
  private var compactAbove = 1_024

  package init() {}

  package var isEmpty: Bool { lines.isEmpty }
  package var count: Int { lines.values.reduce(0) { $0 + $1.count } }

  /// The next entry; nil if the queue is empty.
  package var first: Entry? { lines.values.compactMap(\.min).min() }

  /// Adds an execution; `order` rises with each entry of any queue, so that the first entries of queues are comparable.
  package mutating func add(_ executionID: String, need: Need, priority: ExecutionPriority, order: UInt64) {
    let entry = Entry(executionID: executionID, need: need, priority: priority, order: order)
    lines[entry.line, default: Heap()].insert(entry)
  }

  /// Removes and returns the first entry outside the skipped lines.
  package mutating func pop(skipping skipped: Set<Line>) -> Entry? {
    let next = lines.filter { !skipped.contains($0.key) }.values.compactMap(\.min).min()
    guard let line = next?.line else { return nil }
    let entry = lines[line]?.popMin()
    if lines[line]?.isEmpty ?? false { lines[line] = nil }
    return entry
  }

  /// Returns entries to their former places.
  package mutating func putBack(_ entries: [Entry]) {
    for entry in entries { lines[entry.line, default: Heap()].insert(entry) }
  }

  /// Drops entries that no longer wait, once there are twice as many as the last drop left.
  package mutating func compact(keeping waits: (Entry) -> Bool) {
    guard count > compactAbove else { return }
    lines = lines.mapValues { Heap($0.unordered.filter(waits)) }.filter { !$0.value.isEmpty }
    compactAbove = max(1_024, 2 * count)
  }
}
