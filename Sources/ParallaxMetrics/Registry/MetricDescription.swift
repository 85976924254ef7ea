/// What a metric is, apart from its values.
public struct MetricDescription: Sendable, Hashable {
  /// The name of its family; a counter's ends in `_total`.
  public var name: String
  /// `counter`, `gauge`, `histogram` or `summary`; facts are gauges, as in the text format.
  public var type: String
  /// The names of its labels, without those that its type adds.
  public var labels: [String]
  /// One sentence about what it measures.
  public var help: String

  /// Makes a description.
  /// - Parameters:
  ///   - name: The name of the family.
  ///   - type: `counter`, `gauge`, `histogram` or `summary`.
  ///   - labels: The names of its labels, without those that its type adds; none by default.
  ///   - help: One sentence about what it measures.
  public init(name: String, type: String, labels: [String] = [], help: String) {
    self.name = name
    self.type = type
    self.labels = labels
    self.help = help
  }
}

extension MetricDescription {
  init(_ descriptor: FamilyDescriptor) {
    self.init(name: descriptor.name, type: descriptor.kind.name(.text), labels: descriptor.labels, help: descriptor.help)
  }
}
