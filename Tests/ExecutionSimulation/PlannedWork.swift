/// The planned work of a simulation by time, then in the order of planning: a binary heap.
struct PlannedWork {
  struct Entry {
    var time: Int64
    var order: UInt64
    var work: () -> Void

    func isBefore(_ other: Entry) -> Bool { time != other.time ? time < other.time : order < other.order }
  }

  private var entries: [Entry] = []
  private var lastOrder: UInt64 = 0

  mutating func add(at time: Int64, _ work: @escaping () -> Void) {
    lastOrder += 1
    entries.append(Entry(time: time, order: lastOrder, work: work))
    var child = entries.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard entries[child].isBefore(entries[parent]) else { break }
      entries.swapAt(child, parent)
      child = parent
    }
  }

  /// Takes the next piece of work, unless it lies after the end.
  mutating func next(until end: Int64) -> Entry? {
    guard let first = entries.first, first.time <= end else { return nil }
    let last = entries.removeLast()
    guard !entries.isEmpty else { return first }
    entries[0] = last
    var parent = 0
    while true {
      var least = parent
      let child = 2 * parent + 1
      if child < entries.count, entries[child].isBefore(entries[least]) { least = child }
      if child + 1 < entries.count, entries[child + 1].isBefore(entries[least]) { least = child + 1 }
      if least == parent { return first }
      entries.swapAt(parent, least)
      parent = least
    }
  }
}

/// Times of a simulation are nanoseconds since its begin: `Duration` is twice as wide and several times as slow.
extension Int64 {
  static func seconds(_ seconds: Double) -> Int64 { Int64(seconds * 1e9) }

  var text: String {
    let milliseconds = self / 1_000_000
    let fraction = String(milliseconds % 1_000)
    return "\(milliseconds / 1_000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)"
  }
}

extension Duration {
  var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
