import NIOCore

/// One agent's WebSocket: the only byte handler of its channel, and all the memory that an idle agent costs.
///
/// ``WebSocketStateMachine`` decides about the input; this shell performs its actions, writes the outbox with one flush per read cycle and
/// ends the connection.
final class WebSocketHandler: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = Never
  typealias OutboundOut = ByteBuffer

  private enum State {
    /// The handshake is not answered. → open
    case upgrading
    /// → failing, closing, closed
    case open
    /// The peer violated the protocol; answers to its earlier messages precede the Close frame. → closing, closed
    case failing
    /// The Close frame is sent; the peer has to end the connection. → closed
    case closing
    case closed
  }

  /// How long the peer may take to answer a Close frame and to end the TCP connection.
  static let closeTimeout: TimeAmount = .seconds(2)
  /// The size up to which frames are combined into one write.
  private static let gatherSize = 16 * 1024

  /// The compression of a connection's messages.
  struct Compression {
    var agreed: PerMessageDeflate
    /// The size from which a message is compressed, in bytes.
    var threshold: Int
  }

  private var machine: WebSocketStateMachine
  private var budget: FrameBudget
  private var state = State.upgrading
  private var context: ChannelHandlerContext?
  private var connection: WebSocketConnection?
  private var messages: (any AgentMessageHandler)?
  private let registry: LoopConnections
  /// How messages are compressed; nil if they are not.
  private let compression: Compression?
  /// This handler's index in `registry`.
  var registrySlot: Int?

  /// Messages taken from the outbox and unwritten, because the peer does not read.
  private var backlog: ArraySlice<OutgoingMessage> = []
  /// The answer to the latest ping: a peer that pings without reading gets only this one.
  private var pendingPong: ByteBuffer?
  /// The number of the latest ping that waits behind messages for the peer to read.
  private var pendingPing: UInt64?
  private var needsFlush = false
  private var isReadHeld = false
  private var failure: String?
  /// The reason of an end that is not reported yet, because the beginning of the message that caused it has not arrived.
  private var pendingEnd: AgentCloseReason?
  private var lastRead = NIODeadline.now()
  private var closeTimer: Scheduled<Void>?

  /// Makes a handler of text messages, and of binary ones if `takesBinary`: else a binary message ends the connection with 1003.
  ///
  /// `framesPerSecond` is the sustained rate of small frames; nil sets no limit.
  init(
    maxMessageSize: Int, takesBinary: Bool = false, compression: Compression? = nil, framesPerSecond: Int? = nil,
    registry: LoopConnections, at now: NIODeadline = .now()
  ) {
    machine = WebSocketStateMachine(
      maxMessageSize: maxMessageSize, takesBinary: takesBinary, compressor: compression.map { _ in registry.compressor })
    budget = FrameBudget(framesPerSecond: framesPerSecond, at: now)
    self.compression = compression
    self.registry = registry
  }

  /// Begins the session; the 101 response is written and this handler is in the pipeline.
  func open(connection: WebSocketConnection, messages: any AgentMessageHandler) {
    self.connection = connection
    self.messages = messages
    state = .open
    registry.add(self)
    connection.announceLoop()
    messages.opened()
    flushOutbox()
  }

  /// Sends a Close frame as if the session had asked for it; used when the server stops.
  func close(code: WebSocketCloseCode, reason: String) {
    connection?.close(code: code, reason: reason)
  }

  /// Ends a session that was opened with something for which there is a reason to end it.
  func close(code: WebSocketCloseCode, for reason: (_ grant: any Sendable) -> String?) {
    guard let connection, let reason = reason(connection.grant) else { return }
    connection.close(code: code, reason: reason)
  }

  func tick(at now: NIODeadline) {
    messages?.tick(at: now, silence: max(.zero, now - lastRead))
  }

  func ping() {
    guard let context, state == .open, context.channel.isWritable else { return }
    var buffer = context.channel.allocator.buffer(capacity: 2)
    WebSocketFrame.writePing(to: &buffer)
    context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: nil)
  }

  func ping(_ number: UInt64) {
    pendingPing = number
    flushOutbox()
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    finish(.connectionLost("the connection was closed"))
    closeTimer?.cancel()
    self.context = nil
  }

  func channelInactive(context: ChannelHandlerContext) {
    finish(.connectionLost(failure ?? "the connection was closed by the agent"))
    context.fireChannelInactive()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case let event as ChannelEvent where event == .inputClosed:
      context.close(promise: nil)
    case is ChannelShouldQuiesceEvent:
      // When the server stops, the session notifies its agent and closes on its own schedule.
      break
    default:
      context.fireUserInboundEventTriggered(event)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    failure = "\(error)"
    context.close(promise: nil)
  }

  // MARK: Reading

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    lastRead = .now()
    guard let connection else { return }
    var bytes = Self.unwrapInboundIn(data)
    connection.announceLoop()
    while state == .open, let action = machine.next(from: &bytes) {
      perform(action, context: context, connection: connection)
      // A read may have hundreds of messages, each of which inflates to the limit.
      takeFromBudget(context: context, connection: connection)
    }
    // Parts of a message need no action.
    takeFromBudget(context: context, connection: connection)
    if state == .closing || state == .failing { discard(&bytes, context: context) }
  }

  private func takeFromBudget(context: ChannelHandlerContext, connection: WebSocketConnection) {
    guard state == .open, !budget.take(machine.takeSmallFrames(), at: context.eventLoop.now), let limit = budget.framesPerSecond else {
      return
    }
    let reason = "more than \(limit) small frames a second, or as many times 8 KiB of decompressed messages"
    perform(.fail(code: .policyViolation, reason: reason), context: context, connection: connection)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    flushOutbox()
  }

  /// Ends a read cycle; for bytes that arrive outside one.
  func finishRead() {
    flushOutbox()
  }

  private func perform(_ action: WebSocketStateMachine.Action, context: ChannelHandlerContext, connection: WebSocketConnection) {
    switch action {
    case .deliver(let message):
      if !connection.isClosing { messages?.received(message) }
    case .deliverBinary(let message):
      if !connection.isClosing { messages?.receivedBinary(message) }
    case .pong(let payload):
      writePong(payload, context: context)
    case .answered(let ping): messages?.answered(ping)
    case .peerClosed(let code, let reason):
      flushOutbox()
      guard state == .open else { return context.close(promise: nil) }
      beginClose(code, reason: "", context: context)
      finish(.closedByAgent(code: code, reason: reason))
      context.close(mode: .output, promise: nil)
    case .fail(let code, let reason):
      // Answers to earlier messages may be queued on the event loop behind this call.
      state = .failing
      let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
      context.eventLoop.execute { bound.value.closeFailed(code, reason: reason) }
    }
  }

  private func closeFailed(_ code: WebSocketCloseCode, reason: String) {
    guard let context, state == .failing else { return }
    state = .open
    flushOutbox()
    guard state == .open else { return }
    beginClose(code, reason: reason, context: context)
    pendingEnd = .protocolViolation(code: code, reason: reason)
    finishIfComplete()
    context.close(mode: .output, promise: nil)
  }

  /// After the server's Close frame, of the peer's frames only its Close frame matters: it ends the connection.
  private func discard(_ bytes: inout ByteBuffer, context: ChannelHandlerContext) {
    while let action = machine.next(from: &bytes) {
      switch action {
      case .deliver, .deliverBinary, .pong, .answered: break
      case .peerClosed, .fail: context.close(promise: nil)
      }
    }
    finishIfComplete()
  }

  // MARK: Writing

  /// Writes the outbox as far as the peer reads.
  func flushOutbox() {
    guard let context, let connection, state == .open else { return }
    let batch = connection.takeBatch()
    if let waiting = batch.overflow {
      state = .closed
      finish(.slowReader(bytesWaiting: waiting))
      context.close(promise: nil)
      return
    }
    if backlog.isEmpty { backlog = batch.messages[...] } else { backlog += batch.messages }
    let hasDrained = writeBacklog(context: context, connection: connection)
    if let request = batch.closeRequest, backlog.isEmpty {
      beginClose(request.code, reason: request.reason, context: context)
      finish(.closedByServer(code: request.code, reason: request.reason))
    } else if batch.closeRequest != nil {
      scheduleClose(context: context)
    }
    flushIfNeeded(context: context)
    if hasDrained, state == .open { messages?.drained() }
  }

  /// Writes the backlog as far as the peer reads; returns whether that has emptied it.
  private func writeBacklog(context: ChannelHandlerContext, connection: WebSocketConnection) -> Bool {
    if let pong = pendingPong, context.channel.isWritable {
      pendingPong = nil
      writePong(pong, context: context)
    }
    var written = 0
    while !backlog.isEmpty, context.channel.isWritable {
      written += writeGathered(context: context)
    }
    if backlog.isEmpty { backlog = [] }
    if backlog.isEmpty, let number = pendingPing, context.channel.isWritable {
      pendingPing = nil
      var buffer = context.channel.allocator.buffer(capacity: 10)
      WebSocketFrame.writePing(number, to: &buffer)
      context.write(Self.wrapOutboundOut(buffer), promise: nil)
      needsFlush = true
    }
    guard written > 0 else { return false }
    connection.didWrite(bytes: written)
    return backlog.isEmpty
  }

  /// Writes one buffer of frames; a long message is written behind its header without a copy, and so is one that is to be compressed.
  private func writeGathered(context: ChannelHandlerContext) -> Int {
    var written = 0
    var size = 0
    var count = 0
    for message in backlog {
      size += message.bytes.readableBytes + 10
      if size > Self.gatherSize || message.bytes.readableBytes >= compressionThreshold { break }
      count += 1
    }
    needsFlush = true
    guard count > 0 else {
      let message = backlog.removeFirst()
      writeAlone(message, context: context)
      return message.bytes.readableBytes
    }
    var buffer = context.channel.allocator.buffer(capacity: min(size, Self.gatherSize))
    for message in backlog.prefix(count) {
      WebSocketFrame.write(message, to: &buffer)
      written += message.bytes.readableBytes
    }
    backlog.removeFirst(count)
    context.write(Self.wrapOutboundOut(buffer), promise: nil)
    return written
  }

  private var compressionThreshold: Int { compression?.threshold ?? .max }

  private func writeAlone(_ message: OutgoingMessage, context: ChannelHandlerContext) {
    var compressed: ByteBuffer?
    if let compression, message.bytes.readableBytes >= compression.threshold {
      compressed = registry.compressor.deflate(message.bytes, windowBits: compression.agreed.windowBits)
    }
    let payload = compressed ?? message.bytes
    var header = context.channel.allocator.buffer(capacity: 10)
    WebSocketFrame.writeHeader(
      length: payload.readableBytes, isBinary: message.isBinary, isCompressed: compressed != nil, to: &header)
    context.write(Self.wrapOutboundOut(header), promise: nil)
    context.write(Self.wrapOutboundOut(payload), promise: nil)
  }

  private func writePong(_ payload: ByteBuffer, context: ChannelHandlerContext) {
    guard context.channel.isWritable else {
      pendingPong = payload
      return
    }
    var buffer = context.channel.allocator.buffer(capacity: payload.readableBytes + 2)
    WebSocketFrame.writePong(payload, to: &buffer)
    context.write(Self.wrapOutboundOut(buffer), promise: nil)
    needsFlush = true
  }

  private func flushIfNeeded(context: ChannelHandlerContext) {
    guard needsFlush else { return }
    needsFlush = false
    context.flush()
  }

  // MARK: Back-pressure

  func read(context: ChannelHandlerContext) {
    // A peer that does not read is not read from: its answers would only accumulate.
    if context.channel.isWritable { context.read() } else { isReadHeld = true }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable {
      flushOutbox()
      if isReadHeld, context.channel.isWritable {
        isReadHeld = false
        context.read()
      }
    }
    context.fireChannelWritabilityChanged()
  }

  /// Refuses writes: the handlers that preceded this one before the upgrade have none.
  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    promise?.fail(ChannelError.ioOnClosedChannel)
  }

  // MARK: Ending

  private func beginClose(_ code: WebSocketCloseCode?, reason: String, context: ChannelHandlerContext) {
    state = .closing
    var buffer = context.channel.allocator.buffer(capacity: 4 + reason.utf8.count)
    WebSocketFrame.writeClose(code, reason: reason, to: &buffer)
    context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: nil)
    needsFlush = false
    scheduleClose(context: context)
  }

  private func scheduleClose(context: ChannelHandlerContext) {
    guard closeTimer == nil else { return }
    let channel = context.channel
    closeTimer = context.eventLoop.scheduleTask(in: Self.closeTimeout) { channel.close(promise: nil) }
  }

  /// Reports the end after a refused message once its beginning has arrived; at the end of the connection without it.
  private func finishIfComplete() {
    if let pendingEnd, !machine.awaitsRefused { finish(pendingEnd) }
  }

  /// Reports the end to the session, once, and releases it.
  private func finish(_ reason: AgentCloseReason) {
    guard let messages else { return }
    self.messages = nil
    if state == .open || state == .failing { state = .closed }
    connection?.end()
    backlog = []
    (pendingPong, pendingPing) = (nil, nil)
    registry.remove(self)
    if let beginning = machine.refused { messages.refused(beginning) }
    messages.closed(pendingEnd ?? reason)
  }
}
