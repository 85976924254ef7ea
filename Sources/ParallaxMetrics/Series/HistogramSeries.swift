/// One histogram: the number of observations up to each of a few fixed upper bounds.
///
/// Safe on any number of threads. Histograms of several nodes can be added, which summaries cannot.
public final class HistogramSeries: Sendable {
  private let bounds: [Double]
  // Each observation counts in one cell; a scrape computes the running totals of the format.
  private let cells: AtomicCells
  private let total = AtomicDouble()
  private let bucketLines: [[UInt8]]
  private let sumLine: [UInt8]
  private let countLine: [UInt8]

  init(name: String, labels: LabelBytes, bounds: [Double]) {
    self.bounds = bounds
    cells = AtomicCells(count: bounds.count + 1)
    bucketLines = (bounds + [.infinity]).map { labels.line(name + "_bucket", "le", NumberText.of($0)) }
    sumLine = labels.line(name + "_sum")
    countLine = labels.line(name + "_count")
  }

  /// Counts one observation.
  /// - Parameter value: The observed value in the metric's base unit (seconds for durations); NaN is ignored, because it would make the sum
  ///   NaN forever.
  public func observe(_ value: Double) {
    guard !value.isNaN else { return }
    var index = 0
    while index < bounds.count, bounds[index] < value { index += 1 }
    cells.increment(index)
    total.add(value)
  }

  /// Counts one observation of a duration, in seconds.
  /// - Parameter duration: The observed duration.
  public func observe(_ duration: Duration) {
    observe(duration.inSeconds)
  }

  func render(into writer: inout ExpositionWriter) {
    var running: UInt64 = 0
    for (index, line) in bucketLines.enumerated() {
      running &+= cells.load(index)
      writer.sample(line, running)
    }
    writer.sample(sumLine, total.value)
    writer.sample(countLine, running)
  }
}

extension Duration {
  var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
