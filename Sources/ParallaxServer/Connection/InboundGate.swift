import NIOCore

/// Stands before the HTTP parser and hands it bytes only as fast as the requests in them are answered.
///
/// The parser turns all it gets into requests at once, which take several times their bytes in memory, and what the front answers at once
/// grows the output. So bytes wait here in the form in which they came, no more than one read brings, and the socket is not read meanwhile.
final class InboundGate: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// Bytes are handed on in pieces of this size: requests that stand in one piece are parsed at once.
  private static let pieceSize = 4096

  private weak var front: FrontHandler?
  private var context: ChannelHandlerContext?
  private var held = ByteBuffer()
  /// What the parser was given last, while it works on it.
  private(set) var lastPiece: ByteBuffer?
  private var isFeeding = false
  private var isReadHeld = false
  private var isInputEndHeld = false

  init(front: FrontHandler) {
    self.front = front
  }

  /// Bytes wait for their turn.
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
      // What came before the end of the input is seen before it.
      isInputEndHeld = true
    } else {
      context.fireUserInboundEventTriggered(event)
    }
  }

  func read(context: ChannelHandlerContext) {
    if isHolding { isReadHeld = true } else { context.read() }
  }

  /// Hands bytes on as long as the front takes them.
  func feed() {
    guard let context, !isFeeding else { return }
    // After the last answer nothing counts: the parser would only gather it.
    if front?.dropsInput == true { held = ByteBuffer() }
    isFeeding = true
    while isHolding, front?.takesInput == true, let piece = held.readSlice(length: min(Self.pieceSize, held.readableBytes)) {
      lastPiece = piece
      context.fireChannelRead(Self.wrapInboundOut(piece))
    }
    lastPiece = nil
    isFeeding = false
    if !isHolding { opened(context) }
  }

  /// Hands everything on, to whoever stands behind, and leaves.
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
