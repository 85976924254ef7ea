import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("Commands of streams")
struct StreamCommandTests {
  private static let entry = RESPValue.array([.bulk("1-0"), .array([.bulk("kind"), .bulk("made"), .bulk("n"), .bulk("7")])])
  private static let entries = RESPValue.array([Self.entry, .array([.bulk("2-0"), .null])])

  @Test("Entries are added, removed and counted")
  func changing() {
    #expect(sent(.xadd("k", ["kind": "made", "n": 7])) == "XADD k * kind made n 7")
    #expect(sent(.xadd("k", ["n": 7], id: "5-1", trim: .length(100))) == "XADD k MAXLEN ~ 100 5-1 n 7")
    #expect(sent(.xtrim("k", .length(0, exact: true))) == "XTRIM k MAXLEN = 0")
    #expect(sent(.xtrim("k", .before("5-0"))) == "XTRIM k MINID ~ 5-0")
    #expect(sent(.xlen("k")) == "!XLEN k")
    #expect(sent(.xdel("k", "1-0", "2-0")) == "XDEL k 1-0 2-0")
  }

  @Test("Entries are read from a range or after an ID, and waited for")
  func reading() {
    #expect(sent(.xrange("k")) == "!XRANGE k - +")
    #expect(sent(.xrange("k", from: "(1-0", through: "9", count: 5)) == "!XRANGE k (1-0 9 COUNT 5")
    #expect(sent(.xrevrange("k", count: 1)) == "!XREVRANGE k + - COUNT 1")
    let one: RedisTypedCommand<[RedisStreamEntry]> = .xread("k", after: "0", count: 5, wait: .seconds(1))
    #expect(sent(one) == "!XREAD COUNT 5 BLOCK 1000 STREAMS k 0")
    #expect(one.command.timeout == .seconds(6))
    #expect(throws: RedisError.self) { try one.command.checkShareable() }
    #expect(sent(.xread("k", after: "$")) == "XREAD STREAMS k $")
    let several = sent(.xread(["a": "1", "b": "2"]))
    #expect(several == "!XREAD STREAMS a b 1 2" || several == "!XREAD STREAMS b a 2 1")
  }

