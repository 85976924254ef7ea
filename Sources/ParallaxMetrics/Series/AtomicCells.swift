import Synchronization

/// A number with additions without a lock.
struct AtomicDouble: ~Copyable, Sendable {
  private let bits: Atomic<UInt64>

  init(_ value: Double = 0) {
    bits = Atomic(value.bitPattern)
  }

  var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

  func store(_ value: Double) {
    bits.store(value.bitPattern, ordering: .relaxed)
  }

  func add(_ amount: Double) {
    var seen = bits.load(ordering: .relaxed)
    while true {
      let (exchanged, original) = bits.weakCompareExchange(
        expected: seen, desired: (Double(bitPattern: seen) + amount).bitPattern, ordering: .relaxed)
      if exchanged { return }
      seen = original
    }
  }
}

/// A fixed number of counters, initially zero.
///
/// Unchecked because a pointer is not Sendable: it is never replaced or shared, and every access to its memory is atomic.
struct AtomicCells: ~Copyable, @unchecked Sendable {
  let count: Int
  private let cells: UnsafeMutablePointer<Atomic<UInt64>>

  init(count: Int) {
    self.count = count
    cells = .allocate(capacity: count)
    for index in 0..<count { (cells + index).initialize(to: Atomic(0)) }
  }

  deinit {
    cells.deinitialize(count: count)
    cells.deallocate()
  }

  func load(_ index: Int) -> UInt64 {
    precondition((0..<count).contains(index))
    return cells[index].load(ordering: .relaxed)
  }

  func increment(_ index: Int) {
    precondition((0..<count).contains(index))
    cells[index].wrappingAdd(1, ordering: .relaxed)
  }

  func clear() {
    for index in 0..<count { cells[index].store(0, ordering: .relaxed) }
  }
}
