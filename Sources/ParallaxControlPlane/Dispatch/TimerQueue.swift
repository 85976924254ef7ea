import HeapModule

/// A queue of timers; the driver arms only the earliest.
///
/// Timers are outdated rather than removed: a consumer checks whether a due timer still matters, and `compact` drops timers that do not,
/// once they may be the majority.
package struct TimerQueue<Kind: Sendable>: Sendable {
  private struct Entry: Comparable, Sendable {
    var instant: Duration
    var order: UInt64
    var kind: Kind

    static func < (left: Entry, right: Entry) -> Bool { (left.instant, left.order) < (right.instant, right.order) }
    static func == (left: Entry, right: Entry) -> Bool { left.order == right.order }
  }

  private var heap = Heap<Entry>()
  private var order: UInt64 = 0
  private var compactAbove = 1_024

  package init() {}

  package var next: Duration? { heap.min?.instant }
  package var count: Int { heap.count }

  package mutating func add(_ kind: Kind, at instant: Duration) {
    order += 1
    heap.insert(Entry(instant: instant, order: order, kind: kind))
  }

  /// Removes and returns the earliest timer that is due.
  package mutating func popDue(at now: Duration) -> Kind? {
    guard let first = heap.min, first.instant <= now else { return nil }
    return heap.popMin()?.kind
  }

  /// Drops timers that no longer matter, once there are twice as many as the last drop left.
  package mutating func compact(keeping matters: (Kind) -> Bool) {
    guard heap.count > compactAbove else { return }
    heap = Heap(heap.unordered.filter { matters($0.kind) })
    compactAbove = max(1_024, 2 * heap.count)
  }
}
