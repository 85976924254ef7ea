public import ParallaxState

/// The rules of every `InboxStore`, as checks for any test framework: a check throws if the store violates its rule.
///
/// The check of a store that withholds a message waits forever: run the checks with a time limit.
public enum InboxConformance {
  /// One rule with its check.
  public typealias Check = ConformanceCheck<any InboxStore>

  /// The number of messages that an inbox of a tested store holds.
  static let capacity = 100

  /// All checks; each needs a store without inboxes.
  public static let checks = delivery + bounds + removal
}

extension ConformanceCheck where Subject == any InboxStore {
  /// Runs the check on a new store without inboxes.
  ///
  /// - Parameter makeStore: Creates the store, with the given capacity of each inbox.
  /// - Throws: An error that describes the violation, or the error of the store.
  public func run(_ makeStore: (_ capacity: Int) async throws -> any InboxStore) async throws {
    try await run { try await makeStore(InboxConformance.capacity) }
  }
}