  @Test("Groups deliver, acknowledge and hand over entries")
  func groups() {
    #expect(sent(.xgroupCreate("k", group: "g")) == "XGROUP CREATE k g $")
    #expect(sent(.xgroupCreate("k", group: "g", after: "0", makesStream: true)) == "XGROUP CREATE k g 0 MKSTREAM")
    #expect(sent(.xgroupDestroy("k", group: "g")) == "XGROUP DESTROY k g")
    #expect(sent(.xack("k", group: "g", "1-0")) == "XACK k g 1-0")
    #expect(sent(.xpending("k", group: "g")) == "!XPENDING k g")
    #expect(sent(.xreadgroup("k", group: "g", consumer: "c")) == "XREADGROUP GROUP g c STREAMS k >")
    let read: RedisTypedCommand<[RedisStreamEntry]> = .xreadgroup(
      "k", group: "g", consumer: "c", after: "0", count: 5, wait: .seconds(1), needsAcknowledgement: false)
    #expect(sent(read) == "XREADGROUP GROUP g c COUNT 5 BLOCK 1000 NOACK STREAMS k 0")
    #expect(throws: RedisError.self) { try read.command.checkShareable() }
    #expect(sent(.xreadgroup(["k": ">"], group: "g", consumer: "c")) == "XREADGROUP GROUP g c STREAMS k >")
    #expect(
      sent(.xautoclaim("k", group: "g", consumer: "c", idle: .seconds(1), count: 2)) == "XAUTOCLAIM k g c 1000 0-0 COUNT 2")
  }

  @Test(
    "A blocking read is recognized by its option, in any position and form",
    arguments: [
      RedisCommand("XREADGROUP", "GROUP", "g", "c", "NOACK", "COUNT", 10, "BLOCK", 5_000, "STREAMS", "k", ">"),
      RedisCommand("XREAD", Array("block".utf8), 0, "STREAMS", "k", "$"),
      RedisCommand("XREAD", "COUNT", 1, ByteBuffer(string: "BLOCK"), 0, "STREAMS", "k", "$"),
    ])
  func waiting(command: RedisCommand) {
    #expect(throws: RedisError.self) { try command.checkShareable() }
  }

  @Test(
    "A stream, a group or a consumer may be named as the option is",
    arguments: [
      RedisTypedCommand.xread("block", after: "0").command, RedisTypedCommand.xread("BLOCK", after: "0", count: 1).command,
      RedisTypedCommand.xreadgroup("block", group: "block", consumer: "block", count: 1).command,
      RedisCommand("XREADGROUP", "GROUP", "streams", "block", "STREAMS", "k", ">"),
    ])
  func namedAsOption(command: RedisCommand) throws {
    try command.checkShareable()
  }

  @Test(
    "Entries of a stream are read from a map and from an array of pairs",
    arguments: [RESPValue.map([.bulk("k"), Self.entries]), .array([.array([.bulk("k"), Self.entries])])])
  func readingEntries(reply: RESPValue) throws {
    let entries = try RedisTypedCommand.xreadgroup("k", group: "g", consumer: "c").reply(from: reply)
    #expect(entries.map(\.id) == ["1-0", "2-0"])
    #expect(entries[0].fields.map(\.name) == ["kind", "n"])
    #expect(entries[0]["n"] == ByteBuffer(string: "7"))
    #expect(entries[0]["none"] == nil && !entries[0].isDeleted)
    #expect(entries[1].isDeleted && entries[1].fields.isEmpty)
    #expect(try RedisTypedCommand.xread(["k": "0"]).reply(from: reply) == ["k": entries])
  }

  @Test("No entry in time is an empty reply")
  func nothing() throws {
    #expect(try RedisTypedCommand.xread("k", after: "0").reply(from: .null) == [])
    #expect(try RedisTypedCommand.xread(["k": "0"]).reply(from: .null) == [:])
  }

  @Test("Entries in another form are refused")
  func wrongEntries() {
    #expect(mismatch(.xrange("k"), .array([.bulk("1-0")])) != nil)
    #expect(mismatch(.xrange("k"), .array([.array([.bulk("1-0"), .array([.bulk("odd")])])])) != nil)
    #expect(mismatch(.xread("k", after: "0"), .array([.bulk("k"), .null])) != nil)
    #expect(mismatch(.xread("k", after: "0"), .integer(1)) != nil)
  }

  @Test("Pending and claimed entries are decoded")
  func pending() throws {
    let none = try RedisTypedCommand.xpending("k", group: "g").reply(from: .array([.integer(0), .null, .null, .null]))
    #expect(none.count == 0 && none.oldest == nil && none.consumers.isEmpty)
    let some = try RedisTypedCommand.xpending("k", group: "g").reply(
      from: .array([.integer(2), .bulk("1-0"), .bulk("2-0"), .array([.array([.bulk("c"), .bulk("2")])])]))
    #expect(some.count == 2 && some.newest == "2-0" && some.consumers == ["c": 2])
    let claim = RedisTypedCommand.xautoclaim("k", group: "g", consumer: "c", idle: .zero)
    let seven = try claim.reply(from: .array([.bulk("0-0"), .array([Self.entry]), .array([.bulk("3-0")])]))
    #expect(seven.next == "0-0" && seven.entries.map(\.id) == ["1-0"] && seven.deleted == ["3-0"])
    let six = try claim.reply(from: .array([.bulk("0-0"), .array([Self.entry, .null])]))
    #expect(six.entries.count == 1 && six.deleted.isEmpty)
    #expect(mismatch(claim, .array([.bulk("0-0")])) != nil)
  }
}
