import NIOCore

/// Whether and how a command is repeated.
///
/// A command that the server has not executed is always repeated; a command that it may have executed is repeated only if it is idempotent.
/// The caller's deadline limits all attempts.
struct RetryPolicy {
  enum Verdict {
    case reply(RESPValue)
    case fail(RedisError)
    case cancelled
    /// The server lacks the script: send its source.
    case sendSource
    /// The server is not ready: pause, then repeat.
    case pause(Duration)
    /// The server is a replica, which accepts no writes: pause, then repeat on the next connection.
    case leave(Duration)
    /// Another server of the cluster has the key: send the command there, after a pause if servers redirect it back and forth.
    case redirect(Redirection, pause: Duration)
    /// The connection is lost: repeat on the next one.
    case reconnect
  }

  private static let refusals = ["LOADING", "READONLY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN"]
  private static let firstPause = Duration.milliseconds(10)
  private static let longestPause = Duration.milliseconds(500)
  /// The time reserved for the last attempt, so that it ends with the server's error rather than a time-out.
  private static let timeForReply = Duration.milliseconds(50)
  /// The number of immediate redirections in a row; further ones follow after a pause.
  private static let promptRedirections = 3

  let name: String
  let isIdempotent: Bool
  /// Whether the command stands for a script whose source can be sent and has not been sent.
  private(set) var hasSource: Bool
  /// Whether an earlier attempt may have been executed.
  private(set) var mayHaveExecuted = false
  /// The server's last temporary refusal.
  private var lastRefusal: String?
  private var pauses = 0
  private var redirections = 0
  private let followsRedirections: Bool

  /// - Parameters:
  ///   - command: The command.
  ///   - followsRedirections: Whether the other servers of a cluster can be reached; `false` by default.
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

  /// The policy that repeats nothing, given that no time remains.
  static func once(_ command: RedisCommand) -> RetryPolicy {
    RetryPolicy(name: command.name, isIdempotent: false, hasSource: false, followsRedirections: false)
  }

  /// Decides after an attempt.
  ///
  /// - Parameters:
  ///   - outcome: The outcome of the last attempt.
  ///   - remaining: The time until the caller's deadline.
  ///   - random: A number in `0..<1` that spreads the pauses.
  /// - Returns: The next step.
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
          .timedOut, command: name, message: "No reply arrived in time\(lastRefusal == nil ? "" : ", after a refusal").",
          serverMessage: lastRefusal, mayHaveExecuted: mayHaveExecuted || isWritten))
    case .failed(.notSent(let reason)):
      reason.code == .shutDown || remaining <= .zero ? .fail(unreachable(reason)) : .reconnect
    case .failed(.unreachable(let reason)): .fail(unreachable(reason))
    case .failed(.lost(let reason)): judge(lost: reason, remaining: remaining)
    }
  }

  /// The error of a command for which no connection was available.
  func unreachable(_ reason: RedisError) -> RedisError {
    RedisError(
      mayHaveExecuted ? .unknownOutcome : reason.code, command: name,
      message: mayHaveExecuted ? "The connection was lost before the reply arrived, and no other was made in time." : reason.message,
      serverMessage: reason.serverMessage ?? lastRefusal, mayHaveExecuted: mayHaveExecuted, cause: reason.cause)
  }

  private mutating func judge(lost reason: RedisError, remaining: Duration) -> Verdict {
    mayHaveExecuted = true
    if isIdempotent, remaining > .zero, reason.code != .shutDown { return .reconnect }
    return .fail(
      RedisError(
        .unknownOutcome, command: name,
        message: "The connection was lost before the reply arrived: check the command's effect before you repeat it.",
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
    if pause < remaining { return .redirect(redirection, pause: pause) }
    guard redirection.host == .unknown else { return .fail(serverError(message)) }
    return .fail(serverError(message, "The server redirects to one whose host name it does not know: \(AnnouncedServer.remedy)."))
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
  /// The command as sent in a transaction, where NOSCRIPT would arrive among EXEC's replies, too late to send the source.
  var inTransaction: RedisCommand { script == nil ? self : sendingSource }

  /// The EVAL that replaces an EVALSHA whose script the server lacks.
  var sendingSource: RedisCommand {
    guard let script else { preconditionFailure("\(name) has no script") }
    var arguments = arguments
    arguments[0] = RedisArgument(script.source)
    var command = RedisCommand(name: "EVAL", arguments: arguments, script: nil)
    command.isIdempotent = isIdempotent
    command.timeout = timeout
    return command
  }
}
