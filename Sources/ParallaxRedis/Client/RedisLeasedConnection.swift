import NIOCore
import Synchronization

/// A connection that one task has to itself, inside ``RedisClient/withConnection(_:)``.
///
/// Nothing is tried again here, but a script whose source the server lacks. What changes the connection's state ends with the lease.
public final class RedisLeasedConnection: Sendable {
  private struct State {
    var isOver = false
    /// Whether the next user would find the connection in another state than this one has.
    var isChanged = false
    var running = 0
  }

  private let connection: RedisConnection
  private let defaultTimeout: TimeAmount
  private let state = Mutex(State())

  init(_ connection: RedisConnection, defaultTimeout: TimeAmount) {
    self.connection = connection
    self.defaultTimeout = defaultTimeout
  }

  /// Sends a command and waits for its reply.
  ///
  /// - Parameter command: The command. Give a blocking one a ``RedisCommand/timeout(_:)`` longer than it may block. SUBSCRIBE and its
  ///   kin are refused, since their replies come unasked.
  /// - Returns: The reply; never an error as a whole.
  /// - Throws: ``RedisError``, or `CancellationError`.
  nonisolated(nonsending) public func send(_ command: RedisCommand) async throws -> RESPValue {
    try begin([command])
    let timeout = command.timeout.map(TimeAmount.init(clamping:)) ?? defaultTimeout
    var outcome = await connection.execute(command, timeout: timeout)
    if case .reply(let value) = outcome, let error = value.errorMessage, error.hasPrefix("NOSCRIPT"), command.script != nil {
      outcome = await connection.execute(command.sendingSource, timeout: timeout)
    }
    finish(isAnswered: outcome.isReply)
    return try Self.result(outcome, of: command)
  }

  /// Sends commands in one write.
  ///
  /// - Parameter commands: The commands. The longest of their time-outs applies to all.
  /// - Returns: A reply or an error for each command, in order.
  /// - Throws: ``RedisError`` if a command is refused, or `CancellationError`.
  nonisolated(nonsending) public func pipeline(_ commands: [RedisCommand]) async throws -> [Result<RESPValue, RedisError>] {
    guard !commands.isEmpty else { return [] }
    try begin(commands)
    let timeout = commands.compactMap(\.timeout).max().map(TimeAmount.init(clamping:)) ?? defaultTimeout
    let outcome = await connection.execute(commands, timeout: timeout)
    finish(isAnswered: outcome.failure == nil)
    if case .cancelled? = outcome.failure { throw CancellationError() }
    return commands.enumerated().map { index, command in
      let part: CommandOutcome =
        index < outcome.replies.count ? .reply(outcome.replies[index]) : .failed(outcome.failure ?? .timedOut(isWritten: true))
      return Result { try Self.result(part, of: command) }.mapError { error in
        error as? RedisError ?? RedisError(.unknownOutcome, command: command.name, message: "The command was given up.", cause: error)
      }
    }
  }

  /// The connection and whether another task may have it next; nothing can be sent after.
  func end() -> (RedisConnection, isClean: Bool) {
    state.withLock { state in
      state.isOver = true
      return (connection, isClean: !state.isChanged && state.running == 0)
    }
  }

  private func begin(_ commands: [RedisCommand]) throws {
    for command in commands { try command.checkLeasable() }
    let changes = commands.contains { $0.changesConnection }
    let isOver = state.withLock { state in
      if !state.isOver { state.running += 1 }
      state.isChanged = state.isChanged || changes
      return state.isOver
    }
    if isOver { throw RedisError(.shutDown, command: commands.first?.name, message: "The lease of this connection is over.") }
  }

  private func finish(isAnswered: Bool) {
    state.withLock { state in
      state.running -= 1
      state.isChanged = state.isChanged || !isAnswered
    }
  }

  private static func result(_ outcome: CommandOutcome, of command: RedisCommand) throws -> RESPValue {
    var policy = RetryPolicy.once(command)
    switch policy.judge(outcome, remaining: .zero, random: 0) {
    case .reply(let value): return value
    case .fail(let error): throw error
    case .cancelled: throw CancellationError()
    case .sendSource, .pause, .reconnect: preconditionFailure("a leased connection tries nothing again")
    }
  }
}
