public import ParallaxState

/// The rules of every `StateStore`, as checks for any test framework: a check throws if the store violates its rule.
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
    creation + changes + restoration + outcomes + ownership + listing + retention + idempotency + agents + catalog
}

/// The violation of a rule.
public struct ConformanceFailure: Error, CustomStringConvertible {
  /// The violated rule, the expected and the actual value.
  public let description: String
}

/// Throws unless a condition holds.
func expect(_ condition: Bool, _ expectation: String, file: StaticString = #fileID, line: Int = #line) throws {
  if !condition { throw ConformanceFailure(description: "expected \(expectation) (\(file):\(line))") }
}

/// Throws unless a value is the expected one.
func expect<Value: Equatable>(
  _ value: Value, is expected: Value, _ what: String, file: StaticString = #fileID, line: Int = #line
) throws {
  if value != expected {
    throw ConformanceFailure(description: "\(what): expected \(expected), found \(value) (\(file):\(line))")
  }
}

/// Returns a value, or throws if there is none.
func require<Value>(_ value: Value?, _ what: String, file: StaticString = #fileID, line: Int = #line) throws -> Value {
  guard let value else { throw ConformanceFailure(description: "expected \(what), found none (\(file):\(line))") }
  return value
}
