import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("Commands of strings and keys")
struct StringAndKeyCommandTests {
  @Test("Strings are read and written with the options of Redis, and repeated where that is safe")
  func strings() {
    #expect(sent(.get("k", as: Int.self)) == "!GET k")
    #expect(sent(.mget(["a", "b"], as: Int.self)) == "!MGET a b")
    #expect(sent(.getdel("k", as: Int.self)) == "GETDEL k")
    #expect(sent(.getex("k", expiry: .after(.seconds(2)), as: Int.self)) == "!GETEX k PX 2000")
    #expect(sent(.getex("k", expiry: .at(sinceEpoch: .seconds(9)), as: Int.self)) == "GETEX k PXAT 9000")
    #expect(sent(.getex("k", expiry: .never, as: Int.self)) == "!GETEX k PERSIST")
    #expect(sent(.getex("k", expiry: .kept, as: Int.self)) == "!GETEX k")
    #expect(sent(.mset(["a": 1, "b": "two"])) == "!MSET a 1 b two")
    #expect(sent(.incr("k")) == "INCR k")
    #expect(sent(.incrby("k", -5)) == "INCRBY k -5")
    #expect(sent(.decr("k")) == "DECR k")
    #expect(sent(.append("k", "v")) == "APPEND k v")
    #expect(sent(.strlen("k")) == "!STRLEN k")
  }

  @Test("SET has a reply of a type of its own with each option")
  func set() throws {
    #expect(sent(.set("k", "v")) == "!SET k v")
    #expect(sent(.set("k", 7, expiry: .after(.milliseconds(50)))) == "!SET k 7 PX 50")
    #expect(sent(.set("k", 1.5, expiry: .kept)) == "!SET k 1.5 KEEPTTL")
    #expect(sent(.set("k", "v", expiry: .never)) == "!SET k v")
    #expect(sent(.set("k", "v", expiry: .at(sinceEpoch: .seconds(9)))) == "!SET k v PXAT 9000")
    #expect(sent(.set("k", "v", if: .missing)) == "SET k v NX")
    #expect(sent(.set("k", "v", if: .existing, expiry: .after(.seconds(1)))) == "!SET k v XX PX 1000")
    #expect(sent(.set("k", "v", returning: String.self)) == "SET k v GET")
    #expect(sent(.set("k", "v", if: .missing, expiry: .after(.seconds(1)), returning: String.self)) == "SET k v NX GET PX 1000")

    let conditional: RedisTypedCommand<Bool> = .set("k", "v", if: .missing)
    #expect(try conditional.reply(from: .simple("OK")))
    #expect(try !conditional.reply(from: .null))
    #expect(mismatch(conditional, .integer(1))?.contains("Expected the status OK or null, got an integer") == true)
    #expect(try RedisTypedCommand.set("k", "v", returning: Int.self).reply(from: .bulk("4")) == 4)
    try RedisTypedCommand.set("k", "v").reply(from: .simple("OK"))
    #expect(mismatch(.set("k", "v"), .simple("QUEUED"))?.contains("Expected the status OK, got a simple string") == true)
  }

  @Test("Keys are removed, counted and listed")
  func keys() throws {
    #expect(sent(.del("a", "b")) == "DEL a b")
    #expect(sent(.del(["a", "b"])) == "DEL a b")
    #expect(sent(.unlink("a")) == "UNLINK a")
    #expect(sent(.exists("a")) == "!EXISTS a")
    #expect(sent(.exists(["a", "b"])) == "!EXISTS a b")
    #expect(sent(.scan()) == "!SCAN 0")
    #expect(sent(.scan("7", match: "u:*", type: .hash, count: 10)) == "!SCAN 7 MATCH u:* COUNT 10 TYPE hash")
    #expect(try RedisTypedCommand.exists("a").reply(from: .integer(1)))
    let last = try RedisTypedCommand.scan().reply(from: .array([.bulk("0"), .array([.bulk("a")])]))
    #expect(last == RedisScanPage(keys: ["a"], next: nil))
    #expect(try RedisTypedCommand.scan().reply(from: .array([.bulk("17"), .array([])])).next == "17")
    #expect(mismatch(.scan(), .array([.bulk("0")])) != nil)
  }

  @Test("A key's time to live is a duration, or there is none")
  func expiry() throws {
    #expect(sent(.expire("k", after: .seconds(2))) == "!PEXPIRE k 2000")
    #expect(sent(.expire("k", after: .zero)) == "PEXPIRE k 0")
    #expect(sent(.expire("k", after: .seconds(2), if: .unlimited)) == "PEXPIRE k 2000 NX")
    #expect(sent(.expire("k", after: .seconds(2), if: .expiring)) == "!PEXPIRE k 2000 XX")
    #expect(sent(.expire("k", after: .seconds(2), if: .later)) == "PEXPIRE k 2000 GT")
    #expect(sent(.expire("k", after: .seconds(2), if: .sooner)) == "PEXPIRE k 2000 LT")
    #expect(sent(.persist("k")) == "PERSIST k")
    #expect(sent(.ttl("k")) == "!PTTL k")
    #expect(try RedisTypedCommand.ttl("k").reply(from: .integer(-2)) == .missing)
    #expect(try RedisTypedCommand.ttl("k").reply(from: .integer(-1)) == .unlimited)
    #expect(try RedisTypedCommand.ttl("k").reply(from: .integer(1_500)) == .remaining(.milliseconds(1_500)))
    #expect(mismatch(.ttl("k"), .null)?.contains("Expected an integer, got null") == true)
  }

  @Test("The type of a key is a name, also for a module's type")
  func types() throws {
    #expect(sent(.type("k")) == "!TYPE k")
    #expect(try RedisTypedCommand.type("k").reply(from: .simple("zset")) == .sortedSet)
    #expect(try RedisTypedCommand.type("k").reply(from: .simple("none")) == nil)
    #expect(try RedisTypedCommand.type("k").reply(from: .simple("ReJSON-RL"))?.name == "ReJSON-RL")
  }
}
