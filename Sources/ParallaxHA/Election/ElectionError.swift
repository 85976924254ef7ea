/// An error in the setup of an election, or of a request to it.
public struct ElectionError: Error, Sendable, CustomStringConvertible {
  /// The kind of an error; later versions may add kinds.
  public struct Code: Sendable, Hashable, CustomStringConvertible {
    /// The name of the code, such as `noLeader`.
    public let description: String

    /// A duration is out of bounds, or two durations violate a relation.
    public static let invalidTimings = Code(description: "invalidTimings")
    /// This version cannot read the stored record; the record is not changed.
    public static let unreadableRecord = Code(description: "unreadableRecord")
    /// The stored record belongs to another cluster; the record is not changed.
    public static let foreignCluster = Code(description: "foreignCluster")
    /// There is no record, or only a bootstrap record, so no node can carry out the request.
    public static let noRecord = Code(description: "noRecord")
    /// No node leads, so no node can hand over.
    public static let noLeader = Code(description: "noLeader")
    /// The cluster is paused.
    public static let paused = Code(description: "paused")
    /// The named node cannot be the target of the request.
    public static let invalidTarget = Code(description: "invalidTarget")
    /// The request is stored, but was not carried out in time.
    public static let timedOut = Code(description: "timedOut")
    /// The store did not answer: whether the request was written is unknown.
    public static let storeUnavailable = Code(description: "storeUnavailable")
    /// The store answered, but refuses writes, or did not make one as durable as required; what was written may be lost.
    public static let storeRefusesWrites = Code(description: "storeRefusesWrites")
    /// Neither ``LeaderElection/observe()`` nor ``LeaderElection/campaign(_:)`` runs, so no request can be carried out.
    public static let notRunning = Code(description: "notRunning")
    /// A write carried an older fencing token than an accepted one.
    public static let staleFencingToken = Code(description: "staleFencingToken")
    /// The election already runs, or already has a body.
    public static let alreadyRunning = Code(description: "alreadyRunning")
  }

  /// The kind of the error.
  public var code: Code
  /// The failure and its remedy.
  public var message: String
  /// The underlying error; nil if there is none.
  public var cause: (any Error)?

  /// Creates an error.
  ///
  /// - Parameters:
  ///   - code: The kind.
  ///   - message: The failure and its remedy.
  ///   - cause: The underlying error; nil by default.
  public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  /// The message, and the cause if there is one.
  public var description: String { cause.map { "\(message): \($0)" } ?? message }

  static func unreadable(_ what: String, cause: (any Error)? = nil) -> ElectionError {
    ElectionError(
      .unreadableRecord, "the stored election record cannot be read (\(what)); it is not overwritten; find its writer", cause: cause)
  }
}
