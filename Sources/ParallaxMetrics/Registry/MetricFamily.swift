import Synchronization

/// A family as the registry sees it at a scrape.
protocol RenderableFamily: Sendable {
  var descriptor: FamilyDescriptor { get }
  /// The number of lookups and samples for which the family had no room.
  var droppedSeries: UInt64 { get }
  func render(into writer: inout ExpositionWriter)
}

/// All series of one metric: one per combination of label values.
///
/// A ``MetricsRegistry`` creates families. A family without labels has its only series from the start, so that it is exposed as 0 before
/// the first event.
public final class MetricFamily<Series: AnyObject & Sendable>: RenderableFamily {
  private struct Entry {
    let series: Series
    /// The lookups that have not been released.
    var holders = 0
  }

  private struct State {
    var entries: [[String]: Entry] = [:]
    // In the order of creation, so that the lines of two scrapes can be compared.
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

  /// The series with these label values, created at its first lookup.
  ///
  /// A lookup hashes strings and takes a lock: keep the series for frequent use.
  /// - Parameter values: One value per label of the metric, in the order of registration; a different number of values is a programming
  ///   error and traps.
  /// - Returns: The series. If the metric has reached the registry's limit, or a value is longer than ``MetricsRegistry/labelValueLimit``:
  ///   a series that works but is not exposed; `parallax_metrics_dropped_series_total` counts such lookups.
  public func withLabels(_ values: String...) -> Series {
    lookUp(values)
  }

  /// Stops exposing the series with these label values; a later lookup creates a new one.
  /// - Parameter values: One value per label, as for ``withLabels(_:)``. The call has no effect without such a series.
  public func remove(_ values: String...) {
    state.withLock { $0.remove(values) }
  }

  func lookUp(_ values: [String]) -> Series {
    precondition(
      values.count == descriptor.labels.count,
      "\(descriptor.name) has the labels \(descriptor.labels), but received \(values.count) values.")
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

  /// Releases one lookup of `series`; the last release removes the series.
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
