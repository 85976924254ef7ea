import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("Commands of sorted sets")
struct SortedSetCommandTests {
  @Test("ZADD takes one member or several, with its options in the order of Redis")
  func adding() {
    #expect(sent(.zadd("k", "m", score: 1.5)) == "ZADD k 1.5 m")
    #expect(sent(.zadd("k", [RedisScored("a", score: 1), RedisScored("b", score: -.infinity)])) == "ZADD k 1.0 a -inf b")
    #expect(sent(.zadd("k", "m", score: 1, options: .onlyNew)) == "ZADD k NX 1.0 m")
    #expect(sent(.zadd("k", "m", score: 1, options: [.countingChanges, .onlyGreater, .onlyExisting])) == "ZADD k XX GT CH 1.0 m")
    #expect(sent(.zadd("k", "m", score: 1, options: .onlyLess)) == "ZADD k LT 1.0 m")
    #expect(sent(.zincrby("k", "m", 2)) == "ZINCRBY k 2.0 m")
  }

  @Test("Members are removed, counted and looked up")
  func members() throws {
    #expect(sent(.zrem("k", "a", "b")) == "ZREM k a b")
    #expect(sent(.zrem("k", [1, 2])) == "ZREM k 1 2")
    #expect(sent(.zremrangebyscore("k", min: .lowest, max: .excluding(5))) == "ZREMRANGEBYSCORE k -inf (5.0")
    #expect(sent(.zcard("k")) == "!ZCARD k")
    #expect(sent(.zcount("k", min: 1, max: 2.5)) == "!ZCOUNT k 1 2.5")
    #expect(sent(.zrank("k", "m")) == "!ZRANK k m")
    #expect(sent(.zscore("k", "m")) == "!ZSCORE k m")
    #expect(try RedisTypedCommand.zscore("k", "m").reply(from: .bulk("1.5")) == 1.5)
    #expect(try RedisTypedCommand.zscore("k", "m").reply(from: .double(1.5)) == 1.5)
    #expect(try RedisTypedCommand.zscore("k", "m").reply(from: .null) == nil)
    #expect(try RedisTypedCommand.zrank("k", "m").reply(from: .null) == nil)
    #expect(mismatch(.zscore("k", "m"), .bulk("high"))?.contains("Expected a number, got a bulk string") == true)
  }

  @Test("Ranges are by rank or by score, from either end, and limited")
  func ranges() {
    #expect(sent(.zrange("k", as: String.self)) == "!ZRANGE k 0 -1")
    #expect(sent(.zrange("k", from: 1, through: 2, reversed: true, as: String.self)) == "!ZRANGE k 1 2 REV")
    #expect(sent(.zrangeWithScores("k", reversed: true, as: String.self)) == "!ZRANGE k 0 -1 REV WITHSCORES")
    #expect(sent(.zrange("k", min: 1, max: .highest, as: String.self)) == "!ZRANGE k 1 +inf BYSCORE")
    #expect(
      sent(.zrange("k", min: .lowest, max: .including(9), reversed: true, count: 5, as: String.self))
        == "!ZRANGE k 9.0 -inf BYSCORE REV LIMIT 0 5")
    #expect(
      sent(.zrangeWithScores("k", min: .excluding(1), max: .highest, offset: 10, as: String.self))
        == "!ZRANGE k (1.0 +inf BYSCORE LIMIT 10 -1 WITHSCORES")
    #expect(sent(.zpopmin("k", as: String.self)) == "ZPOPMIN k 1")
    #expect(sent(.zpopmax("k", count: 3, as: String.self)) == "ZPOPMAX k 3")
  }

  @Test(
    "Scores are read from one array and from an array of pairs",
    arguments: [
      RESPValue.array([.bulk("a"), .bulk("1"), .bulk("b"), .bulk("inf")]),
      .array([.array([.bulk("a"), .double(1)]), .array([.bulk("b"), .double(.infinity)])]),
    ])
  func scores(reply: RESPValue) throws {
    let expected = [RedisScored("a", score: 1), RedisScored("b", score: .infinity)]
    #expect(try RedisTypedCommand.zrangeWithScores("k", as: String.self).reply(from: reply) == expected)
    #expect(try RedisTypedCommand.zpopmin("k", count: 2, as: String.self).reply(from: reply) == expected)
  }

  @Test("Scores in another form are refused")
  func wrongScores() {
    #expect(mismatch(.zrangeWithScores("k", as: String.self), .array([.bulk("a")])) != nil)
    #expect(mismatch(.zrangeWithScores("k", as: String.self), .array([.array([.bulk("a")])])) != nil)
    #expect(mismatch(.zrangeWithScores("k", as: String.self), .array([.array([.bulk("a"), .double(1)]), .integer(1)])) != nil)
    #expect(mismatch(.zrangeWithScores("k", as: String.self), .array([.bulk("a"), .bulk("high")])) != nil)
  }
}
