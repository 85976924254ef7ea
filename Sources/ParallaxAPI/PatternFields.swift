/// The fields of pattern documents and their bounds, for decoders, validation and readers.
///
/// The initializers have the defaults of missing fields.
extension PatternDefinition {
  enum CodingKeys: String, CodingKey, CaseIterable {
    case name, version, description, agents, aggregation, timeout, retries
  }

  /// The names of the fields, in the order of the documentation.
  package static var fieldNames: [String] { CodingKeys.allCases.map(\.rawValue) }

  /// The bounds of ``retries``.
  package static var retryBounds: ClosedRange<Int> { 0...100 }

  /// The bounds of ``timeout``.
  package static var timeoutBounds: ClosedRange<Duration> { .milliseconds(1) ... .seconds(86_400) }
}

extension AgentRequirement {
  enum CodingKeys: String, CodingKey, CaseIterable {
    case capabilities, min, max
  }

  /// The names of the fields, in the order of the documentation.
  package static var fieldNames: [String] { CodingKeys.allCases.map(\.rawValue) }

  /// The bounds of ``min`` and ``max``.
  package static var countBounds: ClosedRange<Int> { 1...1_000 }
}

extension Aggregation {
  enum CodingKeys: String, CodingKey, CaseIterable {
    case strategy, method, field, threshold
  }

  /// The names of the fields, in the order of the documentation.
  package static var fieldNames: [String] { CodingKeys.allCases.map(\.rawValue) }
}

extension ClosedRange {
  /// The bounds as text, for messages.
  package func text(_ describe: (Bound) -> String = { "\($0)" }) -> String {
    "\(describe(lowerBound)) to \(describe(upperBound))"
  }
}
