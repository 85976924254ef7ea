import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("RESP decoder")
struct RESPDecoderTests {
  /// The values of bytes that are decoded in chunks and, at the end, the error.
  static func decode(_ bytes: [UInt8], chunk: Int, limits: RESPLimits = RESPLimits()) -> ([RESPValue], RESPDecodingError?) {
    var decoder = RESPDecoder(limits: limits)
    var values: [RESPValue] = []
    do throws(RESPDecodingError) {
      for start in stride(from: 0, to: bytes.count, by: chunk) {
        decoder.feed(ByteBuffer(bytes: bytes[start..<min(start + chunk, bytes.count)]))
        while let value = try decoder.next() { values.append(value) }
      }
      return (values, nil)
    } catch {
      return (values, error)
    }
  }

  private static func text(_ string: String) -> ByteBuffer { ByteBuffer(string: string) }

  private static let replies: [(String, RESPValue)] = [
    ("+OK\r\n", .simpleString(text("OK"))),
    ("+\r\n", .simpleString(text(""))),
    ("-ERR no\r\n", .error(text("ERR no"))),
    (":0\r\n", .integer(0)),
    (":-42\r\n", .integer(-42)),
    (":+7\r\n", .integer(7)),
    (":9223372036854775807\r\n", .integer(.max)),
    (":-9223372036854775808\r\n", .integer(.min)),
    ("$0\r\n\r\n", .bulkString(text(""))),
    ("$5\r\na\r\nb\n\r\n", .bulkString(text("a\r\nb\n"))),
    ("$-1\r\n", .null),
    ("*-1\r\n", .null),
    ("*0\r\n", .array([])),
    ("*3\r\n:1\r\n$1\r\nx\r\n*1\r\n+y\r\n", .array([.integer(1), .bulkString(text("x")), .array([.simpleString(text("y"))])])),
    ("_\r\n", .null),
    ("#t\r\n", .boolean(true)),
    ("#f\r\n", .boolean(false)),
    (",1.25\r\n", .double(1.25)),
    (",-inf\r\n", .double(-.infinity)),
    (",10\r\n", .double(10)),
    ("(-3492890328409238509324850943850943825024385\r\n", .bigNumber(text("-3492890328409238509324850943850943825024385"))),
    ("!8\r\nERR a\r\nb\r\n", .error(text("ERR a\r\nb"))),
    ("=8\r\ntxt:text\r\n", .verbatimString(text("text"))),
    ("%1\r\n+k\r\n:1\r\n", .map([.simpleString(text("k")), .integer(1)])),
    ("%0\r\n", .map([])),
    ("~2\r\n:1\r\n:2\r\n", .set([.integer(1), .integer(2)])),
    (">2\r\n+message\r\n_\r\n", .push([.simpleString(text("message")), .null])),
    ("|1\r\n+ttl\r\n:3\r\n:5\r\n", .integer(5)),
    ("|0\r\n:6\r\n", .integer(6)),
    ("*2\r\n|1\r\n+a\r\n*1\r\n:1\r\n:1\r\n:2\r\n", .array([.integer(1), .integer(2)])),
  ]

  @Test("Every type is read, whatever the chunks")
  func everyType() {
    let bytes = Array(Self.replies.map(\.0).joined().utf8)
    for chunk in 1...bytes.count {
      let (values, error) = Self.decode(bytes, chunk: chunk)
      #expect(error == nil)
      #expect(values == Self.replies.map(\.1), "in chunks of \(chunk)")
    }
  }

  @Test("A reply may be cut at any byte", arguments: replies.map(\.0))
  func truncation(reply: String) {
    let bytes = Array(reply.utf8)
    for length in 0..<bytes.count {
      let (values, error) = Self.decode(Array(bytes[..<length]), chunk: max(length, 1))
      #expect(values.isEmpty && error == nil, "cut to \(length) bytes")
    }
  }

