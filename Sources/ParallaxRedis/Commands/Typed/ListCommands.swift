/// Lists.
extension RedisTypedCommand<Int> {
  /// Prepends values one after the other, at least one; returns the length.
  public static func lpush<Value: RedisArgumentConvertible>(_ key: String, _ values: Value...) -> Self { lpush(key, values) }

  /// Prepends values one after the other, at least one; returns the length.
  public static func lpush(_ key: String, _ values: some Sequence<some RedisArgumentConvertible>) -> Self {
    Self(RedisCommand("LPUSH", key, list: values))
  }

  /// Appends values, at least one; returns the length.
  public static func rpush<Value: RedisArgumentConvertible>(_ key: String, _ values: Value...) -> Self { rpush(key, values) }

  /// Appends values, at least one; returns the length.
  public static func rpush(_ key: String, _ values: some Sequence<some RedisArgumentConvertible>) -> Self {
    Self(RedisCommand("RPUSH", key, list: values))
  }

  /// The length; 0 for a missing key.
  public static func llen(_ key: String) -> Self { Self(RedisCommand("LLEN", key).idempotent) }

  /// Removes the values that equal one value; returns how many existed.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - value: The value to remove.
  ///   - count: The maximum number of removals, from the head, or from the tail if negative; 0, the default, removes all.
  /// - Returns: The command; it replies with the number of removed values.
  public static func lrem(_ key: String, _ value: some RedisArgumentConvertible, count: Int = 0) -> Self {
    Self(RedisCommand("LREM", key, count, value))
  }
}

extension RedisTypedCommand<Void> {
  /// Reduces a list to a range; negative indexes count from the end, -1 is the last element.
  ///
  /// Not idempotent: a repeat would trim the trimmed list.
  public static func ltrim(_ key: String, from first: Int, through last: Int) -> Self { Self(RedisCommand("LTRIM", key, first, last)) }
}

extension RedisTypedCommand {
  /// Removes and returns the first value; `nil` if the list is empty.
  public static func lpop<Value: RedisReplyDecodable>(_ key: String, as type: Value.Type = Value.self) -> Self where Reply == Value? {
    Self(RedisCommand("LPOP", key))
  }

  /// Removes and returns the first values, at most `count`.
  ///
  /// Redis 6.2 or later.
  public static func lpop<Value: RedisReplyDecodable>(
    _ key: String, count: Int, as type: Value.Type = Value.self
  ) -> Self where Reply == [Value] {
    Self(popping: RedisCommand("LPOP", key, count))
  }

  /// Removes and returns the last value; `nil` if the list is empty.
  public static func rpop<Value: RedisReplyDecodable>(_ key: String, as type: Value.Type = Value.self) -> Self where Reply == Value? {
    Self(RedisCommand("RPOP", key))
  }

  /// Removes and returns the last values, at most `count`, the last one first.
  ///
  /// Redis 6.2 or later.
  public static func rpop<Value: RedisReplyDecodable>(
    _ key: String, count: Int, as type: Value.Type = Value.self
  ) -> Self where Reply == [Value] {
    Self(popping: RedisCommand("RPOP", key, count))
  }

  /// Removes the first value of the first non-empty list, and waits for one; for leased connections only.
  ///
  /// - Parameters:
  ///   - keys: The lists, in order of preference.
  ///   - wait: How long to wait; the command's time-out becomes 5 s longer. With zero the server waits forever, and the caller for the
  ///     time-out of ``withTimeout(_:)``.
  ///   - type: The type of the value.
  /// - Returns: A command that replies with the list's key and the value, or `nil` if no value arrived in time.
  public static func blpop<Value: RedisReplyDecodable>(
    _ keys: String..., wait: Duration, as type: Value.Type = Value.self
  ) -> Self where Reply == (key: String, value: Value)? {
    Self(blocking: "BLPOP", keys, wait)
  }

  /// Removes the last value of the first non-empty list, and waits for one; for leased connections only.
  ///
  /// - Parameters:
  ///   - keys: The lists, in order of preference.
  ///   - wait: How long to wait; the command's time-out becomes 5 s longer. With zero the server waits forever, and the caller for the
  ///     time-out of ``withTimeout(_:)``.
  ///   - type: The type of the value.
  /// - Returns: A command that replies with the list's key and the value, or `nil` if no value arrived in time.
  public static func brpop<Value: RedisReplyDecodable>(
    _ keys: String..., wait: Duration, as type: Value.Type = Value.self
  ) -> Self where Reply == (key: String, value: Value)? {
    Self(blocking: "BRPOP", keys, wait)
  }

  /// Reads a range of a list; negative indexes count from the end, -1 is the last element.
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
  /// The command with time for its reply after the server's wait; the caller sets the time-out of an unlimited wait.
  func withTimeout(blocking wait: Duration) -> RedisCommand {
    wait > .zero ? withTimeout(wait + .seconds(5)) : self
  }
}

extension Duration {
  /// Seconds for blocking commands, with millisecond precision; whole seconds without a fraction, for servers before 6.0.
  fileprivate var redisSeconds: any RedisArgumentConvertible {
    let milliseconds = redisMilliseconds
    return milliseconds.isMultiple(of: 1_000) ? milliseconds / 1_000 : Double(milliseconds) / 1_000
  }
}
