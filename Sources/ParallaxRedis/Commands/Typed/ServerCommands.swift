/// The server itself, and the connection to it.
extension RedisTypedCommand<Void> {
  /// Checks the connection.
  public static func ping() -> Self { Self(RedisCommand("PING").idempotent, status: "PONG") }

  /// Sets parameters of the server; Redis 7.0 or later accepts several.
  public static func configSet(_ parameters: RedisFields) -> Self {
    Self(RedisCommand("CONFIG", arguments: ["SET"] + parameters.arguments).idempotent)
  }

  /// Resets the counts of INFO.
  public static func configResetstat() -> Self { Self(RedisCommand("CONFIG", "RESETSTAT").idempotent) }

  /// Removes all keys of the database.
  ///
  /// Not idempotent: a repeat would remove later writes.
  public static func flushdb() -> Self { Self(RedisCommand("FLUSHDB")) }

  /// Removes all keys of all databases.
  ///
  /// Not idempotent: a repeat would remove later writes.
  public static func flushall() -> Self { Self(RedisCommand("FLUSHALL")) }
}

extension RedisTypedCommand<Int> {
  /// The number of keys of the database.
  public static func dbsize() -> Self { Self(RedisCommand("DBSIZE").idempotent) }

  /// The ID of the connection, which is unique while the server runs.
  public static func clientID() -> Self { Self(RedisCommand("CLIENT", "ID").idempotent) }

  /// Waits until replicas have acknowledged the connection's writes, for leased connections only; returns the number of those replicas.
  ///
  /// - Parameters:
  ///   - replicas: The number of replicas to wait for.
  ///   - wait: How long to wait; the command's time-out becomes 5 s longer. With zero the server waits forever, and the caller for the
  ///     time-out of ``withTimeout(_:)``.
  /// - Returns: The command; it replies with the number of replicas.
  public static func wait(replicas: Int, wait: Duration) -> Self {
    Self(RedisCommand("WAIT", replicas, wait.redisMilliseconds).withTimeout(blocking: wait))
  }
}

extension RedisTypedCommand<String> {
  /// Returns a text unchanged.
  public static func echo(_ text: String) -> Self { Self(RedisCommand("ECHO", text).idempotent) }
}

extension RedisTypedCommand<[String: String]> {
  /// The server's parameters whose names match one of the patterns, such as `max*`; Redis 7.0 or later accepts several.
  public static func configGet(_ patterns: String...) -> Self { Self(RedisCommand("CONFIG", "GET", list: patterns).idempotent) }
}

extension RedisTypedCommand<Duration> {
  /// The server's clock, as the time since January 1, 1970.
  public static func time() -> Self {
    Self(RedisCommand("TIME").idempotent) { (reply) throws(RedisReplyMismatch) in
      let parts = try reply.elements("seconds and microseconds", atLeast: 2)
      return .seconds(try parts.decoded(0, as: Int.self)) + .microseconds(try parts.decoded(1, as: Int.self))
    }
  }
}

extension RedisTypedCommand<RedisRole> {
  /// The replication role of the server.
  public static func role() -> Self { Self(RedisCommand("ROLE").idempotent) }
}

extension RedisTypedCommand<RedisInfo> {
  /// The server's report about itself.
  ///
  /// - Parameter sections: The sections, such as `memory`; Redis 7.0 or later accepts several. Without any, the default sections.
  /// - Returns: The command; it replies with the sections.
  public static func info(_ sections: String...) -> Self { Self(RedisCommand("INFO", list: sections).idempotent) }
}
