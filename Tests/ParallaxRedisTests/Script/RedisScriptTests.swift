import Testing

@testable import ParallaxRedis

@Suite("Scripts")
struct RedisScriptTests {
  @Test("The SHA-1 is that of the source")
  func digest() {
    #expect(RedisScript("return 1").sha1 == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db")
    #expect(RedisScript("return 1") == RedisScript("return 1"))
    #expect(RedisScript("return 1") != RedisScript("return 2"))
  }

  @Test("A script becomes EVALSHA with the number of its keys, and EVAL when its source is needed")
  func command() {
    let command = RedisCommand.evaluate(RedisScript("return 1"), keys: ["a", "b"], arguments: [5]).idempotent
    #expect(command.name == "EVALSHA")
    #expect(command.arguments == ["e0e1f9fabfc9d4800c877a703b823ac0578ff8db", 2, "a", "b", 5])
    let fallback = command.sendingSource
    #expect(fallback.name == "EVAL")
    #expect(fallback.arguments == ["return 1", 2, "a", "b", 5])
    #expect(fallback.isIdempotent)
  }
}
