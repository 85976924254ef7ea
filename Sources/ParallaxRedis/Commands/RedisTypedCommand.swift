/// A command together with the type of its reply.
///
/// ```swift
/// let name: String? = try await client.send(.get("name"))
/// let (age, visits) = try await client.pipeline(.hget("user:7", "age", as: Int.self), .incr("visits"))
/// let encoding = try await client.send(RedisCommand("OBJECT", "ENCODING", "name").returning(String.self))
/// ```
///
/// Typed commands are values rather than methods of the client, so that each is written once and serves everywhere: in `send`, in a
/// pipeline whose replies come back as a tuple, in an array of many alike, on a client, on a leased connection and on a stub in a test.
/// They only wrap a ``RedisCommand``: what is sent untyped costs what it did before.
///
/// A command has Redis's own name in lower case (`.hgetall`), one of two words has both (`.xgroupCreate`). The type of what is stored
/// under a key, as in `.get`, is taken from `as:` or from the context; any other reply has the type that fits it: counts are `Int`,
/// yes or no is `Bool`, times are `Duration`, what may be missing is optional, and what can only be `OK` is `Void`. Both the RESP2 and
/// the RESP3 form are understood.
///
/// Commands that may be executed twice without a difference to the caller are ``RedisCommand/idempotent`` from the start: those that
/// only read, and those that write the same each time and say the same, such as `.set` without a condition. Another writer's change
/// between the two is overwritten as it would be by a call that came later. All others are not, among them those that leave the same
/// data but count what changed, such as `.del`, `.sadd` or `.hset`: a repeat would count nothing. A caller who does not look at the
/// count says so: `.del(key).idempotent`.
///
/// Between a MULTI and its EXEC the server answers `QUEUED`, which is no typed reply: send a ``RedisCommand`` there.
public struct RedisTypedCommand<Reply>: Sendable {
  /// What is sent, and how the client is to treat it.
  public var command: RedisCommand

  private let decode: @Sendable (RESPValue) throws(RedisReplyMismatch) -> Reply

  /// Makes a typed command of any command.
  ///
  /// - Parameters:
  ///   - command: What is sent.
  ///   - decode: Reads the reply, which is never an error as a whole.
  public init(_ command: RedisCommand, decode: @escaping @Sendable (RESPValue) throws(RedisReplyMismatch) -> Reply) {
    self.command = command
    self.decode = decode
  }

  /// Makes a typed command whose reply decodes itself.
  ///
  /// - Parameter command: What is sent.
  public init(_ command: RedisCommand) where Reply: RedisReplyDecodable {
    self.init(command) { (value) throws(RedisReplyMismatch) in try Reply(reply: value) }
  }

  /// Reads a reply to the command.
  ///
  /// - Parameter value: What the server answered.
  /// - Returns: The typed reply.
  /// - Throws: ``RedisError`` with `unexpectedReply`, which names the types expected and found, never what the reply contains.
  public func reply(from value: RESPValue) throws(RedisError) -> Reply {
    do throws(RedisReplyMismatch) {
      return try decode(value)
    } catch {
      throw RedisError(.unexpectedReply, command: command.name, message: "\(error).")
    }
  }

  /// The command marked as safe to execute twice, so that the client sends it again when its fate is unknown.
  public var idempotent: Self {
    var copy = self
    copy.command.isIdempotent = true
    return copy
  }

  /// The command with a time-out of its own.
  ///
  /// - Parameter timeout: How long the caller waits for the reply, waiting for a connection included.
  /// - Returns: A copy of the command.
  public func withTimeout(_ timeout: Duration) -> Self {
    var copy = self
    copy.command.timeout = timeout
    return copy
  }
}

extension RedisCommand {
  /// The command with the type of its reply, for commands that have no typed form.
  ///
  /// - Parameter type: The type of the reply.
  /// - Returns: A typed command that is otherwise the same.
  public func returning<Reply: RedisReplyDecodable>(_ type: Reply.Type) -> RedisTypedCommand<Reply> {
    RedisTypedCommand(self)
  }
}

extension RedisTypedCommand<Void> {
  /// A command whose only reply, but for errors, is a status such as `OK`.
  init(_ command: RedisCommand, status: StaticString = "OK") {
    self.init(command) { (value) throws(RedisReplyMismatch) in
      guard value.isText(status) else { throw RedisReplyMismatch(expected: "the status \(status)", found: value) }
    }
  }
}
