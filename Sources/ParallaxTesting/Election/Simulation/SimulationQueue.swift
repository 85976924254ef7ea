/// The planned events by time, then in the order of planning: a binary heap.
package struct SimulationQueue<Event> {
  package struct Entry {
    package var time: Int64
    var order: UInt64
    package var event: Event

    func isBefore(_ other: Entry) -> Bool { time != other.time ? time < other.time : order < other.order }
  }

  private var entries: [Entry] = []
  private var lastOrder: UInt64 = 0

  package init() {}

  package mutating func add(_ event: Event, at time: Int64) {
    lastOrder += 1
    entries.append(Entry(time: time, order: lastOrder, event: event))
    var child = entries.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard entries[child].isBefore(entries[parent]) else { break }
      entries.swapAt(child, parent)
      child = parent
    }
  }

  /// Takes the next event, unless it is after the end.
  package mutating func next(until end: Int64) -> Entry? {
    guard let first = entries.first, first.time <= end else { return nil }
    let last = entries.removeLast()
    guard !entries.isEmpty else { return first }
    entries[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count && entries[child].isBefore(entries[least]) { least = child }
      if least == parent { return first }
      entries.swapAt(parent, least)
      parent = least
    }
  }
}
