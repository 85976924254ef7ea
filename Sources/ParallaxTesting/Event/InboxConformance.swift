public import ParallaxState

/// What every `InboxStore` has to do, as checks that any test framework can run: they throw where a store falls short.
///
/// A store that keeps a message back lets its check wait forever: run the checks with a time limit.
public enum InboxConformance {
  /// One rule with its check.
  public typealias Check = ConformanceCheck<any InboxStore>

  /// How many messages an inbox of the stores that are checked holds.
  static let capacity = 100

  /// All checks; each needs a store without inboxes.
  public static let checks = delivery + bounds + removal
}

extension ConformanceCheck where Subject == any InboxStore {
  /// Runs the check on a new store without inboxes.
  ///
  /// - Parameter makeStore: Makes the store, with room for as many messages per inbox as it is told.
  /// - Throws: An error that says how the store breaks the rule, or what the store throws.
  public func run(_ makeStore: (_ capacity: Int) async throws -> any InboxStore) async throws {
    try await run { try await makeStore(InboxConformance.capacity) }
  }
}
