/// The fields of a pattern's documents and their bounds, for decoders, validation and every other reader.
///
/// What is assumed for a field that is left out stands in the initializers.
extension PatternDefinition {
  enum CodingKeys: String, CodingKey, CaseIterable {
    case name, version, description, agents, aggregation, timeout, retries
  }

  /// The names of the fields, in the order of the documentation.
  package static var fieldNames: [String] { CodingKeys.allCases.map(\.rawValue) }

  /// How often a task may be given to another agent.
  package static var retryBounds: ClosedRange<Int> { 0...100 }

  /// How long an execution may take.
  package static var timeoutBounds: ClosedRange<Duration> { .milliseconds(1) ... .seconds(86_400) }
}

extension AgentRequirement {
  enum CodingKeys: String, CodingKey, CaseIterable {
    case capabilities, min, max
  }

  /// The names of the fields, in the order of the documentation.
  package static var fieldNames: [String] { CodingKeys.allCases.map(\.rawValue) }

  /// How many results may be needed, and how many agents may get a task.
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
  /// The bounds as messages name them.
  package func text(_ describe: (Bound) -> String = { "\($0)" }) -> String {
    "\(describe(lowerBound)) to \(describe(upperBound))"
  }
}
