import NIOCore

/// The receiving half of a WebSocket server (RFC 6455): bytes in, actions out.
///
/// Payloads are unmasked straight into their message, so a message is copied once and an idle connection holds no buffer. A compressed
/// message is kept as it arrives, and decompressed once it is complete.
struct WebSocketStateMachine {
  enum Action: Equatable {
    /// A complete text message.
    case deliver(ByteBuffer)
    /// A complete binary message.
    case deliverBinary(ByteBuffer)
    /// The payload of a ping, to be returned.
    case pong(ByteBuffer)
    /// The peer has answered a numbered ping.
    case answered(ping: UInt64)
    /// The peer closes; later input is ignored. Its code is to be returned.
    case peerClosed(code: WebSocketCloseCode?, reason: String)
    /// The peer violated the protocol; later input is ignored. The code is to be sent before the connection ends.
    case fail(code: WebSocketCloseCode, reason: String)
  }

  private enum State {
    /// Between frames, or inside a header whose first bytes are in `partialHeader`. → payload, ended
    case header
    /// Inside a frame's payload. → header, ended
    case payload(Frame)
    /// The peer has closed or violated the protocol. Final.
    case ended
  }

  private struct Frame {
    var opcode: Opcode
    var isFinal: Bool
    var key: UInt32
    var length: Int
    var received = 0
  }

  private enum Opcode: UInt8 {
    case continuation = 0x0
    case text = 0x1
    case binary = 0x2
    case close = 0x8
    case ping = 0x9
    case pong = 0xA

    var isControl: Bool { rawValue >= 0x8 }
  }

  /// The bytes of a refused message that are kept.
  static let refusedLimit = 4_096

  private let maxMessageSize: Int
  private let takesBinary: Bool
  /// Decompresses messages; nil if permessage-deflate was not agreed.
  private let compressor: MessageCompressor?
  private var state = State.header
  /// The first bytes, at most 13, of a header that spans two reads.
  private var partialHeader: ByteBuffer?
  /// The message, or the control frame's payload, received so far.
  private var message: ByteBuffer?
  private var control: ByteBuffer?
  /// A message has begun and its final frame has not arrived.
  private var isFragmented = false
  /// The message in progress is binary.
  private var isBinary = false
  /// The message in progress, or refused, is compressed.
  private var isCompressed = false
  private var utf8 = UTF8Validator()
  /// The beginning of the message that was refused as too large or as no text, as it was sent; nil if the input ended otherwise.
  private var refusedBytes: ByteBuffer?
  /// The frames below ``FrameBudget/freeSize`` since they were last taken.
  private var smallFrames = 0
  /// The frame that made the message too large, while its bytes are missing from `refused`.
  private var refusedFrame: Frame?

  init(maxMessageSize: Int, takesBinary: Bool = false, compressor: MessageCompressor? = nil) {
    self.maxMessageSize = maxMessageSize
    self.takesBinary = takesBinary
    self.compressor = compressor
  }

  /// The beginning, at most ``refusedLimit`` bytes, of the message that was refused as too large or as no text; nil if the input ended
  /// otherwise.
  var refused: ByteBuffer? {
    guard let refusedBytes, isCompressed, let compressor else { return refusedBytes }
    return compressor.inflate(refusedBytes, limit: Self.refusedLimit).message
  }

  /// Whether further bytes belong to `refused`.
  var awaitsRefused: Bool { refusedFrame != nil }

  /// The number of small frames since the last call.
  mutating func takeSmallFrames() -> Int {
    defer { smallFrames = 0 }
    return smallFrames
  }

  /// Consumes bytes up to the next action; nil if it needs more bytes.
  mutating func next(from bytes: inout ByteBuffer) -> Action? {
    while true {
      switch state {
      case .ended:
        readRefused(&bytes)
        bytes.moveReaderIndex(to: bytes.writerIndex)
        return nil
      case .header:
        switch readHeader(&bytes) {
        case nil: return nil
        case .begun: break
        case .failed(let code, let reason): return fail(code, reason)
        case .tooLong(let frame): return refuse(frame)
        }
      case .payload(var frame):
        let fragment = readPayload(of: &frame, from: &bytes)
        if case .invalidText = fragment { return refuse("the text is not valid UTF-8") }
        guard frame.received == frame.length else {
          state = .payload(frame)
          return nil
        }
        state = .header
        if let action = finish(frame) { return action }
      }
    }
  }

  private mutating func fail(_ code: WebSocketCloseCode, _ reason: String) -> Action {
    end()
    return .fail(code: code, reason: reason)
  }

  /// Refuses a message that is no text, or as such too large.
  private mutating func refuse(_ reason: String, code: WebSocketCloseCode = .invalidPayload) -> Action {
    keepRefused()
    return fail(code, reason)
  }

  /// Refuses a message whose next frame makes it too large; the beginning of that frame, which may not have arrived, identifies it.
  private mutating func refuse(_ frame: Frame) -> Action {
    keepRefused()
    refusedFrame = frame
    return fail(.messageTooBig, tooLong)
  }

