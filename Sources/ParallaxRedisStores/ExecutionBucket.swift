package import ParallaxAPI

/// The minute in which an execution was created: the index has one key per minute, so that no key grows hot or huge.
package struct ExecutionBucket: Sendable, Hashable {
  /// `yyyymmddhhmm` in UTC.
  package let name: String

  /// The bucket of an instant.
  package init(at instant: Timestamp) {
    self.init(createdAt: instant.description)
  }

  /// The bucket of a `createdAt` as the hash stores it, `yyyy-mm-ddThh:mm:ss.mmmZ`.
  init(createdAt: String) {
    name = String(decoding: createdAt.utf8.dropLast(8).filter(Self.isDigit), as: UTF8.self)
  }

  /// The bucket of a name in the index of buckets.
  init(name: String) {
    self.name = name
  }

  /// The number of minutes from 1970 to an instant: the score of its bucket in the index.
  static func minute(of instant: Timestamp) -> Int64 {
    let (minutes, rest) = instant.milliseconds.quotientAndRemainder(dividingBy: 60_000)
    return rest < 0 ? minutes - 1 : minutes
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
  }
}
