/// One gauge: a number that rises and falls.
///
/// Safe on any number of threads.
public final class GaugeSeries: Sendable {
  private let line: [UInt8]
  private let cell = AtomicDouble()

  init(name: String, labels: LabelBytes) {
    line = labels.line(name)
  }

  /// Replaces the value.
  /// - Parameter value: The new value; NaN and infinities are exposed unchanged.
  public func set(_ value: Double) {
    cell.store(value)
  }

  /// Adds to the value.
  /// - Parameter amount: The amount; 1 by default.
  public func increment(by amount: Double = 1) {
    cell.add(amount)
  }

  /// Subtracts from the value.
  /// - Parameter amount: The amount; 1 by default.
  public func decrement(by amount: Double = 1) {
    cell.add(-amount)
  }

  /// The current value; initially 0.
  public var value: Double { cell.value }

  func render(into writer: inout ExpositionWriter) {
    writer.sample(line, cell.value)
  }
}
