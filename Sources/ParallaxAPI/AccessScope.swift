/// What a caller may do: a scope of an API key or of another identity.
public enum AccessScope: String, Sendable, Hashable, Codable, CaseIterable {
  /// Read executions, patterns, agents and the cluster's status.
  case read
  /// Run and cancel executions; includes ``read``.
  case execute
  /// Connect as an agent, and nothing else.
  case agent
  /// Change patterns, leadership and agents' connections; includes ``read`` and ``execute``.
  case admin

  /// Whether a caller with this scope also has another one.
  ///
  /// - Parameter other: The scope that a request needs.
  /// - Returns: `true` for the scope itself and for those that it includes.
  public func includes(_ other: AccessScope) -> Bool {
    switch (self, other) {
    case (.execute, .read), (.admin, .read), (.admin, .execute): true
    default: self == other
    }
  }
}
