/// The properties of a family that its registration fixes.
struct FamilyDescriptor: Sendable {
  enum Kind: Hashable, Sendable {
    case counter
    case gauge
    /// Facts as labels of a sample that is always 1.
    case info
    case histogram(bounds: [Double])
    case summary(quantiles: [Double], window: Duration)

    /// The name of the type in an exposition format.
    func name(_ format: ExpositionFormat) -> String {
      switch self {
      case .counter: "counter"
      case .gauge: "gauge"
      // The text format has no such type.
      case .info: format == .openMetrics ? "info" : "gauge"
      case .histogram: "histogram"
      case .summary: "summary"
      }
    }

    /// The label that samples of this type use themselves.
    var ownLabel: String? {
      switch self {
      case .counter, .gauge, .info: nil
      case .histogram: "le"
      case .summary: "quantile"
      }
    }
  }

  let name: String
  let help: String
  let kind: Kind
  let labels: [String]

  init(name: String, help: String, kind: Kind, labels: [String]) throws(MetricsError) {
    self.name = name
    self.help = help
    self.kind = kind
    self.labels = labels
    try validateName()
    try validateShape()
    try validateLabels()
  }

  /// Every name of this family in either format; two families must not share one.
  var claimedNames: [String] {
    switch kind {
    case .counter, .info: [name, openMetricsName]
    case .gauge: [name]
    case .histogram: [name, name + "_bucket", name + "_sum", name + "_count"]
    case .summary: [name, name + "_sum", name + "_count"]
    }
  }

  /// OpenMetrics names a family of counters or facts without the suffix that its samples have.
  var openMetricsName: String {
    switch kind {
    case .counter: String(name.dropLast(MetricName.counterSuffix.count))
    case .info: String(name.dropLast(MetricName.infoSuffix.count))
    case .gauge, .histogram, .summary: name
    }
  }

  /// The `# HELP` and `# TYPE` lines.
  func head(_ format: ExpositionFormat) -> [UInt8] {
    let family = format == .openMetrics ? openMetricsName : name
    return Array("# HELP \(family) \(Escaping.help(help, format))\n# TYPE \(family) \(kind.name(format))\n".utf8)
  }

  private func validateName() throws(MetricsError) {
    guard MetricName.isValid(name) else {
      throw MetricsError(
        code: .invalidMetric,
        message: "\"\(name)\" is not a metric name: letters, digits, '_' and ':' are allowed, and the first must not be a digit.")
    }
    if kind == .counter {
      guard name.hasSuffix(MetricName.counterSuffix), name.count > MetricName.counterSuffix.count else {
        throw MetricsError(code: .invalidMetric, message: "The counter \"\(name)\" must end in \"_total\".")
      }
    }
    if kind == .info {
      guard name.hasSuffix(MetricName.infoSuffix), name.count > MetricName.infoSuffix.count else {
        throw MetricsError(code: .invalidMetric, message: "The info \"\(name)\" must end in \"_info\".")
      }
    }
    if let suffix = MetricName.reservedSuffix(of: openMetricsName) {
      throw MetricsError(
        code: .invalidMetric,
        message: "The \(kind.name(.openMetrics)) \"\(name)\" must not end in \"\(suffix)\": it would read as a sample of another metric.")
    }
    guard !help.isEmpty else {
      throw MetricsError(code: .invalidMetric, message: "\"\(name)\" needs a help text: one sentence that says what it measures.")
    }
  }

  private func validateShape() throws(MetricsError) {
    switch kind {
    case .counter, .gauge, .info:
      break
    case .histogram(let bounds):
      guard !bounds.isEmpty, bounds.allSatisfy(\.isFinite), zip(bounds, bounds.dropFirst()).allSatisfy({ $0 < $1 }) else {
        throw MetricsError(
          code: .invalidMetric,
          message: "The buckets of \"\(name)\" must be finite upper bounds in ascending order, without +Inf: \(bounds).")
      }
    case .summary(let quantiles, let window):
      guard !quantiles.isEmpty, quantiles.allSatisfy({ (0...1).contains($0) }), Set(quantiles).count == quantiles.count else {
        throw MetricsError(
          code: .invalidMetric, message: "The quantiles of \"\(name)\" must be different numbers from 0 to 1: \(quantiles).")
      }
      guard window >= .seconds(1) else {
        throw MetricsError(code: .invalidMetric, message: "The window of \"\(name)\" must be at least one second: \(window).")
      }
    }
  }

  private func validateLabels() throws(MetricsError) {
    for label in labels {
      guard LabelName.isValid(label) else {
        throw MetricsError(
          code: .invalidLabel,
          message:
            "\"\(label)\" of \"\(name)\" is not a label name: letters, digits and '_' are allowed, not a digit first and not \"__\" first.")
      }
      guard label != kind.ownLabel else {
        throw MetricsError(
          code: .invalidLabel, message: "The label \"\(label)\" of \"\(name)\" is reserved for a \(kind.name(.openMetrics))'s own samples.")
      }
    }
    guard Set(labels).count == labels.count else {
      throw MetricsError(code: .invalidLabel, message: "\"\(name)\" names a label twice: \(labels.joined(separator: ", ")).")
    }
  }
}
