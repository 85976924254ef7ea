import CoreMetrics

/// A handler that releases its series.
protocol SeriesHandler {
  func release()
}

/// A series looked up for a handler.
struct HeldSeries<Series: AnyObject & Sendable>: Sendable {
  let series: Series
  private let family: MetricFamily<Series>
  private let labelValues: [String]

  init(_ family: MetricFamily<Series>, _ labels: LabelPairs) {
    self.family = family
    labelValues = labels.values
    series = family.lookUp(labels.values)
  }

  func release() {
    family.release(series, labelValues)
  }
}

final class CounterAdapter: CounterHandler, FloatingPointCounterHandler, SeriesHandler {
  private let held: HeldSeries<CounterSeries>

  init(_ family: MetricFamily<CounterSeries>, _ labels: LabelPairs) {
    held = HeldSeries(family, labels)
  }

  func increment(by amount: Int64) {
    if amount > 0 { held.series.increment(by: UInt64(amount)) }
  }

  func increment(by amount: Double) { held.series.add(amount) }
  func reset() { held.series.reset() }
  func release() { held.release() }
}

final class GaugeAdapter: MeterHandler, RecorderHandler, SeriesHandler {
  private let held: HeldSeries<GaugeSeries>

  init(_ family: MetricFamily<GaugeSeries>, _ labels: LabelPairs) {
    held = HeldSeries(family, labels)
  }

  func set(_ value: Int64) { held.series.set(Double(value)) }
  func set(_ value: Double) { held.series.set(value) }
  func increment(by amount: Double) { held.series.increment(by: amount) }
  func decrement(by amount: Double) { held.series.decrement(by: amount) }
  func record(_ value: Int64) { held.series.set(Double(value)) }
  func record(_ value: Double) { held.series.set(value) }
  func release() { held.release() }
}

/// A recorder or a timer with a histogram or a summary.
final class DistributionAdapter: RecorderHandler, TimerHandler, SeriesHandler {
  private enum Target {
    case histogram(HeldSeries<HistogramSeries>)
    case summary(HeldSeries<SummarySeries>)
  }

  private let target: Target

  init(_ family: MetricFamily<HistogramSeries>, _ labels: LabelPairs) {
    target = .histogram(HeldSeries(family, labels))
  }

  init(_ family: MetricFamily<SummarySeries>, _ labels: LabelPairs) {
    target = .summary(HeldSeries(family, labels))
  }

  func record(_ value: Double) {
    switch target {
    case .histogram(let held): held.series.observe(value)
    case .summary(let held): held.series.observe(value)
    }
  }

  func record(_ value: Int64) { record(Double(value)) }
  func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

  func release() {
    switch target {
    case .histogram(let held): held.release()
    case .summary(let held): held.release()
    }
  }
}
