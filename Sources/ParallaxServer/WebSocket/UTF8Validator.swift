/// Validates UTF-8 that arrives in pieces, so that invalid text is refused at its first invalid byte.
struct UTF8Validator: Equatable {
  /// How many continuation bytes the current character still needs.
  private var missing: UInt8 = 0
  /// The bounds of the next continuation byte; narrower than 80…BF after E0, ED, F0 and F4 (Unicode, table 3-7).
  private var lowest: UInt8 = 0x80
  private var highest: UInt8 = 0xBF

  /// The text so far ends at the end of a character.
  var isAtBoundary: Bool { missing == 0 }

  /// Validates further bytes; false once the text cannot become valid UTF-8.
  mutating func accept(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var index = 0
    while index < bytes.count {
      if missing == 0 {
        index = Self.endOfASCII(in: bytes, from: index)
        guard index < bytes.count else { return true }
        guard start(bytes[index]) else { return false }
      } else {
        guard (lowest...highest).contains(bytes[index]) else { return false }
        (lowest, highest) = (0x80, 0xBF)
        missing -= 1
      }
      index += 1
    }
    return true
  }

  private mutating func start(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x00...0x7F: break
    case 0xC2...0xDF: missing = 1
    case 0xE0: (missing, lowest) = (2, 0xA0)
    case 0xED: (missing, highest) = (2, 0x9F)
    case 0xE1...0xEF: missing = 2
    case 0xF0: (missing, lowest) = (3, 0x90)
    case 0xF1...0xF3: missing = 3
    case 0xF4: (missing, highest) = (3, 0x8F)
    default: return false
    }
    return true
  }

  /// Skips ASCII, of which nearly all JSON consists, eight bytes at a time.
  private static func endOfASCII(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
    var index = start
    while index + 8 <= bytes.count, bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0 {
      index += 8
    }
    return index
  }
}
