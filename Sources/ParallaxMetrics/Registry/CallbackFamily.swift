import Synchronization

/// A value that a callback reports at a scrape.
public struct MetricSample: Hashable, Sendable {
  /// One value per label of the metric, in the order of registration.
  public let labelValues: [String]
  /// The value in the metric's base unit.
  public let value: Double

  /// Creates a sample.
  /// - Parameters:
  ///   - value: The value in the metric's base unit.
  ///   - labelValues: One value per label of the metric; none, the default, for a metric without labels.
  public init(_ value: Double, labelValues: [String] = []) {
    self.value = value
    self.labelValues = labelValues
  }
}

/// A metric whose series are computed at each scrape.
final class CallbackFamily: RenderableFamily {
  let descriptor: FamilyDescriptor
  private let seriesLimit: Int
  private let collect: @Sendable () -> [MetricSample]
  private let dropped = Atomic<UInt64>(0)

  init(_ descriptor: FamilyDescriptor, seriesLimit: Int, collect: @escaping @Sendable () -> [MetricSample]) {
    self.descriptor = descriptor
    self.seriesLimit = seriesLimit
    self.collect = collect
  }

  var droppedSeries: UInt64 { dropped.load(ordering: .relaxed) }

  func render(into writer: inout ExpositionWriter) {
    render(collect(), into: &writer)
  }

  func render(_ collected: [MetricSample], into writer: inout ExpositionWriter) {
    let samples = accepted(collected)
    guard !samples.isEmpty else { return }
    writer.write(descriptor.head(writer.format))
    for sample in samples {
      writer.sample(LabelBytes(names: descriptor.labels, values: sample.labelValues).line(descriptor.name), sample.value)
    }
  }

  /// The samples that may be exposed: one invalid sample must not make the whole scrape unreadable.
  private func accepted(_ samples: [MetricSample]) -> [MetricSample] {
    var seen: Set<[String]> = []
    let accepted = samples.filter { sample in
      seen.count < seriesLimit
        && sample.labelValues.count == descriptor.labels.count
        && sample.labelValues.allSatisfy { $0.utf8.count <= MetricsRegistry.labelValueLimit }
        && seen.insert(sample.labelValues).inserted
    }
    dropped.wrappingAdd(UInt64(samples.count - accepted.count), ordering: .relaxed)
    return accepted
  }
}
