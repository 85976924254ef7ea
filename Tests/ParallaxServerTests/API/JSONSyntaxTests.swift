import Testing

@testable import ParallaxServer

@Suite struct JSONSyntaxTests {
  @Test(arguments: [
    "{}", "[]", " 1 ", "-0.5e+10", "\"\"", #"{"a":[1,{"b":null}],"c":"\u00e9\n\\"}"#, "[true,false]", "\n{\r\n\t}", "\"é€\"", "0", "[[[]]]",
  ])
  func findsNoFaultInJSON(text: String) {
    #expect(JSONSyntax.firstFault(in: text.utf8) == nil)
  }

  @Test(arguments: [
    ("", 1, 1, "ends too early"), ("{", 1, 2, "ends too early"), ("{\"a\" 1}", 1, 6, "':'"),
    ("{\"a\":}", 1, 6, "expected a value, found '}'"),
    ("{\n  \"a\": tru\n}", 2, 8, "true"), ("[1,]", 1, 4, "expected a value, found ']'"), ("{\"a\":1,}", 1, 8, "name in double quotes"),
    ("[1 2]", 1, 4, "',' or ']'"), ("{\"a\":1 \"b\"", 1, 8, "',' or '}'"), ("{a:1}", 1, 2, "double quotes"),
    ("{} x", 1, 4, "end of the text"),
    ("\"abc", 1, 1, "has no end"), ("[\"a\nb\"]", 1, 4, "control character"), (#"["\x"]"#, 1, 3, "escape"),
    (#"["\u12"]"#, 1, 3, "hexadecimal"),
    ("[01]", 1, 3, "',' or ']'"), ("[1.]", 1, 4, "a digit"), ("[-]", 1, 3, "a digit"), ("[1e]", 1, 4, "a digit"),
    ("'a'", 1, 1, "found '''"),
    ("[}", 1, 2, "a value"), ("[1}", 1, 3, "']'"), ("\u{FEFF}{}", 1, 1, "0xef"),
  ])
  func saysWhereAndWhat(text: String, line: Int, column: Int, part: String) throws {
    let fault = try #require(JSONSyntax.firstFault(in: text.utf8))
    #expect(fault.line == line && fault.column == column, "\(fault)")
    #expect(fault.message.contains(part), "\(fault)")
  }

  @Test func survivesDeepNesting() {
    #expect(JSONSyntax.firstFault(in: Array(repeating: UInt8(ascii: "["), count: 100_000)) != nil)
  }
}
