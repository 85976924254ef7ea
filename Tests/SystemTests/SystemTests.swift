import Foundation
import ParallaxAPI
import TestSupport
import Testing

/// Tests of the whole product with real processes and a real Redis.
///
/// The suites run one after another, because each needs the whole machine.
@Suite(.serialized)
enum SystemTests {
  /// The variables of a node with the shipped patterns.
  static let shippedPatterns = ["PARALLAX_PATTERNS_DIR": ProjectLayout.root.appending(path: "patterns").path]

  /// Makes a pattern for a test.
  static func pattern(
    _ name: String, capability: String = "analysis", min: Int = 1, max: Int? = nil, _ aggregation: Aggregation = .first,
    timeout: Duration = .seconds(60), retries: Int = 0
  ) -> PatternDefinition {
    PatternDefinition(
      name: name, agents: AgentRequirement(capabilities: [capability], min: min, max: max), aggregation: aggregation, timeout: timeout,
      retries: retries)
  }
}

extension ParallaxdProcess {
  /// Registers a pattern.
  func apply(_ pattern: PatternDefinition) async throws {
    let response = try await api.post("/api/patterns", pattern)
    guard response.status == 201 else { throw ProcessFailure("the pattern was refused: \(response.text)") }
  }

  /// Executes a pattern and waits for its result.
  func execute(_ pattern: String, input: JSONValue = ["text": "Is it so?"], options: ExecuteRequest.Options? = nil) async throws
    -> ExecutionDocument
  {
    try await api.post("/api/patterns/\(pattern)/execute", ExecuteRequest(input: input, options: options)).decode()
  }

  /// Submits an execution without waiting for its result.
  func submit(_ pattern: String, input: JSONValue = ["text": "Is it so?"]) async throws -> ExecutionAcceptance {
    try await api.post("/api/patterns/\(pattern)/execute?async=true", ExecuteRequest(input: input)).decode()
  }

  func execution(_ id: String) async throws -> ExecutionDocument {
    try await api.get("/api/executions/\(id)").decode()
  }

  /// Waits until an execution has ended.
  func end(of id: String, within limit: Duration = .seconds(30)) async throws -> ExecutionDocument {
    try await eventualValue("the end of \(id)", within: limit) {
      let execution = try await execution(id)
      return execution.status.isTerminal ? execution : nil
    }
  }
}
