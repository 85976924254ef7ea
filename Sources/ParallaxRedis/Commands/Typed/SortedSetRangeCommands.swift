/// Sorted sets: several members at once. ZRANGE by score, or in reverse order, needs Redis 6.2 or later.
extension RedisTypedCommand {
  /// Reads the members of a range of ranks; negative ranks count from the end, -1 is the last one.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - first: The first rank.
  ///   - last: The last rank.
  ///   - reversed: Whether ranks count from the highest score down; `false` by default.
  ///   - type: The type of the members.
  /// - Returns: The command; it replies with the members in order.
  public static func zrange<Member: RedisReplyDecodable>(
    _ key: String, from first: Int = 0, through last: Int = -1, reversed: Bool = false, as type: Member.Type = Member.self
  ) -> Self where Reply == [Member] {
    Self(.zrange(key, first, last, reversed))
  }

  /// Reads the members of a range of ranks with their scores; negative ranks count from the end, -1 is the last one.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - first: The first rank.
  ///   - last: The last rank.
  ///   - reversed: Whether ranks count from the highest score down; `false` by default.
  ///   - type: The type of the members.
  /// - Returns: The command; it replies with the members in order, with their scores.
  public static func zrangeWithScores<Member: RedisReplyDecodable>(
    _ key: String, from first: Int = 0, through last: Int = -1, reversed: Bool = false, as type: Member.Type = Member.self
  ) -> Self where Reply == [RedisScored<Member>] {
    Self(readingScores: .zrange(key, first, last, reversed).withScores)
  }

  /// Reads the members with scores within bounds.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - min: The lower bound.
  ///   - max: The upper bound.
  ///   - reversed: Whether the highest score comes first; `false` by default.
  ///   - offset: The number of members to skip; 0 by default.
  ///   - count: The maximum number of members; `nil`, the default, for all.
  ///   - type: The type of the members.
  /// - Returns: The command; it replies with the members in order.
  public static func zrange<Member: RedisReplyDecodable>(
    _ key: String, min: RedisScoreBound, max: RedisScoreBound, reversed: Bool = false, offset: Int = 0, count: Int? = nil,
    as type: Member.Type = Member.self
  ) -> Self where Reply == [Member] {
    Self(.zrange(key, min, max, reversed, offset, count))
  }

  /// Reads the members with scores within bounds, with their scores.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - min: The lower bound.
  ///   - max: The upper bound.
  ///   - reversed: Whether the highest score comes first; `false` by default.
  ///   - offset: The number of members to skip; 0 by default.
  ///   - count: The maximum number of members; `nil`, the default, for all.
  ///   - type: The type of the members.
  /// - Returns: The command; it replies with the members in order, with their scores.
  public static func zrangeWithScores<Member: RedisReplyDecodable>(
    _ key: String, min: RedisScoreBound, max: RedisScoreBound, reversed: Bool = false, offset: Int = 0, count: Int? = nil,
    as type: Member.Type = Member.self
  ) -> Self where Reply == [RedisScored<Member>] {
    Self(readingScores: .zrange(key, min, max, reversed, offset, count).withScores)
  }

  /// Removes and returns the members with the lowest scores, at most `count`, the lowest first.
  public static func zpopmin<Member: RedisReplyDecodable>(
    _ key: String, count: Int = 1, as type: Member.Type = Member.self
  ) -> Self where Reply == [RedisScored<Member>] {
    Self(readingScores: RedisCommand("ZPOPMIN", key, count))
  }

  /// Removes and returns the members with the highest scores, at most `count`, the highest first.
  public static func zpopmax<Member: RedisReplyDecodable>(
    _ key: String, count: Int = 1, as type: Member.Type = Member.self
  ) -> Self where Reply == [RedisScored<Member>] {
    Self(readingScores: RedisCommand("ZPOPMAX", key, count))
  }

  /// RESP3 has an array of pairs, RESP2 a flat array.
  private init<Member: RedisReplyDecodable>(readingScores command: RedisCommand) where Reply == [RedisScored<Member>] {
    self.init(command) { (reply) throws(RedisReplyMismatch) in
      let elements = try reply.elements("members with scores")
      if elements.first?.array != nil {
        return try elements.decoded { (pair) throws(RedisReplyMismatch) in
          let pair = try pair.elements("a member with its score", atLeast: 2)
          return RedisScored(try pair.decoded(0), score: try pair.decoded(1))
        }
      }
      guard elements.count.isMultiple(of: 2) else { throw RedisReplyMismatch(expected: "members with scores", found: reply) }
      var result: Reply = []
      result.reserveCapacity(elements.count / 2)
      for index in stride(from: 0, to: elements.count, by: 2) {
        result.append(RedisScored(try elements.decoded(index), score: try elements.decoded(index + 1)))
      }
      return result
    }
  }
}

extension RedisCommand {
  fileprivate static func zrange(_ key: String, _ first: Int, _ last: Int, _ reversed: Bool) -> RedisCommand {
    var command = RedisCommand("ZRANGE", key, first, last).idempotent
    if reversed { command.append("REV") }
    return command
  }

  fileprivate static func zrange(
    _ key: String, _ min: RedisScoreBound, _ max: RedisScoreBound, _ reversed: Bool, _ offset: Int, _ count: Int?
  ) -> RedisCommand {
    var command = RedisCommand("ZRANGE", key, (reversed ? max : min).argument, (reversed ? min : max).argument, "BYSCORE").idempotent
    if reversed { command.append("REV") }
    if offset != 0 || count != nil { command.append(["LIMIT", RedisArgument(offset), RedisArgument(count ?? -1)]) }
    return command
  }

  fileprivate var withScores: RedisCommand {
    var copy = self
    copy.append("WITHSCORES")
    return copy
  }
}
