/// Why an election could not be set up, or could not do as it was asked.
public struct ElectionError: Error, Sendable, CustomStringConvertible {
  /// The kind of an error; more may be added.
  public struct Code: Sendable, Hashable, CustomStringConvertible {
    /// The name of the code, such as `noLeader`.
    public let description: String

    /// A duration is out of bounds, or two of them do not fit each other.
    public static let invalidTimings = Code(description: "invalidTimings")
    /// The stored record is not one that this version can read; it is left alone.
    public static let unreadableRecord = Code(description: "unreadableRecord")
    /// The stored record belongs to another cluster; it is left alone.
    public static let foreignCluster = Code(description: "foreignCluster")
    /// There is no record yet, or only a bootstrap record: nothing to ask of anyone.
    public static let noRecord = Code(description: "noRecord")
    /// Nobody leads, so nobody can hand over.
    public static let noLeader = Code(description: "noLeader")
    /// The cluster is paused.
    public static let paused = Code(description: "paused")
    /// The named node cannot be what it was named for.
    public static let invalidTarget = Code(description: "invalidTarget")
    /// The request stands in the record, but was not carried out in time.
    public static let timedOut = Code(description: "timedOut")
    /// The store did not answer: whether the request was written is unknown.
    public static let storeUnavailable = Code(description: "storeUnavailable")
    /// Neither ``LeaderElection/observe()`` nor ``LeaderElection/campaign(_:)`` runs, so nothing can be carried out.
    public static let notRunning = Code(description: "notRunning")
    /// A write carried a fencing token that is older than one accepted before.
    public static let staleFencingToken = Code(description: "staleFencingToken")
    /// The election is running already, or has a body already.
    public static let alreadyRunning = Code(description: "alreadyRunning")
  }

  /// The kind of the error.
  public var code: Code
  /// What happened and what to do about it.
  public var message: String
  /// The error underneath.
  public var cause: (any Error)?

  /// Makes an error.
  ///
  /// - Parameters:
  ///   - code: The kind.
  ///   - message: What happened and what to do about it.
  ///   - cause: The error underneath.
  public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  /// The message, and the cause if there is one.
  public var description: String { cause.map { "\(message): \($0)" } ?? message }

  static func unreadable(_ what: String, cause: (any Error)? = nil) -> ElectionError {
    ElectionError(
      .unreadableRecord, "the stored election record cannot be read (\(what)); nothing is overwritten, see what wrote it", cause: cause)
  }
}
