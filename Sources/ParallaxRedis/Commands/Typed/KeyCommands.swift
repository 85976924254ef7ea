/// Keys of any type.
extension RedisTypedCommand<Int> {
  /// Removes keys, at least one; returns how many there were.
  public static func del(_ keys: String...) -> Self { del(keys) }

  /// Removes keys, at least one; returns how many there were.
  public static func del(_ keys: some Sequence<String>) -> Self { Self(RedisCommand("DEL", list: keys)) }

  /// Removes keys, at least one, and frees their memory in the background; returns how many there were.
  public static func unlink(_ keys: String...) -> Self { unlink(keys) }

  /// Removes keys, at least one, and frees their memory in the background; returns how many there were.
  public static func unlink(_ keys: some Sequence<String>) -> Self { Self(RedisCommand("UNLINK", list: keys)) }

  /// Counts those of the keys that there are.
  public static func exists(_ keys: some Sequence<String>) -> Self { Self(RedisCommand("EXISTS", list: keys).idempotent) }
}

extension RedisTypedCommand<Bool> {
  /// Whether there is a key.
  public static func exists(_ key: String) -> Self { Self(RedisCommand("EXISTS", key).idempotent) }

  /// Makes a key expire, by PEXPIRE, so that nothing is rounded to seconds; returns whether that was done.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - duration: How long it lives on, in milliseconds rounded up. Zero and less removes it.
  ///   - condition: When to do so, in Redis 7.0 or later; always if `nil`.
  /// - Returns: The command; it replies whether the key now has the expiry.
  public static func expire(_ key: String, after duration: Duration, if condition: RedisExpiryCondition? = nil) -> Self {
    var command = RedisCommand("PEXPIRE", key, duration.redisMilliseconds)
    if let condition { command.append(condition.word) }
    // A repeat finds the key with the expiry that it was given, or not at all if it is to live no longer.
    command.isIdempotent = duration > .zero && (condition == nil || condition == .expiring)
    return Self(command)
  }

  /// Takes the expiry from a key; returns whether it had one.
  public static func persist(_ key: String) -> Self { Self(RedisCommand("PERSIST", key)) }
}

extension RedisTypedCommand<RedisTimeToLive> {
  /// How long a key lives on, by PTTL, to the millisecond.
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
  /// The type of what is stored under a key; `nil` if nothing is.
  public static func type(_ key: String) -> Self {
    Self(RedisCommand("TYPE", key).idempotent) { (reply) throws(RedisReplyMismatch) in
      let name = try String(reply: reply)
      return name == "none" ? nil : RedisKeyType(name: name)
    }
  }
}

extension RedisTypedCommand<RedisScanPage> {
  /// Lists a part of the keys, with little work at a time for the server.
  ///
  /// - Parameters:
  ///   - cursor: Where to go on: ``RedisScanPage/next`` of the page before; `nil` to begin.
  ///   - pattern: What the keys look like, such as `user:*`; any if `nil`.
  ///   - type: The type of what they hold; any if `nil`.
  ///   - count: About how many keys the server looks at; it decides if `nil`.
  /// - Returns: A command whose page may be empty although there is a next one, and may repeat keys of other pages.
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

/// When PEXPIRE sets an expiry.
public struct RedisExpiryCondition: Sendable, Hashable {
  let word: String

  /// Only if the key does not expire yet: `NX`.
  public static let unlimited = RedisExpiryCondition(word: "NX")
  /// Only if the key expires already: `XX`.
  public static let expiring = RedisExpiryCondition(word: "XX")
  /// Only if the key expires later than before: `GT`.
  public static let later = RedisExpiryCondition(word: "GT")
  /// Only if the key expires sooner than before: `LT`.
  public static let sooner = RedisExpiryCondition(word: "LT")
}

/// How long a key lives on.
public enum RedisTimeToLive: Sendable, Hashable {
  /// There is no such key.
  case missing
  /// It does not expire.
  case unlimited
  /// It expires after this time.
  case remaining(Duration)
}

/// The type of what is stored under a key; modules may add more.
public struct RedisKeyType: Sendable, Hashable {
  /// What Redis calls it.
  public let name: String

  /// Makes a type of the name that Redis gives it.
  ///
  /// - Parameter name: Such as `string`.
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
  /// Where to go on; `nil` after the last page.
  public let next: String?
}
