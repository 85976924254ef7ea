public import ParallaxAPI

/// Generates ids that sort by the time of creation: a prefix, then 48 bits of milliseconds and 80 random bits in lower-case Crockford base
/// 32, after the ULID specification.
public enum SortableID {
  private static let digits = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

  /// Makes an id such as `exec_01jd…`.
  public static func make(prefix: String, at now: Timestamp, using generator: inout some RandomNumberGenerator) -> String {
    let time = UInt64(clamping: now.milliseconds) & 0xFFFF_FFFF_FFFF
    let high = UInt64.random(in: 0..<(1 << 40), using: &generator)
    let low = UInt64.random(in: 0..<(1 << 40), using: &generator)
    return prefix + "_" + text(time, digits: 10) + text(high, digits: 8) + text(low, digits: 8)
  }

  /// The time of creation in milliseconds precision; nil if the text after the last underscore is not such an id.
  public static func timestamp(of id: String) -> Timestamp? {
    guard let underscore = id.utf8.lastIndex(of: UInt8(ascii: "_")) else { return nil }
    let unique = id.utf8[id.utf8.index(after: underscore)...]
    guard unique.count == 26 else { return nil }
    var time: UInt64 = 0
    for (position, byte) in unique.enumerated() {
      guard let value = digits.firstIndex(of: byte) else { return nil }
      if position < 10 { time = time << 5 | UInt64(value) }
    }
    return time <= 0xFFFF_FFFF_FFFF ? Timestamp(milliseconds: Int64(time)) : nil
  }

  private static func text(_ value: UInt64, digits count: Int) -> String {
    String(unsafeUninitializedCapacity: count) { buffer in
      for position in 0..<count { buffer[position] = digits[Int(value >> UInt64(5 * (count - 1 - position)) & 31)] }
      return count
    }
  }
}
