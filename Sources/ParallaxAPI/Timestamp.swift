#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A wall-clock instant in milliseconds, for people and for data that outlives a process; elections never use it.
///
/// In JSON and in the stores a timestamp is ISO 8601 in UTC: `2026-01-15T10:30:00.250Z`.
public struct Timestamp: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
  /// Milliseconds since 1970-01-01T00:00:00Z.
  public var milliseconds: Int64

  /// Makes an instant.
  ///
  /// - Parameter milliseconds: Milliseconds since 1970-01-01T00:00:00Z.
  public init(milliseconds: Int64) {
    self.milliseconds = milliseconds
  }

  /// The present instant on the system's wall clock.
  public static var now: Timestamp { Timestamp(milliseconds: Int64((Date().timeIntervalSince1970 * 1_000).rounded(.down))) }

  /// Parses ISO 8601 with a date, a time, an optional fraction, and `Z` or an offset (RFC 3339); nil for any other text and for a
  /// nonexistent day or time.
  ///
  /// Digits beyond milliseconds are ignored.
  public init?(_ text: String) {
    var scanner = Scanner(text)
    guard let year = scanner.number(digits: 4), scanner.take("-"), let month = scanner.number(digits: 2), scanner.take("-"),
      let day = scanner.number(digits: 2), scanner.take("T") || scanner.take("t"), let hour = scanner.number(digits: 2),
      scanner.take(":"), let minute = scanner.number(digits: 2), scanner.take(":"), let second = scanner.number(digits: 2),
      let fraction = scanner.take(".") ? scanner.fraction() : 0, let offset = scanner.offset(), scanner.isAtEnd,
      (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 60
    else { return nil }
    // Converts the civil date to days, the inverse of `description`.
    let shiftedYear = month <= 2 ? year - 1 : year
    let era = shiftedYear.floorDivided(by: 400)
    let yearOfEra = shiftedYear - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    let local = Timestamp(milliseconds: ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000 + fraction)
    guard local.description.utf8.dropFirst(8).prefix(2).elementsEqual(text.utf8.dropFirst(8).prefix(2)) else { return nil }
    self.init(milliseconds: local.milliseconds - offset * 60_000)
  }

  /// Decodes ISO 8601.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = Timestamp(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "expected an ISO 8601 instant such as 2026-01-15T10:30:00Z, found \"\(text)\"")
    }
    self = value
  }

  /// Encodes ISO 8601 in UTC with milliseconds.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }

  /// Orders instants by time.
  public static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

  /// The instant a duration later, truncated to the millisecond.
  public static func + (left: Timestamp, right: Duration) -> Timestamp {
    Timestamp(milliseconds: left.milliseconds + right.wholeMilliseconds)
  }

  /// The instant a duration earlier, truncated to the millisecond.
  public static func - (left: Timestamp, right: Duration) -> Timestamp { left + (.zero - right) }

  /// The time from the right instant to the left one; negative if the left one is earlier.
  public static func - (left: Timestamp, right: Timestamp) -> Duration {
    .milliseconds(left.milliseconds - right.milliseconds)
  }

  /// ISO 8601 in UTC with milliseconds.
  ///
  /// The formatting is built by hand for speed, because every document and many stored fields have timestamps. The conversion of days to a
  /// civil date follows Howard Hinnant, "chrono-compatible low-level date algorithms".
  public var description: String {
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

    var text: [UInt8] = []
    text.reserveCapacity(24)
    text.append(year, digits: 4, then: "-")
    text.append(month, digits: 2, then: "-")
    text.append(day, digits: 2, then: "T")
    text.append(time / 3_600_000, digits: 2, then: ":")
    text.append(time / 60_000 % 60, digits: 2, then: ":")
    text.append(time / 1_000 % 60, digits: 2, then: ".")
    text.append(time % 1_000, digits: 3, then: "Z")
    return String(decoding: text, as: UTF8.self)
  }
}

/// Parses the parts of an instant.
private struct Scanner {
  private var rest: Substring.UTF8View

  init(_ text: String) { rest = text[...].utf8 }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard rest.first == UInt8(ascii: character) else { return false }
    rest.removeFirst()
    return true
  }

  mutating func number(digits count: Int) -> Int64? {
    var value: Int64 = 0
    for _ in 0..<count {
      guard let byte = rest.popFirst(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      value = value * 10 + Int64(byte - UInt8(ascii: "0"))
    }
    return value
  }

  /// The milliseconds of a fraction with at least one digit.
  mutating func fraction() -> Int64? {
    let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    rest = rest.dropFirst(digits.count)
    guard !digits.isEmpty else { return nil }
    let milliseconds = (Array(digits.prefix(3)) + [UInt8](repeating: UInt8(ascii: "0"), count: 3)).prefix(3)
    return milliseconds.reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
  }

  /// The offset from UTC in minutes.
  mutating func offset() -> Int64? {
    if take("Z") || take("z") { return 0 }
    let sign: Int64 = take("-") ? -1 : 1
    guard sign == -1 || take("+"), let hours = number(digits: 2), hours < 24 else { return nil }
    guard take(":"), let minutes = number(digits: 2), minutes < 60 else { return nil }
    return sign * (hours * 60 + minutes)
  }
}

extension Int64 {
  fileprivate func floorDivided(by divisor: Int64) -> Int64 {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
  }
}

extension [UInt8] {
  /// Appends a number, padded with zeros, and a separator; a number of more digits keeps them.
  fileprivate mutating func append(_ number: Int64, digits: Int, then separator: Unicode.Scalar) {
    var unit: Int64 = 1
    for _ in 1..<digits { unit *= 10 }
    if (0..<10 * unit).contains(number) {
      while unit > 0 {
        append(UInt8(ascii: "0") + UInt8(number / unit % 10))
        unit /= 10
      }
    } else {
      append(contentsOf: String(number).utf8)
    }
    append(UInt8(ascii: separator))
  }
}
