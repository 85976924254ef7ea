import Synchronization

/// The metrics of a process, and their exposition for Prometheus.
///
/// ```swift
/// let registry = MetricsRegistry()
/// let jobs = try registry.makeCounter("jobs_total", help: "Jobs that ended, by outcome.", labels: ["outcome"])
/// let succeeded = jobs.withLabels("succeeded")
/// succeeded.increment()
/// let body = registry.render(.text)
/// ```
///
/// Safe on any number of threads. Registering a metric again with the same type and labels returns the same family. Memory is bounded: a
/// metric keeps at most `seriesLimit` series, and `parallax_metrics_dropped_series_total` counts the lookups and samples beyond.
public final class MetricsRegistry: Sendable {
  /// The default limit of the series of one metric.
  public static let defaultSeriesLimit = 1_000
  /// The longest exposed label value, in bytes of UTF-8.
  public static let labelValueLimit = 1_024
  /// Upper bounds for requests and commands: from half a millisecond to ten seconds, in seconds.
  public static let durationBuckets: [Double] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

  private struct State {
    // By name, so that the order of the text does not depend on that of the registrations.
    var families: [any RenderableFamily] = []
    var byName: [String: any RenderableFamily] = [:]
    /// The metric that claims each name of a family or sample.
    var claims: [String: String] = [:]

    mutating func insert(_ family: any RenderableFamily) throws(MetricsError) {
      let descriptor = family.descriptor
      for name in descriptor.claimedNames {
        if let owner = claims[name] {
          throw MetricsError(
            code: .conflict,
            message:
              "The \(descriptor.kind.name(.openMetrics)) \"\(descriptor.name)\" cannot be registered: the name \"\(name)\" belongs to \"\(owner)\"."
          )
        }
      }
      for name in descriptor.claimedNames { claims[name] = descriptor.name }
      byName[descriptor.name] = family
      let place = families.firstIndex { $0.descriptor.name > descriptor.name } ?? families.endIndex
      families.insert(family, at: place)
    }
  }

  private static let droppedSeriesName = "parallax_metrics_dropped_series_total"

  private let seriesLimit: Int
  private let now: @Sendable () -> Duration
  private let state = Mutex(State())
  /// The size of the last text.
  private let lastSize = Atomic<Int>(0)
  /// The counter of lookups and samples beyond the limits; only the render, which has all families, computes its samples.
  private let droppedSeries: CallbackFamily

  /// Creates an empty registry.
  /// - Parameter seriesLimit: The number of series that one metric may have, at least 1; ``defaultSeriesLimit`` by default.
  public convenience init(seriesLimit: Int = MetricsRegistry.defaultSeriesLimit) {
    let origin = ContinuousClock.now
    self.init(seriesLimit: seriesLimit) { origin.duration(to: .now) }
  }

  /// Creates an empty registry whose summaries slide by `now`, the time since any fixed origin.
  package init(seriesLimit: Int = MetricsRegistry.defaultSeriesLimit, now: @escaping @Sendable () -> Duration) {
    precondition(seriesLimit >= 1, "A metric needs room for one series; the limit is \(seriesLimit).")
    self.seriesLimit = seriesLimit
    self.now = now
    let descriptor = try? FamilyDescriptor(
      name: Self.droppedSeriesName, help: "Lookups or samples beyond a metric's limit of series.", kind: .counter, labels: ["metric"])
    guard let descriptor else { preconditionFailure("the name \(Self.droppedSeriesName) is not that of a counter") }
    droppedSeries = CallbackFamily(descriptor, seriesLimit: seriesLimit) { [] }
    state.withLock { try? $0.insert(droppedSeries) }
  }

  /// Registers a counter, or returns the registered one.
  /// - Parameters:
  ///   - name: The metric's name, which must end in `_total`.
  ///   - help: One sentence about the counted events.
  ///   - labels: The names of its labels; none by default.
  /// - Returns: The family, which creates its series.
  /// - Throws: ``MetricsError`` if a name is invalid or the name belongs to another metric.
  public func makeCounter(_ name: String, help: String, labels: [String] = []) throws(MetricsError) -> MetricFamily<CounterSeries> {
    let descriptor = try FamilyDescriptor(name: name, help: help, kind: .counter, labels: labels)
    return try family(descriptor) {
      CounterSeries(name: name, labels: $0)
    } render: {
      $0.render(into: &$1)
    }
  }

