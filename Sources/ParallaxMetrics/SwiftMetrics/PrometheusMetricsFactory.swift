public import CoreMetrics
import Synchronization

/// Connects libraries that report through swift-metrics to a ``MetricsRegistry``.
///
/// | swift-metrics | Prometheus |
/// |---|---|
/// | `Counter`, `FloatingPointCounter` | counter, `_total` |
/// | `Meter`, `Gauge` (a `Recorder` that does not aggregate) | gauge |
/// | `Recorder` | histogram, or summary if listed |
/// | `Timer` | histogram in seconds, `_seconds`, or summary if listed |
///
/// A label in snake case with the right suffix is unchanged. Other labels and dimension names are converted to the form that Prometheus
/// requires: `.` and `-` become `_`, `requestCount` becomes `request_count`, a time unit at the end of a timer's label becomes `_seconds`.
/// Destroying the last handler of a series removes the series.
///
/// A label that cannot be registered, because it has other dimension names or another type than before, is not recorded; `onRefusal` is
/// called once per name.
public struct PrometheusMetricsFactory: MetricsFactory {
  /// The conversion of labels to metrics.
  public struct Configuration: Sendable {
    /// The help texts by the metric's final name; others get a text with the label.
    public var help: [String: String] = [:]
    /// The final names of timers and recorders that become summaries instead of histograms.
    ///
    /// Their quantiles are 0.5, 0.9 and 0.99. None by default.
    public var summaries: Set<String> = []
    /// The buckets of single timers and recorders by the metric's final name; none by default.
    public var buckets: [String: [Double]] = [:]
    /// The buckets of all other timers, in seconds; ``MetricsRegistry/durationBuckets`` by default.
    public var timerBuckets = MetricsRegistry.durationBuckets
    /// The buckets of all other recorders; by default the powers of ten from 1 to a million, and twice and five times each.
    public var recorderBuckets: [Double] = [
      1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    ]

    /// Creates the defaults.
    public init() {}
  }

  private let registry: MetricsRegistry
  private let configuration: Configuration
  private let refusals: Refusals

  /// Creates a factory for `MetricsSystem.bootstrap`.
  /// - Parameters:
  ///   - registry: The registry of the metrics.
  ///   - configuration: The conversion of labels to metrics.
  ///   - onRefusal: Called with the reason when a label cannot be registered, at most once per name, on any thread; no call by default.
  public init(
    _ registry: MetricsRegistry, configuration: Configuration = Configuration(),
    onRefusal: @escaping @Sendable (MetricsError) -> Void = { _ in }
  ) {
    self.registry = registry
    self.configuration = configuration
    refusals = Refusals(report: onRefusal)
  }

  /// A handler that counts in `label` + `_total`.
  public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    counter(label, dimensions) ?? NOOPMetricsHandler.instance
  }

  /// A handler that counts in `label` + `_total`, together with the `Counter` of that label if there is one.
  public func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
    counter(label, dimensions) ?? NOOPMetricsHandler.instance
  }

  /// A handler that sets a gauge.
  public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    gauge(label, dimensions) ?? NOOPMetricsHandler.instance
  }

  /// A handler that observes in a histogram or summary, or sets a gauge without aggregation.
  public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
    guard aggregate else { return gauge(label, dimensions) ?? NOOPMetricsHandler.instance }
    return distribution(name: MetricName.sanitized(label), label, dimensions, buckets: configuration.recorderBuckets)
      ?? NOOPMetricsHandler.instance
  }

  /// A handler that observes seconds in a histogram or summary.
  public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    let name = MetricName.sanitized(label, dropping: Self.timeUnits) + "_seconds"
    return distribution(name: name, label, dimensions, buckets: configuration.timerBuckets) ?? NOOPMetricsHandler.instance
  }

  /// Removes the counter's series if this was its last handler.
  public func destroyCounter(_ handler: any CounterHandler) { (handler as? any SeriesHandler)?.release() }
  /// Removes the counter's series if this was its last handler.
  public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { (handler as? any SeriesHandler)?.release() }
  /// Removes the gauge's series if this was its last handler.
  public func destroyMeter(_ handler: any MeterHandler) { (handler as? any SeriesHandler)?.release() }
  /// Removes the recorder's series if this was its last handler.
  public func destroyRecorder(_ handler: any RecorderHandler) { (handler as? any SeriesHandler)?.release() }
  /// Removes the timer's series if this was its last handler.
  public func destroyTimer(_ handler: any TimerHandler) { (handler as? any SeriesHandler)?.release() }

  private static let timeUnits = ["_seconds", "_milliseconds", "_microseconds", "_nanoseconds", "_ms", "_us", "_ns"]

  private func counter(_ label: String, _ dimensions: [(String, String)]) -> CounterAdapter? {
    let name = MetricName.sanitized(label) + MetricName.counterSuffix
    return register(name, label, dimensions) { help, labels throws(MetricsError) in
      CounterAdapter(try registry.makeCounter(name, help: help, labels: labels.names), labels)
    }
  }

  private func gauge(_ label: String, _ dimensions: [(String, String)]) -> GaugeAdapter? {
    let name = MetricName.sanitized(label)
    return register(name, label, dimensions) { help, labels throws(MetricsError) in
      GaugeAdapter(try registry.makeGauge(name, help: help, labels: labels.names), labels)
    }
  }

  private func distribution(
    name: String, _ label: String, _ dimensions: [(String, String)], buckets: [Double]
  ) -> DistributionAdapter? {
    register(name, label, dimensions) { help, labels throws(MetricsError) in
      if configuration.summaries.contains(name) {
        DistributionAdapter(try registry.makeSummary(name, help: help, labels: labels.names), labels)
      } else {
        DistributionAdapter(
          try registry.makeHistogram(name, help: help, labels: labels.names, buckets: configuration.buckets[name] ?? buckets), labels)
      }
    }
  }

  private func register<Handler>(
    _ name: String, _ label: String, _ dimensions: [(String, String)],
    _ make: (_ help: String, _ labels: LabelPairs) throws(MetricsError) -> Handler
  ) -> Handler? {
    do {
      return try make(configuration.help[name] ?? "Reported through swift-metrics as \(label).", LabelPairs(dimensions))
    } catch {
      refusals.tell(error, name: name)
      return nil
    }
  }
}

/// Dimensions as labels: valid unique names in a fixed order, since swift-metrics gives their order no meaning.
struct LabelPairs {
  let names: [String]
  let values: [String]

  init(_ dimensions: [(String, String)]) {
    var pairs: [String: String] = [:]
    for (name, value) in dimensions { pairs[LabelName.sanitized(name)] = value }
    let sorted = pairs.sorted { $0.key < $1.key }
    names = sorted.map(\.key)
    values = sorted.map(\.value)
  }
}

/// Reports the refusal of each name once, and remembers a bounded number of names.
private final class Refusals: Sendable {
  private static let limit = 1_000

  private let report: @Sendable (MetricsError) -> Void
  private let reported = Mutex<Set<String>>([])

  init(report: @escaping @Sendable (MetricsError) -> Void) {
    self.report = report
  }

  func tell(_ error: MetricsError, name: String) {
    let isNew = reported.withLock { $0.count < Self.limit && $0.insert(name).inserted }
    if isNew { report(error) }
  }
}
