import Foundation
import ParallaxAPI
import Testing

@Suite struct JSONParserTests {
  private func fault(_ text: some Sequence<UInt8>, depthLimit: Int = JSON.depthLimit) throws -> JSONFault {
    try #require(throws: JSONFault.self) { try JSON.value(from: Array(text), depthLimit: depthLimit) }
  }

  private func nested(_ depth: Int, open: String = "[", close: String = "]", inside: String = "") -> String {
    String(repeating: open, count: depth) + inside + String(repeating: close, count: depth)
  }

  // MARK: Valid texts

  @Test(
    arguments: [
      ("{}", [:]), ("[]", []), (" 1 ", 1), ("-0.5e+10", -5_000_000_000), ("\"\"", ""), ("[true,false,null]", [true, false, nil]),
      ("\n{\r\n\t}", [:]), ("\"é€\"", "é€"), ("0", 0), ("[[[]]]", [[[]]]),
      (#"{"a":[1,{"b":null}],"c":"\u00e9\n\\"}"#, ["a": [1, ["b": nil]], "c": "é\n\\"]),
      (#""\"\\\/\b\f\n\r\t\u0041\uD83D\ude00""#, "\"\\/\u{8}\u{C}\n\r\tA😀"), ("\u{FEFF}{}", [:]), ("1.5e300", 1.5e300), ("2.0", 2),
      ("1e2", 100),
      ("9223372036854775807", 9_223_372_036_854_775_807), ("-9223372036854775808", .integer(.min)), ("1e-400", 0),
      ("1.29073016843921e+17", 129_073_016_843_921_000), ("-922337203685477580.8e1", .integer(.min)),
      ("0.5e1", 5), ("100e-2", 1), ("100e-3", 0.1), ("0.00e7", 0),
    ] as [(String, JSONValue)])
  func aTextIsReadAsItsValue(text: String, value: JSONValue) throws {
    #expect(try JSON.value(from: text.utf8) == value)
  }

  @Test func aNegativeZeroKeepsItsSign() throws {
    for text in ["-0", "-0.0", "-0e5"] {
      let value = try JSON.value(from: text.utf8)
      #expect(value.doubleValue?.sign == .minus, "\(text)")
      #expect(try JSON.value(from: JSON.encode(value)).doubleValue?.sign == .minus, "\(text)")
    }
  }

  @Test func aLargeWholeNumberIsADoubleIfNoDigitIsLost() throws {
    // JavaScript writes 1e20 and 2^64 like this.
    #expect(try JSON.value(from: "100000000000000000000".utf8) == .number(1e20))
    #expect(try JSON.value(from: "-18446744073709552000".utf8) == .number(-18_446_744_073_709_551_616))
    for text in ["18446744073709551616", "9223372036854775808", "-9223372036854775809", "123456789012345678901234567890"] {
      let fault = try fault(text.utf8)
      #expect(fault.kind == .refused && fault.message.contains("send it as a string") && fault.column == 1, "\(fault)")
    }
  }

  // MARK: Invalid texts

  @Test(arguments: [
    ("", 1, 1, "ends too early"), ("{", 1, 2, "ends too early"), ("{\"a\" 1}", 1, 6, "':'"),
    ("{\"a\":}", 1, 6, "expected a value, found '}'"), ("{\n  \"a\": tru\n}", 2, 8, "true"), ("[1,]", 1, 4, "expected a value, found ']'"),
    ("{\"a\":1,}", 1, 8, "name in double quotes"), ("[1 2]", 1, 4, "',' or ']'"), ("{\"a\":1 \"b\"", 1, 8, "',' or '}'"),
    ("{a:1}", 1, 2, "double quotes"), ("{} x", 1, 4, "end of the text"), ("\"abc", 1, 1, "has no end"), ("\"abc\\", 1, 5, "escape"),
    ("[\"a\nb\"]", 1, 4, "control character"), ("[\"\\n\nb\"]", 1, 5, "control character"), (#"["\x"]"#, 1, 3, "escape"),
    (#"["\u12"]"#, 1, 3, "hexadecimal"), ("[01]", 1, 3, "',' or ']'"), ("[1.]", 1, 4, "a digit"), ("[-]", 1, 3, "a digit"),
    ("[1e]", 1, 4, "a digit"), ("[.5]", 1, 2, "a value"), ("[+1]", 1, 2, "a value"), ("'a'", 1, 1, "found '''"), ("[}", 1, 2, "a value"),
    ("[1}", 1, 3, "']'"), ("NaN", 1, 1, "a value"), ("[1] // no", 1, 5, "end of the text"), ("\u{0}", 1, 1, "UTF-8"),
  ])
  func aFaultHasItsPlaceAndReason(text: String, line: Int, column: Int, part: String) throws {
    let fault = try fault(text.utf8)
    #expect(fault.kind == .malformed && fault.line == line && fault.column == column, "\(fault)")
    #expect(fault.message.contains(part), "\(fault)")
  }

  @Test(arguments: [
    (#"{"a":1,"b":2,"a":3}"#, 14, #"the member "a" is given twice"#), (#"[{"":1,"":1}]"#, 8, "given twice"),
    (#"["\ud800"]"#, 3, "half of a surrogate pair"), (#"["\udc00\ud800"]"#, 3, "half of a surrogate pair"),
    (#"["\ud800\ud800"]"#, 3, "half of a surrogate pair"), (#"["\ud800\n"]"#, 3, "half of a surrogate pair"),
    ("[1e999]", 2, "64-bit double"),
    ("[-1e999]", 2, "64-bit double"),
  ])
  func valuesThatWouldLosePrecisionAreRefused(text: String, column: Int, part: String) throws {
    let fault = try fault(text.utf8)
    #expect(fault.kind == .refused && fault.column == column && fault.message.contains(part), "\(fault)")
  }

  @Test func otherEncodingsAreRefusedWithAMessage() throws {
    for encoding in [String.Encoding.utf16, .utf16LittleEndian, .utf16BigEndian, .utf32] {
      let text = try #require("{\"a\":1}".data(using: encoding))
      #expect(try fault(text).message.contains("UTF-8"), "\(encoding)")
    }
    for bytes in [[0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0x5C, 0x6E, 0xE2, 0x82, 0x22]]
      as [[UInt8]]
    {
      #expect(try fault(bytes).message.contains("not valid UTF-8"))
    }
  }

  @Test func theDepthIsBoundedAndTheLimitNamed() throws {
    #expect(throws: Never.self) { try JSON.value(from: nested(64).utf8) }
    #expect(throws: Never.self) { try JSON.value(from: nested(64, open: "{\"a\":", close: "}", inside: "1").utf8) }
    let fault = try fault(nested(65).utf8)
    #expect(fault == JSONFault(.refused, line: 1, column: 65, message: "arrays and objects may be nested 64 deep at most"))
    #expect(try self.fault(nested(100_000).utf8).column == 65)
    #expect(try self.fault(nested(100_000, open: "{\"a\":", close: "}").utf8).message.contains("64"))
    #expect(throws: Never.self) { try JSON.value(from: nested(80).utf8, depthLimit: JSON.documentDepthLimit) }
  }

  @Test func aNumberIsBounded() throws {
    #expect(try JSON.value(from: "0.\(String(repeating: "1", count: 2_046))".utf8).doubleValue != nil)
    #expect(try fault("[\(String(repeating: "1", count: 100_000))]".utf8).message.contains("2048"))
  }

  @Test func anotherDecoderIsBounded() {
    #expect(throws: DecodingError.self) { try JSONDecoder().decode(JSONValue.self, from: Data(nested(200).utf8)) }
    #expect(throws: Never.self) { try JSONDecoder().decode(JSONValue.self, from: Data(nested(64).utf8)) }
  }

  // MARK: Comparison with Foundation

  /// Foundation's value of a text; nil if Foundation refuses it.
  private func byFoundation(_ bytes: some Sequence<UInt8>) -> JSONValue? {
    try? JSONDecoder().decode(JSONValue.self, from: Data(bytes))
  }

  @Test(arguments: 0..<8 as Range<UInt64>)
  func validTextsAreReadAsFoundationReadsThem(seed: UInt64) throws {
    var texts = JSONTexts(seed: seed)
    for _ in 0..<250 {
      let text = texts.next()
      let value = try JSON.value(from: text.utf8)
      #expect(byFoundation(text.utf8).map(withoutSign) == withoutSign(value), "\(text)")
      #expect(try JSON.value(from: JSON.encode(value)) == value, "\(text)")
    }
  }

  @Test(arguments: 0..<8 as Range<UInt64>)
  func acceptedDamagedTextsAreReadAsFoundationReadsThem(seed: UInt64) throws {
    var texts = JSONTexts(seed: seed)
    for _ in 0..<500 {
      let bytes = texts.nextDamaged()
      guard let value = try? JSON.value(from: bytes) else { continue }
      #expect(byFoundation(bytes).map(withoutSign) == withoutSign(value), "\(String(decoding: bytes, as: UTF8.self))")
    }
  }

  /// Foundation's integers have no negative zero.
  private func withoutSign(_ value: JSONValue) -> JSONValue {
    switch value {
    case .number(let number) where number == 0: .integer(0)
    case .array(let elements): .array(elements.map(withoutSign))
    case .object(let members): .object(members.mapValues(withoutSign))
    default: value
    }
  }
}

@Suite struct JSONDocumentTests {
  private struct Document: Decodable, Equatable {
    enum CodingKeys: String, CodingKey, CaseIterable { case name, count, small, share, flags, nested, other }
    struct Nested: Decodable, Equatable { var priority: ExecutionPriority? }

    var name: String
    var count: Int?
    var small: UInt8?
    var share: Double?
    var flags: [Bool]?
    var nested: Nested?
    var other: JSONValue?
  }

  private func fault(_ text: String, strict: Bool = true) throws -> String {
    let error = try #require(throws: (any Error).self) { try JSON.decode(Document.self, from: text.utf8, refusesUnknownMembers: strict) }
    return APIError(decoding: error, of: "body").message
  }

  @Test func aDocumentIsDecoded() throws {
    let text = #"{"name":"n","count":3.0,"small":255,"share":1,"flags":[true],"nested":{"priority":"high"},"other":{"a":[1,-0.0]}}"#
    let document = try JSON.decode(Document.self, from: text)
    #expect(
      document
        == Document(
          name: "n", count: 3, small: 255, share: 1, flags: [true], nested: .init(priority: .high), other: ["a": [1, .number(-0.0)]]))
    #expect(try JSON.decode(Document.self, from: #"{"name":"n","count":null,"other":null}"#) == Document(name: "n"))
  }

  @Test(arguments: [
    (#"{"name":"n","count":1.5}"#, "body: count: expected a whole number, found 1.5"),
    (#"{"name":"n","small":256}"#, "body: small: expected a whole number from 0 to 255, found 256"),
    (#"{"name":null}"#, "body: name: expected a string, found null"),
    (#"{"name":"n","flags":[true,"no"]}"#, "body: flags[1]: expected true or false, found \"no\""),
    (#"{"name":"n","nested":[]}"#, "body: nested: expected an object, found an array"),
    (#"{"name":"n","nested":{"priority":"urgent"}}"#, "body: nested.priority: expected one of low, normal, high, found \"urgent\""),
    (#"{"name":"n","nmae":1}"#, "body: nmae: there is no such member; known are name, count, small, share, flags, nested, other"),
    (#"{"name":"n","nested":{"a":1}}"#, "body: nested.a: there is no such member"),
    (#"{"name":"n""#, "body is not valid JSON: line 1, column 12: the text ends too early; expected ',' or '}'"),
    (#"{"name":"n","name":"m"}"#, "body: line 1, column 13: the member \"name\" is given twice"),
  ])
  func aFaultIsDescribedInTermsOfJSON(text: String, message: String) throws {
    #expect(try fault(text) == message)
  }

  @Test func unknownMembersAreIgnoredIfAllowed() throws {
    #expect(try JSON.decode(Document.self, from: #"{"name":"n","nmae":1}"#) == Document(name: "n"))
  }
}

/// Random JSON texts, valid or damaged, the same for the same seed.
private struct JSONTexts {
  private var random: SeededGenerator

  init(seed: UInt64) { random = SeededGenerator(seed: seed) }

  mutating func next() -> String { value(depth: 0) }

  /// A valid text with some bytes changed, removed or duplicated.
  mutating func nextDamaged() -> [UInt8] {
    var bytes = Array(next().utf8)
    for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
      let index = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: bytes.remove(at: index)
      case 1: bytes[index] = Array("{}[]\",:\\tfn0-.eE \u{7F}".utf8).randomElement(using: &random) ?? 0
      case 2: bytes[index] = UInt8.random(in: 0...255, using: &random)
      default: bytes.insert(bytes[index], at: index)
      }
    }
    return bytes
  }

  private mutating func space() -> String { ["", "", "", " ", "\n", "\t ", "\r\n"].randomElement(using: &random) ?? "" }

  private mutating func value(depth: Int) -> String {
    let text: String
    switch Int.random(in: 0..<(depth < 6 ? 9 : 6), using: &random) {
    case 0: text = ["null", "true", "false"].randomElement(using: &random) ?? "null"
    case 1, 2: text = number()
    case 3, 4, 5: text = string()
    case 6: text = "[" + space() + "]"
    case 7: text = "[" + (0..<Int.random(in: 1...4, using: &random)).map { _ in value(depth: depth + 1) }.joined(separator: ",") + "]"
    default:
      text =
        "{"
        + (0..<Int.random(in: 0...4, using: &random)).map {
          "\(space())\"\($0)\(string().dropFirst())\(space()):\(value(depth: depth + 1))"
        }
        .joined(separator: ",") + "}"
    }
    return space() + text + space()
  }

  private mutating func number() -> String {
    let sign = Bool.random(using: &random) ? "-" : ""
    switch Int.random(in: 0..<6, using: &random) {
    case 0: return sign + "0"
    case 1: return sign + "\(Int64.random(in: 0...(.max), using: &random))"
    case 2: return sign + "\(Int.random(in: 0...1_000, using: &random)).\(Int.random(in: 0...1_000, using: &random))"
    case 3: return "\(Double(bitPattern: UInt64.random(in: 1..<0x7FF0_0000_0000_0000, using: &random)))"
    case 4: return sign + "\(Int.random(in: 1...99, using: &random))e\(Int.random(in: -30...30, using: &random))"
    default: return sign + "\(Int.random(in: 1...99, using: &random)).5E+\(Int.random(in: 0...20, using: &random))"
    }
  }

  private mutating func string() -> String {
    let parts = [
      "a", "Z", "7", " ", "é", "€", "😀", "\\n", "\\\"", "\\\\", "\\/", "\\u0000", "\\u00e9", "\\uD83D\\uDE00", "\\b\\f\\r\\t", "\u{7F}",
      "long enough for the heap",
    ]
    return "\"" + (0..<Int.random(in: 0...6, using: &random)).map { _ in parts.randomElement(using: &random) ?? "" }.joined() + "\""
  }
}
