import ParallaxAPI
import Testing

@Suite struct JSONValueTests {
  @Test(arguments: [Int64.min, -1, 0, 1, 9_007_199_254_740_993, Int64.max])
  func aWholeNumberOf64BitsKeepsItsExactValue(_ number: Int64) throws {
    let value: JSONValue = try JSON.decode(from: "\(number)")
    #expect(value == .integer(number))
    #expect(try JSON.text(value) == "\(number)")
  }

  private static let kinds: [(String, JSONValue)] = [
    ("null", nil), ("true", true), ("false", false), ("0.1", 0.1), ("\"\"", ""), ("[]", []), ("{}", [:]),
    (#""ünï ✓ 👩‍👩‍👧‍👦 \u0000\n\"\\""#, "ünï ✓ 👩‍👩‍👧‍👦 \u{0}\n\"\\"),
    (#"{"a":[1,null,{"b":[[]]}]}"#, ["a": [1, nil, ["b": [[]]]]]),
  ]

  @Test(arguments: kinds)
  func eachKindSurvivesARoundTrip(_ text: String, _ value: JSONValue) throws {
    #expect(try JSON.decode(JSONValue.self, from: text) == value)
    #expect(try JSON.decode(JSONValue.self, from: try JSON.text(value)) == value)
  }

  @Test func booleansAndNumbersDiffer() throws {
    #expect(try JSON.decode(JSONValue.self, from: "[true,1,false,0]") == [true, 1, false, 0])
  }

  @Test func membersAreSortedAndSlashesAreNotEscaped() throws {
    let value: JSONValue = ["b": 1, "a": "x/y", "c": [:]]
    #expect(try JSON.text(value) == #"{"a":"x/y","b":1,"c":{}}"#)
  }

  @Test func accessorsReturnValuesOfTheirKindOnly() {
    let value: JSONValue = ["text": "hi", "whole": 3, "real": 0.5]
    #expect(value["text"]?.stringValue == "hi")
    #expect(value["whole"]?.doubleValue == 3)
    #expect(value["real"]?.doubleValue == 0.5)
    #expect(value["text"]?.doubleValue == nil)
    #expect(value["whole"]?.stringValue == nil)
    #expect(value["absent"] == nil)
    #expect(JSONValue.array(["text"])["text"] == nil)
  }
}
