import NIOCore

/// The masked frames of a client.
enum ClientFrame {
  static let text: UInt8 = 0x1
  static let binary: UInt8 = 0x2
  static let continuation: UInt8 = 0x0
  static let close: UInt8 = 0x8
  static let ping: UInt8 = 0x9
  static let pong: UInt8 = 0xA

  /// A frame with an optional fault: `reserved` bits that are set, a missing masking `key`, a `declared` length that differs from the
  /// payload's.
  static func make(
    _ opcode: UInt8, _ payload: [UInt8] = [], isFinal: Bool = true, reserved: UInt8 = 0, key: [UInt8]? = [0x37, 0xFA, 0x21, 0x3D],
    declared: UInt64? = nil
  ) -> [UInt8] {
    var bytes: [UInt8] = [(isFinal ? 0x80 : 0) | reserved << 4 | opcode]
    let mask: UInt8 = key == nil ? 0 : 0x80
    let length = declared ?? UInt64(payload.count)
    switch length {
    case ...125: bytes.append(mask | UInt8(length))
    case ...65535: bytes += [mask | 126, UInt8(length >> 8), UInt8(length & 0xFF)]
    default: bytes += [mask | 127] + (0..<8).reversed().map { UInt8(truncatingIfNeeded: length >> UInt64(8 * $0)) }
    }
    guard let key else { return bytes + payload }
    return bytes + key + payload.enumerated().map { $0.element ^ key[$0.offset % 4] }
  }

  static func text(_ text: String, isFinal: Bool = true) -> [UInt8] {
    make(Self.text, Array(text.utf8), isFinal: isFinal)
  }

  /// A message that is compressed, or its first fragment.
  static func compressed(_ payload: [UInt8], isFinal: Bool = true) -> [UInt8] {
    make(text, payload, isFinal: isFinal, reserved: 4)
  }

  static func close(_ code: UInt16, _ reason: String = "") -> [UInt8] {
    make(close, [UInt8(code >> 8), UInt8(code & 0xFF)] + Array(reason.utf8))
  }
}

/// The frames of a server, parsed.
struct ServerFrame: Equatable, CustomStringConvertible {
  var opcode: UInt8
  var payload: [UInt8]
  /// The first reserved bit is set.
  var isCompressed = false

  static func text(_ text: String) -> ServerFrame { ServerFrame(opcode: ClientFrame.text, payload: Array(text.utf8)) }
  static func pong(_ text: String) -> ServerFrame { ServerFrame(opcode: ClientFrame.pong, payload: Array(text.utf8)) }

  var closeCode: UInt16? {
    guard opcode == ClientFrame.close, payload.count >= 2 else { return nil }
    return UInt16(payload[0]) << 8 | UInt16(payload[1])
  }

  var description: String { "\(opcode): \(String(decoding: payload, as: UTF8.self))" }

  /// Removes one whole frame from the front of the buffer.
  static func read(from buffer: inout ByteBuffer) -> ServerFrame? {
    var copy = buffer
    guard let (first, second) = copy.readMultipleIntegers(as: (UInt8, UInt8).self) else { return nil }
    let length: Int?
    switch second {
    case 126: length = copy.readInteger(as: UInt16.self).map { Int($0) }
    case 127: length = copy.readInteger(as: UInt64.self).map { Int($0) }
    default: length = Int(second)
    }
    guard let length, let payload = copy.readBytes(length: length) else { return nil }
    buffer = copy
    return ServerFrame(opcode: first & 0x0F, payload: payload, isCompressed: first & 0x40 != 0)
  }
}
