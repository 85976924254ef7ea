/// Collects the lines of one scrape.
struct ExpositionWriter: ~Copyable {
  let format: ExpositionFormat
  private(set) var bytes: [UInt8] = []

  init(_ format: ExpositionFormat, expectedSize: Int) {
    self.format = format
    // Slightly more than the size of the last scrape, since numbers grow.
    bytes.reserveCapacity(expectedSize + expectedSize / 16)
  }

  mutating func write(_ lines: [UInt8]) {
    bytes.append(contentsOf: lines)
  }

  mutating func sample(_ line: [UInt8], _ value: UInt64) {
    bytes.append(contentsOf: line)
    appendDigits(value)
    bytes.append(UInt8(ascii: "\n"))
  }

  mutating func sample(_ line: [UInt8], _ value: Double) {
    bytes.append(contentsOf: line)
    append(value)
    bytes.append(UInt8(ascii: "\n"))
  }

  consuming func finish() -> [UInt8] {
    if format == .openMetrics { bytes.append(contentsOf: "# EOF\n".utf8) }
    return bytes
  }

  private mutating func append(_ value: Double) {
    // Up to 2^53 every whole Double is an exact integer, which is faster to write and shorter.
    if value.magnitude < 0x1p53, value.rounded() == value {
      if value < 0 { bytes.append(UInt8(ascii: "-")) }
      appendDigits(UInt64(value.magnitude))
    } else {
      bytes.append(contentsOf: NumberText.of(value).utf8)
    }
  }

  private mutating func appendDigits(_ value: UInt64) {
    if value < 10 {
      bytes.append(UInt8(ascii: "0") + UInt8(value))
      return
    }
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
      var rest = value
      var start = digits.count
      while rest > 0 {
        start -= 1
        digits.initializeElement(at: start, to: UInt8(ascii: "0") + UInt8(rest % 10))
        rest /= 10
      }
      bytes.append(contentsOf: digits[start...])
    }
  }
}

/// Numbers in the notation of the formats.
enum NumberText {
  /// `+Inf`, `-Inf`, `NaN` or the shortest text of the same number; whole numbers keep `.0`, as OpenMetrics requires in `le` and
  /// `quantile`.
  static func of(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return "\(value)"
  }
}
