import NIOCore
import ParallaxAPI
import Testing

@testable import ParallaxServer

@Suite struct WebSocketStateMachineTests {
  typealias Action = WebSocketStateMachine.Action

  /// Feeds the bytes in the given pieces and returns all actions.
  private func actions(_ pieces: [[UInt8]], maxMessageSize: Int = 1024, compressor: MessageCompressor? = nil) -> [Action] {
    var machine = WebSocketStateMachine(maxMessageSize: maxMessageSize, compressor: compressor)
    var actions: [Action] = []
    for piece in pieces {
      var buffer = ByteBuffer(bytes: piece)
      while let action = machine.next(from: &buffer) { actions.append(action) }
      #expect(buffer.readableBytes == 0, "everything that arrived is consumed")
    }
    return actions
  }

  private func failure(_ bytes: [UInt8], maxMessageSize: Int = 1024, compressor: MessageCompressor? = nil) -> WebSocketCloseCode? {
    guard case .fail(let code, _) = actions([bytes], maxMessageSize: maxMessageSize, compressor: compressor).last else { return nil }
    return code
  }

  private func deliver(_ text: String) -> Action { .deliver(ByteBuffer(string: text)) }

  @Test func unmasksTheExampleOfTheRFC() {
    #expect(actions([[0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]]) == [deliver("Hello")])
  }

  @Test(arguments: [0, 1, 7, 8, 9, 125, 126, 127, 1000, 65_535, 65_536, 70_001])
  func deliversMessagesOfEveryLengthForm(length: Int) {
    let text = String(repeating: "x", count: length)
    #expect(actions([ClientFrame.text(text)], maxMessageSize: 100_000) == [deliver(text)])
  }

  @Test func deliversTheSameMessagesForAnySplitOfTheBytes() {
    let bytes =
      ClientFrame.text("grüße ", isFinal: false) + ClientFrame.make(ClientFrame.ping, Array("p".utf8))
      + ClientFrame.make(ClientFrame.continuation, Array("aus €𝄞".utf8)) + ClientFrame.text(String(repeating: "y", count: 300))
    let expected: [Action] = [
      .pong(ByteBuffer(string: "p")), deliver("grüße aus €𝄞"), deliver(String(repeating: "y", count: 300)),
    ]
    #expect(actions([bytes]) == expected)
    #expect(actions(bytes.map { [$0] }) == expected)
    for cut in 1..<bytes.count {
      #expect(actions([Array(bytes[..<cut]), Array(bytes[cut...])]) == expected, "cut at \(cut)")
    }
  }

  @Test func joinsFragmentsAroundControlFrames() {
    let bytes =
      ClientFrame.text("a", isFinal: false) + ClientFrame.make(ClientFrame.ping)
      + ClientFrame.make(ClientFrame.continuation, isFinal: false)
      + ClientFrame.make(ClientFrame.pong, [1, 2]) + ClientFrame.make(ClientFrame.continuation, Array("b".utf8))
    #expect(actions([bytes]) == [.pong(ByteBuffer()), deliver("ab")])
  }

  @Test func refusesFramesThatAreNotMasked() {
    #expect(failure(ClientFrame.make(ClientFrame.text, [65], key: nil)) == .protocolError)
  }

  @Test(
    arguments: [
      [0x81, 0xFE, 0x00, 0x05], [0x81, 0xFE, 0x00, 0x7D], [0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0x05],
      [0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF],
      [0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0],
    ] as [[UInt8]])
  func refusesLengthsInTooManyBytes(header: [UInt8]) {
    #expect(failure(header + [0, 0, 0, 0]) == .protocolError)
  }

  @Test(arguments: [1, 2, 4] as [UInt8])
  func refusesReservedBits(bits: UInt8) {
    #expect(failure(ClientFrame.make(ClientFrame.text, [65], reserved: bits)) == .protocolError)
  }

