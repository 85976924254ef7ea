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
    /// The node's own field cannot be decoded; it is not changed.
    public static let unreadable = Code(description: "unreadable")
    /// Another node, outside this node's cluster, uses the store and is or may be alive.
    public static let storeInUse = Code(description: "storeInUse")
  }

  /// The kind of failure.
  public let code: Code

  /// The failure and its remedy, in one line.
  public let message: String

  /// The underlying error; nil if there is none.
  public let cause: (any Error)?

  /// Creates an error.
  ///
  /// - Parameters:
  ///   - code: The kind of failure.
  ///   - message: The failure and its remedy.
  ///   - cause: The underlying error; nil by default.
  public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  /// The message, with the cause if there is one.
  public var description: String { cause.map { "\(message): \($0)" } ?? message }
}
