import NIOCore
import Synchronization

/// A connection of one task, inside ``RedisClient/withConnection(forKey:_:)``.
///
/// No command is repeated here, except one whose script the server lacks. Changes to the connection's state end with the lease.
public final class RedisLeasedConnection: Sendable {
  private struct State {
    var isOver = false
    /// Whether the connection's state differs from that at the beginning of the lease.
    var isChanged = false
    var running = 0
  }

  private let connection: RedisConnection
  private let node: RedisNode
  private let state = Mutex(State())
  /// Called with redirections to other servers.
  private let redirected: @Sendable (Redirection) -> Void

  init(_ connection: RedisConnection, of node: RedisNode, redirected: @escaping @Sendable (Redirection) -> Void) {
    self.connection = connection
    self.node = node
    self.redirected = redirected
  }

  /// The address of the server.
  package var endpoint: RedisConfiguration.Endpoint { connection.endpoint }

  /// Sends a command and waits for its reply.
  ///
  /// - Parameter command: The command. Give a blocking command a ``RedisCommand/withTimeout(_:)`` longer than it may block. SUBSCRIBE and
  ///   related commands are refused, since the server sends their replies as pushes.
  /// - Returns: The reply; never an error as a whole.
  /// - Throws: ``RedisError``, with `shutDown` after the lease, or `CancellationError`.
  nonisolated(nonsending) public func send(_ command: RedisCommand) async throws -> RESPValue {
    let command = try begin([command])[0]
    let timeout = command.timeout.map(TimeAmount.init(clamping:)) ?? node.defaultTimeout
    let deadline = NIODeadline.now() + timeout
    var outcome = await connection.execute(command, timeout: timeout)
    if outcome.lacksScript(of: command) { outcome = await connection.execute(command.sendingSource, timeout: deadline - .now()) }
    finish([outcome])
    return try result(outcome, of: command)
  }

  /// Sends commands in one write.
  ///
  /// Scripts that the server lacks are repeated with their source after the other commands.
  ///
  /// - Parameter commands: The commands. The longest of their time-outs applies to all.
  /// - Returns: A reply or an error for each command, in order.
  /// - Throws: ``RedisError`` if a command is refused, or `CancellationError`.
  nonisolated(nonsending) public func pipeline(_ commands: [RedisCommand]) async throws -> [Result<RESPValue, RedisError>] {
    guard !commands.isEmpty else { return [] }
    let commands = try begin(commands)
    let timeout = commands.compactMap(\.timeout).max().map(TimeAmount.init(clamping:)) ?? node.defaultTimeout
    let deadline = NIODeadline.now() + timeout
    let first = await connection.execute(commands, timeout: timeout)
    var outcomes = first.outcomes(of: commands.count)
    let unknown = first.failure == nil ? commands.indices.filter { outcomes[$0].lacksScript(of: commands[$0]) } : []
    if !unknown.isEmpty {
      let second = await connection.execute(unknown.map { commands[$0].sendingSource }, timeout: deadline - .now())
      for (index, outcome) in zip(unknown, second.outcomes(of: unknown.count)) { outcomes[index] = outcome }
    }
    finish(outcomes)
    if outcomes.contains(where: { if case .failed(.cancelled) = $0 { true } else { false } }) { throw CancellationError() }
    return zip(commands, outcomes).map { command, outcome in
      Result { try result(outcome, of: command) }.mapError { error in
        error as? RedisError ?? RedisError(.unknownOutcome, command: command.name, message: "The command was given up.", cause: error)
      }
    }
  }

  /// Ends the lease; later commands are refused.
  func giveBack() {
    let isClean = state.withLock { state in
      state.isOver = true
      return !state.isChanged && state.running == 0
    }
    node.leases.giveBack(connection, isClean: isClean)
  }

  /// - Returns: The commands in the form in which they are sent.
  private func begin(_ commands: [RedisCommand]) throws -> [RedisCommand] {
    for command in commands { try command.checkLeasable() }
    let changes = commands.contains { $0.changesConnection }
    let (isOver, isChanged) = state.withLock { state in
      if !state.isOver { state.running += 1 }
      state.isChanged = state.isChanged || changes
      return (state.isOver, state.isChanged)
    }
    if isOver { throw RedisError(.shutDown, command: commands.first?.name, message: "The lease of this connection is over.") }
    // The change may be a MULTI.
    return isChanged ? commands.map(\.inTransaction) : commands
  }

  private func finish(_ outcomes: [CommandOutcome]) {
    // A server that has become a replica must not be leased again.
    let isClean = outcomes.allSatisfy { $0.isReply && !$0.isFromReplica }
    state.withLock { state in
      state.running -= 1
      state.isChanged = state.isChanged || !isClean
    }
  }

  private func result(_ outcome: CommandOutcome, of command: RedisCommand) throws -> RESPValue {
    if case .reply(.error(let message)) = outcome, let redirection = Redirection(String(buffer: message)) { redirected(redirection) }
    var policy = RetryPolicy.once(command)
    switch policy.judge(outcome, remaining: .zero, random: 0) {
    case .reply(let value): return value
    case .fail(let error): throw error
    case .cancelled: throw CancellationError()
    case .sendSource, .pause, .leave, .redirect, .reconnect: preconditionFailure("a leased connection repeats no command")
    }
  }
}
