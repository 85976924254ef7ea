import ParallaxAPI
import Testing

@Suite struct DurationTextTests {
  @Test(arguments: [
    ("500ms", Duration.milliseconds(500)), ("15s", .seconds(15)), ("1m30s", .seconds(90)), ("2h", .seconds(7_200)),
    ("1d2h3m4s5ms", .milliseconds(93_784_005)), ("0s", .zero), ("90s", .seconds(90)), ("007s", .seconds(7)),
  ])
  func unitsAreAddedUp(_ text: String, _ duration: Duration) {
    #expect(Duration(text: text) == duration)
  }

  @Test(arguments: [
    "", "s", "15", "15 s", " 15s", "-1s", "+1s", "1.5s", "1s1s", "1s1m", "5msx", "1y", "1S", "٣s", "9223372036854775807s", "106751991168d",
    "9223372036854775807ms1",
  ])
  func anythingElseIsRefused(_ text: String) {
    #expect(Duration(text: text) == nil)
  }

  @Test func theGreatestNumberOfMillisecondsIsParsed() {
    #expect(Duration(text: "9223372036854775807ms") == .milliseconds(Int64.max))
  }

  @Test(arguments: [
    (Duration.zero, "0s"), (.milliseconds(1), "1ms"), (.seconds(60), "1m"), (.milliseconds(61_001), "1m1s1ms"), (.seconds(86_400), "1d"),
    (.microseconds(1_999), "1ms"), (.seconds(-5), "0s"),
  ])
  func isWrittenShort(_ duration: Duration, _ text: String) {
    #expect(duration.text == text)
  }

  @Test func aDurationSurvivesARoundTrip() {
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<1_000 {
      let duration = Duration.milliseconds(Int64.random(in: 0...10_000_000_000, using: &generator))
      #expect(Duration(text: duration.text) == duration)
    }
  }

  @Test func millisecondsAreRoundedTowardZero() {
    #expect(Duration.microseconds(1_999).wholeMilliseconds == 1)
    #expect(Duration.microseconds(-1_999).wholeMilliseconds == -1)
    #expect(Duration.seconds(3).wholeMilliseconds == 3_000)
  }

  @Test func aDurationIsEncodedInMilliseconds() throws {
    #expect(try JSON.text([WireDuration(.seconds(30))]) == "[30000]")
    let read: [WireDuration] = try JSON.decode(from: #"[1500,"1m30s",0]"#)
    #expect(read.map(\.duration) == [.milliseconds(1_500), .seconds(90), .zero])
  }

  @Test(arguments: ["-1", "1.5", "\"soon\"", "null", "true", "{}"])
  func anInvalidDurationOnTheWireHasTheExpectationInItsError(_ json: String) throws {
    let error = #expect(throws: DecodingError.self) { try JSON.decode([WireDuration].self, from: "[\(json)]") }
    let fault = APIError(decoding: try #require(error), of: "body")
    #expect(fault.code == .validation)
    #expect(fault.message.hasPrefix("body: [0]: expected "))
  }
}
