/// What became of a command on one connection.
enum CommandOutcome: Sendable {
  /// The server's answer, which may be an error.
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

  /// Whether the command certainly did not reach the server.
  var isUnsent: Bool {
    switch self {
    case .failed(.notSent), .failed(.unreachable): true
    case .failed(.lost), .failed(.timedOut), .failed(.cancelled), .failed(.overloaded), .reply: false
    }
  }
}

/// What became of a pipeline on one connection: the replies that came, in order, and why the rest is missing.
struct PipelineOutcome: Sendable {
  /// The replies in the form that the caller of a pipeline gets, so that they need not be copied.
  ///
  /// A reply that is an error still counts as a success here.
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

  /// Whether all replies came and none of them is an error.
  var isFlawless: Bool { failure == nil && !hasErrors }

  mutating func append(_ reply: consuming RESPValue) {
    if case .error = reply { hasErrors = true }
    results.append(.success(reply))
  }

  mutating func reserveCapacity(_ count: Int) {
    results.reserveCapacity(count)
  }

  /// What became of each of its commands.
  func outcomes(of count: Int) -> [CommandOutcome] {
    (0..<count).map { index in
      if index < results.count, case .success(let reply) = results[index] { return .reply(reply) }
      guard let failure else { preconditionFailure("a pipeline ended without a failure and without all its replies") }
      return .failed(failure)
    }
  }
}

/// Why there is no reply.
enum CommandFailure: Error, Sendable {
  /// The connection cannot take it; the server has not seen it.
  case notSent(RedisError)
  /// No connection could be had, and waiting for one is over or of no use.
  case unreachable(RedisError)
  /// The connection was lost after the command was written.
  case lost(RedisError)
  case timedOut(isWritten: Bool)
  case cancelled
  case overloaded
}

/// Who waits for a reply.
///
/// Unsafe continuations, as this is the hot path: the queue hands every waiter out exactly once.
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
