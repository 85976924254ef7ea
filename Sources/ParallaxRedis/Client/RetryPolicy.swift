import NIOCore

/// Whether a command is tried again, and how.
///
/// A command that the server did not execute is always repeated; a command that it may have executed is repeated only if that does no harm.
/// The caller's deadline bounds all attempts.
struct RetryPolicy {
  enum Verdict {
    case reply(RESPValue)
    case fail(RedisError)
    case cancelled
    /// The server lacks the script: send its source.
    case sendSource
    /// The server is not ready: pause, then send again.
    case pause(Duration)
    /// The server is a replica, which takes no writes: pause, then send on the next connection.
    case leave(Duration)
    /// Another server of the cluster has the key: send there, after a pause if servers send the command to and fro.
    case redirect(Redirection, pause: Duration)
    /// The connection is lost: send on the next one.
    case reconnect
  }

  private static let refusals = ["LOADING", "READONLY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN"]
  private static let firstPause = Duration.milliseconds(10)
  private static let longestPause = Duration.milliseconds(500)
  /// The time that is left to the last attempt, so that it ends with the server's words and not for want of time.
  private static let timeForReply = Duration.milliseconds(50)
  /// How many servers in a row may send a command elsewhere before it is held back between two of them.
  private static let promptRedirections = 3

  let name: String
  let isIdempotent: Bool
  /// Whether the command stands for a script whose source can be sent, and has not been yet.
  private(set) var hasSource: Bool
  /// Whether an earlier attempt may have been executed.
  private(set) var mayHaveExecuted = false
  /// What the server last said when it refused the command for the time being.
  private var lastRefusal: String?
  private var pauses = 0
  private var redirections = 0
  private let followsRedirections: Bool

  /// - Parameters:
  ///   - command: The command.
  ///   - followsRedirections: Whether other servers of a cluster are within reach.
  init(_ command: RedisCommand, followsRedirections: Bool = false) {
    self.init(
      name: command.name, isIdempotent: command.isIdempotent, hasSource: command.script != nil, followsRedirections: followsRedirections)
  }

  private init(name: String, isIdempotent: Bool, hasSource: Bool, followsRedirections: Bool) {
    self.followsRedirections = followsRedirections
    self.name = name
    self.isIdempotent = isIdempotent
    self.hasSource = hasSource
  }

  /// The policy that tries nothing again, given that no time remains.
  static func once(_ command: RedisCommand) -> RetryPolicy {
    RetryPolicy(name: command.name, isIdempotent: false, hasSource: false, followsRedirections: false)
  }

  /// Decides after an attempt.
  ///
  /// - Parameters:
  ///   - outcome: What became of the last attempt.
  ///   - remaining: The time until the caller's deadline.
  ///   - random: A number in `0..<1` that spreads the pauses.
  /// - Returns: What to do next.
  mutating func judge(_ outcome: CommandOutcome, remaining: Duration, random: Double) -> Verdict {
    switch outcome {
    case .reply(.error(let buffer)): judge(serverError: String(buffer: buffer), remaining: remaining, random: random)
    case .reply(let value): .reply(value)
    case .failed(.cancelled): .cancelled
    case .failed(.overloaded):
      .fail(
        RedisError(
          .overloaded, command: name, message: "Too many commands or bytes are in flight: send fewer at a time.",
          mayHaveExecuted: mayHaveExecuted))
    case .failed(.timedOut(let isWritten)):
      .fail(
        RedisError(
          .timedOut, command: name, message: "No reply came in time\(lastRefusal == nil ? "" : ", after a refusal").",
          serverMessage: lastRefusal, mayHaveExecuted: mayHaveExecuted || isWritten))
    case .failed(.notSent(let reason)):
      reason.code == .shutDown || remaining <= .zero ? .fail(unreachable(reason)) : .reconnect
    case .failed(.unreachable(let reason)): .fail(unreachable(reason))
    case .failed(.lost(let reason)): judge(lost: reason, remaining: remaining)
    }
  }

  /// The error of a command that no connection could be had for.
  func unreachable(_ reason: RedisError) -> RedisError {
    RedisError(
      mayHaveExecuted ? .unknownOutcome : reason.code, command: name,
      message: mayHaveExecuted ? "The connection was lost before the reply came, and there was no other in time." : reason.message,
      serverMessage: reason.serverMessage ?? lastRefusal, mayHaveExecuted: mayHaveExecuted, cause: reason.cause)
  }

  private mutating func judge(lost reason: RedisError, remaining: Duration) -> Verdict {
    mayHaveExecuted = true
    if isIdempotent, remaining > .zero, reason.code != .shutDown { return .reconnect }
    return .fail(
      RedisError(
        .unknownOutcome, command: name,
        message: "The connection was lost before the reply came: read what the command would have changed before trying again.",
        mayHaveExecuted: true, cause: reason))
  }

  private mutating func judge(serverError message: String, remaining: Duration, random: Double) -> Verdict {
    let code = RedisServerCode.of(message)
    if code == "NOSCRIPT", hasSource {
      hasSource = false
      return .sendSource
    }
    if Self.refusals.contains(code) {
      lastRefusal = message
      let pause = min(nextPause(random), remaining - Self.timeForReply)
      if pause > .zero { return code == "READONLY" ? .leave(pause) : .pause(pause) }
    }
    if code == "MOVED" || code == "ASK" { return judge(redirection: message, remaining: remaining, random: random) }
    return .fail(serverError(message))
  }

  private mutating func judge(redirection message: String, remaining: Duration, random: Double) -> Verdict {
    guard followsRedirections, let redirection = Redirection(message) else {
      return .fail(
        serverError(
          message,
          "Another server of the cluster has the key: configure the client for Redis Cluster, and lease connections for their keys."
        ))
    }
    redirections += 1
    let pause = redirections > Self.promptRedirections ? nextPause(random) : .zero
    return pause < remaining ? .redirect(redirection, pause: pause) : .fail(serverError(message))
  }

  private mutating func nextPause(_ random: Double) -> Duration {
    defer { pauses += 1 }
    return min(Self.longestPause, Self.firstPause * (1 << min(pauses, 10))) * (0.5 + random / 2)
  }

  private func serverError(_ message: String, _ explanation: String = "The server refused the command.") -> RedisError {
    RedisError(.serverError, command: name, message: explanation, serverMessage: message, mayHaveExecuted: mayHaveExecuted)
  }
}

extension RedisCommand {
  /// The command as it is sent in a transaction, where NOSCRIPT would come too late to send the source: among EXEC's replies.
  var inTransaction: RedisCommand { script == nil ? self : sendingSource }

  /// The EVAL that stands in for an EVALSHA whose script the server lacks.
  var sendingSource: RedisCommand {
    guard let script else { preconditionFailure("\(name) stands for no script") }
    var arguments = arguments
    arguments[0] = RedisArgument(script.source)
    var command = RedisCommand(name: "EVAL", arguments: arguments, script: nil)
    command.isIdempotent = isIdempotent
    command.timeout = timeout
    return command
  }
}
