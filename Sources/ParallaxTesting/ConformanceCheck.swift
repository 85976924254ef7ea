/// One rule of a conformance suite, with the check that holds a store or a bus to it.
public struct ConformanceCheck<Subject>: Sendable, CustomStringConvertible {
  /// The rule, in words.
  public let rule: String

  private let body: @Sendable (Subject) async throws -> Void

  init(_ rule: String, _ body: @escaping @Sendable (Subject) async throws -> Void) {
    self.rule = rule
    self.body = body
  }

  /// The rule, in words.
  public var description: String { rule }

  /// Runs the check on a subject that is new and that nobody else uses.
  ///
  /// - Parameter makeSubject: Makes the store or the bus.
  /// - Throws: An error that says how the subject breaks the rule, or what the subject throws.
  public func run(_ makeSubject: () async throws -> Subject) async throws {
    try await body(makeSubject())
  }
}
