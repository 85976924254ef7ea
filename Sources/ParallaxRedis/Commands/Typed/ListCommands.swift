/// Lists.
extension RedisTypedCommand<Int> {
  /// Adds values at the head one after the other, at least one; returns the length.
  public static func lpush<Value: RedisArgumentConvertible>(_ key: String, _ values: Value...) -> Self { lpush(key, values) }

  /// Adds values at the head one after the other, at least one; returns the length.
  public static func lpush(_ key: String, _ values: some Sequence<some RedisArgumentConvertible>) -> Self {
    Self(RedisCommand("LPUSH", key, list: values))
  }

  /// Adds values at the tail, at least one; returns the length.
  public static func rpush<Value: RedisArgumentConvertible>(_ key: String, _ values: Value...) -> Self { rpush(key, values) }

  /// Adds values at the tail, at least one; returns the length.
  public static func rpush(_ key: String, _ values: some Sequence<some RedisArgumentConvertible>) -> Self {
    Self(RedisCommand("RPUSH", key, list: values))
  }

  /// The length; 0 if there is no such key.
  public static func llen(_ key: String) -> Self { Self(RedisCommand("LLEN", key).idempotent) }

  /// Removes values equal to one; returns how many there were.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - value: What to remove.
  ///   - count: How many at most, from the head, or from the tail if negative; all if 0.
  /// - Returns: The command; it replies with how many were removed.
  public static func lrem(_ key: String, _ value: some RedisArgumentConvertible, count: Int = 0) -> Self {
    Self(RedisCommand("LREM", key, count, value))
  }
}

extension RedisTypedCommand<Void> {
  /// Keeps only a part of a list; negative places are counted from the end, -1 being the last.
  ///
  /// Not idempotent: a repeat would cut what the first has cut already.
  public static func ltrim(_ key: String, from first: Int, through last: Int) -> Self { Self(RedisCommand("LTRIM", key, first, last)) }
}

extension RedisTypedCommand {
  /// Removes the first value and returns it; `nil` if there is none.
  public static func lpop<Value: RedisReplyDecodable>(_ key: String, as type: Value.Type = Value.self) -> Self where Reply == Value? {
    Self(RedisCommand("LPOP", key))
  }

  /// Removes the first values, so many or all, and returns them.
  ///
  /// Redis 6.2 or later.
  public static func lpop<Value: RedisReplyDecodable>(
    _ key: String, count: Int, as type: Value.Type = Value.self
  ) -> Self where Reply == [Value] {
    Self(popping: RedisCommand("LPOP", key, count))
  }

  /// Removes the last value and returns it; `nil` if there is none.
  public static func rpop<Value: RedisReplyDecodable>(_ key: String, as type: Value.Type = Value.self) -> Self where Reply == Value? {
    Self(RedisCommand("RPOP", key))
  }

  /// Removes the last values, so many or all, and returns them, the last first.
  ///
  /// Redis 6.2 or later.
  public static func rpop<Value: RedisReplyDecodable>(
    _ key: String, count: Int, as type: Value.Type = Value.self
  ) -> Self where Reply == [Value] {
    Self(popping: RedisCommand("RPOP", key, count))
  }

  /// Removes the first value of the first list that has one, and waits for one: on a leased connection only.
  ///
  /// - Parameters:
  ///   - keys: The lists, in order of preference.
  ///   - wait: How long to wait; the command's time-out becomes 5 s longer. With zero the server waits for ever, and the caller as long as
  ///     ``withTimeout(_:)`` says.
  ///   - type: The type of the value.
  /// - Returns: A command that replies with the list's key and the value, or `nil` if none came in time.
  public static func blpop<Value: RedisReplyDecodable>(
    _ keys: String..., wait: Duration, as type: Value.Type = Value.self
  ) -> Self where Reply == (key: String, value: Value)? {
    Self(blocking: "BLPOP", keys, wait)
  }

  /// Removes the last value of the first list that has one, and waits for one: on a leased connection only.
  ///
  /// - Parameters:
  ///   - keys: The lists, in order of preference.
  ///   - wait: How long to wait; the command's time-out becomes 5 s longer. With zero the server waits for ever, and the caller as long as
  ///     ``withTimeout(_:)`` says.
  ///   - type: The type of the value.
  /// - Returns: A command that replies with the list's key and the value, or `nil` if none came in time.
  public static func brpop<Value: RedisReplyDecodable>(
    _ keys: String..., wait: Duration, as type: Value.Type = Value.self
  ) -> Self where Reply == (key: String, value: Value)? {
    Self(blocking: "BRPOP", keys, wait)
  }

  /// Reads a part of a list; negative places are counted from the end, -1 being the last.
  public static func lrange<Value: RedisReplyDecodable>(
    _ key: String, from first: Int = 0, through last: Int = -1, as type: Value.Type = Value.self
  ) -> Self where Reply == [Value] {
    Self(RedisCommand("LRANGE", key, first, last).idempotent)
  }

  private init<Value: RedisReplyDecodable>(popping command: RedisCommand) where Reply == [Value] {
    self.init(command) { (reply) throws(RedisReplyMismatch) in reply.isNull ? [] : try [Value](reply: reply) }
  }

  private init<Value: RedisReplyDecodable>(
    blocking name: String, _ keys: [String], _ wait: Duration
  ) where Reply == (key: String, value: Value)? {
    var command = RedisCommand(name, list: keys)
    command.append(wait.redisSeconds.redisArgument)
    self.init(command.withTimeout(blocking: wait)) { (reply) throws(RedisReplyMismatch) in
      if reply.isNull { return nil }
      let parts = try reply.elements("a key and a value", atLeast: 2)
      return (try parts.decoded(0), try parts.decoded(1))
    }
  }
}

extension RedisCommand {
  /// The command with time for its reply to travel after the server has waited; a wait without end is left to the caller.
  func withTimeout(blocking wait: Duration) -> RedisCommand {
    wait > .zero ? withTimeout(wait + .seconds(5)) : self
  }
}

extension Duration {
  /// Seconds as blocking commands take them, to the millisecond; whole ones without a fraction, for servers before 6.0.
  fileprivate var redisSeconds: any RedisArgumentConvertible {
    let milliseconds = redisMilliseconds
    return milliseconds.isMultiple(of: 1_000) ? milliseconds / 1_000 : Double(milliseconds) / 1_000
  }
}