  /// The inputs that must be refused, each with its error.
  static let refused: [(String, RESPDecodingError)] = [
    ("HTTP/1.1 400 Bad Request\r\n", .unknownType(UInt8(ascii: "H"))),
    ("\r\n", .unknownType(UInt8(ascii: "\r"))),
    ("$?\r\n", .invalidNumber),
    ("*?\r\n", .invalidNumber),
    (":\r\n", .invalidNumber),
    (":-\r\n", .invalidNumber),
    (":1a\r\n", .invalidNumber),
    (": 1\r\n", .invalidNumber),
    (":1\n", .invalidNumber),
    (":1\rx", .invalidTerminator),
    (":9223372036854775808\r\n", .invalidNumber),
    (":-9223372036854775809\r\n", .invalidNumber),
    (":00000000000000000000000\r\n", .invalidNumber),
    (":99999999999999999999\r\n", .invalidNumber),
    ("$-2\r\n", .invalidLength),
    ("*-2\r\n", .invalidLength),
    ("%-1\r\n", .invalidLength),
    ("!-1\r\n", .invalidLength),
    ("=-1\r\n", .invalidLength),
    ("$3\r\nabcde\r\n", .invalidTerminator),
    ("$3\r\nabc\n\n", .invalidTerminator),
    ("+OK\n", .invalidTerminator),
    ("+a\rb\r\n", .invalidTerminator),
    ("-\n", .invalidTerminator),
    ("_x\r\n", .invalidTerminator),
    ("#x\r\n", .invalidBoolean),
    ("#\r\n", .invalidBoolean),
    ("#true\r\n", .invalidBoolean),
    (",x\r\n", .invalidNumber),
    (",\r\n", .invalidNumber),
    (",0x10\r\n", .invalidNumber),
    (",infinity\r\n", .invalidNumber),
    (",nan(12)\r\n", .invalidNumber),
    (",1\0x\r\n", .invalidNumber),
    ("(\r\n", .invalidNumber),
    ("(-\r\n", .invalidNumber),
    ("(12x\r\n", .invalidNumber),
    ("=3\r\ntxt\r\n", .invalidVerbatimString),
    ("=5\r\ntxtxt\r\n", .invalidVerbatimString),
    ("*1\r\n>1\r\n:1\r\n", .misplacedPush),
    ("$999999999999\r\n", .stringTooLong),
    ("*999999999\r\n", .tooManyElements),
    ("%9223372036854775807\r\n", .tooManyElements),
    ("|9223372036854775807\r\n", .tooManyElements),
    (String(repeating: "*1\r\n", count: 40) + ":1\r\n", .tooDeep),
    (String(repeating: "|1\r\n", count: 40), .tooDeep),
  ]

  @Test("Invalid bytes are refused with the same error in any chunks", arguments: refused)
  func refusals(bytes: String, reason: RESPDecodingError) {
    let bytes = Array(bytes.utf8)
    for chunk in 1...bytes.count {
      let (values, error) = Self.decode(bytes, chunk: chunk)
      #expect(values.isEmpty)
      #expect(error == reason, "in chunks of \(chunk)")
    }
  }

  @Test("Replies before a broken one are delivered")
  func repliesBeforeGarbage() {
    for chunk in 1...8 {
      let (values, error) = Self.decode(Array(":1\r\n:2\r\n?".utf8), chunk: chunk)
      #expect(values == [.integer(1), .integer(2)])
      #expect(error == .unknownType(UInt8(ascii: "?")))
    }
  }

  @Test("Limits hold to the byte, whatever the chunks")
  func limits() {
    var limits = RESPLimits()
    limits.lineLength = 4
    limits.stringLength = 4
    limits.elements = 3
    limits.depth = 2
    limits.replyLength = 24
    let cases: [(String, RESPDecodingError?)] = [
      ("+abcd\r\n", nil), ("+abcde\r\n", .lineTooLong), ("$4\r\nabcd\r\n", nil), ("$5\r\nabcde\r\n", .stringTooLong),
      ("*3\r\n:1\r\n:2\r\n:3\r\n", nil), ("*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n", .tooManyElements), ("%1\r\n:1\r\n:2\r\n", nil),
      ("%2\r\n:1\r\n:2\r\n:3\r\n:4\r\n", .tooManyElements), ("*1\r\n*1\r\n:1\r\n", nil), ("*1\r\n*1\r\n*1\r\n:1\r\n", .tooDeep),
      ("*2\r\n$4\r\nabcd\r\n$4\r\nabcd\r\n", nil), ("*2\r\n$4\r\nabcd\r\n*1\r\n$4\r\nabcd\r\n", .replyTooLong),
      (String(repeating: "|0\r\n", count: 7), .replyTooLong),
    ]
    for (text, expected) in cases {
      let bytes = Array(text.utf8)
      for chunk in 1...bytes.count {
        #expect(Self.decode(bytes, chunk: chunk, limits: limits).1 == expected, "\(text.debugDescription) in chunks of \(chunk)")
      }
    }
  }

