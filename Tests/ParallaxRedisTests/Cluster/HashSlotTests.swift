import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("Hash slots")
struct HashSlotTests {
  @Test(
    "The slot is that of the whole key, or of the text in its first braces",
    arguments: [
      ("123456789", 12_739), ("foo", 12_182), ("foo{bar}baz", 5_061), ("{bar}", 5_061), ("bar", 5_061), ("foo{}{bar}", 8_363),
      ("foo{{bar}}zap", 4_015), ("foo{bar}{zap}", 5_061), ("", 0), ("{", 4_092),
    ])
  func slots(key: String, slot: Int) {
    #expect(HashSlot.of(key) == slot)
    #expect(RedisArgument(key).slot == slot)
    #expect(RedisArgument(Array(key.utf8)).slot == slot)
    #expect(RedisArgument(ByteBuffer(string: key)).slot == slot)
  }

  @Test("The first key of a command decides, at any position")
  func firstKeys() {
    let script = RedisScript("return 1")
    let commands: [(RedisCommand, String?)] = [
      (RedisCommand("GET", "k"), "k"), (RedisCommand("GET", 12), "12"), (.evaluate(script, keys: ["k", "l"]), "k"),
      (.evaluate(script, keys: []), nil), (RedisCommand("XGROUP", "CREATE", "k", "g", "$"), "k"),
      (RedisCommand("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "STREAMS", "k", ">"), "k"),
      (RedisCommand("XREADGROUP", "GROUP", "streams", "streams", "STREAMS", "k", ">"), "k"),
      (RedisCommand("XREAD", "streams", "k", 0), "k"), (RedisCommand("XREAD", Array("STREAMS".utf8), "k", 0), "k"),
      (RedisCommand("PUBLISH", "k", "m"), nil), (RedisCommand("PING"), nil), (RedisCommand("BITOP", "AND", "k", "l"), "k"),
      (RedisCommand("ZINTER", 2, "k", "l"), "k"), (RedisCommand("BLMPOP", 0, 1, "k", "LEFT"), "k"),
      (RedisCommand("OBJECT", "FREQ", "k"), "k"),
      (RedisCommand("MIGRATE", "h", 1, "k", 0, 1), "k"), (RedisCommand("MIGRATE", "h", 1, "", 0, 1, "KEYS", "k"), "k"),
      (RedisCommand("MIGRATE", "KEYS", 1, "k", 0, 1), "k"),
    ]
    for (command, key) in commands { #expect(command.slot == key.map { HashSlot.of($0) }, "\(command.name)") }
  }

  @Test("A command over several slots is divided if the effect is the same, and its reply combined")
  func split() throws {
    let deletion = try #require(MultiKeyCommand(RedisCommand("DEL", "{a}1", "{b}1", "{a}2").idempotent))
    #expect(deletion.parts.map(\.arguments) == [["{a}1", "{a}2"], ["{b}1"]])
    #expect(deletion.parts.map(\.isIdempotent) == [true, true])
    #expect(try deletion.reply([.success(.integer(2)), .success(.integer(1))]) == .integer(3))
    let reading = try #require(MultiKeyCommand(RedisCommand("MGET", "{a}1", "{b}1", "{a}2")))
    #expect(
      try reading.reply([.success(.array([.integer(1), .integer(3)])), .success(.array([.integer(2)]))])
        == .array([.integer(1), .integer(2), .integer(3)]))
    #expect(MultiKeyCommand(RedisCommand("DEL", "{a}1", "{a}2")) == nil)
    #expect(MultiKeyCommand(RedisCommand("MSET", "a", 1, "b", 2)) == nil)
  }

  @Test("If one part fails the command fails, and states that other parts were executed")
  func partialFailure() throws {
    let deletion = try #require(MultiKeyCommand(RedisCommand("DEL", "a", "b")))
    let error = RedisError(.connectionFailed, command: "DEL", message: "No.")
    let found = #expect(throws: RedisError.self) { try deletion.reply([.success(.integer(1)), .failure(error)]) }
    #expect(found?.code == .connectionFailed)
    #expect(found?.mayHaveExecuted == true)
    let clean = #expect(throws: RedisError.self) { try deletion.reply([.failure(error), .failure(error)]) }
    #expect(clean?.mayHaveExecuted == false)
  }

  @Test("Counts that cannot be added are an error", arguments: [RESPValue.integer(.max), .simpleString(ByteBuffer(string: "OK"))])
  func badCounts(reply: RESPValue) throws {
    let deletion = try #require(MultiKeyCommand(RedisCommand("DEL", "a", "b")))
    let error = #expect(throws: RedisError.self) { try deletion.reply([.success(.integer(1)), .success(reply)]) }
    #expect(error?.code == .unexpectedReply)
  }
}
