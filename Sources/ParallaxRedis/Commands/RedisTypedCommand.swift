/// A command with the type of its reply.
///
/// ```swift
/// let name: String? = try await client.send(.get("name"))
/// let (age, visits) = try await client.pipeline(.hget("user:7", "age", as: Int.self), .incr("visits"))
/// let encoding = try await client.send(RedisCommand("OBJECT", "ENCODING", "name").returning(String.self))
/// ```
///
/// Typed commands are values rather than methods of the client, so that each is written once for all uses: in `send`, in a pipeline whose
/// replies form a tuple, in an array of equal commands, on a client, on a leased connection and on a stub in a test. They wrap a
/// ``RedisCommand`` and add no cost to untyped commands.
///
/// A command has Redis's own name in lower case (`.hgetall`); a command of two words has both (`.xgroupCreate`). The type of a stored
/// value, as in `.get`, comes from `as:` or from the context. All other replies have a fitting type: counts are `Int`, yes or no is `Bool`,
/// times are `Duration`, values that may be missing are optional, and a reply that can only be `OK` is `Void`. Both the RESP2 and the RESP3
/// form are decoded.
///
/// Commands that may be executed twice without a difference to the caller are ``RedisCommand/idempotent`` by default: reads, and writes
/// with the same effect and the same reply each time, such as `.set` without a condition. A repeat overwrites another writer's change in
/// between, as a later call would. All others are not idempotent, among them those that leave the same data but count changes, such as
/// `.del`, `.sadd` or `.hset`: a repeat would count none. A caller that ignores the count can mark the command: `.del(key).idempotent`.
///
/// Between MULTI and EXEC the server answers `QUEUED`, which is no typed reply: send a ``RedisCommand`` there.
public struct RedisTypedCommand<Reply>: Sendable {
  /// The untyped command.
  public var command: RedisCommand

  private let decode: @Sendable (RESPValue) throws(RedisReplyMismatch) -> Reply

  /// Creates a typed command of any command.
  ///
  /// - Parameters:
  ///   - command: The command.
  ///   - decode: Decodes the reply, which is never an error as a whole.
  public init(_ command: RedisCommand, decode: @escaping @Sendable (RESPValue) throws(RedisReplyMismatch) -> Reply) {
    self.command = command
    self.decode = decode
  }

  /// Creates a typed command whose reply decodes itself.
  ///
  /// - Parameter command: The command.
  public init(_ command: RedisCommand) where Reply: RedisReplyDecodable {
    self.init(command) { (value) throws(RedisReplyMismatch) in try Reply(reply: value) }
  }

  /// Decodes a reply to the command.
  ///
  /// - Parameter value: The server's reply.
  /// - Returns: The typed reply.
  /// - Throws: ``RedisError`` with `unexpectedReply`, which names the expected and the actual type, never the content of the reply.
  public func reply(from value: RESPValue) throws(RedisError) -> Reply {
    do throws(RedisReplyMismatch) {
      return try decode(value)
    } catch {
      throw RedisError(.unexpectedReply, command: command.name, message: "\(error).")
    }
  }

  /// A copy marked as safe to execute twice, which the client repeats after an unknown outcome.
  public var idempotent: Self {
    var copy = self
    copy.command.isIdempotent = true
    return copy
  }

  /// A copy with a time-out of its own.
  ///
  /// - Parameter timeout: How long the caller waits for the reply, the wait for a connection included.
  /// - Returns: The copy.
  public func withTimeout(_ timeout: Duration) -> Self {
    var copy = self
    copy.command.timeout = timeout
    return copy
  }
}

extension RedisCommand {
  /// The command with the type of its reply, for commands without a typed form.
  ///
  /// - Parameter type: The type of the reply.
  /// - Returns: The typed command.
  public func returning<Reply: RedisReplyDecodable>(_ type: Reply.Type) -> RedisTypedCommand<Reply> {
    RedisTypedCommand(self)
  }
}

extension RedisTypedCommand<Void> {
  /// A command whose only reply, apart from errors, is a status such as `OK`.
  init(_ command: RedisCommand, status: StaticString = "OK") {
    self.init(command) { (value) throws(RedisReplyMismatch) in
      guard value.isText(status) else { throw RedisReplyMismatch(expected: "the status \(status)", found: value) }
    }
  }
}
