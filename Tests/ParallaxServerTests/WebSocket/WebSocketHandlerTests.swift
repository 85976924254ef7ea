import NIOCore
import NIOEmbedded
import ParallaxAPI
import Testing

@testable import ParallaxServer

@Suite struct WebSocketHandlerTests {
  typealias Fixture = FrontChannelFixture

  private func open(_ gateway: RecordingGateway = .echo(), _ change: (inout ConnectionLimits) -> Void = { _ in }) throws -> Fixture {
    var limits = ConnectionLimits()
    change(&limits)
    let fixture = try Fixture(gateway: gateway, limits: limits)
    try fixture.send(Fixture.handshake())
    fixture.skipHead()
    return fixture
  }

  /// A connection whose client offers this, at a server that compresses messages of 100 bytes and more.
  private func openCompressed(
    _ offer: String = "permessage-deflate", _ change: (inout ConnectionLimits) -> Void = { _ in }
  ) throws -> Fixture {
    var limits = ConnectionLimits()
    limits.agentCompression = 100
    change(&limits)
    let fixture = try Fixture(limits: limits)
    try fixture.send(Fixture.handshake(headers: "Sec-WebSocket-Extensions: \(offer)\r\n"))
    return fixture
  }

  private func inflated(_ frame: ServerFrame) -> String {
    String(buffer: MessageCompressor().inflate(ByteBuffer(bytes: frame.payload), limit: 1 << 20).message)
  }

  @Test func `Compression is agreed to if it is configured and offered, and otherwise the connection has none`() throws {
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n"
    var limits = ConnectionLimits()
    let off = try Fixture(limits: limits)
    try off.send(Fixture.handshake(headers: offer))
    limits.agentCompression = 100
    let unasked = try Fixture(limits: limits)
    try unasked.send(Fixture.handshake())
    let declined = try openCompressed("permessage-deflate; server_max_window_bits=8")
    for fixture in [off, unasked, declined] {
      let head = fixture.takeText().lowercased()
      #expect(head.hasPrefix("http/1.1 101 ") && !head.contains("sec-websocket-extensions"))
      try fixture.send(ClientFrame.text(String(repeating: "plain ", count: 100)))
      #expect(fixture.takeFrames() == [.text(String(repeating: "plain ", count: 100))])
      try fixture.send(ClientFrame.compressed([0x00]))
      #expect(fixture.takeFrames().map(\.closeCode) == [1002])
    }
    let on = try openCompressed("permessage-deflate; server_max_window_bits=10")
    let agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10"
    #expect(on.takeText().lowercased().contains("sec-websocket-extensions: \(agreed)\r\n"))
  }

  @Test func `Messages from a size are compressed, in their order, unless that makes them no smaller`() throws {
    let fixture = try openCompressed()
    fixture.skipHead()
    let long = String(repeating: "long ", count: 40_000)
    let short = String(repeating: "s", count: 99)
    // 100 characters without a pattern.
    let dense = String(decoding: (0..<100).map { (index: Int) -> UInt8 in UInt8(33 + index * 37 % 94) }, as: UTF8.self)
    try fixture.send([short, long, dense, short, long + "!"].flatMap { ClientFrame.text($0) })
    let frames = fixture.takeFrames()
    #expect(frames.map(\.isCompressed) == [false, true, false, false, true])
    let texts = frames.map { $0.isCompressed ? inflated($0) : String(decoding: $0.payload, as: UTF8.self) }
    #expect(texts == [short, long, dense, short, long + "!"])
    #expect(fixture.gateway.connections.first?.unsentBytes == 0)
  }

  @Test func `Compressed messages arrive as their text, and each stands for itself`() throws {
    let fixture = try openCompressed()
    fixture.skipHead()
    let hello: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
    try fixture.send(ClientFrame.compressed(hello) + ClientFrame.text("plain") + ClientFrame.compressed(hello))
    #expect(fixture.takeFrames() == [.text("Hello"), .text("plain"), .text("Hello")])
    // The second message of RFC 7692, section 7.2.3.2, which refers to the first.
    try fixture.send(ClientFrame.compressed([0xF2, 0x00, 0x11, 0x00, 0x00]))
    #expect(fixture.takeFrames().map(\.closeCode) == [1007])
  }

