import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("Finding the master")
struct MasterDiscoveryTests {
  private static func round(_ sentinels: Int = 3, seen: Int64 = 0) -> MasterDiscovery {
    MasterDiscovery(masterName: "mymaster", sentinels: sentinels, seenEpoch: seen)
  }

  private static func master(_ name: String, _ epoch: Int64) -> MasterDiscovery.Answer { .master(.host(name, port: 1), epoch: epoch) }

  private static func decision(_ name: String, _ epoch: Int64) -> MasterDiscovery.Decision { .master(.host(name, port: 1), epoch: epoch) }

  private static let down = MasterDiscovery.Answer.failed(RedisError(.connectionFailed, message: "down"))

  private static func code(_ decision: MasterDiscovery.Decision?) -> RedisError.Code? {
    if case .fail(let error) = decision { error.code } else { nil }
  }

  private static func answer(
    _ sentinel: Int, _ answer: MasterDiscovery.Answer, _ round: inout MasterDiscovery
  ) -> MasterDiscovery.Decision? {
    round.answered(sentinel, answer)
  }

  @Test("A majority is enough to decide, and the slowest sentinel is not awaited")
  func majority() {
    var round = Self.round()
    #expect(Self.answer(0, Self.master("a", 1), &round) == nil)
    #expect(Self.answer(2, Self.master("a", 1), &round) == Self.decision("a", 1))
  }

  @Test("Of different answers the one with the greatest epoch is valid")
  func greatestEpoch() {
    var round = Self.round()
    #expect(Self.answer(0, Self.master("new", 7), &round) == nil)
    #expect(Self.answer(1, Self.master("old", 6), &round) == Self.decision("new", 7))
  }

  @Test("The answer of one sentinel is used if the others do not answer")
  func minority() {
    var round = Self.round()
    #expect(Self.answer(1, Self.master("a", 3), &round) == nil)
    #expect(round.decide() == Self.decision("a", 3))
    #expect(Self.answer(0, Self.down, &round) == nil)
    #expect(Self.answer(2, Self.down, &round) == Self.decision("a", 3))
  }

  @Test("An isolated sentinel does not restore the former master")
  func outdatedSentinel() {
    var round = Self.round(seen: 7)
    #expect(Self.answer(0, Self.master("old", 6), &round) == nil)
    #expect(Self.answer(1, Self.down, &round) == nil)
    #expect(Self.code(Self.answer(2, Self.down, &round)) == .connectionFailed)
  }

  @Test("Sentinels that were set up anew are followed if most of them agree")
  func setUpAnew() {
    var round = Self.round(seen: 7)
    #expect(Self.answer(0, Self.master("a", 0), &round) == nil)
    #expect(Self.answer(1, Self.master("a", 0), &round) == nil)
    #expect(Self.answer(2, Self.down, &round) == Self.decision("a", 0))
  }

  @Test("The error names the cause: the name, the password, or missing answers")
  func failures() {
    var unknown = Self.round(1)
    #expect(Self.code(Self.answer(0, .unknownName, &unknown)) == .invalidConfiguration)
    var uncertain = Self.round(2)
    _ = uncertain.answered(0, .unknownName)
    #expect(Self.code(Self.answer(1, Self.down, &uncertain)) == .connectionFailed)
    var refused = Self.round(2)
    _ = refused.answered(0, .failed(RedisError(.authenticationFailed, message: "no")))
    #expect(Self.code(Self.answer(1, Self.down, &refused)) == .authenticationFailed)
    #expect(Self.code(Self.round().decide()) == .connectionFailed)
  }

  // MARK: Answers

  private static func text(_ string: String) -> RESPValue { .bulkString(ByteBuffer(string: string)) }

  @Test("An answer has the address of one reply and the epoch of the other")
  func answers() {
    let address = RESPValue.array([Self.text("10.0.0.1"), Self.text("6379")])
    let fields: [RESPValue] = [Self.text("name"), Self.text("mymaster"), Self.text("config-epoch"), Self.text("4")]
    let expected = MasterDiscovery.Answer.master(.host("10.0.0.1", port: 6_379), epoch: 4)
    #expect(SentinelReply.answer([.success(address), .success(.map(fields))], about: "mymaster") == expected)
    #expect(SentinelReply.answer([.success(address), .success(.array(fields))], about: "mymaster") == expected)
    #expect(SentinelReply.answer([.success(.null), .success(.null)], about: "mymaster") == .unknownName)
    let unknown = RedisError(.serverError, message: "", serverMessage: "ERR No such master with that name")
    #expect(SentinelReply.answer([.failure(unknown), .failure(unknown)], about: "mymaster") == .unknownName)
    // A sentinel that cannot resolve the host name of its master reports an empty one.
    let nowhere = RESPValue.array([Self.text(""), Self.text("6379")])
    guard case .failed(let error) = SentinelReply.answer([.success(nowhere), .success(.map(fields))], about: "mymaster") else {
      Issue.record("an empty host is accepted as a master")
      return
    }
    #expect(error.code == .connectionFailed)
    let noPort = RESPValue.array([Self.text("10.0.0.1"), Self.text("65536")])
    for malformed in [RESPValue.integer(1), noPort] {
      guard case .failed(let error) = SentinelReply.answer([.success(malformed), .success(.map(fields))], about: "mymaster") else {
        Issue.record("a malformed reply is accepted as an answer")
        continue
      }
      #expect(error.code == .unexpectedReply)
    }
  }

  @Test(
    "Only announcements of the client's master count",
    arguments: [
      ("+switch-master", "mymaster 10.0.0.1 6379 10.0.0.2 6379", SentinelAnnouncement.switched),
      ("+promoted-slave", "slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.1 6379", .switched),
      ("+failover-state-send-slaveof-noone", "slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.1 6379", .begins),
      ("-failover-abort-no-good-slave", "master mymaster 10.0.0.1 6379", .aborted),
      ("-failover-abort-slave-timeout", "master mymaster 10.0.0.1 6379", .aborted),
      ("+switch-master", "mymaster2 10.0.0.1 6379 10.0.0.2 6379", nil), ("+switch-master", "", nil), ("+promoted-slave", "slave a @", nil),
      ("+failover-state-send-slaveof-noone", "slave 10.0.0.2:6379 10.0.0.2 6379 @ other 10.0.0.1 6379", nil),
      ("+sdown", "master mymaster 10.0.0.1 6379", nil),
    ])
  func news(channel: String, message: String, expected: SentinelAnnouncement?) {
    #expect(SentinelAnnouncement(channel: channel, message: message, of: "mymaster") == expected)
  }

  @Test("During a failover all sentinels are awaited, since a single one may know of it")
  func failoverUnderWay() {
    var round = MasterDiscovery(masterName: "mymaster", sentinels: 3, seenEpoch: 6, waitsForAll: true)
    #expect(Self.answer(0, Self.master("old", 6), &round) == nil)
    #expect(Self.answer(1, Self.master("old", 6), &round) == nil)
    #expect(Self.answer(2, Self.master("new", 7), &round) == Self.decision("new", 7))
  }
}
