/// The outcome of a command on one connection.
enum CommandOutcome: Sendable {
  /// The server's reply, which may be an error.
  case reply(RESPValue)
  case failed(CommandFailure)

  var isReply: Bool {
    if case .reply = self { true } else { false }
  }

  /// Whether the server refused the write because it is a replica.
  var isFromReplica: Bool {
    if case .reply(let value) = self { value.errorMessage.map(RedisServerCode.of) == "READONLY" } else { false }
  }

  /// Whether the server lacks the script of the command.
  func lacksScript(of command: RedisCommand) -> Bool {
    guard command.script != nil, case .reply(let value) = self else { return false }
    return value.errorMessage?.hasPrefix("NOSCRIPT") == true
  }

  /// Whether the server certainly has not received the command.
  var isUnsent: Bool {
    switch self {
    case .failed(.notSent), .failed(.unreachable): true
    case .failed(.lost), .failed(.timedOut), .failed(.cancelled), .failed(.overloaded), .reply: false
    }
  }
}

/// The outcome of a pipeline on one connection: the replies that arrived, in order, and the reason for the missing ones.
struct PipelineOutcome: Sendable {
  /// The replies in the form of the caller's result, which saves a copy.
  ///
  /// A reply that is an error counts as a success here.
  private(set) var results: [Result<RESPValue, RedisError>]
  private var hasErrors = false
  var failure: CommandFailure?

  init(replies: [RESPValue] = [], failure: CommandFailure? = nil) {
    results = []
    self.failure = failure
    for reply in replies { append(reply) }
  }

  var replies: [RESPValue] {
    results.compactMap { if case .success(let reply) = $0 { reply } else { nil } }
  }

  /// Whether all replies arrived and none is an error.
  var isFlawless: Bool { failure == nil && !hasErrors }

  mutating func append(_ reply: consuming RESPValue) {
    if case .error = reply { hasErrors = true }
    results.append(.success(reply))
  }

  mutating func reserveCapacity(_ count: Int) {
    results.reserveCapacity(count)
  }

  /// The outcome of each command.
  func outcomes(of count: Int) -> [CommandOutcome] {
    (0..<count).map { index in
      if index < results.count, case .success(let reply) = results[index] { return .reply(reply) }
      guard let failure else { preconditionFailure("a pipeline without a failure lacks replies") }
      return .failed(failure)
    }
  }
}

/// The reason for a missing reply.
enum CommandFailure: Error, Sendable {
  /// The connection did not accept the command; the server has not received it.
  case notSent(RedisError)
  /// No connection was available in time, or waiting for one was useless.
  case unreachable(RedisError)
  /// The connection was lost after the command was written.
  case lost(RedisError)
  case timedOut(isWritten: Bool)
  case cancelled
  case overloaded
}

/// The caller that waits for a reply.
///
/// Unsafe continuations suit this hot path: the queue returns every waiter exactly once.
enum ReplyWaiter: Sendable {
  case command(UnsafeContinuation<CommandOutcome, Never>, name: String)
  case pipeline(UnsafeContinuation<PipelineOutcome, Never>, commands: [RedisCommand])
  case probe

  func fail(_ failure: CommandFailure, received: PipelineOutcome = PipelineOutcome()) {
    switch self {
    case .command(let continuation, _): continuation.resume(returning: .failed(failure))
    case .pipeline(let continuation, _):
      var outcome = received
      outcome.failure = failure
      continuation.resume(returning: outcome)
    case .probe: break
    }
  }
}
