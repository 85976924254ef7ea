/// One gauge: a number that goes up and down.
///
/// Safe to use from any number of threads.
public final class GaugeSeries: Sendable {
  private let line: [UInt8]
  private let cell = AtomicDouble()

  init(name: String, labels: LabelBytes) {
    line = labels.line(name)
  }

  /// Replaces the value.
  /// - Parameter value: The new value; NaN and infinities are exposed as such.
  public func set(_ value: Double) {
    cell.store(value)
  }

  /// Adds to the value.
  /// - Parameter amount: How much to add; 1 if not given.
  public func increment(by amount: Double = 1) {
    cell.add(amount)
  }

  /// Subtracts from the value.
  /// - Parameter amount: How much to subtract; 1 if not given.
  public func decrement(by amount: Double = 1) {
    cell.add(-amount)
  }

  /// The present value; 0 at first.
  public var value: Double { cell.value }

  func render(into writer: inout ExpositionWriter) {
    writer.sample(line, cell.value)
  }
}
