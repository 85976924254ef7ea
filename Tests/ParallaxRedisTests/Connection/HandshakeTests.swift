import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("Handshake")
struct HandshakeTests {
  private static let ok = RESPValue.simpleString(ByteBuffer(string: "OK"))

  private static func error(_ text: String) -> RESPValue { .error(ByteBuffer(string: text)) }

  private static func words(_ action: Handshake.Action) -> String {
    switch action {
    case .send(let command):
      var buffer = ByteBuffer()
      buffer.write(command)
      var decoder = RESPDecoder()
      decoder.feed(buffer)
      return (try? decoder.next()?.array?.compactMap(\.string).joined(separator: " ")) ?? "?"
    case .done(let version): return "done \(version)"
    case .fail(let error): return "fail \(error.code)"
    }
  }

  /// The commands of the client, given the server's replies.
  private static func dialogue(
    _ replies: [RESPValue], mustBeMaster: Bool = false, _ change: (inout RedisConfiguration) -> Void = { _ in }
  ) -> [String] {
    var configuration = RedisConfiguration(host: "localhost")
    change(&configuration)
    var handshake = Handshake(configuration: configuration, mustBeMaster: mustBeMaster)
    return [words(handshake.start())] + replies.map { words(handshake.received($0)) }
  }

  @Test("RESP3 needs one command")
  func plain() {
    #expect(Self.dialogue([.map([])]) == ["HELLO 3", "done 3"])
  }

  @Test("Login, name, database and role follow in order")
  func everything() {
    let words = Self.dialogue([.map([]), Self.ok, .array([.bulkString(ByteBuffer(string: "master"))])], mustBeMaster: true) {
      $0.username = "u"
      $0.password = "p"
      $0.clientName = "n"
      $0.database = 4
    }
    #expect(words == ["HELLO 3 AUTH u p SETNAME n", "SELECT 4", "ROLE", "done 3"])
  }

  @Test("A server that has to be a master and is a replica, or does not tell, is left")
  func replica() {
    let replica = RESPValue.array([.bulkString(ByteBuffer(string: "slave")), .bulkString(ByteBuffer(string: "127.0.0.1"))])
    for role in [replica, .array([]), Self.ok] {
      #expect(Self.dialogue([.map([]), role], mustBeMaster: true) == ["HELLO 3", "ROLE", "fail connectionFailed"])
    }
  }

  @Test("A server without HELLO gets RESP2", arguments: ["ERR unknown command `HELLO`", "NOPROTO unsupported protocol version"])
  func fallBack(refusal: String) {
    let words = Self.dialogue([Self.error(refusal), Self.ok, Self.error("ERR unknown subcommand"), Self.ok, Self.ok]) {
      $0.password = "p"
      $0.clientName = "n"
      $0.database = 1
    }
    #expect(words == ["HELLO 3 AUTH default p SETNAME n", "AUTH p", "CLIENT SETNAME n", "PING", "SELECT 1", "done 2"])
    #expect(Self.dialogue([Self.error(refusal), Self.ok]) == ["HELLO 3", "PING", "done 2"])
  }

  @Test("Refused credentials differ from other refusals")
  func refusals() {
    let wrongPassword = Self.dialogue([Self.error("WRONGPASS invalid")]) { $0.password = "p" }
    #expect(wrongPassword == ["HELLO 3 AUTH default p", "fail authenticationFailed"])
    #expect(Self.dialogue([Self.error("NOAUTH Authentication required.")]) == ["HELLO 3", "fail authenticationFailed"])
    #expect(Self.dialogue([Self.error("ERR max number of clients reached")]) == ["HELLO 3", "fail connectionFailed"])
    let missingDatabase = Self.dialogue([.map([]), Self.error("ERR DB index is out of range")]) { $0.database = 99 }
    #expect(missingDatabase == ["HELLO 3", "SELECT 99", "fail invalidConfiguration"])
  }

  @Test(
    "A refusal that repeats the password, or a part of it, is reduced to its code",
    arguments: ["secret", "secret" + String(repeating: "-of-many-words", count: 10)])
  func indiscreetRefusal(password: String) {
    var configuration = RedisConfiguration(host: "localhost")
    configuration.password = password
    var handshake = Handshake(configuration: configuration)
    _ = handshake.received(Self.error("ERR unknown command 'HELLO'"))
    let words = "ERR unknown command 'AUTH', with args beginning with: '\(password.prefix(128))' "
    guard case .fail(let error) = handshake.received(Self.error(words)) else {
      Issue.record("a refused login has not failed")
      return
    }
    #expect(error.serverMessage == "ERR")
  }
}