  /// Registers a gauge, or returns the registered one.
  /// - Parameters:
  ///   - name: The metric's name, with its unit at the end.
  ///   - help: One sentence about the measured value.
  ///   - labels: The names of its labels; none by default.
  /// - Returns: The family, which creates its series.
  /// - Throws: ``MetricsError`` if a name is invalid or the name belongs to another metric.
  public func makeGauge(_ name: String, help: String, labels: [String] = []) throws(MetricsError) -> MetricFamily<GaugeSeries> {
    let descriptor = try FamilyDescriptor(name: name, help: help, kind: .gauge, labels: labels)
    return try family(descriptor) {
      GaugeSeries(name: name, labels: $0)
    } render: {
      $0.render(into: &$1)
    }
  }

  /// Registers a histogram, or returns the registered one.
  /// - Parameters:
  ///   - name: The metric's name, with its unit at the end.
  ///   - help: One sentence about the observed value.
  ///   - labels: The names of its labels, without `le`; none by default.
  ///   - buckets: The upper bounds of its buckets in ascending order, in the unit of the metric; `+Inf` is added. ``durationBuckets`` by
  ///     default.
  /// - Returns: The family, which creates its series.
  /// - Throws: ``MetricsError`` if a name or the buckets are invalid or the name belongs to another metric.
  public func makeHistogram(
    _ name: String, help: String, labels: [String] = [], buckets: [Double] = MetricsRegistry.durationBuckets
  ) throws(MetricsError) -> MetricFamily<HistogramSeries> {
    let descriptor = try FamilyDescriptor(name: name, help: help, kind: .histogram(bounds: buckets), labels: labels)
    return try family(descriptor) {
      HistogramSeries(name: name, labels: $0, bounds: buckets)
    } render: {
      $0.render(into: &$1)
    }
  }

  /// Registers a summary, or returns the registered one.
  ///
  /// A series takes about 100 kB, and quantiles of several nodes cannot be combined: prefer a histogram where either matters.
  /// - Parameters:
  ///   - name: The metric's name, with its unit at the end.
  ///   - help: One sentence about the observed value.
  ///   - labels: The names of its labels, without `quantile`; none by default.
  ///   - quantiles: The exposed quantiles, each from 0 to 1; 0.5, 0.9 and 0.99 by default.
  ///   - window: How long the quantiles include an observation; at least 1 s, and 60 s by default. Observations leave in steps of a sixth
  ///     of the window.
  /// - Returns: The family, which creates its series.
  /// - Throws: ``MetricsError`` if a name, the quantiles or the window are invalid or the name belongs to another metric.
  public func makeSummary(
    _ name: String, help: String, labels: [String] = [], quantiles: [Double] = [0.5, 0.9, 0.99], window: Duration = .seconds(60)
  ) throws(MetricsError) -> MetricFamily<SummarySeries> {
    let descriptor = try FamilyDescriptor(name: name, help: help, kind: .summary(quantiles: quantiles, window: window), labels: labels)
    return try family(descriptor) { [now] in
      SummarySeries(name: name, labels: $0, quantiles: quantiles, window: window, now: now)
    } render: {
      $0.render(into: &$1)
    }
  }

  /// Registers a gauge whose series are computed at each scrape.
  /// - Parameters:
  ///   - name: The metric's name, with its unit at the end.
  ///   - help: One sentence about the measured value.
  ///   - labels: The names of its labels; none by default.
  ///   - collect: Returns the current samples, quickly and without blocking. Without samples the metric is missing from the scrape; samples
  ///     with a wrong number of label values, or with the labels of an earlier sample, are dropped.
  /// - Throws: ``MetricsError`` if a name is invalid or already registered.
  public func registerGauge(
    _ name: String, help: String, labels: [String] = [], collect: @escaping @Sendable () -> [MetricSample]
  ) throws(MetricsError) {
    try callback(FamilyDescriptor(name: name, help: help, kind: .gauge, labels: labels), collect)
  }

