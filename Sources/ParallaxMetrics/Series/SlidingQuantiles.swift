import Synchronization

/// Quantiles of the observations within a sliding window, in constant memory and without a lock.
///
/// A ring of log-linear histograms, each for one slice of time, with 32 buckets per power of two. A quantile is within 1.6 % of an observed
/// value, from about a nanosecond to centuries if the unit is the second. Observations made while a slice is cleared for reuse may be lost;
/// with slices of seconds their number is negligible.
struct SlidingQuantiles: ~Copyable, Sendable {
  private static let sliceCount = 6

  private let sliceLength: Duration
  private let slices: [Slice]

  init(window: Duration) {
    sliceLength = window / Self.sliceCount
    slices = (0..<Self.sliceCount).map { _ in Slice() }
  }

  /// Counts `value` in the slice of `now`, the time since any fixed origin.
  func observe(_ value: Double, now: Duration) {
    let number = sliceNumber(now)
    slices[number % Self.sliceCount].observe(value, number: number)
  }

  /// The quantiles in the given order; NaN for all if the window has no observation.
  func values(_ quantiles: [Double], now: Duration) -> [Double] {
    let current = sliceNumber(now)
    let live = slices.filter { $0.belongs(to: (current - Self.sliceCount + 1)...current) }
    let counts = (0..<LogLinearScale.bucketCount).map { bucket in live.reduce(UInt64(0)) { $0 + $1.load(bucket) } }
    let total = counts.reduce(0, +)
    return quantiles.map { quantile in
      guard total > 0 else { return .nan }
      let rank = max(1, UInt64((quantile * Double(total)).rounded(.up)))
      var seen: UInt64 = 0
      let bucket = counts.firstIndex { count in
        seen += count
        return seen >= rank
      }
      return LogLinearScale.middle(of: bucket ?? LogLinearScale.bucketCount - 1)
    }
  }

  private func sliceNumber(_ now: Duration) -> Int {
    max(0, Int(now / sliceLength))
  }
}

/// The observations of one slice of time.
private final class Slice: Sendable {
  private static let unused = -1

  private let number = Atomic<Int>(Slice.unused)
  private let cells = AtomicCells(count: LogLinearScale.bucketCount)

  func observe(_ value: Double, number current: Int) {
    let last = number.load(ordering: .acquiring)
    // A slower thread with an older number must not clear a slice that is in use again.
    if last < current, number.compareExchange(expected: last, desired: current, ordering: .acquiringAndReleasing).exchanged,
      last != Self.unused
    {
      cells.clear()
    }
    cells.increment(LogLinearScale.bucket(of: value))
  }

  func belongs(to numbers: ClosedRange<Int>) -> Bool {
    let number = number.load(ordering: .acquiring)
    return number != Self.unused && numbers.contains(number)
  }

  func load(_ bucket: Int) -> UInt64 { cells.load(bucket) }
}

/// Buckets whose width grows with the value: the exponent and the first bits of the significand of a Double.
enum LogLinearScale {
  private static let significandBits = 5
  private static let exponents = -30...33
  private static let shift = UInt64(Double.significandBitCount - significandBits)
  private static let first = scalbn(exponent: exponents.lowerBound).bitPattern >> shift

  /// One bucket below the scale, and those of the scale, the last of which also takes all greater values.
  static let bucketCount = 1 + exponents.count << significandBits

  static func bucket(of value: Double) -> Int {
    guard value > 0 else { return 0 }
    let position = value.bitPattern >> shift
    guard position >= first else { return 0 }
    return min(1 + Int(position - first), bucketCount - 1)
  }

  static func middle(of bucket: Int) -> Double {
    guard bucket > 0 else { return 0 }
    let position = first + UInt64(bucket - 1)
    return (Double(bitPattern: position << shift) + Double(bitPattern: (position + 1) << shift)) / 2
  }

  private static func scalbn(exponent: Int) -> Double { Double(sign: .plus, exponent: exponent, significand: 1) }
}
