import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("Typed commands")
struct TypedCommandTests {
  private struct Point: RedisReplyDecodable, Equatable {
    let x: Int

    init(reply: RESPValue) throws(RedisReplyMismatch) {
      guard let text = reply.string, text.hasPrefix("x=") else { throw RedisReplyMismatch(expected: "a point", found: reply) }
      x = Int(text.dropFirst(2)) ?? 0
    }
  }

  private static let refusal = RedisError(.serverError, command: "INCR", message: "no")

  @Test("A typed command is sent unchanged, and its reply has the requested type")
  func send() async throws {
    let sender = StubSender(.success(.bulk("Ada")), .success(.null), .success(.bulk("x=7")), .success(.simple("OK")))
    let name: String? = try await sender.send(.get("name"))
    #expect(name == "Ada")
    #expect(try await sender.send(.get("other", as: Int.self)) == nil)
    #expect(try await sender.send(.get("point", as: Point.self))?.x == 7)
    try await sender.send(.set("name", "Eva"))
    #expect(sender.sent == ["GET name", "GET other", "GET point", "SET name Eva"])
  }

  @Test("A pipeline of different commands gives a tuple of their replies")
  func tuple() async throws {
    let sender = StubSender(.success(.bulk("Ada")), .success(.integer(8)), .success(.simple("OK")))
    let (name, count, _) = try await sender.pipeline(.get("name", as: ByteBuffer.self), .incr("count"), .set("k", 1))
    #expect(name == ByteBuffer(string: "Ada"))
    #expect(count == 8)
    #expect(sender.sent == ["GET name", "INCR count", "SET k 1"])
  }

  @Test("A pipeline throws the error of the first failed command, or returns a result per command")
  func failures() async throws {
    let replies: [Result<RESPValue, RedisError>] = [.success(.integer(1)), .failure(Self.refusal), .success(.bulk("x"))]
    let error = await #expect(throws: RedisError.self) {
      try await StubSender(replies[0], replies[1], replies[2]).pipeline(.incr("a"), .incr("b"), .incr("c"))
    }
    #expect(error == Self.refusal)
    let (first, second, third) = try await StubSender(replies[0], replies[1], replies[2])
      .pipelineResults(.incr("a"), .incr("b"), .decr("c"))
    #expect(first == .success(1))
    #expect(second == .failure(Self.refusal))
    guard case .failure(let unexpected) = third else {
      Issue.record("a text was accepted as an integer")
      return
    }
    #expect(unexpected.code == .unexpectedReply && unexpected.command == "DECR")
  }

  @Test("A pipeline of commands of one type returns an array of results")
  func array() async throws {
    let sender = StubSender(.success(.bulk("a")), .success(.null))
    let results = try await sender.pipeline(["1", "2"].map { .get($0, as: String.self) })
    #expect(results == [.success("a"), .success(nil)])
    let none: [Result<Int, RedisError>] = try await sender.pipeline([])
    #expect(none.isEmpty)
  }

  @Test("A sender with too few replies causes an error, not a trap")
  func tooFew() async throws {
    let results = try await StubSender(.success(.integer(1))).pipeline([.incr("a"), .incr("b")])
    #expect(results[0] == .success(1))
    #expect(throws: RedisError.self) { try results[1].get() }
  }

  @Test("Idempotence and time-outs are set on the command")
  func marks() {
    let command: RedisTypedCommand<Int> = .del("k").idempotent.withTimeout(.seconds(1))
    #expect(command.command.isIdempotent)
    #expect(command.command.timeout == .seconds(1))
    #expect(!RedisTypedCommand<Int>.del("k").command.isIdempotent)
  }

  @Test("Any command can be given the type of its reply")
  func returning() async throws {
    let sender = StubSender(.success(.map([.bulk("a"), .array([.integer(1), .integer(2)])])))
    let reply = try await sender.send(RedisCommand("FOO", "bar").returning([String: [Int]].self))
    #expect(reply == ["a": [1, 2]])
  }

  @Test("An error names the command, the types and the place in the reply, never the content")
  func errors() throws {
    let secret = RESPValue.bulk("secret")
    #expect(mismatch(.incr("k"), secret) == "unexpectedReply (INCR): Expected an integer, got a bulk string.")
    let nested = RESPValue.array([.array([.integer(1), secret])])
    let error = #expect(throws: RedisError.self) { try RedisCommand("FOO").returning([[Int]].self).reply(from: nested) }
    #expect(error?.message == "Expected an integer, got a bulk string in element 0 in element 1.")
  }

  @Test("Every type of reply is named in an error")
  func names() {
    let values: [(RESPValue, String)] = [
      (.simple("a"), "a simple string"), (.bulk("a"), "a bulk string"), (.verbatimString(ByteBuffer()), "a verbatim string"),
      (.error(ByteBuffer()), "an error"), (.integer(1), "an integer"), (.double(1), "a double"), (.boolean(true), "a boolean"),
      (.bigNumber(ByteBuffer()), "a big number"), (.null, "null"), (.array([]), "an array of 0"), (.set([.null]), "a set of 1"),
      (.map([.null, .null]), "a map of 1"), (.push([.null]), "a push of 1"),
    ]
    for (value, name) in values { #expect(RedisReplyMismatch(expected: "x", found: value).found == name) }
  }

  @Test("Scalars and collections are read from both protocols")
  func decoding() throws {
    #expect(try Int(reply: .bulk("5")) == 5)
    #expect(try Int64(reply: .integer(.max)) == .max)
    #expect(try Double(reply: .bulk("1.5")) == 1.5)
    #expect(try Double(reply: .double(.infinity)) == .infinity)
    #expect(try Bool(reply: .boolean(true)) && Bool(reply: .integer(1)))
    #expect(try ByteBuffer(reply: .verbatimString(ByteBuffer(string: "v"))) == ByteBuffer(string: "v"))
    #expect(try Set<String>(reply: .set([.bulk("a"), .bulk("b")])) == ["a", "b"])
    #expect(try [Int?](reply: .array([.integer(1), .null])) == [1, nil])
    #expect(try [String: Int](reply: .array([.bulk("a"), .integer(1)])) == ["a": 1])
    #expect(RESPValue(reply: .null) == .null)
    #expect(throws: RedisReplyMismatch.self) { try ByteBuffer(reply: .error(ByteBuffer(string: "ERR"))) }
    #expect(throws: RedisReplyMismatch.self) { try [String: Int](reply: .array([.bulk("a")])) }
    #expect(throws: RedisReplyMismatch.self) { try [String](reply: .null) }
    #expect(throws: RedisReplyMismatch.self) { try Bool(reply: .integer(2)) }
  }

  @Test("Times are rounded up to milliseconds, and bounded")
  func milliseconds() {
    #expect(Duration.zero.redisMilliseconds == 0)
    #expect(Duration(secondsComponent: 0, attosecondsComponent: 1).redisMilliseconds == 1)
    #expect(Duration.milliseconds(1_500).redisMilliseconds == 1_500)
    #expect(Duration.microseconds(-1_500).redisMilliseconds == -1)
    #expect(Duration.seconds(Int64.max).redisMilliseconds == .max)
    #expect(Duration.seconds(Int64.min).redisMilliseconds == .min)
  }
}
