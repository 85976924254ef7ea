public import ParallaxState

/// What every `StateStore` has to do, as checks that any test framework can run: they throw where a store falls short.
///
/// ```swift
/// @Test(arguments: StateStoreConformance.checks)
/// func conforms(to check: StateStoreConformance.Check) async throws {
///   try await check.run { MyStore() }
/// }
/// ```
public enum StateStoreConformance {
  /// One rule with its check.
  public typealias Check = ConformanceCheck<any StateStore>

  /// All checks; each needs an empty store.
  public static let checks =
    creation + changes + restoration + outcomes + ownership + listing + retention + idempotency + agents + catalogue
}

/// How a store broke a rule.
public struct ConformanceFailure: Error, CustomStringConvertible {
  /// The rule that was broken, what was expected and what was found.
  public let description: String
}

/// Holds a store to a condition.
func expect(_ condition: Bool, _ expectation: String, file: StaticString = #fileID, line: Int = #line) throws {
  if !condition { throw ConformanceFailure(description: "expected \(expectation) (\(file):\(line))") }
}

/// Holds a store to a value.
func expect<Value: Equatable>(
  _ value: Value, is expected: Value, _ what: String, file: StaticString = #fileID, line: Int = #line
) throws {
  if value != expected {
    throw ConformanceFailure(description: "\(what): expected \(expected), found \(value) (\(file):\(line))")
  }
}

/// Holds a store to having an answer.
func require<Value>(_ value: Value?, _ what: String, file: StaticString = #fileID, line: Int = #line) throws -> Value {
  guard let value else { throw ConformanceFailure(description: "expected \(what), found none (\(file):\(line))") }
  return value
}
