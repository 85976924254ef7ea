/// Strings: values, and counters.
extension RedisTypedCommand {
  /// Reads a value; `nil` if there is none.
  public static func get<Value: RedisReplyDecodable>(_ key: String, as type: Value.Type = Value.self) -> Self where Reply == Value? {
    Self(RedisCommand("GET", key).idempotent)
  }

  /// Reads a value and changes when it expires; `nil` if there is none.
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

  /// Reads a value and removes it; `nil` if there was none.
  ///
  /// Redis 6.2 or later.
  public static func getdel<Value: RedisReplyDecodable>(_ key: String, as type: Value.Type = Value.self) -> Self where Reply == Value? {
    Self(RedisCommand("GETDEL", key))
  }

  /// Reads values; `nil` in the place of each that there is not.
  public static func mget<Value: RedisReplyDecodable>(
    _ keys: some Sequence<String>, as type: Value.Type = Value.self
  ) -> Self where Reply == [Value?] {
    Self(RedisCommand("MGET", list: keys).idempotent)
  }

  /// Writes a value and reads what was there before; `nil` if there was nothing.
  ///
  /// With a condition, the former value tells whether the new one was written. `.missing` asks for Redis 7.0 or later.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - value: The new value.
  ///   - condition: When to write it; always if `nil`.
  ///   - expiry: When it expires; never if `nil`.
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
  /// Writes a value, whatever was there before.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - value: The new value.
  ///   - expiry: When it expires; never if `nil`.
  /// - Returns: The command.
  public static func set(_ key: String, _ value: some RedisArgumentConvertible, expiry: RedisExpiry? = nil) -> Self {
    Self(RedisCommand.set(key, value, nil, expiry).idempotent)
  }

  /// Writes several values at once, whatever was there before.
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
  ///   - condition: When to write it. `.missing` is not idempotent: a repeat would find the value it wrote itself.
  ///   - expiry: When it expires; never if `nil`.
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

  /// Takes 1 from an integer, which is 0 if missing; returns the difference.
  public static func decr(_ key: String) -> Self { Self(RedisCommand("DECR", key)) }

  /// Appends to a string; returns its length in bytes.
  public static func append(_ key: String, _ value: some RedisArgumentConvertible) -> Self { Self(RedisCommand("APPEND", key, value)) }

  /// The length of a string in bytes; 0 if there is none.
  public static func strlen(_ key: String) -> Self { Self(RedisCommand("STRLEN", key).idempotent) }
}

/// When SET writes.
public struct RedisSetCondition: Sendable, Hashable {
  let word: String

  /// Only if there is no value yet: `NX`.
  public static let missing = RedisSetCondition(word: "NX")
  /// Only if there is a value already: `XX`.
  public static let existing = RedisSetCondition(word: "XX")
}

/// When a value that is written or read expires.
public struct RedisExpiry: Sendable, Hashable {
  private enum Kind: Hashable {
    case after(Int64)
    case at(Int64)
    case kept
    case never
  }

  private let kind: Kind

  /// So long after the command, in milliseconds rounded up.
  ///
  /// The server refuses zero and less.
  public static func after(_ duration: Duration) -> RedisExpiry { RedisExpiry(kind: .after(duration.redisMilliseconds)) }

  /// At a time since the beginning of 1970.
  ///
  /// Redis 6.2 or later.
  public static func at(sinceEpoch time: Duration) -> RedisExpiry { RedisExpiry(kind: .at(time.redisMilliseconds)) }

  /// When the former value would have.
  ///
  /// Redis 6.0 or later.
  public static let kept = RedisExpiry(kind: .kept)

  /// Never.
  public static let never = RedisExpiry(kind: .never)

  fileprivate var setArguments: [RedisArgument] {
    switch kind {
    case .after(let milliseconds): ["PX", RedisArgument(milliseconds)]
    case .at(let milliseconds): ["PXAT", RedisArgument(milliseconds)]
    case .kept: ["KEEPTTL"]
    case .never: []
    }
  }

  /// Whether the value is there after it as before; at a time that is past it is removed.
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
