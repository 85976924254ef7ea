import NIOCore
import ParallaxRedis
import TestSupport
import Testing

/// Every test runs with RESP3, and with RESP2 on a server without HELLO.
@Suite("Typed commands on a real server", .timeLimit(.minutes(1)))
struct TypedCommandTests {
  private static let protocols: [[String]] = [[], ["--rename-command", "HELLO", ""]]

  @Test("Strings are read as the requested type", arguments: protocols)
  func strings(arguments: [String]) async throws {
    try await withServerAndClient(.init(arguments: arguments)) { _, client async throws in
      try await client.send(.set("k", "5"))
      #expect(try await client.send(.get("k", as: Int.self)) == 5)
      #expect(try await client.send(.incrby("k", 2)) == 7)
      #expect(try await client.send(.decr("k")) == 6)
      #expect(try await client.send(.append("k", "x")) == 2)
      #expect(try await client.send(.strlen("k")) == 2)
      #expect(try await redisError { try await client.send(.get("k", as: Int.self)) }?.code == .unexpectedReply)
      #expect(try await client.send(.set("k", "y", if: .missing)) == false)
      #expect(try await client.send(.set("k", "y", if: .existing, expiry: .after(.seconds(100)))))
      #expect(try await client.send(.set("k", "z", expiry: .kept, returning: String.self)) == "y")
      #expect(try await client.send(.set("k", "a", if: .missing, expiry: .after(.seconds(9)), returning: String.self)) == "z")
      guard case .remaining(let lifetime) = try await client.send(.ttl("k")) else {
        Issue.record("the key does not expire")
        return
      }
      #expect(lifetime > .seconds(50) && lifetime <= .seconds(100))
      #expect(try await client.send(.getex("k", expiry: .never, as: String.self)) == "z")
      #expect(try await client.send(.ttl("k")) == .unlimited)
      try await client.send(.mset(["a": 1, "b": "two"]))
      #expect(try await client.send(.mget(["a", "none", "b"], as: String.self)) == ["1", nil, "two"])
      #expect(try await client.send(.getdel("k", as: String.self)) == "z")
      #expect(try await client.send(.get("k", as: String.self)) == nil)
    }
  }

  @Test("Keys expire, are listed and removed", arguments: protocols)
  func keys(arguments: [String]) async throws {
    try await withServerAndClient(.init(arguments: arguments)) { _, client async throws in
      try await client.send(.mset(["a": 1, "b": 2, "c": 3]))
      #expect(try await client.send(.exists("a")))
      #expect(try await client.send(.exists(["a", "b", "none"])) == 2)
      #expect(try await client.send(.expire("a", after: .seconds(100))))
      #expect(try await client.send(.expire("a", after: .seconds(100), if: .unlimited)) == false)
      #expect(try await client.send(.expire("none", after: .seconds(100))) == false)
      #expect(try await client.send(.persist("a")))
      #expect(try await client.send(.ttl("none")) == .missing)
      #expect(try await client.send(.type("a")) == .string)
      #expect(try await client.send(.type("none")) == nil)
      var found: Set<String> = []
      var cursor: String?
      repeat {
        let page = try await client.send(.scan(cursor, match: "?", type: .string, count: 1))
        found.formUnion(page.keys)
        cursor = page.next
      } while cursor != nil
      #expect(found == ["a", "b", "c"])
      #expect(try await client.send(.del("a", "none")) == 1)
      #expect(try await client.send(.unlink(["b", "c"])) == 2)
    }
  }

  @Test("Hashes, sets and lists keep their values", arguments: protocols)
  func collections(arguments: [String]) async throws {
    try await withServerAndClient(.init(arguments: arguments)) { _, client async throws in
      #expect(try await client.send(.hset("h", ["a": 1, "b": 2])) == 2)
      #expect(try await client.send(.hset("h", "a", 3)) == false)
      #expect(try await client.send(.hsetnx("h", "c", "3")))
      #expect(try await client.send(.hincrby("h", "a", -2)) == 1)
      #expect(try await client.send(.hget("h", "a", as: Int.self)) == 1)
      #expect(try await client.send(.hmget("h", ["b", "none"], as: Int.self)) == [2, nil])
      #expect(try await client.send(.hgetall("h", as: Int.self)) == ["a": 1, "b": 2, "c": 3])
      #expect(try await client.send(.hgetall("none", as: Int.self)).isEmpty)
      #expect(try await client.send(.hkeys("h")).sorted() == ["a", "b", "c"])
      #expect(try await client.send(.hvals("h", as: Int.self)).sorted() == [1, 2, 3])
      #expect(try await client.send(.hexists("h", "a")))
      #expect(try await client.send(.hdel("h", "a", "none")) == 1)
      #expect(try await client.send(.hlen("h")) == 2)

      #expect(try await client.send(.sadd("s", "a", "b", "c")) == 3)
      #expect(try await client.send(.srem("s", ["c"])) == 1)
      #expect(try await client.send(.smembers("s", as: String.self)).sorted() == ["a", "b"])
      #expect(try await client.send(.sismember("s", "a")))
      #expect(try await client.send(.scard("s")) == 2)
      #expect(try await client.send(.srandmember("s", as: String.self)) != nil)
      #expect(try await client.send(.spop("s", as: String.self)) != nil)
      #expect(try await client.send(.spop("s", count: 5, as: String.self)).count == 1)
      #expect(try await client.send(.spop("s", as: String.self)) == nil)

      #expect(try await client.send(.rpush("l", 1, 2, 3)) == 3)
      #expect(try await client.send(.lpush("l", [0])) == 4)
      #expect(try await client.send(.lrange("l", from: 1, through: 2, as: Int.self)) == [1, 2])
      try await client.send(.ltrim("l", from: 0, through: 2))
      #expect(try await client.send(.lpop("l", as: Int.self)) == 0)
      #expect(try await client.send(.lrem("l", 1)) == 1)
      #expect(try await client.send(.rpop("l", count: 5, as: Int.self)) == [2])
      #expect(try await client.send(.lpop("l", count: 5, as: Int.self)).isEmpty)
      #expect(try await client.send(.llen("l")) == 0)
    }
  }

