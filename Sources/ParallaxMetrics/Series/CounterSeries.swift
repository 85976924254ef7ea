import Synchronization

/// One counter: a number that only grows while the process lives.
///
/// Safe on any number of threads; an increment is one atomic addition. Keep the series for frequent use instead of looking it up each time.
public final class CounterSeries: Sendable {
  private let line: [UInt8]
  // Whole increments, which are the rule, need no compare-and-exchange loop.
  private let whole = Atomic<UInt64>(0)
  private let fraction = AtomicDouble()

  init(name: String, labels: LabelBytes) {
    line = labels.line(name)
  }

  /// Adds a whole number.
  /// - Parameter amount: The amount; 1 by default.
  public func increment(by amount: UInt64 = 1) {
    whole.wrappingAdd(amount, ordering: .relaxed)
  }

  /// Adds a number that may have a fraction.
  /// - Parameter amount: The amount; NaN, infinities and numbers that are not positive are ignored, because a counter cannot fall.
  public func add(_ amount: Double) {
    guard amount > 0, amount.isFinite else { return }
    fraction.add(amount)
  }

  /// The sum of all increments.
  public var value: Double { Double(whole.load(ordering: .relaxed)) + fraction.value }

  func reset() {
    whole.store(0, ordering: .relaxed)
    fraction.store(0)
  }

  func render(into writer: inout ExpositionWriter) {
    let fraction = fraction.value
    let whole = whole.load(ordering: .relaxed)
    if fraction == 0 {
      writer.sample(line, whole)
    } else {
      writer.sample(line, Double(whole) + fraction)
    }
  }
}
