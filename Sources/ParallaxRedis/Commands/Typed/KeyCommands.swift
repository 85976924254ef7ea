/// Keys of any type.
extension RedisTypedCommand<Int> {
  /// Removes keys, at least one; returns how many existed.
  public static func del(_ keys: String...) -> Self { del(keys) }

  /// Removes keys, at least one; returns how many existed.
  public static func del(_ keys: some Sequence<String>) -> Self { Self(RedisCommand("DEL", list: keys)) }

  /// Removes keys, at least one, and frees their memory in the background; returns how many existed.
  public static func unlink(_ keys: String...) -> Self { unlink(keys) }

  /// Removes keys, at least one, and frees their memory in the background; returns how many existed.
  public static func unlink(_ keys: some Sequence<String>) -> Self { Self(RedisCommand("UNLINK", list: keys)) }

  /// Counts the existing ones of the keys.
  public static func exists(_ keys: some Sequence<String>) -> Self { Self(RedisCommand("EXISTS", list: keys).idempotent) }
}

extension RedisTypedCommand<Bool> {
  /// Whether a key exists.
  public static func exists(_ key: String) -> Self { Self(RedisCommand("EXISTS", key).idempotent) }

  /// Sets the expiry of a key by PEXPIRE, without rounding to seconds; returns whether it was set.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - duration: The time to live, in milliseconds rounded up. Zero and less remove the key.
  ///   - condition: The condition of the change, in Redis 7.0 or later; `nil`, the default, for none.
  /// - Returns: The command; it replies whether the key now has the expiry.
  public static func expire(_ key: String, after duration: Duration, if condition: RedisExpiryCondition? = nil) -> Self {
    var command = RedisCommand("PEXPIRE", key, duration.redisMilliseconds)
    if let condition { command.append(condition.word) }
    // A repeat finds the key with the expiry that the first run set, unless that run has removed the key.
    command.isIdempotent = duration > .zero && (condition == nil || condition == .expiring)
    return Self(command)
  }

  /// Removes the expiry of a key; returns whether it had one.
  public static func persist(_ key: String) -> Self { Self(RedisCommand("PERSIST", key)) }
}

extension RedisTypedCommand<RedisTimeToLive> {
  /// The time to live of a key by PTTL, in milliseconds.
  public static func ttl(_ key: String) -> Self {
    Self(RedisCommand("PTTL", key).idempotent) { (reply) throws(RedisReplyMismatch) in
      switch try Int64(reply: reply) {
      case -2: .missing
      case -1: .unlimited
      case let milliseconds: .remaining(.milliseconds(milliseconds))
      }
    }
  }
}

extension RedisTypedCommand<RedisKeyType?> {
  /// The type of the value of a key; `nil` for a missing key.
  public static func type(_ key: String) -> Self {
    Self(RedisCommand("TYPE", key).idempotent) { (reply) throws(RedisReplyMismatch) in
      let name = try String(reply: reply)
      return name == "none" ? nil : RedisKeyType(name: name)
    }
  }
}

extension RedisTypedCommand<RedisScanPage> {
  /// Lists a part of the keys, at a small cost to the server.
  ///
  /// - Parameters:
  ///   - cursor: The place to continue: ``RedisScanPage/next`` of the page before; `nil`, the default, to begin.
  ///   - pattern: The pattern of the keys, such as `user:*`; `nil`, the default, for all.
  ///   - type: The type of the values; `nil`, the default, for all.
  ///   - count: The approximate number of keys that the server examines; `nil`, the default, leaves it to the server.
  /// - Returns: A command whose page may be empty although another one follows, and may repeat keys of other pages.
  public static func scan(_ cursor: String? = nil, match pattern: String? = nil, type: RedisKeyType? = nil, count: Int? = nil) -> Self {
    var command = RedisCommand("SCAN", cursor ?? "0").idempotent
    if let pattern { command.append(["MATCH", RedisArgument(pattern)]) }
    if let count { command.append(["COUNT", RedisArgument(count)]) }
    if let type { command.append(["TYPE", RedisArgument(type.name)]) }
    return Self(command) { (reply) throws(RedisReplyMismatch) in
      let parts = try reply.elements("a cursor and keys", atLeast: 2)
      let cursor = try parts.decoded(0, as: String.self)
      return RedisScanPage(keys: try parts.decoded(1), next: cursor == "0" ? nil : cursor)
    }
  }
}

/// The condition under which PEXPIRE sets an expiry.
public struct RedisExpiryCondition: Sendable, Hashable {
  let word: String

  /// Only if the key has no expiry: `NX`.
  public static let unlimited = RedisExpiryCondition(word: "NX")
  /// Only if the key has an expiry: `XX`.
  public static let expiring = RedisExpiryCondition(word: "XX")
  /// Only if the new expiry is later: `GT`.
  public static let later = RedisExpiryCondition(word: "GT")
  /// Only if the new expiry is earlier: `LT`.
  public static let sooner = RedisExpiryCondition(word: "LT")
}

/// The time to live of a key.
public enum RedisTimeToLive: Sendable, Hashable {
  /// The key is missing.
  case missing
  /// The key has no expiry.
  case unlimited
  /// The key expires after this time.
  case remaining(Duration)
}

/// The type of a value; modules may add types.
public struct RedisKeyType: Sendable, Hashable {
  /// The name in Redis.
  public let name: String

  /// Creates a type of its name in Redis.
  ///
  /// - Parameter name: The name, such as `string`.
  public init(name: String) { self.name = name }

  /// A string or counter.
  public static let string = RedisKeyType(name: "string")
  /// A hash.
  public static let hash = RedisKeyType(name: "hash")
  /// A list.
  public static let list = RedisKeyType(name: "list")
  /// A set.
  public static let set = RedisKeyType(name: "set")
  /// A sorted set.
  public static let sortedSet = RedisKeyType(name: "zset")
  /// A stream.
  public static let stream = RedisKeyType(name: "stream")
}

/// A part of the keys.
public struct RedisScanPage: Sendable, Hashable {
  /// The keys found, perhaps none.
  public let keys: [String]
  /// The cursor of the next page; `nil` after the last page.
  public let next: String?
}
