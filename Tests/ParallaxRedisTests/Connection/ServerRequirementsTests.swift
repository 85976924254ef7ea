import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("Requirements of a server")
struct ServerRequirementsTests {
  private static func error(_ text: String) -> RESPValue { .error(ByteBuffer(string: text)) }
  private static let ok = RESPValue.simpleString(ByteBuffer(string: "OK"))

  private static func text(_ string: String) -> RESPValue { .bulkString(ByteBuffer(string: string)) }

  private static let requirements = RedisServerRequirements(
    minimumRedisVersion: RedisVersion(7, 0),
    probes: [
      .init(RedisCommand("GET", "k"), on: "k"), .init(RedisCommand("PUBLISH", "c", ""), on: "the channel c"), .init(RedisCommand("TIME")),
    ])

  private static func refusal(_ replies: RESPValue...) -> RedisError? { requirements.refusal(of: replies, server: "The server") }

  @Test(
    "Any reply but a refusal confirms the right",
    arguments: [
      "WRONGTYPE Operation", "OOM command not allowed", "MOVED 1 h:1", "NOGROUP No such key", "READONLY You can't", "ERR syntax error",
      "LOADING Redis is loading", "ERR wrong number of arguments for 'hset' command",
    ])
  func answers(_ message: String) {
    #expect(Self.refusal(Self.error(message), Self.ok, .null) == nil)
  }

  @Test("A missing right is named, with the server's error")
  func rights() throws {
    let words = "NOPERM No permissions to access a channel"
    let error = try #require(Self.refusal(Self.ok, Self.error(words), Self.error("NOPERM User u has no permissions to run 'time'")))
    #expect(error.code == .invalidConfiguration)
    #expect(error.message.contains("PUBLISH on the channel c, TIME"))
    #expect(error.serverMessage == words)
  }

  @Test(
    "An unknown command is named, with the alternative",
    arguments: ["ERR unknown command 'TIME', with args beginning with: ", "ERR unsupported command 'time'"])
  func commands(_ message: String) throws {
    let error = try #require(Self.refusal(Self.ok, Self.ok, Self.error(message)))
    #expect(error.code == .invalidConfiguration)
    #expect(error.message.contains("(TIME)"))
    #expect(error.message.contains("not to a proxy"))
  }

  @Test(
    "Versions of Redis are compared, other servers are checked by their features",
    arguments: [
      ("redis", "6.2.14", false), ("redis", "7.0.0", true), ("redis", "7.4.1", true), ("redis", "10.0.1", true), ("valkey", "9.1.2", true),
      ("valkey", "1.0", true), ("redis", "unstable", true),
    ])
  func versions(_ name: String, _ version: String, _ isFit: Bool) {
    let hello = RESPValue.map([Self.text("server"), Self.text(name), Self.text("version"), Self.text(version)])
    let refusal = Self.requirements.refusal(of: RedisServerIdentity(hello: hello), server: "The server")
    #expect((refusal == nil) == isFit)
    if !isFit { #expect(refusal?.message.contains("is Redis 6.2.14, and this program needs Redis 7.0 or later") == true) }
    #expect(Self.requirements.refusal(of: nil, server: "The server") == nil)
  }

  @Test(
    "The code of an error inside a script is found in the form of every version",
    arguments: [
      ("READONLY You can't write against a read only replica.", "READONLY"), ("ERR no", "ERR"), ("WRONGTYPE", "WRONGTYPE"),
      (
        "ERR Error running script (call to f_5e36): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.",
        "READONLY"
      ),
      ("ERR Error running script (call to f_5e36): @user_script:1: attempt to call a nil value", "ERR"),
    ])
  func codes(_ message: String, _ code: String) {
    #expect(RedisError(.serverError, message: "", serverMessage: message).serverCode == code)
  }
}
