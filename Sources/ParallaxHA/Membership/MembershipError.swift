/// A failure of the membership.
public struct MembershipError: Error, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public struct Code: Sendable, Hashable, CustomStringConvertible {
    /// The code's name, such as `timedOut`.
    public let description: String

    /// A setting is out of its bounds.
    public static let invalidSettings = Code(description: "invalidSettings")
    /// The store did not answer within `timeout`: the outcome is unknown.
    public static let timedOut = Code(description: "timedOut")
    /// The node's own field cannot be decoded; nothing was changed.
    public static let unreadable = Code(description: "unreadable")
    /// Another node, outside this node's cluster, uses the store and is alive or may be.
    public static let storeInUse = Code(description: "storeInUse")
  }

  /// The kind of failure.
  public let code: Code

  /// What happened and what to do about it, in one line.
  public let message: String

  /// The error underneath, if there is one.
  public let cause: (any Error)?

  /// Makes an error.
  ///
  /// - Parameters:
  ///   - code: The kind of failure.
  ///   - message: What happened and what to do about it.
  ///   - cause: The error underneath.
  public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  /// The message, with the cause if there is one.
  public var description: String { cause.map { "\(message): \($0)" } ?? message }
}
