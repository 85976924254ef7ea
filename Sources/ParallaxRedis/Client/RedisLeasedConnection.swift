import NIOCore
import Synchronization

/// A connection that one task has to itself, inside ``RedisClient/withConnection(forKey:_:)``.
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
  private let node: RedisNode
  private let state = Mutex(State())
  /// Learns where else the server says that a key is.
  private let redirected: @Sendable (Redirection) -> Void

  init(_ connection: RedisConnection, of node: RedisNode, redirected: @escaping @Sendable (Redirection) -> Void) {
    self.connection = connection
    self.node = node
    self.redirected = redirected
  }

  /// Sends a command and waits for its reply.
  ///
  /// - Parameter command: The command. Give a blocking one a ``RedisCommand/timeout(_:)`` longer than it may block. SUBSCRIBE and its
  ///   kin are refused, since their replies come unasked.
  /// - Returns: The reply; never an error as a whole.
  /// - Throws: ``RedisError``, with `shutDown` after the lease, or `CancellationError`.
  nonisolated(nonsending) public func send(_ command: RedisCommand) async throws -> RESPValue {
    try begin([command])
    let timeout = command.timeout.map(TimeAmount.init(clamping:)) ?? node.defaultTimeout
    var outcome = await connection.execute(command, timeout: timeout)
    if case .reply(let value) = outcome, let error = value.errorMessage, error.hasPrefix("NOSCRIPT"), command.script != nil {
      outcome = await connection.execute(command.sendingSource, timeout: timeout)
    }
    finish(isAnswered: outcome.isReply)
    return try result(outcome, of: command)
  }

  /// Sends commands in one write.
  ///
  /// - Parameter commands: The commands. The longest of their time-outs applies to all.
  /// - Returns: A reply or an error for each command, in order.
  /// - Throws: ``RedisError`` if a command is refused, or `CancellationError`.
  nonisolated(nonsending) public func pipeline(_ commands: [RedisCommand]) async throws -> [Result<RESPValue, RedisError>] {
    guard !commands.isEmpty else { return [] }
    try begin(commands)
    let timeout = commands.compactMap(\.timeout).max().map(TimeAmount.init(clamping:)) ?? node.defaultTimeout
    let outcome = await connection.execute(commands, timeout: timeout)
    finish(isAnswered: outcome.failure == nil)
    if case .cancelled? = outcome.failure { throw CancellationError() }
    return zip(commands, outcome.outcomes(of: commands.count)).map { command, part in
      Result { try result(part, of: command) }.mapError { error in
        error as? RedisError ?? RedisError(.unknownOutcome, command: command.name, message: "The command was given up.", cause: error)
      }
    }
  }

  /// Ends the lease: nothing can be sent after.
  func giveBack() {
    let isClean = state.withLock { state in
      state.isOver = true
      return !state.isChanged && state.running == 0
    }
    node.leases.giveBack(connection, isClean: isClean)
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

  private func result(_ outcome: CommandOutcome, of command: RedisCommand) throws -> RESPValue {
    if case .reply(.error(let message)) = outcome, let redirection = Redirection(String(buffer: message)) { redirected(redirection) }
    var policy = RetryPolicy.once(command)
    switch policy.judge(outcome, remaining: .zero, random: 0) {
    case .reply(let value): return value
    case .fail(let error): throw error
    case .cancelled: throw CancellationError()
    case .sendSource, .pause, .leave, .redirect, .reconnect: preconditionFailure("a leased connection tries nothing again")
    }
  }
}
