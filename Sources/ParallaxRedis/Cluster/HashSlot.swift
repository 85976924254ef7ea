/// The slot of a key, one of 16,384: CRC-16/XMODEM of its hash tag, or of the whole key without one (Redis Cluster Specification, "Key
/// distribution model").
enum HashSlot {
  static let count = 16_384
  static let all = 0..<count

  /// The slot of a key: of the text between its first `{` and the next `}`, or of the whole key if that text is empty or missing.
  static func of(_ key: some Collection<UInt8>) -> Int {
    guard let open = key.firstIndex(of: UInt8(ascii: "{")) else { return Int(crc16(key)) % count }
    let rest = key[key.index(after: open)...]
    guard let close = rest.firstIndex(of: UInt8(ascii: "}")), close > rest.startIndex else { return Int(crc16(key)) % count }
    return Int(crc16(rest[..<close])) % count
  }

  static func of(_ key: String) -> Int {
    var key = key
    return key.withUTF8 { of($0) }
  }

  private static func crc16(_ bytes: some Sequence<UInt8>) -> UInt16 {
    bytes.reduce(0) { crc, byte in (crc << 8) ^ table[Int(UInt8(truncatingIfNeeded: crc >> 8) ^ byte)] }
  }

  private static let table: [UInt16] = (0..<256).map { value in
    (0..<8).reduce(UInt16(value) << 8) { crc, _ in crc & 0x8000 == 0 ? crc << 1 : (crc << 1) ^ 0x1021 }
  }
}
