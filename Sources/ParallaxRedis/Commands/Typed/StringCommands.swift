/// Strings: values, and counters.
extension RedisTypedCommand {
  /// Reads a value; `nil` if it is missing.
  public static func get<Value: RedisReplyDecodable>(_ key: String, as type: Value.Type = Value.self) -> Self where Reply == Value? {
    Self(RedisCommand("GET", key).idempotent)
  }

  /// Reads a value and changes its expiry; `nil` if it is missing.
  ///
  /// Redis 6.2 or later.
  public static func getex<Value: RedisReplyDecodable>(
    _ key: String, expiry: RedisExpiry, as type: Value.Type = Value.self
  ) -> Self where Reply == Value? {
    var command = RedisCommand("GETEX", key)
    command.append(expiry.getArguments)
    command.isIdempotent = expiry.isAhead
    return Self(command)
  }

  /// Removes and returns a value; `nil` if it is missing.
  ///
  /// Redis 6.2 or later.
  public static func getdel<Value: RedisReplyDecodable>(_ key: String, as type: Value.Type = Value.self) -> Self where Reply == Value? {
    Self(RedisCommand("GETDEL", key))
  }

  /// Reads values; `nil` for each missing one.
  public static func mget<Value: RedisReplyDecodable>(
    _ keys: some Sequence<String>, as type: Value.Type = Value.self
  ) -> Self where Reply == [Value?] {
    Self(RedisCommand("MGET", list: keys).idempotent)
  }

  /// Writes a value and returns the former one; `nil` if there was none.
  ///
  /// With a condition, the former value shows whether the new one was written. `.missing` needs Redis 7.0 or later.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - value: The new value.
  ///   - condition: The condition of the write; `nil`, the default, for none.
  ///   - expiry: The expiry; `nil`, the default, for none.
  ///   - type: The type of the former value.
  /// - Returns: The command; it replies with the former value.
  public static func set<Value: RedisReplyDecodable>(
    _ key: String, _ value: some RedisArgumentConvertible, if condition: RedisSetCondition? = nil, expiry: RedisExpiry? = nil,
    returning type: Value.Type
  ) -> Self where Reply == Value? {
    Self(.set(key, value, condition, expiry, returnsFormer: true))
  }
}

extension RedisTypedCommand<Void> {
  /// Writes a value unconditionally.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - value: The new value.
  ///   - expiry: The expiry; `nil`, the default, for none.
  /// - Returns: The command.
  public static func set(_ key: String, _ value: some RedisArgumentConvertible, expiry: RedisExpiry? = nil) -> Self {
    Self(RedisCommand.set(key, value, nil, expiry).idempotent)
  }

  /// Writes several values atomically and unconditionally.
  public static func mset(_ values: RedisFields) -> Self {
    Self(RedisCommand("MSET", arguments: values.arguments).idempotent)
  }
}

extension RedisTypedCommand<Bool> {
  /// Writes a value on a condition; returns whether it was written.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - value: The new value.
  ///   - condition: The condition. `.missing` is not idempotent: a repeat would find the value of the first run.
  ///   - expiry: The expiry; `nil`, the default, for none.
  /// - Returns: The command; it replies whether the value was written.
  public static func set(
    _ key: String, _ value: some RedisArgumentConvertible, if condition: RedisSetCondition, expiry: RedisExpiry? = nil
  ) -> Self {
    var command = RedisCommand.set(key, value, condition, expiry)
    command.isIdempotent = condition == .existing
    return Self(command) { (reply) throws(RedisReplyMismatch) in
      if reply.isNull { return false }
      guard reply.isText("OK") else { throw RedisReplyMismatch(expected: "the status OK or null", found: reply) }
      return true
    }
  }
}

extension RedisTypedCommand<Int> {
  /// Adds 1 to an integer, which is 0 if missing; returns the sum.
  public static func incr(_ key: String) -> Self { Self(RedisCommand("INCR", key)) }

  /// Adds to an integer, which is 0 if missing; returns the sum.
  public static func incrby(_ key: String, _ increment: Int) -> Self { Self(RedisCommand("INCRBY", key, increment)) }

  /// Subtracts 1 from an integer, which is 0 if missing; returns the difference.
  public static func decr(_ key: String) -> Self { Self(RedisCommand("DECR", key)) }

  /// Appends to a string; returns its length in bytes.
  public static func append(_ key: String, _ value: some RedisArgumentConvertible) -> Self { Self(RedisCommand("APPEND", key, value)) }

  /// The length of a string in bytes; 0 if it is missing.
  public static func strlen(_ key: String) -> Self { Self(RedisCommand("STRLEN", key).idempotent) }
}

/// The condition under which SET writes.
public struct RedisSetCondition: Sendable, Hashable {
  let word: String

  /// Only if the key is missing: `NX`.
  public static let missing = RedisSetCondition(word: "NX")
  /// Only if the key exists: `XX`.
  public static let existing = RedisSetCondition(word: "XX")
}

/// The expiry of a value.
public struct RedisExpiry: Sendable, Hashable {
  private enum Kind: Hashable {
    case after(Int64)
    case at(Int64)
    case kept
    case never
  }

  private let kind: Kind

  /// A time after the command, in milliseconds rounded up.
  ///
  /// The server refuses zero and less.
  public static func after(_ duration: Duration) -> RedisExpiry { RedisExpiry(kind: .after(duration.redisMilliseconds)) }

  /// A time since January 1, 1970.
  ///
  /// Redis 6.2 or later.
  public static func at(sinceEpoch time: Duration) -> RedisExpiry { RedisExpiry(kind: .at(time.redisMilliseconds)) }

  /// The expiry of the former value.
  ///
  /// Redis 6.0 or later.
  public static let kept = RedisExpiry(kind: .kept)

  /// No expiry.
  public static let never = RedisExpiry(kind: .never)

  fileprivate var setArguments: [RedisArgument] {
    switch kind {
    case .after(let milliseconds): ["PX", RedisArgument(milliseconds)]
    case .at(let milliseconds): ["PXAT", RedisArgument(milliseconds)]
    case .kept: ["KEEPTTL"]
    case .never: []
    }
  }

  /// Whether the value exists after the command as before; a time in the past removes it.
  fileprivate var isAhead: Bool {
    if case .at = kind { false } else { true }
  }

  fileprivate var getArguments: [RedisArgument] {
    switch kind {
    case .after, .at: setArguments
    case .kept: []
    case .never: ["PERSIST"]
    }
  }
}

extension RedisCommand {
  fileprivate static func set(
    _ key: String, _ value: some RedisArgumentConvertible, _ condition: RedisSetCondition?, _ expiry: RedisExpiry?,
    returnsFormer: Bool = false
  ) -> RedisCommand {
    var command = RedisCommand("SET", key, value)
    if let condition { command.append(condition.word) }
    if returnsFormer { command.append("GET") }
    if let expiry { command.append(expiry.setArguments) }
    return command
  }
}