  @Test("Sorted sets are read by rank and by score, with scores and without", arguments: protocols)
  func sortedSets(arguments: [String]) async throws {
    try await withServerAndClient(.init(arguments: arguments)) { _, client async throws in
      let members = ["a", "b", "c", "d"].enumerated().map { RedisScored($1, score: Double($0)) }
      #expect(try await client.send(.zadd("z", members)) == 4)
      #expect(try await client.send(.zadd("z", "a", score: 9, options: .onlyNew)) == 0)
      #expect(try await client.send(.zadd("z", "d", score: 3.5, options: [.onlyExisting, .onlyGreater, .countingChanges])) == 1)
      #expect(try await client.send(.zincrby("z", "d", 0.5)) == 4)
      #expect(try await client.send(.zscore("z", "d")) == 4)
      #expect(try await client.send(.zscore("z", "none")) == nil)
      #expect(try await client.send(.zrank("z", "b")) == 1)
      #expect(try await client.send(.zrank("z", "none")) == nil)
      #expect(try await client.send(.zcount("z", min: .excluding(0), max: .highest)) == 3)
      #expect(try await client.send(.zrange("z", through: 1, as: String.self)) == ["a", "b"])
      #expect(try await client.send(.zrange("z", through: 0, reversed: true, as: String.self)) == ["d"])
      let highest = try await client.send(.zrangeWithScores("z", through: 1, reversed: true, as: String.self))
      #expect(highest == [RedisScored("d", score: 4), RedisScored("c", score: 2)])
      #expect(try await client.send(.zrange("z", min: 1, max: .excluding(4), as: String.self)) == ["b", "c"])
      let limited = try await client.send(
        .zrangeWithScores("z", min: .lowest, max: .highest, reversed: true, offset: 1, count: 2, as: String.self))
      #expect(limited == [RedisScored("c", score: 2), RedisScored("b", score: 1)])
      #expect(try await client.send(.zrange("z", min: .lowest, max: .highest, offset: 3, as: String.self)) == ["d"])
      #expect(try await client.send(.zremrangebyscore("z", min: 0, max: 0)) == 1)
      #expect(try await client.send(.zpopmin("z", as: String.self)) == [RedisScored("b", score: 1)])
      #expect(try await client.send(.zpopmax("z", count: 5, as: String.self)).map(\.member) == ["d", "c"])
      #expect(try await client.send(.zrem("z", "a")) == 0)
      #expect(try await client.send(.zcard("z")) == 0)
    }
  }

  @Test("A stream is read by range, by ID and by a group, and pending entries are claimed", arguments: protocols)
  func streams(arguments: [String]) async throws {
    try await withServerAndClient(.init(arguments: arguments)) { _, client async throws in
      try await client.send(.xgroupCreate("s", group: "g", after: "0", makesStream: true))
      let again = try await redisError { try await client.send(.xgroupCreate("s", group: "g")) }
      #expect(again?.serverCode == "BUSYGROUP")
      let first = try await client.send(.xadd("s", ["kind": "made", "n": 1], trim: .length(100, exact: true)))
      let second = try await client.send(.xadd("s", ["n": 2]))
      #expect(try await client.send(.xlen("s")) == 2)
      let entries = try await client.send(.xrange("s"))
      #expect(entries.map(\.id) == [first, second])
      #expect(entries[0]["kind"] == ByteBuffer(string: "made"))
      #expect(try await client.send(.xrange("s", from: "(" + first, count: 5)).map(\.id) == [second])
      #expect(try await client.send(.xrevrange("s", count: 1)).map(\.id) == [second])
      #expect(try await client.send(.xread("s", after: first)).map(\.id) == [second])
      #expect(try await client.send(.xread("s", after: second)).isEmpty)
      #expect(try await client.send(.xread(["s": "0", "none": "0"])) == ["s": entries])

      #expect(try await client.send(.xpending("s", group: "g")).count == 0)
      #expect(try await client.send(.xreadgroup("s", group: "g", consumer: "one")) == entries)
      #expect(try await client.send(.xreadgroup("s", group: "g", consumer: "one", count: 1)).isEmpty)
      let pending = try await client.send(.xpending("s", group: "g"))
      #expect(pending.count == 2 && pending.oldest == first && pending.newest == second && pending.consumers == ["one": 2])
      #expect(try await client.send(.xack("s", group: "g", first)) == 1)
      let claim = try await client.send(.xautoclaim("s", group: "g", consumer: "two", idle: .zero, count: 10))
      #expect(claim.entries.map(\.id) == [second] && claim.next == "0-0")
      #expect(try await client.send(.xdel("s", second)) == 1)
      let deleted = try await client.send(.xreadgroup("s", group: "g", consumer: "two", after: "0"))
      #expect(deleted.map(\.id) == [second] && deleted.allSatisfy(\.isDeleted))
      #expect(try await client.send(.xtrim("s", .length(0, exact: true))) == 1)
      #expect(try await client.send(.xgroupDestroy("s", group: "g")))
    }
  }

