import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("Commands of the server, scripts and channels")
struct ServerCommandTests {
  @Test("Questions to the server are idempotent, and flushing is not")
  func questions() throws {
    #expect(sent(.ping()) == "!PING")
    #expect(sent(.echo("a")) == "!ECHO a")
    #expect(sent(.time()) == "!TIME")
    #expect(sent(.dbsize()) == "!DBSIZE")
    #expect(sent(.clientID()) == "!CLIENT ID")
    #expect(sent(.flushdb()) == "FLUSHDB")
    #expect(sent(.flushall()) == "FLUSHALL")
    #expect(sent(.configGet("max*", "save")) == "!CONFIG GET max* save")
    #expect(sent(.configSet(["maxmemory": 1])) == "!CONFIG SET maxmemory 1")
    #expect(sent(.configResetstat()) == "!CONFIG RESETSTAT")
    try RedisTypedCommand.ping().reply(from: .simple("PONG"))
    #expect(mismatch(.ping(), .simple("OK"))?.contains("Expected the status PONG, got a simple string") == true)
    #expect(try RedisTypedCommand.time().reply(from: .array([.bulk("5"), .bulk("7")])) == .microseconds(5_000_007))
  }

  @Test("Commands that would disturb other users are refused on a shared connection, except whole transactions in pipelines")
  func shareability() throws {
    for line in ["GET k", "XREAD COUNT 1 STREAMS s 0", "CLIENT LIST", "PUBLISH c m", "ZREMRANGEBYSCORE z 0 1", "NO-COMMAND-OF-REDIS"] {
      try Self.command(line).checkShareable()
      #expect(try RedisCommand.checkPipeline([Self.command(line)]) == false)
    }
    for line in [
      "AUTH p", "hello 3", "SELECT 1", "RESET", "READONLY", "client setname n", "BLPOP k 0", "BZPOPMIN k 0", "BRPOPLPUSH a b 0",
      "XREAD BLOCK 0 STREAMS s 0", "XREADGROUP GROUP g c COUNT 1 BLOCK 0 STREAMS s 0", "CLIENT REPLY OFF", "SUBSCRIBE c", "MONITOR",
    ] {
      #expect(throws: RedisError.self, "\(line)") { try Self.command(line).checkShareable() }
      #expect(throws: RedisError.self, "\(line)") { try RedisCommand.checkPipeline([Self.command(line)]) }
    }
    for line in ["MULTI", "EXEC", "DISCARD", "WATCH k", "UNWATCH"] {
      #expect(throws: RedisError.self, "\(line)") { try Self.command(line).checkShareable() }
      #expect(Self.command(line).changesConnection)
    }
    #expect(try RedisCommand.checkPipeline(["WATCH k", "MULTI", "GET k", "EXEC"].map(Self.command)))
  }

  private static func command(_ line: String) -> RedisCommand {
    let words = line.split(separator: " ").map(String.init)
    return RedisCommand(words[0], arguments: words.dropFirst().map { RedisArgument($0) })
  }

  @Test("WAIT has time for its reply, and is refused on a shared connection")
  func wait() {
    let wait = RedisTypedCommand.wait(replicas: 1, wait: .milliseconds(100))
    #expect(sent(wait) == "WAIT 1 100")
    #expect(wait.command.timeout == .milliseconds(5_100))
    #expect(throws: RedisError.self) { try wait.command.checkShareable() }
  }

  @Test("Messages are published, and subscribers counted, in either protocol")
  func channels() throws {
    #expect(sent(.publish("c", "m")) == "PUBLISH c m")
    let count = RedisTypedCommand.pubsubNumsub("a", "b")
    #expect(sent(count) == "!PUBSUB NUMSUB a b")
    let flat: [RESPValue] = [.bulk("a"), .integer(1), .bulk("b"), .integer(0)]
    #expect(try count.reply(from: .array(flat)) == ["a": 1, "b": 0])
    #expect(try count.reply(from: .map(flat)) == ["a": 1, "b": 0])
  }

  @Test("A script's reply has the requested type, and the client still has its source")
  func scripts() throws {
    let script = RedisScript("return 1")
    let command = RedisTypedCommand.evaluate(script, keys: ["k"], arguments: ["a"], as: [Int].self)
    #expect(sent(command) == "EVALSHA \(script.sha1) 1 k a")
    #expect(command.command.script == script)
    #expect(try command.reply(from: .array([.integer(1)])) == [1])
    #expect(sent(.scriptExists(script)) == "!SCRIPT EXISTS \(script.sha1)")
    #expect(try RedisTypedCommand.scriptExists(script).reply(from: .array([.integer(0)])) == [false])
    #expect(sent(.scriptFlush()) == "!SCRIPT FLUSH")
  }

  @Test("INFO is read by section and by name, from a string of either protocol")
  func info() throws {
    let text = "# Server\r\nredis_version:7.0.15\r\nconfig_file:/a:b\r\n\r\n# Empty\r\n# Memory\r\nused_memory:1024\r\n"
    #expect(sent(.info("server", "memory")) == "!INFO server memory")
    for reply in [RESPValue.bulk(text), .verbatimString(ByteBuffer(string: text))] {
      let info = try RedisTypedCommand.info().reply(from: reply)
      #expect(info.sections["Server"] == ["redis_version": "7.0.15", "config_file": "/a:b"])
      #expect(info.sections["Empty"] == [:])
      #expect(info["used_memory"] == "1024")
      #expect(info["none"] == nil)
    }
    #expect(mismatch(.info(), .array([])) != nil)
  }

  @Test("A role is that of a master, a replica or a sentinel, and nothing else")
  func roles() throws {
    let role = RedisTypedCommand.role()
    #expect(sent(role) == "!ROLE")
    let replica = RESPValue.array([.bulk("10.0.0.2"), .bulk("6380"), .bulk("50")])
    #expect(
      try role.reply(from: .array([.bulk("master"), .integer(60), .array([replica])]))
        == .master(offset: 60, replicas: [.init(host: "10.0.0.2", port: 6_380, offset: 50)]))
    #expect(
      try role.reply(from: .array([.bulk("slave"), .bulk("10.0.0.1"), .integer(6_379), .bulk("connected"), .integer(60)]))
        == .replica(masterHost: "10.0.0.1", masterPort: 6_379, link: .connected, offset: 60))
    #expect(try role.reply(from: .array([.bulk("sentinel"), .array([.bulk("main")])])) == .sentinel(masters: ["main"]))
    #expect(mismatch(role, .array([.bulk("slave"), .bulk("10.0.0.1")])) != nil)
    #expect(mismatch(role, .array([.bulk("other"), .null])) != nil)
    #expect(mismatch(role, .bulk("master")) != nil)
  }
}
