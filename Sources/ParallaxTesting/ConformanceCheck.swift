/// One rule of a conformance suite, and the check of a store or a bus against it.
public struct ConformanceCheck<Subject>: Sendable, CustomStringConvertible {
  /// The rule as a sentence.
  public let rule: String

  private let body: @Sendable (Subject) async throws -> Void

  init(_ rule: String, _ body: @escaping @Sendable (Subject) async throws -> Void) {
    self.rule = rule
    self.body = body
  }

  /// The rule as a sentence.
  public var description: String { rule }

  /// Runs the check on a new subject that no other code uses.
  ///
  /// - Parameter makeSubject: Creates the store or the bus.
  /// - Throws: An error that describes the violation, or the error of the subject.
  public func run(_ makeSubject: () async throws -> Subject) async throws {
    try await body(makeSubject())
  }
}