  @Test(arguments: [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] as [UInt8])
  func refusesUnknownOpcodes(opcode: UInt8) {
    #expect(failure(ClientFrame.make(opcode)) == .protocolError)
  }

  @Test func refusesBinary() {
    #expect(failure(ClientFrame.make(ClientFrame.binary, [1])) == .unsupportedData)
  }

  @Test func `Where binary messages are accepted they are delivered as such, whatever their bytes`() {
    var machine = WebSocketStateMachine(maxMessageSize: 8, takesBinary: true, compressor: MessageCompressor())
    let bytes =
      ClientFrame.make(ClientFrame.binary, [0xFF, 0xC3], isFinal: false) + ClientFrame.make(ClientFrame.ping)
      + ClientFrame.make(ClientFrame.continuation, [0x28]) + ClientFrame.text("text")
      + ClientFrame.make(ClientFrame.binary, Self.hello, reserved: 4) + ClientFrame.make(ClientFrame.binary)
      + ClientFrame.make(ClientFrame.text, [0xFF])
    var buffer = ByteBuffer(bytes: bytes)
    var actions: [Action] = []
    while let action = machine.next(from: &buffer) { actions.append(action) }
    #expect(
      actions.dropLast() == [
        .pong(ByteBuffer()), .deliverBinary(ByteBuffer(bytes: [0xFF, 0xC3, 0x28])), deliver("text"),
        .deliverBinary(ByteBuffer(string: "Hello")), .deliverBinary(ByteBuffer()),
      ])
    guard case .fail(.invalidPayload, _)? = actions.last else {
      Issue.record("text has to be UTF-8 also behind a binary message")
      return
    }
  }

  @Test func `A binary message has the limit of a text`() {
    var machine = WebSocketStateMachine(maxMessageSize: 8, takesBinary: true)
    var buffer = ByteBuffer(bytes: ClientFrame.make(ClientFrame.binary, Array(repeating: 1, count: 9)))
    guard case .fail(.messageTooBig, _)? = machine.next(from: &buffer) else {
      Issue.record("nine bytes are not refused")
      return
    }
  }

  @Test(arguments: [ClientFrame.close, ClientFrame.ping, ClientFrame.pong])
  func refusesControlFramesThatAreFragmentedOrLong(opcode: UInt8) {
    #expect(failure(ClientFrame.make(opcode, isFinal: false)) == .protocolError)
    #expect(failure(ClientFrame.make(opcode, Array(repeating: 65, count: 126))) == .protocolError)
  }

  @Test func refusesAContinuationOfNothingAndAMessageInsideAMessage() {
    #expect(failure(ClientFrame.make(ClientFrame.continuation, [65])) == .protocolError)
    #expect(failure(ClientFrame.text("a", isFinal: false) + ClientFrame.text("b")) == .protocolError)
    #expect(failure(ClientFrame.text("a") + ClientFrame.make(ClientFrame.continuation)) == .protocolError)
  }

  @Test func refusesTooLongMessagesByTheirDeclaredLength() {
    #expect(actions([ClientFrame.text(String(repeating: "x", count: 64))], maxMessageSize: 64).count == 1)
    #expect(failure(ClientFrame.make(ClientFrame.text, declared: 65), maxMessageSize: 64) == .messageTooBig)
    #expect(failure(ClientFrame.make(ClientFrame.text, declared: .max >> 1), maxMessageSize: 64) == .messageTooBig)
    // RFC 6455, 5.2: the most significant bit of a length of 64 bits is 0.
    #expect(failure(ClientFrame.make(ClientFrame.text, declared: .max), maxMessageSize: 64) == .protocolError)
  }

  @Test func refusesTooLongMessagesInFragments() {
    let half = ClientFrame.text(String(repeating: "x", count: 40), isFinal: false)
    #expect(failure(half + ClientFrame.make(ClientFrame.continuation, declared: 24), maxMessageSize: 64) == nil)
    #expect(failure(half + ClientFrame.make(ClientFrame.continuation, declared: 25), maxMessageSize: 64) == .messageTooBig)
  }

  @Test(
    arguments: [
      [0x80], [0xC0, 0xAF], [0xC1, 0x81], [0xE0, 0x80, 0xAF], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0xAF], [0xF4, 0x90, 0x80, 0x80],
      [0xF5],
      [0xFF], [0x41, 0xE2, 0x28, 0xA1], [0xE2, 0x82],
    ] as [[UInt8]])
  func refusesBadUTF8(bytes: [UInt8]) {
    #expect(failure(ClientFrame.make(ClientFrame.text, bytes)) == .invalidPayload)
  }

  /// The beginning of the refused message after the input in these pieces, and whether more of it may follow.
  private func refused(
    _ pieces: [[UInt8]], maxMessageSize: Int = 64, compressor: MessageCompressor? = nil
  ) -> (beginning: String?, isIncomplete: Bool) {
    var machine = WebSocketStateMachine(maxMessageSize: maxMessageSize, compressor: compressor)
    for piece in pieces {
      var buffer = ByteBuffer(bytes: piece)
      while machine.next(from: &buffer) != nil {}
    }
    return (machine.refused.map { String(buffer: $0) }, machine.awaitsRefused)
  }

  @Test func `The beginning of a message that is too large is kept, in whatever pieces it arrives`() {
    let text = "begins " + String(repeating: "x", count: 9_000)
    let beginning = String(text.prefix(WebSocketStateMachine.refusedLimit))
    let bytes = ClientFrame.text(text)
    #expect(refused([bytes]) == (beginning, false))
    #expect(refused(bytes.map { [$0] }) == (beginning, false))
    #expect(refused([Array(bytes.prefix(8))]) == ("", true))
    #expect(refused([Array(bytes.prefix(14)), Array(bytes[14..<20])]) == ("begins xxxxx", true))
  }

  @Test func `The beginning of a message in fragments is that of its first`() {
    let half = ClientFrame.text("begins " + String(repeating: "x", count: 40), isFinal: false)
    let rest = ClientFrame.make(ClientFrame.continuation, Array(String(repeating: "y", count: 30).utf8))
    #expect(refused([half + rest]) == ("begins " + String(repeating: "x", count: 40) + String(repeating: "y", count: 30), false))
  }

  @Test func `The beginning of a message that is no UTF-8 is kept, and of other violations nothing`() {
    #expect(refused([ClientFrame.make(ClientFrame.text, [65, 66, 0xFF, 67])]) == ("AB\u{FFFD}C", false))
    #expect(refused([ClientFrame.make(ClientFrame.text, [65, 0xE2, 0x82])]) == ("A\u{FFFD}", false))
    #expect(refused([ClientFrame.make(ClientFrame.text, [65], key: nil)]) == (nil, false))
    #expect(refused([ClientFrame.text("whole")]) == (nil, false))
  }

  @Test func acceptsACharacterSplitBetweenFragmentsAndRefusesAnInvalidOne() {
    let first = ClientFrame.make(ClientFrame.text, [0xE2, 0x82], isFinal: false)
    #expect(actions([first + ClientFrame.make(ClientFrame.continuation, [0xAC])]) == [deliver("€")])
    #expect(failure(first + ClientFrame.make(ClientFrame.continuation, [0x41])) == .invalidPayload)
  }

  @Test func refusesInvalidUTF8BeforeTheFrameIsComplete() {
    #expect(failure(ClientFrame.make(ClientFrame.text, [0x41, 0xFF], declared: 1000)) == .invalidPayload)
  }

  @Test(arguments: [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999] as [UInt16])
  func takesCloseCodes(code: UInt16) {
    #expect(actions([ClientFrame.close(code, "bye")]) == [.peerClosed(code: WebSocketCloseCode(rawValue: code), reason: "bye")])
  }

  @Test(arguments: [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] as [UInt16])
  func refusesInvalidCloseCodes(code: UInt16) {
    #expect(failure(ClientFrame.close(code)) == .protocolError)
  }

  @Test func acceptsACloseWithoutACodeAndRefusesHalfACode() {
    #expect(actions([ClientFrame.make(ClientFrame.close)]) == [.peerClosed(code: nil, reason: "")])
    #expect(failure(ClientFrame.make(ClientFrame.close, [3])) == .protocolError)
    #expect(failure(ClientFrame.make(ClientFrame.close, [0x03, 0xE8, 0xC3])) == .invalidPayload)
  }

  /// "Hello", compressed (RFC 7692, section 7.2.3.1).
  private static let hello: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]

  @Test func `A compressed message is delivered as its text, between others that are not`() {
    let bytes = ClientFrame.text("a") + ClientFrame.compressed(Self.hello) + ClientFrame.text("b") + ClientFrame.compressed([0x00])
    let expected = [deliver("a"), deliver("Hello"), deliver("b"), deliver("")]
    #expect(actions([bytes], compressor: MessageCompressor()) == expected)
    #expect(actions(bytes.map { [$0] }, compressor: MessageCompressor()) == expected)
  }

  @Test func `The fragments of a compressed message are joined around control frames`() {
    let bytes =
      ClientFrame.compressed(Array(Self.hello[..<3]), isFinal: false) + ClientFrame.make(ClientFrame.ping)
      + ClientFrame.make(ClientFrame.continuation, isFinal: false) + ClientFrame.make(ClientFrame.continuation, Array(Self.hello[3...]))
    #expect(actions([bytes], compressor: MessageCompressor()) == [.pong(ByteBuffer()), deliver("Hello")])
  }

  @Test func `Only the first frame of a message has the bit of compression, and only where it was agreed`() {
    #expect(failure(ClientFrame.compressed(Self.hello)) == .protocolError)
    let continued = ClientFrame.compressed(Self.hello, isFinal: false) + ClientFrame.make(ClientFrame.continuation, reserved: 4)
    #expect(failure(continued, compressor: MessageCompressor()) == .protocolError)
    for opcode in [ClientFrame.ping, ClientFrame.pong, ClientFrame.close] {
      #expect(failure(ClientFrame.make(opcode, reserved: 4), compressor: MessageCompressor()) == .protocolError)
    }
    for bits in [1, 2, 5, 6] as [UInt8] {
      #expect(failure(ClientFrame.make(ClientFrame.text, Self.hello, reserved: bits), compressor: MessageCompressor()) == .protocolError)
    }
  }

  @Test func `A compressed message that is no DEFLATE or no UTF-8 is refused as no text`() {
    #expect(failure(ClientFrame.compressed([0xFF, 0xFF]), compressor: MessageCompressor()) == .invalidPayload)
    #expect(failure(ClientFrame.compressed(Array(Self.hello.dropLast(2))), compressor: MessageCompressor()) == .invalidPayload)
    for invalid in [[0xC3, 0x28], [0x41, 0xE2, 0x82]] as [[UInt8]] {
      let stored = [0x00, UInt8(invalid.count), 0x00, ~UInt8(invalid.count), 0xFF] + invalid + [0x00]
      #expect(failure(ClientFrame.compressed(stored), compressor: MessageCompressor()) == .invalidPayload)
    }
  }

  @Test func `The limit of a message is that of its text, compressed or not`() throws {
    let compressor = MessageCompressor()
    let text = String(repeating: "y", count: 5_000)
    let payload = try #require(compressor.deflate(ByteBuffer(string: text), windowBits: 15))
    let bytes = ClientFrame.compressed(Array(buffer: payload))
    #expect(actions([bytes], maxMessageSize: 5_000, compressor: compressor) == [deliver(text)])
    #expect(failure(bytes, maxMessageSize: 4_999, compressor: compressor) == .messageTooBig)
    let stored = [0x00, 0x40, 0x00, 0xBF, 0xFF] + Array(repeating: 0x61, count: 64) + [0x00] as [UInt8]
    #expect(failure(ClientFrame.compressed(stored), maxMessageSize: 64, compressor: compressor) == nil)
    let length = UInt64(MessageCompressor.largestCompressed(of: 64))
    #expect(failure(ClientFrame.make(ClientFrame.text, reserved: 4, declared: length), maxMessageSize: 64, compressor: compressor) == nil)
    #expect(
      failure(ClientFrame.make(ClientFrame.text, reserved: 4, declared: length + 1), maxMessageSize: 64, compressor: compressor)
        == .messageTooBig)
  }

  @Test func `The beginning of a refused compressed message is that of its text`() throws {
    let compressor = MessageCompressor()
    let text = "begins " + String(repeating: "z", count: 9_000)
    let payload = try #require(compressor.deflate(ByteBuffer(string: text), windowBits: 15))
    let beginning = String(text.prefix(WebSocketStateMachine.refusedLimit))
    let bytes = ClientFrame.compressed(Array(buffer: payload))
    #expect(refused([bytes], maxMessageSize: 8_000, compressor: compressor) == (beginning, false))
    let declared = ClientFrame.make(ClientFrame.text, Array(buffer: payload), reserved: 4, declared: 1_000)
    #expect(refused([declared], compressor: compressor) == (beginning, true))
    // What comes before a fault of the compression is from nobody knows which message.
    #expect(refused([ClientFrame.compressed(Array(Self.hello.dropLast()))], compressor: compressor) == (nil, false))
  }

  @Test func `What a compressed message becomes counts as small frames do`() throws {
    let compressor = MessageCompressor()
    let text = ByteBuffer(repeating: 0x61, count: 10 * FrameBudget.inflatedSize)
    let payload = try #require(compressor.deflate(text, windowBits: 15))
    var machine = WebSocketStateMachine(maxMessageSize: 1 << 20, compressor: compressor)
    var bytes = ByteBuffer(bytes: ClientFrame.compressed(Array(buffer: payload)))
    #expect(machine.next(from: &bytes) != nil)
    #expect(machine.takeSmallFrames() == 10 + (payload.readableBytes < FrameBudget.freeSize ? 1 : 0))
  }

  @Test func ignoresBytesAfterTheEnd() {
    #expect(actions([ClientFrame.close(1000) + ClientFrame.text("late"), ClientFrame.text("later")]).count == 1)
    #expect(actions([ClientFrame.make(15) + ClientFrame.text("late")]).count == 1)
  }
}

@Suite struct WebSocketFrameTests {
  @Test(arguments: [0, 125, 126, 65_535, 65_536])
  func writesFramesThatAClientReads(length: Int) {
    let text = String(repeating: "z", count: length)
    var buffer = ByteBuffer()
    for isBinary in [false, true] {
      WebSocketFrame.write(OutgoingMessage(bytes: ByteBuffer(string: text), isBinary: isBinary), to: &buffer)
      let opcode = isBinary ? ClientFrame.binary : ClientFrame.text
      #expect(ServerFrame.read(from: &buffer) == ServerFrame(opcode: opcode, payload: Array(text.utf8)))
    }
    #expect(buffer.readableBytes == 0)
  }

  @Test func cutsCloseReasonsAtACharacter() throws {
    var buffer = ByteBuffer()
    WebSocketFrame.writeClose(.goingAway, reason: String(repeating: "€", count: 50), to: &buffer)
    let frame = try #require(ServerFrame.read(from: &buffer))
    #expect(frame.closeCode == 1001)
    #expect(String(decoding: frame.payload[2...], as: UTF8.self) == String(repeating: "€", count: 41))
  }
}
