import BenchmarkSupport
import NIOCore

/// An agent that answers each task at once, with a minimal implementation of RFC 6455 and the agent protocol, so that the node dominates
/// the measurement.
final class LoadAgent: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let id: String
  private let capability: String
  private let registered: EventLoopPromise<Void>
  private let acknowledged: () -> Void
  private var buffer = ByteBuffer()
  private var shookHands = false

  init(id: String, capability: String, registered: EventLoopPromise<Void>, acknowledged: @escaping () -> Void) {
    self.id = id
    self.capability = capability
    self.registered = registered
    self.acknowledged = acknowledged
  }

  func channelActive(context: ChannelHandlerContext) {
    let request =
      "GET /ws/agent HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Agent-Id: \(id)\r\n\r\n"
    context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: request)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var bytes = unwrapInboundIn(data)
    buffer.discardReadBytes()
    buffer.writeBuffer(&bytes)
    if !shookHands, !shakeHands(context) { return }
    while let frame = nextFrame() {
      frame.payload.withUnsafeReadableBytes { handle(context, opcode: frame.opcode, $0) }
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    context.flush()
  }

  func channelInactive(context: ChannelHandlerContext) {
    registered.fail(BenchmarkError("the node closed an agent's connection before it was registered"))
  }

  private func shakeHands(_ context: ChannelHandlerContext) -> Bool {
    guard let end = buffer.withUnsafeReadableBytes({ $0.end(of: "\r\n\r\n") }) else { return false }
    let head = buffer.readString(length: end) ?? ""
    guard head.hasPrefix("HTTP/1.1 101 ") else {
      registered.fail(BenchmarkError("an agent's handshake was refused: \(head)"))
      context.close(promise: nil)
      return false
    }
    shookHands = true
    let register =
      #"{"type":"register","id":"1","payload":{"capabilities":["\#(capability)"],"config":{"maxConcurrentTasks":10000},"activeTasks":[]}}"#
    send(context, ByteBuffer(string: register))
    return true
  }

  private func handle(_ context: ChannelHandlerContext, opcode: UInt8, _ bytes: UnsafeRawBufferPointer) {
    switch opcode {
    case 1: handle(context, message: bytes)
    case 9: send(context, ByteBuffer(bytes: bytes), opcode: 10)
    default: break
    }
  }

  private func handle(_ context: ChannelHandlerContext, message: UnsafeRawBufferPointer) {
    guard let type = message.member("\"type\":\"") else { return }
    if type.elementsEqual("task".utf8) {
      guard let task = message.member("\"taskId\":\""), let execution = message.member("\"executionId\":\"") else { return }
      var result = context.channel.allocator.buffer(capacity: 256)
      result.writeStaticString("{\"type\":\"task_result\",\"id\":\"1\",\"payload\":{\"taskId\":\"")
      result.writeBytes(task)
      result.writeStaticString("\",\"executionId\":\"")
      result.writeBytes(execution)
      result.writeStaticString("\",\"status\":\"completed\",\"result\":{\"category\":\"question\",\"confidence\":0.9},\"duration\":1}}")
      send(context, result)
    } else if type.elementsEqual("result_ack".utf8) {
      acknowledged()
    } else if type.elementsEqual("registered".utf8) {
      registered.succeed()
    } else if type.elementsEqual("error".utf8) {
      print("agent \(id) was told: \(String(decoding: message, as: UTF8.self))")
    }
  }

  private func nextFrame() -> (opcode: UInt8, payload: ByteBuffer)? {
    var rest = buffer
    guard let first = rest.readInteger(as: UInt8.self), let second = rest.readInteger(as: UInt8.self) else { return nil }
    var length = Int(second)
    if second == 126 {
      guard let long = rest.readInteger(as: UInt16.self) else { return nil }
      length = Int(long)
    } else if second == 127 {
      guard let long = rest.readInteger(as: UInt64.self) else { return nil }
      length = Int(long)
    }
    guard let payload = rest.readSlice(length: length) else { return nil }
    buffer = rest
    return (first & 0x0f, payload)
  }

  /// Writes a masked frame.
  ///
  /// The key is zero, so the bytes are unchanged; the node unmasks them nevertheless.
  private func send(_ context: ChannelHandlerContext, _ payload: ByteBuffer, opcode: UInt8 = 1) {
    var frame = context.channel.allocator.buffer(capacity: payload.readableBytes + 8)
    frame.writeInteger(0x80 | opcode)
    if payload.readableBytes < 126 {
      frame.writeInteger(0x80 | UInt8(payload.readableBytes))
    } else {
      frame.writeInteger(UInt8(0x80 | 126))
      frame.writeInteger(UInt16(payload.readableBytes))
    }
    frame.writeInteger(UInt32(0))
    frame.writeImmutableBuffer(payload)
    context.write(wrapOutboundOut(frame), promise: nil)
  }
}