  private var tooLong: String { "the message is longer than \(maxMessageSize) bytes" }

  private mutating func keepRefused() {
    // A copy, because a slice would retain the whole message.
    refusedBytes = ByteBuffer(bytes: (message ?? ByteBuffer()).readableBytesView.prefix(Self.refusedLimit))
  }

  private mutating func end() {
    state = .ended
    partialHeader = nil
    message = nil
    control = nil
  }
}

// MARK: - Header

extension WebSocketStateMachine {
  private enum HeaderOutcome {
    case begun
    case failed(WebSocketCloseCode, String)
    /// The frame makes its message too large.
    case tooLong(Frame)
  }

  /// Reads a header and enters `payload`; nil if the header is incomplete.
  private mutating func readHeader(_ bytes: inout ByteBuffer) -> HeaderOutcome? {
    if var partial = partialHeader {
      partialHeader = nil
      partial.writeBuffer(&bytes)
      bytes = partial
    }
    guard bytes.readableBytes > 0 else { return nil }
    guard let (first, second) = bytes.getMultipleIntegers(at: bytes.readerIndex, as: (UInt8, UInt8).self) else {
      keepPartialHeader(&bytes)
      return nil
    }
    let opcode: Opcode
    switch checkedOpcode(first, second) {
    case .success(let value): opcode = value
    case .failure(let fault): return .failed(.protocolError, fault.reason)
    }
    guard opcode != .binary || takesBinary else { return .failed(.unsupportedData, "only text messages are supported") }
    let lengthSize = second & 0x7F == 126 ? 2 : second & 0x7F == 127 ? 8 : 0
    let headerSize = 2 + lengthSize + 4
    guard bytes.readableBytes >= headerSize else {
      keepPartialHeader(&bytes)
      return nil
    }
    bytes.moveReaderIndex(forwardBy: 2)
    let declared = readLength(second & 0x7F, from: &bytes)
    if (lengthSize == 2 && declared < 126) || (lengthSize == 8 && (declared <= UInt64(UInt16.max) || declared > UInt64(Int64.max))) {
      return .failed(.protocolError, "the length does not use the fewest bytes, or its first bit is set")
    }
    let key = bytes.readInteger(endianness: .little, as: UInt32.self) ?? 0
    let already = opcode.isControl ? 0 : message?.readableBytes ?? 0
    if opcode == .text || opcode == .binary {
      isBinary = opcode == .binary
      isCompressed = first & Self.compressedBit != 0
    }
    let frame = Frame(opcode: opcode, isFinal: first & 0x80 != 0, key: key, length: Int(declared))
    let limit = isCompressed ? MessageCompressor.largestCompressed(of: maxMessageSize) : maxMessageSize
    guard declared <= UInt64(limit - already) || opcode.isControl else { return .tooLong(frame) }
    if declared < UInt64(FrameBudget.freeSize) { smallFrames += 1 }
    state = .payload(frame)
    return .begun
  }

  /// RSV1, on the first frame of a compressed message (RFC 7692, section 7.2.1).
  private static let compressedBit: UInt8 = 0x40

  private struct Fault: Error {
    let reason: String
  }

  private func checkedOpcode(_ first: UInt8, _ second: UInt8) -> Result<Opcode, Fault> {
    let reserved = first & 0x70
    guard reserved == 0 || (reserved == Self.compressedBit && compressor != nil) else {
      return .failure(Fault(reason: "reserved bits are set without a negotiated extension"))
    }
    guard let opcode = Opcode(rawValue: first & 0x0F) else { return .failure(Fault(reason: "unknown opcode \(first & 0x0F)")) }
    guard second & 0x80 != 0 else { return .failure(Fault(reason: "frames from a client must be masked")) }
    let isFinal = first & 0x80 != 0
    guard reserved == 0 || opcode == .text || opcode == .binary else {
      return .failure(Fault(reason: "only the first frame of a message has the bit of compression"))
    }
    switch opcode {
    case .close, .ping, .pong:
      guard isFinal else { return .failure(Fault(reason: "control frames must not be fragmented")) }
      guard second & 0x7F <= 125 else { return .failure(Fault(reason: "a control frame has more than 125 bytes")) }
    case .continuation:
      guard isFragmented else { return .failure(Fault(reason: "a continuation frame without a message to continue")) }
    case .text, .binary:
      guard !isFragmented else { return .failure(Fault(reason: "a new message before the last one was complete")) }
    }
    return .success(opcode)
  }

  private func readLength(_ short: UInt8, from bytes: inout ByteBuffer) -> UInt64 {
    switch short {
    case 126: UInt64(bytes.readInteger(as: UInt16.self) ?? 0)
    case 127: bytes.readInteger(as: UInt64.self) ?? 0
    default: UInt64(short)
    }
  }

