import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("Commands of hashes, sets and lists")
struct CollectionCommandTests {
  private static let flat: [RESPValue] = [.bulk("a"), .bulk("1"), .bulk("b"), .bulk("2")]

  @Test("Hashes are written with values of mixed types")
  func hashes() {
    #expect(sent(.hget("k", "f", as: String.self)) == "!HGET k f")
    #expect(sent(.hmget("k", ["a", "b"], as: String.self)) == "!HMGET k a b")
    #expect(sent(.hgetall("k", as: String.self)) == "!HGETALL k")
    #expect(sent(.hvals("k", as: String.self)) == "!HVALS k")
    #expect(sent(.hkeys("k")) == "!HKEYS k")
    #expect(sent(.hlen("k")) == "!HLEN k")
    #expect(sent(.hexists("k", "f")) == "!HEXISTS k f")
    #expect(sent(.hset("k", ["s": "text", "i": 7, "d": 0.5, "b": ByteBuffer(string: "bytes")])) == "HSET k s text i 7 d 0.5 b bytes")
    #expect(sent(.hset("k", RedisFields(["a": 1]))) == "HSET k a 1")
    #expect(sent(.hset("k", "f", 1)) == "HSET k f 1")
    #expect(sent(.hsetnx("k", "f", 1)) == "HSETNX k f 1")
    #expect(sent(.hdel("k", "a", "b")) == "HDEL k a b")
    #expect(sent(.hincrby("k", "f", -2)) == "HINCRBY k f -2")
  }

  @Test("A whole hash is read from a map and from an array", arguments: [RESPValue.map(Self.flat), .array(Self.flat)])
  func wholeHash(reply: RESPValue) throws {
    #expect(try RedisTypedCommand.hgetall("k", as: Int.self).reply(from: reply) == ["a": 1, "b": 2])
  }

  @Test("A hash with a value of the wrong type is refused, and the place named")
  func wrongHash() {
    let reply = RESPValue.map([.bulk("a"), .bulk("1"), .bulk("b"), .bulk("two")])
    #expect(mismatch(.hgetall("k", as: Int.self), reply)?.contains("Expected an integer, got a bulk string in element 3") == true)
    #expect(mismatch(.hgetall("k", as: Int.self), .integer(1))?.contains("Expected a map, got an integer") == true)
  }

  @Test("Sets take single members and sequences, of text, numbers or bytes")
  func sets() throws {
    #expect(sent(.sadd("k", "a", "b")) == "SADD k a b")
    #expect(sent(.sadd("k", ["a", "b"])) == "SADD k a b")
    #expect(sent(.sadd("k", 1)) == "SADD k 1")
    #expect(sent(.sadd("k", Array("bytes".utf8))) == "SADD k bytes")
    #expect(sent(.srem("k", Set(["a"]))) == "SREM k a")
    #expect(sent(.srem("k", "a")) == "SREM k a")
    #expect(sent(.scard("k")) == "!SCARD k")
    #expect(sent(.sismember("k", "a")) == "!SISMEMBER k a")
    #expect(sent(.smembers("k", as: String.self)) == "!SMEMBERS k")
    #expect(sent(.spop("k", as: String.self)) == "SPOP k")
    #expect(sent(.spop("k", count: 2, as: String.self)) == "SPOP k 2")
    #expect(sent(.srandmember("k", as: String.self)) == "!SRANDMEMBER k")
    for reply in [RESPValue.set([.bulk("1"), .bulk("2")]), .array([.bulk("1"), .bulk("2")])] {
      #expect(try RedisTypedCommand.smembers("k", as: Int.self).reply(from: reply) == [1, 2])
    }
    #expect(try RedisTypedCommand.spop("k", as: String.self).reply(from: .null) == nil)
    #expect(try RedisTypedCommand.sismember("k", "a").reply(from: .boolean(true)))
  }

  @Test("Lists are pushed, popped and read")
  func lists() throws {
    #expect(sent(.lpush("k", "a", "b")) == "LPUSH k a b")
    #expect(sent(.rpush("k", [1, 2])) == "RPUSH k 1 2")
    #expect(sent(.llen("k")) == "!LLEN k")
    #expect(sent(.lrem("k", "a")) == "LREM k 0 a")
    #expect(sent(.lrem("k", "a", count: -1)) == "LREM k -1 a")
    #expect(sent(.ltrim("k", from: 0, through: 9)) == "LTRIM k 0 9")
    #expect(sent(.lpop("k", as: String.self)) == "LPOP k")
    #expect(sent(.lpop("k", count: 2, as: String.self)) == "LPOP k 2")
    #expect(sent(.rpop("k", as: String.self)) == "RPOP k")
    #expect(sent(.rpop("k", count: 2, as: String.self)) == "RPOP k 2")
    #expect(sent(.lrange("k", as: String.self)) == "!LRANGE k 0 -1")
    #expect(sent(.lrange("k", from: 1, through: 5, as: String.self)) == "!LRANGE k 1 5")
    #expect(try RedisTypedCommand.lpop("k", count: 2, as: String.self).reply(from: .null) == [])
    #expect(try RedisTypedCommand.rpop("k", as: Int.self).reply(from: .bulk("3")) == 3)
    #expect(mismatch(.lrange("k", as: String.self), .null)?.contains("Expected an array, got null") == true)
  }

  @Test("A blocking pop waits in seconds, has time for its reply, and is refused on a shared connection")
  func blockingPops() throws {
    let pop = RedisTypedCommand.blpop("a", "b", wait: .seconds(2), as: String.self)
    #expect(sent(pop) == "BLPOP a b 2")
    #expect(pop.command.timeout == .seconds(7))
    #expect(throws: RedisError.self) { try pop.command.checkShareable() }
    #expect(sent(.brpop("a", wait: .milliseconds(1_500), as: String.self)) == "BRPOP a 1.5")
    let endless = RedisTypedCommand.blpop("a", wait: .zero, as: String.self)
    #expect(sent(endless) == "BLPOP a 0")
    #expect(endless.command.timeout == nil)
    let reply = try pop.reply(from: .array([.bulk("b"), .bulk("v")]))
    #expect(reply?.key == "b" && reply?.value == "v")
    #expect(try pop.reply(from: .null) == nil)
    #expect(mismatch(pop, .array([.bulk("b")])) != nil)
  }
}
