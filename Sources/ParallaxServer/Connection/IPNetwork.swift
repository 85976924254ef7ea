/// An IP address or a network in CIDR notation: `::1`, `10.0.0.0/8`.
package struct IPNetwork: Hashable, Sendable {
  private let bytes: [UInt8]
  private let prefixLength: Int

  /// Reads an address with or without `/length`; nil for anything else.
  package init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let bytes = Self.bytes(of: String(parts[0])) else { return nil }
    self.bytes = bytes
    guard parts.count > 1 else {
      prefixLength = bytes.count * 8
      return
    }
    guard let length = UInt8(parts[1]), Int(length) <= bytes.count * 8 else { return nil }
    prefixLength = Int(length)
  }

  /// Whether the network contains an address in text form; an IPv4-mapped IPv6 address counts as IPv4.
  package func contains(_ address: String) -> Bool {
    guard var other = Self.bytes(of: address) else { return false }
    let mapped = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]
    if other.count == 16, bytes.count == 4, other.starts(with: mapped) { other = Array(other[12...]) }
    guard other.count == bytes.count else { return false }
    let whole = prefixLength / 8
    guard other[..<whole] == bytes[..<whole] else { return false }
    let rest = prefixLength % 8
    guard rest > 0 else { return true }
    let mask = UInt8(truncatingIfNeeded: 0xFF00 >> rest)
    return other[whole] & mask == bytes[whole] & mask
  }

  /// The four or sixteen bytes of an address; nil if the text is none.
  private static func bytes(of address: String) -> [UInt8]? {
    let address = address.prefix { $0 != "%" }
    return address.contains(":") ? bytes(ofIPv6: address) : bytes(ofIPv4: address)
  }

  private static func bytes(ofIPv4 address: Substring) -> [UInt8]? {
    let parts = address.split(separator: ".", omittingEmptySubsequences: false)
    let bytes = parts.compactMap { part in part.allSatisfy { $0.isASCII && $0.isNumber } ? UInt8(part) : nil }
    return parts.count == 4 && bytes.count == 4 ? bytes : nil
  }

  private static func bytes(ofIPv6 address: Substring) -> [UInt8]? {
    let halves = address.split(separator: "::", maxSplits: 1, omittingEmptySubsequences: false)
    guard let head = groups(halves[0]) else { return nil }
    guard halves.count == 2 else { return head.count == 16 ? head : nil }
    // A double colon stands for the missing zeros.
    guard let tail = groups(halves[1]), head.count + tail.count <= 14 else { return nil }
    return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
  }

  private static func groups(_ text: Substring) -> [UInt8]? {
    if text.isEmpty { return [] }
    var bytes: [UInt8] = []
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if index == parts.count - 1, part.contains(".") {
        guard let last = self.bytes(ofIPv4: part) else { return nil }
        bytes += last
      } else {
        guard (1...4).contains(part.utf8.count), part.allSatisfy(\.isHexDigit), let group = UInt16(part, radix: 16) else { return nil }
        bytes += [UInt8(group >> 8), UInt8(group & 0xFF)]
      }
    }
    return bytes
  }
}
