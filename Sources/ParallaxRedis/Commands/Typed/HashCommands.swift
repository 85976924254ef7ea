/// Hashes.
extension RedisTypedCommand {
  /// Reads a field; `nil` if it is missing.
  public static func hget<Value: RedisReplyDecodable>(
    _ key: String, _ field: String, as type: Value.Type = Value.self
  ) -> Self where Reply == Value? {
    Self(RedisCommand("HGET", key, field).idempotent)
  }

  /// Reads fields; `nil` for each missing one.
  public static func hmget<Value: RedisReplyDecodable>(
    _ key: String, _ fields: some Sequence<String>, as type: Value.Type = Value.self
  ) -> Self where Reply == [Value?] {
    Self(RedisCommand("HMGET", key, list: fields).idempotent)
  }

  /// Reads all fields; empty for a missing key.
  public static func hgetall<Value: RedisReplyDecodable>(
    _ key: String, as type: Value.Type = Value.self
  ) -> Self where Reply == [String: Value] {
    Self(RedisCommand("HGETALL", key).idempotent)
  }

  /// Reads all values; empty for a missing key.
  public static func hvals<Value: RedisReplyDecodable>(_ key: String, as type: Value.Type = Value.self) -> Self where Reply == [Value] {
    Self(RedisCommand("HVALS", key).idempotent)
  }
}

extension RedisTypedCommand<Int> {
  /// Writes fields, at least one; returns how many of them are new.
  public static func hset(_ key: String, _ fields: RedisFields) -> Self {
    Self(RedisCommand("HSET", key, list: fields.arguments))
  }

  /// Removes fields, at least one; returns how many existed.
  public static func hdel(_ key: String, _ fields: String...) -> Self { hdel(key, fields) }

  /// Removes fields, at least one; returns how many existed.
  public static func hdel(_ key: String, _ fields: some Sequence<String>) -> Self { Self(RedisCommand("HDEL", key, list: fields)) }

  /// Adds to an integer field, which is 0 if missing; returns the sum.
  public static func hincrby(_ key: String, _ field: String, _ increment: Int) -> Self {
    Self(RedisCommand("HINCRBY", key, field, increment))
  }

  /// The number of fields; 0 for a missing key.
  public static func hlen(_ key: String) -> Self { Self(RedisCommand("HLEN", key).idempotent) }
}

extension RedisTypedCommand<Bool> {
  /// Writes a field; returns whether it is new.
  public static func hset(_ key: String, _ field: String, _ value: some RedisArgumentConvertible) -> Self {
    Self(RedisCommand("HSET", key, field, value))
  }

  /// Writes a field if it is missing; returns whether it was.
  public static func hsetnx(_ key: String, _ field: String, _ value: some RedisArgumentConvertible) -> Self {
    Self(RedisCommand("HSETNX", key, field, value))
  }

  /// Whether a field exists.
  public static func hexists(_ key: String, _ field: String) -> Self { Self(RedisCommand("HEXISTS", key, field).idempotent) }
}

extension RedisTypedCommand<[String]> {
  /// The names of all fields; empty for a missing key.
  public static func hkeys(_ key: String) -> Self { Self(RedisCommand("HKEYS", key).idempotent) }
}
