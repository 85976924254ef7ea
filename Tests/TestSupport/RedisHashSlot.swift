/// The hash slots of Redis Cluster, computed independently of the client under test.
package enum RedisHashSlot {
  package static let count = 16_384

  /// The slot of a key, from the text between its first `{` and the next `}` if there is any.
  package static func of(_ key: String) -> Int {
    let bytes = Array(key.utf8)
    guard let open = bytes.firstIndex(of: UInt8(ascii: "{")), let close = bytes[(open + 1)...].firstIndex(of: UInt8(ascii: "}")),
      close > open + 1
    else { return checksum(bytes[...]) % count }
    return checksum(bytes[(open + 1)..<close]) % count
  }

  /// Distinct keys of a slot.
  package static func keys(_ number: Int, in slot: Int) -> [String] {
    guard let tag = (0...).lazy.map({ "tag\($0)" }).first(where: { of($0) == slot }) else { return [] }
    return (0..<number).map { "{\(tag)}:\($0)" }
  }

  /// CRC-16/XMODEM.
  private static func checksum(_ bytes: ArraySlice<UInt8>) -> Int {
    bytes.reduce(0) { checksum, byte in
      (0..<8).reduce(checksum ^ Int(byte) << 8) { value, _ in (value & 0x8000 == 0 ? value << 1 : value << 1 ^ 0x1021) & 0xffff }
    }
  }
}
