import ParallaxAPI
import Testing

@Suite struct TimestampTests {
  private static let known: [(Int64, String)] = [
    (0, "1970-01-01T00:00:00.000Z"),
    (-1, "1969-12-31T23:59:59.999Z"),
    (-86_400_000, "1969-12-31T00:00:00.000Z"),
    (951_782_400_000, "2000-02-29T00:00:00.000Z"),
    (951_868_800_000, "2000-03-01T00:00:00.000Z"),
    (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
    (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
    (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
    (4_107_456_000_000, "2100-02-28T00:00:00.000Z"),
    (1_768_473_000_250, "2026-01-15T10:30:00.250Z"),
    (-2_203_891_200_000, "1900-03-01T00:00:00.000Z"),
    (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
    (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
  ]

  @Test(arguments: known)
  func isWrittenAsISO8601InUTC(_ milliseconds: Int64, _ text: String) {
    #expect(Timestamp(milliseconds: milliseconds).description == text)
  }

  @Test(arguments: known)
  func isReadBackToTheSameInstant(_ milliseconds: Int64, _ text: String) {
    #expect(Timestamp(text)?.milliseconds == milliseconds)
  }

  @Test func aTimestampOfAnyYearSurvivesARoundTrip() {
    var generator = SeededGenerator(seed: 20_260_115)
    for _ in 0..<2_000 {
      let instant = Timestamp(milliseconds: Int64.random(in: -2_203_891_200_000...253_402_300_799_999, using: &generator))
      #expect(Timestamp(instant.description) == instant)
    }
  }

  @Test func offsetsAreParsedAndAFractionIsOptional() {
    let instant = Timestamp(milliseconds: 1_768_473_000_000)
    #expect(Timestamp("2026-01-15T10:30:00Z") == instant)
    #expect(Timestamp("2026-01-15T12:30:00+02:00") == instant)
    #expect(Timestamp("2026-01-15T05:30:00-05:00") == instant)
  }

  @Test func digitsBeyondMillisecondsAreIgnored() {
    #expect(Timestamp("1970-01-01T00:00:00.1Z") == Timestamp(milliseconds: 100))
    #expect(Timestamp("1970-01-01T00:00:00.0019999999999999999999999Z") == Timestamp(milliseconds: 1))
  }

  @Test(arguments: [
    "", "now", "2026-01-15", "10:30:00Z", "2026-01-15T10:30:00", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "1768473000250",
    "2026-01-15T24:00:00Z", "2026-01-15T10:60:00Z", "2026-01-15T10:30:60Z", "2025-02-29T00:00:00Z", "2026-04-31T00:00:00Z",
    "2026-01-00T00:00:00Z", "2100-02-29T00:00:00Z", "2026-01-15T10:30:00.Z", "2026-01-15T10:30:00Z ", "2026-01-15T10:30:00+2",
    "2026-01-15T10:30:00+0200", "12026-01-15T10:30:00Z", "-026-01-15T10:30:00Z", "2026-01-15T10:30:0٣Z", "2026-01-15 10:30:00Z",
  ])
  func anythingElseIsRefused(_ text: String) {
    #expect(Timestamp(text) == nil)
  }

  @Test func anInvalidInstantIsInTheError() throws {
    let error = #expect(throws: DecodingError.self) { try JSON.decode([Timestamp].self, from: #"["yesterday"]"#) }
    let fault = APIError(decoding: try #require(error), of: "body")
    #expect(fault.message == "body: [0]: expected an ISO 8601 instant such as 2026-01-15T10:30:00Z, found \"yesterday\"")
  }

  @Test func durationsAreAddedAndMeasured() {
    let instant = Timestamp(milliseconds: 1_000)
    #expect(instant + .milliseconds(250) == Timestamp(milliseconds: 1_250))
    #expect(instant + .seconds(-2) == Timestamp(milliseconds: -1_000))
    #expect(Timestamp(milliseconds: 1_250) - instant == .milliseconds(250))
    #expect(instant < Timestamp(milliseconds: 1_001))
  }
}