  @Test("The elements of all aggregates of one reply count together")
  func elementsOfAReply() {
    let cases: [(String, RESPDecodingError?)] = [
      ("*2\r\n*2\r\n:1\r\n:2\r\n:3\r\n", nil), ("*2\r\n*2\r\n:1\r\n:2\r\n*1\r\n:3\r\n", .tooManyElements),
      ("%1\r\n*1\r\n:1\r\n*1\r\n:2\r\n", nil), ("%1\r\n:1\r\n%2\r\n:1\r\n:2\r\n:3\r\n:4\r\n", .tooManyElements),
      ("|1\r\n:1\r\n:2\r\n*2\r\n:1\r\n:2\r\n", nil), ("|1\r\n:1\r\n:2\r\n*3\r\n:1\r\n:2\r\n:3\r\n", .tooManyElements),
      (String(repeating: "*1\r\n", count: 4) + ":1\r\n", nil), (String(repeating: "*1\r\n", count: 5) + ":1\r\n", .tooManyElements),
    ]
    for (text, expected) in cases {
      let bytes = Array((text + text).utf8)
      for chunk in 1...bytes.count {
        let (values, error) = Self.decode(bytes, chunk: chunk, limits: RESPLimits(elements: 4))
        #expect(error == expected, "\(text.debugDescription) in chunks of \(chunk)")
        #expect(values.count == (expected == nil ? 2 : 0))
      }
    }
  }

  @Test("A string that no buffer can hold is refused, whatever the limit")
  func limitBeyondBuffers() {
    let limits = RESPLimits(stringLength: .max, replyLength: .max)
    for length in ["2147483649", "5000000000", "9223372036854775807"] {
      #expect(Self.decode(Array("$\(length)\r\n".utf8), chunk: 64, limits: limits).1 == .stringTooLong)
    }
    #expect(Self.decode(Array("$2147483648\r\n".utf8), chunk: 64, limits: limits).1 == nil)
  }

  @Test("A small string does not retain the large one before it", arguments: ["*2\r\n", ""])
  func smallAfterLarge(head: String) throws {
    let large = "$1000000\r\n" + String(repeating: "x", count: 1_000_000) + "\r\n"
    let (values, error) = Self.decode(Array((head + large + "$5\r\nsmall\r\n").utf8), chunk: 65_536)
    #expect(error == nil)
    let small = try #require(values.last?.array?.last ?? values.last)
    #expect(small.string == "small")
    #expect(try #require(small.bytes).storageCapacity <= 65_536)
  }

  @Test("Elements retain at most a small multiple of their bytes")
  func sparseChunks() throws {
    var decoder = RESPDecoder()
    decoder.feed(ByteBuffer(string: "*3\r\n"))
    #expect(try decoder.next() == nil)
    for text in ["+a\r\n", "+b\r\n"] {
      var chunk = ByteBufferAllocator().buffer(capacity: 65_536)
      chunk.writeString(text)
      decoder.feed(chunk)
      #expect(try decoder.next() == nil)
    }
    decoder.feed(ByteBuffer(string: "+c\r\n"))
    let elements = try #require(try decoder.next()?.array)
    #expect(elements.map(\.string) == ["a", "b", "c"])
    for element in elements { #expect(try #require(element.bytes).storageCapacity <= 256) }
  }

  @Test("A line without an end is refused, not accumulated forever")
  func endlessLine() {
    let (values, error) = Self.decode(Array(("+" + String(repeating: "x", count: 70_000)).utf8), chunk: 1_000)
    #expect(values.isEmpty)
    #expect(error == .lineTooLong)
  }

  @Test("Random bytes give the same values or are refused alike, in one piece and byte by byte")
  func randomBytes() {
    var random = SystemRandomNumberGenerator()
    let alphabet = Array("+-:$*%~>|_#,(!=012\r\n\r\n\r\ntxt:f".utf8)
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 1...24, using: &random)).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] }
      let whole = Self.decode(bytes, chunk: bytes.count)
      let single = Self.decode(bytes, chunk: 1)
      #expect(whole.0 == single.0, "\(bytes)")
      #expect(whole.1 == single.1, "\(bytes)")
    }
  }

  @Test("A value keeps its bytes while later chunks arrive")
  func valuesAreStable() throws {
    var decoder = RESPDecoder()
    decoder.feed(ByteBuffer(string: "$3\r\nabc\r\n$3\r\nde"))
    let first = try decoder.next()
    #expect(try decoder.next() == nil)
    decoder.feed(ByteBuffer(string: "f\r\n"))
    let second = try decoder.next()
    #expect(first?.string == "abc")
    #expect(second?.string == "def")
  }
}
