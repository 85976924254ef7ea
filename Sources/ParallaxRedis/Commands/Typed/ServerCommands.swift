/// The server itself, and the connection to it.
extension RedisTypedCommand<Void> {
  /// Asks for a sign of life.
  public static func ping() -> Self { Self(RedisCommand("PING").idempotent, status: "PONG") }

  /// Sets parameters of the server, from Redis 7.0 on several at once.
  public static func configSet(_ parameters: RedisFields) -> Self {
    Self(RedisCommand("CONFIG", arguments: ["SET"] + parameters.arguments).idempotent)
  }

  /// Begins the counts of INFO anew.
  public static func configResetstat() -> Self { Self(RedisCommand("CONFIG", "RESETSTAT").idempotent) }

  /// Removes all keys of the database.
  ///
  /// Not idempotent: a repeat would remove what was written since.
  public static func flushdb() -> Self { Self(RedisCommand("FLUSHDB")) }

  /// Removes all keys of all databases.
  ///
  /// Not idempotent: a repeat would remove what was written since.
  public static func flushall() -> Self { Self(RedisCommand("FLUSHALL")) }
}

extension RedisTypedCommand<Int> {
  /// The number of keys of the database.
  public static func dbsize() -> Self { Self(RedisCommand("DBSIZE").idempotent) }

  /// The number of the connection, which no other has while the server runs.
  public static func clientID() -> Self { Self(RedisCommand("CLIENT", "ID").idempotent) }

  /// Waits until replicas have the writes of this connection, so on a leased connection only; returns how many have.
  ///
  /// - Parameters:
  ///   - replicas: How many to wait for.
  ///   - wait: How long to wait; the command's time-out becomes 5 s longer. With zero the server waits for ever, and the caller as long as
  ///     ``withTimeout(_:)`` says.
  /// - Returns: The command; it replies with the number of replicas.
  public static func wait(replicas: Int, wait: Duration) -> Self {
    Self(RedisCommand("WAIT", replicas, wait.redisMilliseconds).withTimeout(blocking: wait))
  }
}

extension RedisTypedCommand<String> {
  /// Sends a text back.
  public static func echo(_ text: String) -> Self { Self(RedisCommand("ECHO", text).idempotent) }
}

extension RedisTypedCommand<[String: String]> {
  /// The parameters of the server whose names are like one of the patterns, such as `max*`; several from Redis 7.0 on.
  public static func configGet(_ patterns: String...) -> Self { Self(RedisCommand("CONFIG", "GET", list: patterns).idempotent) }
}

extension RedisTypedCommand<Duration> {
  /// The server's clock, as time since the beginning of 1970.
  public static func time() -> Self {
    Self(RedisCommand("TIME").idempotent) { (reply) throws(RedisReplyMismatch) in
      let parts = try reply.elements("seconds and microseconds", atLeast: 2)
      return .seconds(try parts.decoded(0, as: Int.self)) + .microseconds(try parts.decoded(1, as: Int.self))
    }
  }
}

extension RedisTypedCommand<RedisRole> {
  /// What the server is to others.
  public static func role() -> Self { Self(RedisCommand("ROLE").idempotent) }
}

extension RedisTypedCommand<RedisInfo> {
  /// What the server tells about itself.
  ///
  /// - Parameter sections: Which sections, such as `memory`, from Redis 7.0 on several; those that are cheap if none.
  /// - Returns: The command; it replies with the sections asked for.
  public static func info(_ sections: String...) -> Self { Self(RedisCommand("INFO", list: sections).idempotent) }
}
