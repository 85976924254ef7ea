import Synchronization

/// One summary: the quantiles of the observations within a sliding window, and the sum and number of all observations.
///
/// Safe on any number of threads. A quantile is within 1.6 % of an observed value; observations that are not positive count as 0. It is NaN
/// while the window is empty.
public final class SummarySeries: Sendable {
  private let quantiles: [Double]
  private let recent: SlidingQuantiles
  private let now: @Sendable () -> Duration
  private let count = Atomic<UInt64>(0)
  private let total = AtomicDouble()
  private let quantileLines: [[UInt8]]
  private let sumLine: [UInt8]
  private let countLine: [UInt8]

  init(name: String, labels: LabelBytes, quantiles: [Double], window: Duration, now: @escaping @Sendable () -> Duration) {
    self.quantiles = quantiles
    self.now = now
    recent = SlidingQuantiles(window: window)
    quantileLines = quantiles.map { labels.line(name, "quantile", NumberText.of($0)) }
    sumLine = labels.line(name + "_sum")
    countLine = labels.line(name + "_count")
  }

  /// Counts one observation.
  /// - Parameter value: The observed value in the metric's base unit (seconds for durations); NaN is ignored, because it would make the sum
  ///   NaN forever.
  public func observe(_ value: Double) {
    guard !value.isNaN else { return }
    recent.observe(value, now: now())
    total.add(value)
    count.wrappingAdd(1, ordering: .relaxed)
  }

  /// Counts one observation of a duration, in seconds.
  /// - Parameter duration: The observed duration.
  public func observe(_ duration: Duration) {
    observe(duration.inSeconds)
  }

  func render(into writer: inout ExpositionWriter) {
    for (line, value) in zip(quantileLines, recent.values(quantiles, now: now())) {
      writer.sample(line, value)
    }
    writer.sample(sumLine, total.value)
    writer.sample(countLine, count.load(ordering: .relaxed))
  }
}
