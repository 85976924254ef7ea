/// What became of a command on one connection.
enum CommandOutcome: Sendable {
  /// The server's answer, which may be an error.
  case reply(RESPValue)
  case failed(CommandFailure)

  var isReply: Bool {
    if case .reply = self { true } else { false }
  }

  /// Whether the server has seen nothing of it.
  var isUnsent: Bool {
    if case .failed(.notSent) = self { true } else { false }
  }
}

/// What became of a pipeline on one connection: the replies that came, in order, and why the rest is missing.
struct PipelineOutcome: Sendable {
  var replies: [RESPValue]
  var failure: CommandFailure?

  /// Whether all replies came and none of them is an error.
  var isFlawless: Bool {
    failure == nil && replies.allSatisfy { if case .error = $0 { false } else { true } }
  }

  /// What became of each of its commands.
  func outcomes(of count: Int) -> [CommandOutcome] {
    (0..<count).map { index in
      if index < replies.count { return .reply(replies[index]) }
      guard let failure else { preconditionFailure("a pipeline ended without a failure and without all its replies") }
      return .failed(failure)
    }
  }
}

/// Why there is no reply.
enum CommandFailure: Error, Sendable {
  /// The connection cannot take it; the server has not seen it.
  case notSent(RedisError)
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

  func fail(_ failure: CommandFailure, received: [RESPValue] = []) {
    switch self {
    case .command(let continuation, _): continuation.resume(returning: .failed(failure))
    case .pipeline(let continuation, _): continuation.resume(returning: PipelineOutcome(replies: received, failure: failure))
    case .probe: break
    }
  }
}