  @Test("Blocking commands run on a leased connection, and are refused elsewhere", arguments: protocols)
  func blocking(arguments: [String]) async throws {
    try await withServerAndClient(.init(arguments: arguments)) { _, client async throws in
      let read = RedisTypedCommand.xread("s", after: "0", wait: .milliseconds(10))
      #expect(try await redisError { try await client.send(read) }?.code == .connectionRequired)
      try await client.withConnection { connection async throws in
        #expect(try await connection.send(read).isEmpty)
        #expect(try await connection.send(.blpop("l", wait: .milliseconds(10), as: String.self)) == nil)
        try await connection.send(.rpush("l", "v"))
        let popped = try await connection.send(.brpop("none", "l", wait: .seconds(1), as: String.self))
        #expect(popped?.key == "l" && popped?.value == "v")
        try await connection.send(.xgroupCreate("s", group: "g", makesStream: true))
        let group = RedisTypedCommand.xreadgroup("s", group: "g", consumer: "c", wait: .milliseconds(10), needsAcknowledgement: false)
        #expect(try await connection.send(group).isEmpty)
        let (_, replicas) = try await connection.pipeline(.set("k", "v"), .wait(replicas: 1, wait: .milliseconds(10)))
        #expect(replicas == 0)
      }
    }
  }

  @Test("Typed commands of all kinds go in one pipeline", arguments: protocols)
  func pipelines(arguments: [String]) async throws {
    try await withServerAndClient(.init(arguments: arguments)) { _, client async throws in
      let (_, count, hash, text) = try await client.pipeline(
        .set("k", "v"), .incr("n"), .hgetall("h", as: String.self), .get("k", as: String.self))
      #expect(count == 1 && hash.isEmpty && text == "v")
      let (sum, length) = try await client.pipelineResults(.incr("k"), .strlen("k"))
      #expect(throws: RedisError.self) { try sum.get() }
      #expect(length == .success(1))
      let values = try await client.pipeline(["k", "n", "none"].map { .get($0, as: String.self) })
      #expect(values == [.success("v"), .success("1"), .success(nil)])
    }
  }

  @Test("The server reports about itself, scripts and channels", arguments: protocols)
  func server(arguments: [String]) async throws {
    try await withServerAndClient(.init(arguments: arguments)) { _, client async throws in
      try await client.send(.ping())
      #expect(try await client.send(.echo("text")) == "text")
      #expect(try await client.send(.time()) > .seconds(1_500_000_000))
      #expect(try await client.send(.role()) == .master(offset: 0, replicas: []))
      let info = try await client.send(.info("server"))
      #expect(info["redis_mode"] == "standalone" && info.sections["Server"] != nil)
      try await client.send(.configSet(["maxmemory": "50mb"]))
      #expect(try await client.send(.configGet("maxmemory")) == ["maxmemory": "52428800"])
      try await client.send(.configResetstat())
      #expect(try await client.send(.clientID()) > 0)
      #expect(try await client.send(.publish("none", "message")) == 0)
      #expect(try await client.send(.pubsubNumsub("none")) == ["none": 0])

      let script = RedisScript("return {redis.call('INCR', KEYS[1]), ARGV[1], false}")
      #expect(try await client.send(.scriptExists(script)) == [false])
      let reply = try await client.send(.evaluate(script, keys: ["n"], arguments: ["a"], as: [String?].self))
      #expect(reply == ["1", "a", nil])
      #expect(try await client.send(.scriptExists(script)) == [true])
      try await client.send(.scriptFlush())
      #expect(try await client.send(.dbsize()) == 1)
      try await client.send(.flushdb())
      try await client.send(.flushall())
      #expect(try await client.send(.dbsize()) == 0)
    }
  }
}
