import NIOCore

/// The masking of RFC 6455, section 5.3.
enum WebSocketMask {
  /// Copies and unmasks in one pass, eight bytes at a time.
  ///
  /// `key` is the key's four bytes in wire order, read as a little-endian integer; `offset` is the number of payload bytes before `source`.
  static func unmask(_ source: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer, key: UInt32, offset: Int) {
    let shift = UInt32(offset % 4) * 8
    let rotated = shift == 0 ? key : key >> shift | key << (32 - shift)
    let wide = UInt64(rotated) | UInt64(rotated) << 32
    var index = 0
    while index + 8 <= source.count {
      let word = UInt64(littleEndian: source.loadUnaligned(fromByteOffset: index, as: UInt64.self)) ^ wide
      destination.storeBytes(of: word.littleEndian, toByteOffset: index, as: UInt64.self)
      index += 8
    }
    var rest = wide
    while index < source.count {
      destination[index] = source[index] ^ UInt8(truncatingIfNeeded: rest)
      rest >>= 8
      index += 1
    }
  }
}

/// A message to be sent.
struct OutgoingMessage {
  var bytes: ByteBuffer
  var isBinary = false
}

/// The frames of a server, whole and unmasked.
enum WebSocketFrame {
  /// The longest payload of a control frame.
  static let maxControlPayload = 125

  private static let text: UInt8 = 0x81
  private static let binary: UInt8 = 0x82
  /// RSV1, of a compressed message.
  private static let compressed: UInt8 = 0x40
  private static let close: UInt8 = 0x88
  private static let ping: UInt8 = 0x89
  private static let pong: UInt8 = 0x8A

  static func write(_ message: OutgoingMessage, to buffer: inout ByteBuffer) {
    writeHeader(length: message.bytes.readableBytes, isBinary: message.isBinary, to: &buffer)
    buffer.writeImmutableBuffer(message.bytes)
  }

  /// Writes the header of a message's only frame.
  static func writeHeader(length: Int, isBinary: Bool = false, isCompressed: Bool = false, to buffer: inout ByteBuffer) {
    buffer.writeInteger((isBinary ? binary : text) | (isCompressed ? compressed : 0))
    switch length {
    case ...125: buffer.writeInteger(UInt8(length))
    case ...Int(UInt16.max): buffer.writeMultipleIntegers(UInt8(126), UInt16(length))
    default: buffer.writeMultipleIntegers(UInt8(127), UInt64(length))
    }
  }

  static func writePing(to buffer: inout ByteBuffer) {
    buffer.writeMultipleIntegers(ping, UInt8(0))
  }

  static func writePing(_ number: UInt64, to buffer: inout ByteBuffer) {
    buffer.writeMultipleIntegers(ping, UInt8(MemoryLayout<UInt64>.size))
    buffer.writeInteger(number)
  }

  static func writePong(_ payload: ByteBuffer, to buffer: inout ByteBuffer) {
    buffer.writeMultipleIntegers(pong, UInt8(payload.readableBytes))
    buffer.writeImmutableBuffer(payload)
  }

  /// Writes a Close frame; the reason is cut at a character to the frame's limit.
  static func writeClose(_ code: WebSocketCloseCode?, reason: String, to buffer: inout ByteBuffer) {
    guard let code else {
      buffer.writeMultipleIntegers(close, UInt8(0))
      return
    }
    var reason = Substring(reason)
    while reason.utf8.count > maxControlPayload - 2 { reason.removeLast() }
    buffer.writeMultipleIntegers(close, UInt8(2 + reason.utf8.count), code.rawValue)
    buffer.writeSubstring(reason)
  }
}
