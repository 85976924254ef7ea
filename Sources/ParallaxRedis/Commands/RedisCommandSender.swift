/// A destination of commands: a ``RedisClient``, a ``RedisLeasedConnection``, or a stub in a test.
public protocol RedisCommandSender: Sendable {
  /// Sends a command and waits for its reply.
  ///
  /// - Parameter command: The command.
  /// - Returns: The reply; never an error as a whole.
  /// - Throws: ``RedisError``, or `CancellationError`.
  nonisolated(nonsending) func send(_ command: RedisCommand) async throws -> RESPValue

  /// Sends commands in one write.
  ///
  /// - Parameter commands: The commands. The longest of their time-outs applies to all.
  /// - Returns: A reply or an error for each command, in order.
  /// - Throws: `CancellationError`, or ``RedisError`` if none was sent.
  nonisolated(nonsending) func pipeline(_ commands: [RedisCommand]) async throws -> [Result<RESPValue, RedisError>]
}

extension RedisCommandSender {
  /// Sends a typed command and waits for its reply.
  ///
  /// - Parameter command: The command.
  /// - Returns: The typed reply.
  /// - Throws: The errors of ``send(_:)-(RedisCommand)``; ``RedisError`` with `unexpectedReply` if the reply has another type.
  @discardableResult
  nonisolated(nonsending) public func send<Reply>(_ command: RedisTypedCommand<Reply>) async throws -> Reply {
    try command.reply(from: try await send(command.command))
  }

  /// Sends typed commands with different replies in one write.
  ///
  /// ```swift
  /// let (name, visits) = try await client.pipeline(.get("name", as: String.self), .incr("visits"))
  /// ```
  ///
  /// All commands are executed even if one fails; ``pipelineResults(_:)`` returns a result for each.
  ///
  /// - Parameter commands: The commands. The longest of their time-outs applies to all.
  /// - Returns: The typed reply of each command, in order.
  /// - Throws: The error of the first failed command; else the errors of ``pipeline(_:)-([RedisCommand])``.
  @discardableResult
  nonisolated(nonsending) public func pipeline<each Reply>(
    _ commands: repeat RedisTypedCommand<each Reply>
  ) async throws -> (repeat each Reply) {
    var replies = try await PipelineReplies(of: self, to: repeat each commands)
    return (repeat try replies.next(for: each commands).get())
  }

  /// Sends typed commands with different replies in one write, each with a result of its own.
  ///
  /// - Parameter commands: The commands. The longest of their time-outs applies to all.
  /// - Returns: The typed reply or the error of each command, in order.
  /// - Throws: The errors of ``pipeline(_:)-([RedisCommand])``.
  nonisolated(nonsending) public func pipelineResults<each Reply>(
    _ commands: repeat RedisTypedCommand<each Reply>
  ) async throws -> (repeat Result<each Reply, RedisError>) {
    var replies = try await PipelineReplies(of: self, to: repeat each commands)
    return (repeat replies.next(for: each commands))
  }

  /// Sends typed commands with the same type of reply in one write.
  ///
  /// ```swift
  /// let users = try await client.pipeline(ids.map { .hgetall("user:\($0)", as: String.self) })
  /// ```
  ///
  /// - Parameter commands: The commands. The longest of their time-outs applies to all.
  /// - Returns: The typed reply or the error of each command, in order.
  /// - Throws: The errors of ``pipeline(_:)-([RedisCommand])``.
  nonisolated(nonsending) public func pipeline<Reply>(
    _ commands: [RedisTypedCommand<Reply>]
  ) async throws -> [Result<Reply, RedisError>] {
    var replies = PipelineReplies(try await pipeline(commands.map(\.command)))
    return commands.map { replies.next(for: $0) }
  }
}

/// The replies of a pipeline, given to its commands one after the other.
private struct PipelineReplies {
  private var remaining: IndexingIterator<[Result<RESPValue, RedisError>]>

  init(_ replies: [Result<RESPValue, RedisError>]) {
    remaining = replies.makeIterator()
  }

  nonisolated(nonsending) init<each Reply>(
    of sender: some RedisCommandSender, to commands: repeat RedisTypedCommand<each Reply>
  ) async throws {
    var list: [RedisCommand] = []
    for command in repeat each commands { list.append(command.command) }
    self.init(try await sender.pipeline(list))
  }

  mutating func next<Reply>(for command: RedisTypedCommand<Reply>) -> Result<Reply, RedisError> {
    guard let reply = remaining.next() else {
      return .failure(RedisError(.unexpectedReply, command: command.command.name, message: "The pipeline ended before this reply."))
    }
    return reply.flatMap { value in Result { () throws(RedisError) in try command.reply(from: value) } }
  }
}
