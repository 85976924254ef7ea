#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A wall-clock instant to the millisecond, for people and for what must outlive a process; never used to decide an election.
///
/// In JSON and in the store it is ISO 8601 in UTC, `2026-01-15T10:30:00.250Z`.
package struct Timestamp: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
  /// Milliseconds since 1970-01-01T00:00:00Z.
  package var milliseconds: Int64

  package init(milliseconds: Int64) {
    self.milliseconds = milliseconds
  }

  /// Parses ISO 8601 with a date, a time, an optional fraction and `Z` or an offset; nil for anything else.
  package init?(_ text: String) {
    let withFraction = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
    guard let date = (try? withFraction.parse(text)) ?? (try? Date.ISO8601FormatStyle().parse(text)) else { return nil }
    self.init(milliseconds: Int64((date.timeIntervalSince1970 * 1000).rounded()))
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = Timestamp(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "expected an ISO 8601 instant such as 2026-01-15T10:30:00Z, found \"\(text)\"")
    }
    self = value
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }

  package static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

  package static func + (left: Timestamp, right: Duration) -> Timestamp {
    Timestamp(milliseconds: left.milliseconds + right.wholeMilliseconds)
  }

  package static func - (left: Timestamp, right: Timestamp) -> Duration {
    .milliseconds(left.milliseconds - right.milliseconds)
  }

  /// ISO 8601 in UTC with milliseconds.
  ///
  /// Written by hand because it stands in every document and every stored field; days to civil date after Howard Hinnant,
  /// "chrono-compatible low-level date algorithms".
  package var description: String {
    let days = milliseconds.floorDivided(by: 86_400_000)
    let time = milliseconds - days * 86_400_000
    let shifted = days + 719_468
    let era = shifted.floorDivided(by: 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)

    var text = ""
    text.reserveCapacity(24)
    text.appendPadded(year, width: 4)
    text.append("-")
    text.appendPadded(month, width: 2)
    text.append("-")
    text.appendPadded(day, width: 2)
    text.append("T")
    text.appendPadded(time / 3_600_000, width: 2)
    text.append(":")
    text.appendPadded(time / 60_000 % 60, width: 2)
    text.append(":")
    text.appendPadded(time / 1_000 % 60, width: 2)
    text.append(".")
    text.appendPadded(time % 1_000, width: 3)
    text.append("Z")
    return text
  }
}

extension Int64 {
  fileprivate func floorDivided(by divisor: Int64) -> Int64 {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
  }
}

extension String {
  fileprivate mutating func appendPadded(_ value: Int64, width: Int) {
    let digits = String(value)
    for _ in 0..<max(0, width - digits.utf8.count) { append("0") }
    append(digits)
  }
}