  /// Registers a counter whose series are computed at each scrape.
  /// - Parameters:
  ///   - name: The metric's name, which must end in `_total`.
  ///   - help: One sentence about the counted events.
  ///   - labels: The names of its labels; none by default.
  ///   - collect: Returns the current samples, as for a gauge; the values must not fall while the process lives.
  /// - Throws: ``MetricsError`` if a name is invalid or already registered.
  public func registerCounter(
    _ name: String, help: String, labels: [String] = [], collect: @escaping @Sendable () -> [MetricSample]
  ) throws(MetricsError) {
    try callback(FamilyDescriptor(name: name, help: help, kind: .counter, labels: labels), collect)
  }

  /// Registers facts that do not change, such as a version: a sample that is always 1, with the facts as labels.
  /// - Parameters:
  ///   - name: The metric's name, which must end in `_info`.
  ///   - help: One sentence about the facts.
  ///   - facts: The names and values of its labels.
  /// - Throws: ``MetricsError`` if a name is invalid or already registered.
  public func registerInfo(_ name: String, help: String, facts: KeyValuePairs<String, String>) throws(MetricsError) {
    let sample = MetricSample(1, labelValues: facts.map(\.value))
    try callback(FamilyDescriptor(name: name, help: help, kind: .info, labels: facts.map(\.key))) { [sample] }
  }

  /// All registered metrics by name, also those without a series yet.
  public var descriptions: [MetricDescription] {
    state.withLock { $0.families }.map { MetricDescription($0.descriptor) }
  }

  /// The text of all metrics.
  /// - Parameter format: The format; ``ExpositionFormat/init(accept:)`` chooses it for a request, and the response needs its `contentType`.
  /// - Returns: The text in UTF-8.
  public func render(_ format: ExpositionFormat) -> [UInt8] {
    let families = state.withLock { $0.families }
    var writer = ExpositionWriter(format, expectedSize: lastSize.load(ordering: .relaxed))
    for family in families {
      if family.descriptor.name == Self.droppedSeriesName {
        droppedSeries.render(Self.droppedSeries(of: families), into: &writer)
      } else {
        family.render(into: &writer)
      }
    }
    let text = writer.finish()
    lastSize.store(text.count, ordering: .relaxed)
    return text
  }

  private func family<Series>(
    _ descriptor: FamilyDescriptor, make: @escaping @Sendable (LabelBytes) -> Series,
    render: @escaping @Sendable (Series, inout ExpositionWriter) -> Void
  ) throws(MetricsError) -> MetricFamily<Series> {
    try state.withLock { state throws(MetricsError) in
      if let existing = state.byName[descriptor.name] as? MetricFamily<Series> {
        guard existing.descriptor.kind == descriptor.kind, existing.descriptor.labels == descriptor.labels else {
          throw MetricsError(
            code: .conflict,
            message:
              "\"\(descriptor.name)\" is registered with labels \(existing.descriptor.labels) and cannot have \(descriptor.labels) or other buckets or quantiles."
          )
        }
        return existing
      }
      let family = MetricFamily(descriptor, seriesLimit: seriesLimit, make: make, render: render)
      try state.insert(family)
      return family
    }
  }

  private func callback(_ descriptor: FamilyDescriptor, _ collect: @escaping @Sendable () -> [MetricSample]) throws(MetricsError) {
    let family = CallbackFamily(descriptor, seriesLimit: seriesLimit, collect: collect)
    try state.withLock { state throws(MetricsError) in try state.insert(family) }
  }

  private static func droppedSeries(of families: [any RenderableFamily]) -> [MetricSample] {
    families.compactMap { family in
      let dropped = family.droppedSeries
      return dropped == 0 ? nil : MetricSample(Double(dropped), labelValues: [family.descriptor.name])
    }
  }
}
