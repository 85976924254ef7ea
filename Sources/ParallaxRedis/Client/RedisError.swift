/// What went wrong between a caller and Redis.
///
/// It names the command but never its arguments, and no secret. Cancellation is not among the errors: a cancelled call throws
/// `CancellationError`.
public struct RedisError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The kind of an error; more may be added.
  public struct Code: Sendable, Hashable, CustomStringConvertible {
    /// The name of the code, such as `timedOut`.
    public let description: String

    /// There was no connection in time, or no server was found that takes the command; it was not sent.
    public static let connectionFailed = Code(description: "connectionFailed")
    /// The server refused the credentials, or asks for some; the command was not sent, and did not wait.
    public static let authenticationFailed = Code(description: "authenticationFailed")
    /// No reply came in time, or there was no connection because the server had stopped replying; see ``RedisError/mayHaveExecuted``.
    public static let timedOut = Code(description: "timedOut")
    /// The connection was lost before the reply came: the command may or may not have been executed.
    ///
    /// A command marked ``RedisCommand/idempotent`` has been tried again until its time-out.
    public static let unknownOutcome = Code(description: "unknownOutcome")
    /// The server answered with an error; see ``RedisError/serverCode``.
    ///
    /// On a shared connection LOADING, READONLY, TRYAGAIN, CLUSTERDOWN and MASTERDOWN are thrown only when they outlast the command's
    /// time-out, and in a cluster MOVED and ASK likewise.
    public static let serverError = Code(description: "serverError")
    /// Too many commands or bytes are in flight, or no connection to lease came free in time; the command was not sent.
    public static let overloaded = Code(description: "overloaded")
    /// The client is not running any more, or the lease of the connection is over; the command was not sent.
    public static let shutDown = Code(description: "shutDown")
    /// The peer sent what is not the Redis protocol, or more than the limits allow; the connection was closed, the command was not sent.
    ///
    /// Commands that were in flight then have an ``unknownOutcome`` with this as its ``RedisError/cause``.
    public static let protocolViolation = Code(description: "protocolViolation")
    /// The reply has another type than the caller asked for; the command was executed.
    public static let unexpectedReply = Code(description: "unexpectedReply")
    /// The command would disturb the other users of a shared connection: send it in
    /// ``RedisClient/withConnection(forKey:_:)``.
    public static let connectionRequired = Code(description: "connectionRequired")
    /// A setting is not valid, or not to the servers: a database number, the name of a master; the command was not sent.
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

  /// The name of the command, if one was concerned.
  public var command: String? { storage.command }

  /// What happened and what to do about it.
  public var message: String { storage.message }

  /// The server's own words, such as `WRONGTYPE Operation against a key holding the wrong kind of value`.
  public var serverMessage: String? { storage.serverMessage }

  /// The first word of ``serverMessage``, such as `WRONGTYPE` or `ERR`; of an error inside a script the code of that error.
  public var serverCode: String? { serverMessage.map(RedisServerCode.of) }

  /// Whether the server may have executed the command, in this attempt or an earlier one, although no reply was seen.
  ///
  /// If the client divided the command's keys among servers of a cluster: whether one of the parts may have been executed.
  public var mayHaveExecuted: Bool { storage.mayHaveExecuted }

  /// The error underneath, such as the last failure to connect.
  public var cause: (any Error)? { storage.cause }

  /// Code, command, message, the server's words and the cause in one line.
  public var description: String {
    var text = code.description
    if let command { text += " (\(command))" }
    text += ": \(message)"
    if let serverMessage { text += " Server: \(serverMessage)" }
    if let cause { text += " Cause: \(cause)" }
    return text
  }

  /// Errors are equal when code, command and texts are; causes are not compared.
  public static func == (left: RedisError, right: RedisError) -> Bool {
    left.storage === right.storage
      || (left.code == right.code && left.command == right.command && left.message == right.message
        && left.serverMessage == right.serverMessage && left.mayHaveExecuted == right.mayHaveExecuted)
  }

  /// Hashes what `==` compares.
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
