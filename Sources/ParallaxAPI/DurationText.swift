extension Duration {
  /// The duration in milliseconds, rounded toward zero.
  package var wholeMilliseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
  }

  /// Parses `15s`, `500ms`, `1m30s`, `2h`, `1d`: whole numbers with units, largest first, each at most once; nil for any other text.
  package init?(text: String) {
    let units: [(name: String, milliseconds: Int64)] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)]
    var total: Int64 = 0
    var nextUnit = 0
    var rest = Substring(text)
    guard !rest.isEmpty else { return nil }
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      rest = rest.dropFirst(digits.count)
      let name = rest.prefix { $0.isLetter }
      rest = rest.dropFirst(name.count)
      guard let value = Int64(digits), let unit = units[nextUnit...].firstIndex(where: { $0.name == name }) else { return nil }
      let (product, overflow) = value.multipliedReportingOverflow(by: units[unit].milliseconds)
      let (sum, overflowedSum) = total.addingReportingOverflow(product)
      guard !overflow, !overflowedSum else { return nil }
      total = sum
      nextUnit = unit + 1
    }
    self = .milliseconds(total)
  }

  /// The shortest text that `init(text:)` parses to the same number of milliseconds.
  package var text: String {
    var rest = wholeMilliseconds
    guard rest > 0 else { return "0s" }
    var text = ""
    for (name, size) in [("d", Int64(86_400_000)), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] where rest >= size {
      text += "\(rest / size)\(name)"
      rest %= size
    }
    return text
  }
}

/// A duration in JSON: encoded as a whole number of milliseconds, decoded from that or from text such as `"30s"`.
public struct WireDuration: Sendable, Hashable, Codable {
  /// The duration; encoding rounds it toward zero to the millisecond.
  public var duration: Duration

  /// Wraps a duration.
  public init(_ duration: Duration) {
    self.duration = duration
  }

  /// Decodes a whole number of milliseconds, zero or more, or text such as `"1m30s"`.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let milliseconds = try? container.decode(Int64.self), milliseconds >= 0 {
      duration = .milliseconds(milliseconds)
    } else if let text = try? container.decode(String.self), let value = Duration(text: text) {
      duration = value
    } else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "expected a duration: milliseconds as a whole number, or text such as \"30s\" or \"1m30s\"")
    }
  }

  /// Encodes a whole number of milliseconds.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(duration.wholeMilliseconds)
  }
}
