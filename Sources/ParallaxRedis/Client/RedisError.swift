/// A failure between a caller and Redis.
///
/// The error names the command, but never its arguments and no secret. Cancellation is no ``RedisError``: a cancelled call throws
/// `CancellationError`.
public struct RedisError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The kind of an error; later versions may add kinds.
  public struct Code: Sendable, Hashable, CustomStringConvertible {
    /// The name of the code, such as `timedOut`.
    public let description: String

    /// No connection was made in time, or no server accepted the command; the command was not sent.
    public static let connectionFailed = Code(description: "connectionFailed")
    /// The server refused the credentials or requires some; the command was not sent and did not wait.
    public static let authenticationFailed = Code(description: "authenticationFailed")
    /// No reply arrived in time, or no connection was available because the server had stopped replying; see
    /// ``RedisError/mayHaveExecuted``.
    public static let timedOut = Code(description: "timedOut")
    /// The connection was lost before the reply arrived: the server may have executed the command.
    ///
    /// A command marked ``RedisCommand/idempotent`` was repeated until its time-out before it failed.
    public static let unknownOutcome = Code(description: "unknownOutcome")
    /// The server answered with an error; see ``RedisError/serverCode``.
    ///
    /// On a shared connection LOADING, READONLY, TRYAGAIN, CLUSTERDOWN and MASTERDOWN, and in a cluster MOVED and ASK, are thrown only if
    /// they persist until the command's time-out.
    public static let serverError = Code(description: "serverError")
    /// Too many commands or bytes are in flight, or no connection for a lease was free in time; the command was not sent.
    public static let overloaded = Code(description: "overloaded")
    /// The client does not run, or the lease of the connection has ended; the command was not sent.
    public static let shutDown = Code(description: "shutDown")
    /// The peer sent bytes that are not the Redis protocol, or exceeded a limit; the connection was closed and the command was not sent.
    ///
    /// Commands that were in flight fail with ``unknownOutcome`` and this error as its ``RedisError/cause``.
    public static let protocolViolation = Code(description: "protocolViolation")
    /// The reply does not have the type that the caller requested; the command was executed.
    public static let unexpectedReply = Code(description: "unexpectedReply")
    /// The command would disturb the other users of a shared connection: send it in ``RedisClient/withConnection(forKey:_:)``.
    public static let connectionRequired = Code(description: "connectionRequired")
    /// A setting is invalid, or the servers reject it, such as a database number or the name of a master; the command was not sent.
    public static let invalidConfiguration = Code(description: "invalidConfiguration")
  }

  private final class Storage: Sendable {
    let code: Code
    let command: String?
    let message: String
    let serverMessage: String?
    let mayHaveExecuted: Bool
    let cause: (any Error)?

    init(code: Code, command: String?, message: String, serverMessage: String?, mayHaveExecuted: Bool, cause: (any Error)?) {
      self.code = code
      self.command = command
      self.message = message
      self.serverMessage = serverMessage
      self.mayHaveExecuted = mayHaveExecuted
      self.cause = cause
    }
  }

  private let storage: Storage

  package init(
    _ code: Code, command: String? = nil, message: String, serverMessage: String? = nil, mayHaveExecuted: Bool = false,
    cause: (any Error)? = nil
  ) {
    storage = Storage(
      code: code, command: command, message: message, serverMessage: serverMessage, mayHaveExecuted: mayHaveExecuted, cause: cause)
  }

  /// The kind of the error.
  public var code: Code { storage.code }

  /// The name of the command; `nil` if the error does not concern one.
  public var command: String? { storage.command }

  /// The failure and its remedy.
  public var message: String { storage.message }

  /// The server's error message, such as `WRONGTYPE Operation against a key holding the wrong kind of value`.
  public var serverMessage: String? { storage.serverMessage }

  /// The first word of ``serverMessage``, such as `WRONGTYPE` or `ERR`; for an error inside a script the code of that error.
  public var serverCode: String? { serverMessage.map(RedisServerCode.of) }

  /// Whether the server may have executed the command without a reply, in this attempt or an earlier one.
  ///
  /// If the client divided the command's keys among servers of a cluster: whether one of the parts may have been executed.
  public var mayHaveExecuted: Bool { storage.mayHaveExecuted }

  /// The underlying error, such as the last failure to connect; `nil` if there is none.
  public var cause: (any Error)? { storage.cause }

  /// The code, the command, the messages and the cause in one line.
  public var description: String {
    var text = code.description
    if let command { text += " (\(command))" }
    text += ": \(message)"
    if let serverMessage { text += " Server: \(serverMessage)" }
    if let cause { text += " Cause: \(cause)" }
    return text
  }

  /// Whether the codes, commands and messages are equal; causes are not compared.
  public static func == (left: RedisError, right: RedisError) -> Bool {
    left.storage === right.storage
      || (left.code == right.code && left.command == right.command && left.message == right.message
        && left.serverMessage == right.serverMessage && left.mayHaveExecuted == right.mayHaveExecuted)
  }

  /// Hashes the properties that `==` compares.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(code)
    hasher.combine(command)
    hasher.combine(message)
    hasher.combine(serverMessage)
    hasher.combine(mayHaveExecuted)
  }

  func about(command: String) -> RedisError {
    RedisError(
      code, command: command, message: message, serverMessage: serverMessage, mayHaveExecuted: mayHaveExecuted, cause: cause)
  }
}
