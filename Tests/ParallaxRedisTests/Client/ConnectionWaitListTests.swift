import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("Waiting for the connection")
struct ConnectionWaitListTests {
  private typealias List = ConnectionWaitList<String, String>

  private static func at(_ milliseconds: Int64) -> NIODeadline { .uptimeNanoseconds(1_000_000_000) + .milliseconds(milliseconds) }

  private static func describe(_ answer: List.Answer) -> String {
    switch answer {
    case .connection(let connection): connection
    case .wait(let timer): timer.map { "wait, timer \(($0 - at(0)).nanoseconds / 1_000_000)" } ?? "wait"
    case .fail(let error): "fail \(error.code)"
    }
  }

  @Test("Waiting callers get the connection when it is made, later ones at once")
  func connected() {
    var list = List()
    list.started(now: Self.at(0), name: "h:1")
    #expect(Self.describe(list.request(1, "a", deadline: Self.at(100))) == "wait, timer 100")
    #expect(Self.describe(list.request(2, "b", deadline: Self.at(200))) == "wait")
    #expect(Self.describe(list.request(3, "c", deadline: Self.at(50))) == "wait, timer 50")
    #expect(list.cancel(2) == "b")
    #expect(list.disconnectedSince == Self.at(0))
    #expect(Set(list.connected("one")) == ["a", "c"])
    #expect(list.disconnectedSince == nil)
    #expect(Self.describe(list.request(4, "d", deadline: Self.at(100))) == "one")
  }

  @Test("Callers past their deadline are released")
  func expiry() {
    var list = List()
    _ = list.request(1, "a", deadline: Self.at(100))
    _ = list.request(2, "b", deadline: Self.at(200))
    let (expired, timer) = list.expire(now: Self.at(100))
    #expect(expired == ["a"])
    #expect(timer == Self.at(200))
  }

  @Test("Callers wait for an unreachable server, and not for one that refuses the login")
  func refusal() {
    var list = List()
    _ = list.request(1, "a", deadline: Self.at(100))
    #expect(list.attemptFailed(RedisError(.connectionFailed, message: ""), now: Self.at(1)).isEmpty)
    #expect(list.attemptFailed(RedisError(.authenticationFailed, message: ""), now: Self.at(2)) == ["a"])
    #expect(Self.describe(list.request(2, "b", deadline: Self.at(100))) == "fail authenticationFailed")
    #expect(list.attemptFailed(RedisError(.connectionFailed, message: ""), now: Self.at(3)).isEmpty)
    #expect(list.disconnectedSince == Self.at(1))
    #expect(Self.describe(list.request(3, "c", deadline: Self.at(100))).hasPrefix("wait"))
    #expect(list.connected("one") == ["c"])
  }

  @Test("Callers wait for a lost connection, whatever the reason of the loss")
  func lost() {
    var list = List()
    _ = list.connected("one")
    list.lost(RedisError(.protocolViolation, message: ""), now: Self.at(1))
    #expect(list.connection == nil)
    #expect(list.lastError?.code == .protocolViolation)
    #expect(Self.describe(list.request(1, "a", deadline: Self.at(100))) == "wait, timer 100")
  }

  @Test("After the shutdown every caller is refused")
  func shutDown() {
    var list = List()
    _ = list.request(1, "a", deadline: Self.at(100))
    #expect(list.shutDown(RedisError(.shutDown, message: "over"), now: Self.at(1)) == ["a"])
    #expect(list.connected("one").isEmpty)
    #expect(Self.describe(list.request(2, "b", deadline: Self.at(100))) == "fail shutDown")
  }
}
