import NIOCore

/// Passes bytes to the HTTP parser only as fast as the requests in them are answered.
///
/// The parser turns all its input into requests at once. Parsed requests take several times their bytes in memory, and their responses fill
/// the output. The gate therefore holds the unparsed bytes of at most one read, and reads the socket no further meanwhile.
final class InboundGate: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// The size of the pieces that the parser receives; requests within one piece are parsed together.
  private static let pieceSize = 4096

  private weak var front: FrontHandler?
  private var context: ChannelHandlerContext?
  private var held = ByteBuffer()
  /// The piece that the parser is working on.
  private(set) var lastPiece: ByteBuffer?
  private var isFeeding = false
  private var isReadHeld = false
  private var isInputEndHeld = false

  init(front: FrontHandler) {
    self.front = front
  }

  /// The gate holds unparsed bytes.
  var isHolding: Bool { held.readableBytes > 0 }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var bytes = Self.unwrapInboundIn(data)
    if isHolding { held.writeBuffer(&bytes) } else { held = bytes }
    feed()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if let event = event as? ChannelEvent, event == .inputClosed, isHolding {
      // The bytes before the end of the input come first.
      isInputEndHeld = true
    } else {
      context.fireUserInboundEventTriggered(event)
    }
  }

  func read(context: ChannelHandlerContext) {
    if isHolding { isReadHeld = true } else { context.read() }
  }

  /// Passes bytes on while the front handler takes them.
  func feed() {
    guard let context, !isFeeding else { return }
    // After the last response the parser would only accumulate bytes.
    if front?.dropsInput == true { held = ByteBuffer() }
    isFeeding = true
    while isHolding, front?.takesInput == true, let piece = held.readSlice(length: min(Self.pieceSize, held.readableBytes)) {
      lastPiece = piece
      front?.willParse()
      context.fireChannelRead(Self.wrapInboundOut(piece))
    }
    lastPiece = nil
    isFeeding = false
    front?.watchArrival()
    if !isHolding { opened(context) }
  }

  /// Passes all bytes to the next handler and removes the gate.
  func release() {
    guard let context else { return }
    if isHolding { context.fireChannelRead(Self.wrapInboundOut(held)) }
    held = ByteBuffer()
    opened(context)
    context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
  }

  private func opened(_ context: ChannelHandlerContext) {
    held = ByteBuffer()
    if isInputEndHeld {
      isInputEndHeld = false
      context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    }
    if isReadHeld {
      isReadHeld = false
      context.read()
    }
  }
}