  private mutating func keepPartialHeader(_ bytes: inout ByteBuffer) {
    // A copy, because a slice would retain the whole read buffer.
    var own = ByteBufferAllocator().buffer(capacity: bytes.readableBytes)
    own.writeBuffer(&bytes)
    partialHeader = own
  }
}

// MARK: - Payload

extension WebSocketStateMachine {
  private enum PayloadOutcome {
    case read
    case invalidText
  }

  private mutating func readPayload(of frame: inout Frame, from bytes: inout ByteBuffer) -> PayloadOutcome {
    let count = min(frame.length - frame.received, bytes.readableBytes)
    guard count > 0 else { return .read }
    let isControl = frame.opcode.isControl
    var target = (isControl ? control.take() : message.take()) ?? ByteBuffer()
    // Memory is reserved for bytes that have arrived: a declared length alone gets none.
    target.reserveCapacity(minimumWritableBytes: count)
    let start = target.writerIndex
    bytes.readWithUnsafeReadableBytes { source in
      target.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { destination in
        WebSocketMask.unmask(UnsafeRawBufferPointer(rebasing: source[..<count]), into: destination, key: frame.key, offset: frame.received)
        return count
      }
    }
    frame.received += count
    let isValid =
      isControl || isCompressed || isBinary
      || target.withUnsafeReadableBytes { all in
        utf8.accept(UnsafeRawBufferPointer(rebasing: all[(start - target.readerIndex)...]))
      }
    if isControl { control = target } else { message = target }
    return isValid ? .read : .invalidText
  }

  /// Adds the beginning of the frame that made its message too large.
  private mutating func readRefused(_ bytes: inout ByteBuffer) {
    guard var frame = refusedFrame, var target = refusedBytes.take() else { return }
    let count = min(Self.refusedLimit - target.readableBytes, frame.length - frame.received, bytes.readableBytes)
    bytes.readWithUnsafeReadableBytes { source in
      target.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { destination in
        WebSocketMask.unmask(UnsafeRawBufferPointer(rebasing: source[..<count]), into: destination, key: frame.key, offset: frame.received)
        return count
      }
    }
    frame.received += count
    let isComplete = target.readableBytes == Self.refusedLimit || frame.received == frame.length
    refusedBytes = target
    refusedFrame = isComplete ? nil : frame
  }

  private mutating func finish(_ frame: Frame) -> Action? {
    switch frame.opcode {
    case .ping:
      return .pong(control.take() ?? ByteBuffer())
    case .pong:
      // An answer to a ping without a number is a mere sign of life, like an unsolicited pong.
      let payload = control.take() ?? ByteBuffer()
      return payload.readableBytes == MemoryLayout<UInt64>.size
        ? payload.getInteger(at: payload.readerIndex).map { .answered(ping: $0) } : nil
    case .close:
      return finishClose(control.take() ?? ByteBuffer())
    case .text, .binary, .continuation:
      isFragmented = !frame.isFinal
      guard frame.isFinal else { return nil }
      if isCompressed, let failure = decompress() { return failure }
      guard !isBinary else { return .deliverBinary(message.take() ?? ByteBuffer()) }
      guard utf8.isAtBoundary else { return refuse("the text ends inside a character") }
      return .deliver(message.take() ?? ByteBuffer())
    }
  }

  /// Decompresses the message, or refuses it.
  private mutating func decompress() -> Action? {
    guard let compressor else { preconditionFailure("a compressed message is refused where compression was not agreed") }
    let (outcome, content) = compressor.inflate(message ?? ByteBuffer(), limit: maxMessageSize)
    message = content
    isCompressed = false
    smallFrames += content.readableBytes / FrameBudget.inflatedSize
    switch outcome {
    case .whole:
      let isValid = isBinary || content.withUnsafeReadableBytes { utf8.accept($0) }
      return isValid ? nil : refuse("the text is not valid UTF-8")
    case .tooLong: return refuse(tooLong, code: .messageTooBig)
    // What it is before the fault tells nothing of the task that it answers, and the next connection begins a new compression.
    case .invalid: return fail(.invalidPayload, "the message is not validly compressed")
    case .unavailable: return refuse("the message cannot be decompressed: there is no memory for it", code: .internalError)
    }
  }

  private mutating func finishClose(_ payload: ByteBuffer) -> Action {
    var payload = payload
    end()
    guard payload.readableBytes > 0 else { return .peerClosed(code: nil, reason: "") }
    guard let code = payload.readInteger(as: UInt16.self) else {
      return .fail(code: .protocolError, reason: "a Close frame has a payload of one byte")
    }
    switch code {
    case 1000...1003, 1007...1014, 3000...4999: break
    default: return .fail(code: .protocolError, reason: "\(code) is not a close code")
    }
    var validator = UTF8Validator()
    guard payload.withUnsafeReadableBytes({ validator.accept($0) }), validator.isAtBoundary else {
      return .fail(code: .invalidPayload, reason: "the close reason is not valid UTF-8")
    }
    return .peerClosed(code: WebSocketCloseCode(rawValue: code), reason: String(buffer: payload))
  }
}
