/// Sets.
extension RedisTypedCommand<Int> {
  /// Adds members, at least one; returns how many are new.
  public static func sadd<Member: RedisArgumentConvertible>(_ key: String, _ members: Member...) -> Self { sadd(key, members) }

  /// Adds members, at least one; returns how many are new.
  public static func sadd(_ key: String, _ members: some Sequence<some RedisArgumentConvertible>) -> Self {
    Self(RedisCommand("SADD", key, list: members))
  }

  /// Removes members, at least one; returns how many existed.
  public static func srem<Member: RedisArgumentConvertible>(_ key: String, _ members: Member...) -> Self { srem(key, members) }

  /// Removes members, at least one; returns how many existed.
  public static func srem(_ key: String, _ members: some Sequence<some RedisArgumentConvertible>) -> Self {
    Self(RedisCommand("SREM", key, list: members))
  }

  /// The number of members; 0 for a missing key.
  public static func scard(_ key: String) -> Self { Self(RedisCommand("SCARD", key).idempotent) }
}

extension RedisTypedCommand<Bool> {
  /// Whether a value is a member.
  public static func sismember(_ key: String, _ member: some RedisArgumentConvertible) -> Self {
    Self(RedisCommand("SISMEMBER", key, member).idempotent)
  }
}

extension RedisTypedCommand {
  /// Reads all members, in no order; empty for a missing key.
  public static func smembers<Member: RedisReplyDecodable>(
    _ key: String, as type: Member.Type = Member.self
  ) -> Self where Reply == [Member] {
    Self(RedisCommand("SMEMBERS", key).idempotent)
  }

  /// Removes and returns a random member; `nil` for an empty set.
  public static func spop<Member: RedisReplyDecodable>(_ key: String, as type: Member.Type = Member.self) -> Self where Reply == Member? {
    Self(RedisCommand("SPOP", key))
  }

  /// Removes and returns random members, at most `count`.
  public static func spop<Member: RedisReplyDecodable>(
    _ key: String, count: Int, as type: Member.Type = Member.self
  ) -> Self where Reply == [Member] {
    Self(RedisCommand("SPOP", key, count))
  }

  /// Reads a random member; `nil` for an empty set.
  public static func srandmember<Member: RedisReplyDecodable>(
    _ key: String, as type: Member.Type = Member.self
  ) -> Self where Reply == Member? {
    Self(RedisCommand("SRANDMEMBER", key).idempotent)
  }
}
