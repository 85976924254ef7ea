import NIOCore

extension Double {
  /// A number in the notation of Redis: in decimal, with or without a fraction and an exponent, or `inf` or `nan`.
  ///
  /// `Double(_:)` alone also reads hexadecimal numbers, and treats a NUL byte as the end of the text.
  init?(redisText text: ByteBuffer) {
    let isPlain = text.readableBytesView.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."): true
      case UInt8(ascii: "e"), UInt8(ascii: "E"), UInt8(ascii: "i"), UInt8(ascii: "n"), UInt8(ascii: "f"), UInt8(ascii: "a"): true
      default: false
      }
    }
    guard isPlain else { return nil }
    self.init(String(buffer: text))
  }
}
