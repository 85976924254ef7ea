import Synchronization

/// What the registry asks of every family at a scrape.
protocol RenderableFamily: Sendable {
  var descriptor: FamilyDescriptor { get }
  /// How often a series was asked for or offered that the family had no room for.
  var droppedSeries: UInt64 { get }
  func render(into writer: inout ExpositionWriter)
}

/// All series of one metric: one for each combination of label values.
///
/// A ``MetricsRegistry`` makes families. A family without labels has its one series from the start, so that it is exposed as 0 before
/// anything happened.
public final class MetricFamily<Series: AnyObject & Sendable>: RenderableFamily {
  private struct Entry {
    let series: Series
    /// Lookups that were not given back.
    var holders = 0
  }

  private struct State {
    var entries: [[String]: Entry] = [:]
    // In the order of their creation, so that the lines of two scrapes can be compared.
    var series: [Series] = []
    // Shared by all callers beyond the limit, and never exposed.
    var overflow: Series?

    mutating func insert(_ series: Series, _ values: [String]) {
      entries[values] = Entry(series: series)
      self.series.append(series)
    }

    mutating func remove(_ values: [String]) {
      guard let entry = entries.removeValue(forKey: values) else { return }
      series.removeAll { $0 === entry.series }
    }
  }

  let descriptor: FamilyDescriptor
  private let head: [ExpositionFormat: [UInt8]]
  private let seriesLimit: Int
  private let make: @Sendable (LabelBytes) -> Series
  private let renderSeries: @Sendable (Series, inout ExpositionWriter) -> Void
  private let state = Mutex(State())
  private let dropped = Atomic<UInt64>(0)

  init(
    _ descriptor: FamilyDescriptor, seriesLimit: Int, make: @escaping @Sendable (LabelBytes) -> Series,
    render: @escaping @Sendable (Series, inout ExpositionWriter) -> Void
  ) {
    self.descriptor = descriptor
    self.seriesLimit = seriesLimit
    self.make = make
    renderSeries = render
    head = [.text: descriptor.head(.text), .openMetrics: descriptor.head(.openMetrics)]
    if descriptor.labels.isEmpty {
      state.withLock { $0.insert(make(LabelBytes(names: [], values: [])), []) }
    }
  }

  /// The series with these label values; it is created when it is first asked for.
  ///
  /// This hashes strings and takes a lock: where something is counted often, keep the series.
  /// - Parameter values: One value for each label of the metric, in the order in which the labels were registered; another number of values
  ///   is a programming error and traps.
  /// - Returns: The series. When the registry's limit of series for one metric is reached, or a value is longer than
  ///   ``MetricsRegistry/labelValueLimit``, a series that can be used as any other but is not exposed;
  ///   `parallax_metrics_dropped_series_total` counts how often that happened.
  public func withLabels(_ values: String...) -> Series {
    lookUp(values)
  }

  /// Stops exposing the series with these label values; a later lookup makes a new one.
  /// - Parameter values: One value for each label, as for ``withLabels(_:)``. Nothing happens if there is no such series.
  public func remove(_ values: String...) {
    state.withLock { $0.remove(values) }
  }

  func lookUp(_ values: [String]) -> Series {
    precondition(
      values.count == descriptor.labels.count,
      "\(descriptor.name) has the labels \(descriptor.labels), but was given \(values.count) values.")
    return state.withLock { state in
      if let entry = state.entries[values] {
        state.entries[values]?.holders += 1
        return entry.series
      }
      guard state.entries.count < seriesLimit, values.allSatisfy({ $0.utf8.count <= MetricsRegistry.labelValueLimit }) else {
        dropped.wrappingAdd(1, ordering: .relaxed)
        let overflow = state.overflow ?? make(LabelBytes(names: [], values: []))
        state.overflow = overflow
        return overflow
      }
      let series = make(LabelBytes(names: descriptor.labels, values: values))
      state.insert(series, values)
      state.entries[values]?.holders = 1
      return series
    }
  }

  /// Gives back one lookup of `series`; with the last one the series is removed.
  func release(_ series: Series, _ values: [String]) {
    state.withLock { state in
      guard let entry = state.entries[values], entry.series === series else { return }
      if entry.holders > 1 {
        state.entries[values]?.holders -= 1
      } else {
        state.remove(values)
      }
    }
  }

  var droppedSeries: UInt64 { dropped.load(ordering: .relaxed) }

  func render(into writer: inout ExpositionWriter) {
    let series = state.withLock { $0.series }
    guard !series.isEmpty else { return }
    writer.write(head[writer.format] ?? [])
    for one in series { renderSeries(one, &writer) }
  }
}
