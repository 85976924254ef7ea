import HeapModule
package import ParallaxAPI

/// Executions that wait for agents, by priority, then by age.
///
/// Entries are not removed but outdated: whoever takes one asks whether it still waits.
package struct WaitingQueue: Sendable {
  /// What an execution waits for.
  package enum Need: Sendable, Hashable {
    /// The agents for all its slots.
    case start
    /// Another agent for one slot.
    case slot(Int)
  }

  /// A place in the queue.
  package struct Entry: Comparable, Sendable {
    package var executionID: String
    package var need: Need
    private var rank: Int
    private var order: UInt64

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

  private var heap = Heap<Entry>()
  private var order: UInt64 = 0

  package init() {}

  package var isEmpty: Bool { heap.isEmpty }

  package mutating func add(_ executionID: String, need: Need, priority: ExecutionPriority) {
    order += 1
    heap.insert(Entry(executionID: executionID, need: need, priority: priority, order: order))
  }

  package mutating func pop() -> Entry? { heap.popMin() }

  /// Puts entries back at the places that they had.
  package mutating func putBack(_ entries: [Entry]) { heap.insert(contentsOf: entries) }
}