  @Test func `A small message that stands for a large one is refused by its size, with its beginning`() throws {
    let fixture = try openCompressed()
    fixture.skipHead()
    let text = "begins " + String(repeating: "x", count: 2 << 20)
    let bomb = try #require(MessageCompressor().deflate(ByteBuffer(string: text), windowBits: 15))
    try fixture.send(ClientFrame.compressed(Array(buffer: bomb)))
    #expect(fixture.takeFrames().map(\.closeCode) == [1009])
    #expect(fixture.gateway.events.dropFirst().first == .refused(String(text.prefix(WebSocketStateMachine.refusedLimit))))
  }

  @Test func `What compressed messages become is bounded, also within one read`() throws {
    let fixture = try openCompressed { $0.agentFramesPerSecond = 100 }
    fixture.skipHead()
    // Ten of these messages use up the thousand of ten seconds.
    let text = ByteBuffer(repeating: 0x61, count: 100 * FrameBudget.inflatedSize)
    let message = ClientFrame.compressed(Array(buffer: try #require(MessageCompressor().deflate(text, windowBits: 15))))
    try fixture.send(Array(repeatElement(message, count: 100).joined()))
    #expect(fixture.gateway.events.count { if case .received = $0 { true } else { false } } <= 11)
    #expect(fixture.takeFrames().compactMap(\.closeCode) == [1008])
  }

  @Test func `The answer to a handshake names the upgrade once, on a first and on a later request`() throws {
    for earlier in ["", Fixture.get("/health/live")] {
      let fixture = try Fixture()
      if !earlier.isEmpty {
        try fixture.send(earlier)
        #expect(fixture.takeText().hasPrefix("HTTP/1.1 200 "))
      }
      try fixture.send(Fixture.handshake())
      let lines = fixture.takeText().lowercased().split(separator: "\r\n")
      #expect(lines.first == "http/1.1 101 switching protocols")
      #expect(lines.filter { $0.hasPrefix("connection:") } == ["connection: upgrade"])
      #expect(lines.filter { $0.hasPrefix("upgrade:") } == ["upgrade: websocket"])
    }
  }

  @Test func `Binary messages are sent as such, in order with texts, and compressed like them`() throws {
    let fixture = try openCompressed()
    fixture.skipHead()
    let connection = try #require(fixture.gateway.connections.first as? WebSocketConnection)
    let long = [UInt8](repeating: 0xFF, count: 1_000)
    connection.send(ByteBuffer(string: "text"))
    connection.sendBinary(ByteBuffer(bytes: [0xFF]))
    connection.sendBinary(ByteBuffer(bytes: long))
    fixture.channel.embeddedEventLoop.run()
    try fixture.collect()
    let frames = fixture.takeFrames()
    #expect(frames.prefix(2) == [.text("text"), ServerFrame(opcode: ClientFrame.binary, payload: [0xFF])])
    let last = try #require(frames.last)
    #expect(frames.count == 3 && last.opcode == ClientFrame.binary && last.isCompressed)
    #expect(MessageCompressor().inflate(ByteBuffer(bytes: last.payload), limit: 2_000).message == ByteBuffer(bytes: long))
    #expect(connection.unsentBytes == 0)
  }

  @Test func writesTheMessagesOfOneReadAtOnce() throws {
    let fixture = try open()
    let flushes = FlushCounter()
    try fixture.channel.pipeline.syncOperations.addHandler(flushes, position: .first)
    try fixture.send((0..<50).flatMap { ClientFrame.text("message \($0)") })
    #expect(fixture.takeFrames() == (0..<50).map { .text("message \($0)") })
    #expect(flushes.count == 1)
  }

  @Test func answersPingsInOrder() throws {
    let fixture = try open()
    try fixture.send((0..<10).flatMap { ClientFrame.make(ClientFrame.ping, Array("\($0)".utf8)) })
    #expect(fixture.takeFrames() == (0..<10).map { .pong("\($0)") })
  }

  @Test func sendsLongMessagesWhole() throws {
    let fixture = try open()
    let text = String(repeating: "long ", count: 40_000)
    try fixture.send(ClientFrame.text("short") + ClientFrame.text(text) + ClientFrame.text("after"))
    #expect(fixture.takeFrames() == [.text("short"), .text(text), .text("after")])
  }

  @Test func answersACloseWithItsCodeAndEnds() throws {
    let fixture = try open()
    try fixture.send(ClientFrame.text("last") + ClientFrame.close(1001, "bye") + ClientFrame.text("late"))
    let frames = fixture.takeFrames()
    #expect(frames.first == .text("last"))
    #expect(frames.dropFirst().map(\.closeCode) == [1001])
    #expect(!fixture.channel.isActive)
    #expect(fixture.gateway.events == [.opened, .received("last"), .closed(.closedByAgent(code: .goingAway, reason: "bye"))])
  }

  @Test(
    arguments: [
      (ClientFrame.make(ClientFrame.text, [65], key: nil), 1002), (ClientFrame.make(ClientFrame.binary, [1]), 1003),
      (ClientFrame.make(ClientFrame.text, [0xFF]), 1007), (ClientFrame.make(ClientFrame.text, declared: 2_000_000), 1009),
    ] as [([UInt8], UInt16)])
  func sendsTheReasonWhenItEndsTheConnection(bytes: [UInt8], code: UInt16) throws {
    let fixture = try open()
    try fixture.send(bytes)
    #expect(fixture.takeFrames().map(\.closeCode) == [code])
    #expect(!fixture.channel.isActive)
    guard case .protocolViolation(let reported, _) = try #require(fixture.gateway.closeReasons.first) else {
      Issue.record("expected a violation")
      return
    }
    #expect(reported.rawValue == code)
    #expect(fixture.gateway.closeReasons.count == 1)
  }

  /// Each kind of frame that no limit of messages counts: parts of one message, pings, and answers to pings that were not sent.
  @Test(arguments: [
    ClientFrame.make(ClientFrame.continuation, isFinal: false), ClientFrame.make(ClientFrame.continuation, [65], isFinal: false),
    ClientFrame.make(ClientFrame.ping), ClientFrame.make(ClientFrame.pong),
  ])
  func endsAFloodOfSmallFrames(frame: [UInt8]) throws {
    let fixture = try open { $0.agentFramesPerSecond = 100 }
    try fixture.send(ClientFrame.text("", isFinal: false) + repeatElement(frame, count: 999).joined())
    #expect(fixture.takeFrames().allSatisfy { $0.closeCode == nil }, "ten seconds' frames may come at once")
    fixture.channel.embeddedEventLoop.advanceTime(by: .seconds(3))
    try fixture.send(Array(repeatElement(frame, count: 300).joined()))
    #expect(fixture.takeFrames().allSatisfy { $0.closeCode == nil }, "each second allows a hundred more")
    fixture.channel.embeddedEventLoop.advanceTime(by: .milliseconds(999))
    try fixture.send(frame)
    #expect(fixture.takeFrames().compactMap(\.closeCode) == [1008])
    #expect(fixture.gateway.closeReasons.count == 1 && !fixture.channel.isActive)
  }

  @Test func anIdleAgentSavesTenSecondsOfFramesAndNoMore() throws {
    let fixture = try open { $0.agentFramesPerSecond = 100 }
    fixture.channel.embeddedEventLoop.advanceTime(by: .minutes(10))
    try fixture.send(Array(repeatElement(ClientFrame.make(ClientFrame.pong), count: 1_000).joined()))
    #expect(fixture.channel.isActive)
    try fixture.send(ClientFrame.make(ClientFrame.pong))
    #expect(fixture.takeFrames().map(\.closeCode) == [1008])
  }

  @Test func aLongMessageInPartsIsNoFlood() throws {
    let fixture = try open { $0.agentFramesPerSecond = 10 }
    let part = ClientFrame.make(ClientFrame.continuation, Array(repeating: 65, count: FrameBudget.freeSize), isFinal: false)
    try fixture.send(
      ClientFrame.text("", isFinal: false) + repeatElement(part, count: 500).joined() + ClientFrame.make(ClientFrame.continuation))
    #expect(fixture.takeFrames().map(\.payload.count) == [500 * FrameBudget.freeSize])
  }

  @Test func `The beginning of a refused message is reported before the end, also if it follows the close frame`() throws {
    let text = "begins " + String(repeating: "x", count: 9_000)
    let bytes = ClientFrame.text(text)
    let beginning = String(text.prefix(WebSocketStateMachine.refusedLimit))
    for cut in [bytes.count, 8, 2_000] {
      let fixture = try open { $0.agentMessageSize = 1_000 }
      // An embedded channel ends at once where a socket ends only its output.
      try fixture.channel.pipeline.syncOperations.addHandler(OutputKeeper(), position: .first)
      try fixture.send(Array(bytes.prefix(cut)))
      #expect(fixture.takeFrames().map(\.closeCode) == [1009])
      try fixture.send(Array(bytes.dropFirst(cut)))
      guard case .refused(beginning)? = fixture.gateway.events.dropFirst().first else {
        Issue.record("\(fixture.gateway.events.count) events at \(cut)")
        continue
      }
      guard case .closed(.protocolViolation(code: .messageTooBig, _))? = fixture.gateway.events.last else {
        Issue.record("not closed at \(cut)")
        continue
      }
      #expect(fixture.gateway.events.count == 3)
    }
  }

  @Test func `A refused message whose beginning does not arrive is reported at the end of the connection`() throws {
    let fixture = try open()
    try fixture.channel.pipeline.syncOperations.addHandler(OutputKeeper(), position: .first)
    try fixture.send(ClientFrame.make(ClientFrame.text, declared: 2_000_000))
    #expect(fixture.takeFrames().map(\.closeCode) == [1009])
    #expect(fixture.gateway.closeReasons.isEmpty)
    fixture.channel.embeddedEventLoop.advanceTime(by: WebSocketHandler.closeTimeout)
    guard case .protocolViolation(code: .messageTooBig, _)? = fixture.gateway.closeReasons.first else {
      Issue.record("expected a violation")
      return
    }
    #expect(!fixture.channel.isActive)
  }

  @Test func answersMessagesBeforeAMalformedFrame() throws {
    let fixture = try open()
    try fixture.send(ClientFrame.text("answered") + ClientFrame.make(ClientFrame.text, [65], key: nil) + ClientFrame.text("unheard"))
    let frames = fixture.takeFrames()
    #expect(frames.first == .text("answered"))
    #expect(frames.dropFirst().map(\.closeCode) == [1002])
    #expect(fixture.gateway.events.count == 3 && !fixture.channel.isActive)
  }

  @Test func answersMessagesBeforeAMalformedFrameEvenATickLater() throws {
    let fixture = try open(RecordingGateway { connection, message in connection.eventLoop.execute { connection.send(message) } })
    try fixture.send(ClientFrame.text("answered") + ClientFrame.make(ClientFrame.text, [65], key: nil))
    #expect(fixture.takeFrames().first == .text("answered"))
  }

  @Test func pingsAnAgentThatReads() throws {
    let fixture = try open()
    let connection = try #require(fixture.gateway.connections.first)
    connection.ping()
    fixture.channel.embeddedEventLoop.run()
    try fixture.collect()
    #expect(fixture.takeFrames() == [ServerFrame(opcode: ClientFrame.ping, payload: [])])
    fixture.channel.isWritable = false
    connection.ping()
    fixture.channel.embeddedEventLoop.run()
    try fixture.collect()
    #expect(fixture.takeFrames().isEmpty)
  }

  @Test func aNumberedPingFollowsAllEarlierMessages() throws {
    let fixture = try open()
    let connection = try #require(fixture.gateway.connections.first)
    let payload = { (number: UInt8) in [0, 0, 0, 0, 0, 0, 0, number] as [UInt8] }
    fixture.channel.isWritable = false
    connection.send(ByteBuffer(string: "a"))
    connection.ping(1)
    connection.send(ByteBuffer(string: "b"))
    connection.ping(2)
    fixture.channel.embeddedEventLoop.run()
    try fixture.collect()
    #expect(fixture.takeFrames().isEmpty)
    fixture.channel.isWritable = true
    fixture.channel.pipeline.fireChannelWritabilityChanged()
    try fixture.collect()
    #expect(fixture.takeFrames() == [.text("a"), .text("b"), ServerFrame(opcode: ClientFrame.ping, payload: payload(2))])
    // A pong without a number is a mere sign of life.
    let pong = { ClientFrame.make(ClientFrame.pong, $0) }
    try fixture.send(ClientFrame.text("before") + pong(payload(2)) + ClientFrame.text("after") + pong([]) + pong([1, 2]))
    #expect(fixture.gateway.events == [.opened, .received("before"), .answered(2), .received("after")])
  }

  @Test func sendsPendingMessagesBeforeItCloses() throws {
    let fixture = try open()
    let connection = try #require(fixture.gateway.connections.first)
    connection.send(ByteBuffer(string: "a"))
    connection.send(ByteBuffer(string: "b"))
    connection.close(code: .goingAway, reason: "restart")
    connection.send(ByteBuffer(string: "too late"))
    fixture.channel.embeddedEventLoop.run()
    try fixture.collect()
    let frames = fixture.takeFrames()
    #expect(frames.prefix(2) == [.text("a"), .text("b")])
    #expect(frames.dropFirst(2).map(\.closeCode) == [1001])
    #expect(fixture.gateway.closeReasons == [.closedByServer(code: .goingAway, reason: "restart")])
    #expect(fixture.channel.isActive, "the agent may still answer")
    try fixture.send(ClientFrame.text("unheard") + ClientFrame.close(1001))
    #expect(!fixture.channel.isActive)
    #expect(fixture.gateway.events.count == 2, "nothing is delivered after the close")
  }

  @Test func sendsWhatASlowReaderHasNotTakenBeforeItCloses() throws {
    let fixture = try open()
    let connection = try #require(fixture.gateway.connections.first)
    fixture.channel.isWritable = false
    connection.send(ByteBuffer(string: "a"))
    connection.close(code: .goingAway, reason: "restart")
    fixture.channel.embeddedEventLoop.run()
    try fixture.collect()
    #expect(fixture.takeFrames().isEmpty)
    fixture.channel.isWritable = true
    fixture.channel.pipeline.fireChannelWritabilityChanged()
    try fixture.collect()
    let frames = fixture.takeFrames()
    #expect(frames.first == .text("a") && frames.last?.closeCode == 1001 && frames.count == 2)
  }

  @Test func `A closing connection takes no message, and afterward knows what was never written`() throws {
    let fixture = try open()
    let connection = try #require(fixture.gateway.connections.first)
    #expect(connection.send(ByteBuffer(string: "written")))
    fixture.channel.embeddedEventLoop.run()
    fixture.channel.isWritable = false
    #expect(connection.send(ByteBuffer(string: "waits")))
    connection.close(code: .goingAway, reason: "restart")
    #expect(!connection.send(ByteBuffer(string: "late")))
    fixture.channel.embeddedEventLoop.run()
    _ = try fixture.channel.finish(acceptAlreadyClosed: true)
    #expect(connection.unsentBytes == "waits".utf8.count)
    #expect(!connection.send(ByteBuffer(string: "later")))
  }

  @Test func disconnectsAgentsThatDoNotAnswerAClose() throws {
    let fixture = try open()
    try #require(fixture.gateway.connections.first).close(code: .normal, reason: "")
    fixture.channel.embeddedEventLoop.run()
    #expect(fixture.channel.isActive)
    fixture.channel.embeddedEventLoop.advanceTime(by: WebSocketHandler.closeTimeout)
    #expect(!fixture.channel.isActive)
    #expect(fixture.gateway.closeReasons == [.closedByServer(code: .normal, reason: "")])
  }

  @Test func deliversNothingOnceTheSessionHasClosed() throws {
    let fixture = try open(RecordingGateway { connection, _ in connection.close(code: .policyViolation, reason: "") })
    try fixture.send(ClientFrame.text("one") + ClientFrame.text("two"))
    #expect(fixture.gateway.events.filter { $0 == .received("two") }.isEmpty)
    #expect(fixture.takeFrames().map(\.closeCode) == [1008])
  }

  @Test func buffersMessagesOfASlowReader() throws {
    let fixture = try open { $0.agentBacklog = 1000 }
    let connection = try #require(fixture.gateway.connections.first)
    fixture.channel.isWritable = false
    for index in 0..<10 { connection.send(ByteBuffer(string: "\(index)")) }
    fixture.channel.embeddedEventLoop.run()
    try fixture.collect()
    #expect(fixture.takeFrames().isEmpty)
    fixture.channel.isWritable = true
    fixture.channel.pipeline.fireChannelWritabilityChanged()
    try fixture.collect()
    #expect(fixture.takeFrames() == (0..<10).map { .text("\($0)") })
    for _ in 0..<20 {
      connection.send(ByteBuffer(string: String(repeating: "x", count: 900)))
      fixture.channel.embeddedEventLoop.run()
    }
    #expect(fixture.channel.isActive, "what was written counts no more")
  }

  @Test func disconnectsATooSlowReader() throws {
    let fixture = try open { $0.agentBacklog = 1000 }
    let connection = try #require(fixture.gateway.connections.first)
    fixture.channel.isWritable = false
    for _ in 0..<11 { connection.send(ByteBuffer(string: String(repeating: "x", count: 100))) }
    fixture.channel.embeddedEventLoop.run()
    #expect(!fixture.channel.isActive)
    #expect(fixture.gateway.closeReasons == [.slowReader(bytesWaiting: 1100)])
  }

  @Test func reportsOnceThatASlowReaderHasReadOn() throws {
    let fixture = try open()
    let connection = try #require(fixture.gateway.connections.first)
    fixture.channel.isWritable = false
    for size in [500, 700] { connection.send(ByteBuffer(string: String(repeating: "x", count: size))) }
    fixture.channel.embeddedEventLoop.run()
    #expect(connection.unsentBytes == 1200)
    #expect(fixture.gateway.drains == 0)
    fixture.channel.isWritable = true
    fixture.channel.pipeline.fireChannelWritabilityChanged()
    fixture.channel.embeddedEventLoop.run()
    #expect(connection.unsentBytes == 0)
    #expect(fixture.gateway.drains == 1)
  }

  @Test func keepsAReaderThatHasAMessageOfAnySizeAndSmallOnesToRead() throws {
    let fixture = try open { $0.agentBacklog = 1000 }
    let connection = try #require(fixture.gateway.connections.first)
    fixture.channel.isWritable = false
    let large = String(repeating: "x", count: 5000)
    for text in ["small", large, "small"] {
      connection.send(ByteBuffer(string: text))
      fixture.channel.embeddedEventLoop.run()
    }
    #expect(fixture.channel.isActive)
    for _ in 0..<11 { connection.send(ByteBuffer(string: String(repeating: "x", count: 100))) }
    fixture.channel.embeddedEventLoop.run()
    #expect(fixture.gateway.closeReasons == [.slowReader(bytesWaiting: 6110)])
  }

  @Test func sendsOneMessageOfAnySize() throws {
    let fixture = try open { $0.agentBacklog = 1000 }
    let connection = try #require(fixture.gateway.connections.first)
    connection.send(ByteBuffer(string: String(repeating: "x", count: 5000)))
    fixture.channel.embeddedEventLoop.run()
    try fixture.collect()
    #expect(fixture.takeFrames() == [.text(String(repeating: "x", count: 5000))])
    #expect(fixture.channel.isActive)
  }

  @Test func buffersOnePongForAPeerThatDoesNotRead() throws {
    let fixture = try open()
    fixture.channel.isWritable = false
    try fixture.send((0..<100).flatMap { ClientFrame.make(ClientFrame.ping, Array("\($0)".utf8)) })
    #expect(fixture.takeFrames().isEmpty)
    fixture.channel.isWritable = true
    fixture.channel.pipeline.fireChannelWritabilityChanged()
    try fixture.collect()
    #expect(fixture.takeFrames() == [.pong("99")])
  }

  @Test func reportsALostConnectionOnce() throws {
    let fixture = try open()
    try fixture.channel.close().wait()
    fixture.channel.embeddedEventLoop.run()
    #expect(fixture.gateway.closeReasons == [.connectionLost("the connection was closed by the agent")])
    try #require(fixture.gateway.connections.first).send(ByteBuffer(string: "into the void"))
    fixture.channel.embeddedEventLoop.run()
    #expect(fixture.gateway.closeReasons.count == 1)
  }

  @Test func staysOpenAfterTheStopOfTheServerForTheGoodbyeOfTheSession() throws {
    let fixture = try open()
    fixture.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    try fixture.send(ClientFrame.text("still here"))
    #expect(fixture.takeFrames() == [.text("still here")])
  }

  @Test func ticksWhileItIsOpen() throws {
    let fixture = try open()
    fixture.channel.embeddedEventLoop.advanceTime(by: .seconds(3))
    #expect(fixture.gateway.events == [.opened, .ticked, .ticked, .ticked])
    try fixture.channel.close().wait()
    fixture.channel.embeddedEventLoop.advanceTime(by: .seconds(3))
    #expect(fixture.gateway.events.count == 5)
  }
}

/// Counts the flushes that reach the channel.
private final class FlushCounter: ChannelOutboundHandler {
  typealias OutboundIn = ByteBuffer

  private(set) var count = 0

  func flush(context: ChannelHandlerContext) {
    count += 1
    context.flush()
  }
}

/// Keeps a channel open whose output is closed, as a socket does.
private final class OutputKeeper: ChannelOutboundHandler {
  typealias OutboundIn = ByteBuffer

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    if mode == .output { promise?.succeed() } else { context.close(mode: mode, promise: promise) }
  }
}
