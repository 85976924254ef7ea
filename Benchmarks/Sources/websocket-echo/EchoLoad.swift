import BenchmarkSupport
import NIOCore
import NIOPosix
import Synchronization

/// Clients that keep messages of one size on their way, and count what comes back.
final class EchoLoad: Sendable {
  private let depth: Int
  /// A masked frame of a client, and the length of the frame that answers it.
  private let frame: ByteBuffer
  private let answerLength: Int
  private let count = Atomic<Int>(0)

  init(size: Int, depth: Int) {
    self.depth = depth
    var frame = ByteBuffer()
    frame.writeInteger(0x81 as UInt8)
    if size < 126 { frame.writeInteger(0x80 | UInt8(size)) } else { frame.writeMultipleIntegers(0x80 | 126 as UInt8, UInt16(size)) }
    let key: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
    frame.writeBytes(key)
    answerLength = frame.readableBytes - key.count + size
    frame.writeBytes((0..<size).map { UInt8(ascii: "e") ^ key[$0 % 4] })
    self.frame = frame
  }

  /// The messages that have come back to all clients.
  var echoed: Int { count.load(ordering: .relaxed) }

  func connect(to port: Int, group: any EventLoopGroup) async throws -> any Channel {
    let channel = try await ClientBootstrap(group: group)
      .channelOption(.socketOption(.tcp_nodelay), value: 1)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Client(load: self)) }
      }
      .connect(host: "127.0.0.1", port: port).get()
    return channel
  }

  private final class Client: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let load: EchoLoad
    private var head: ByteBuffer? = ByteBuffer()
    /// The bytes of the next answer that have arrived.
    private var received = 0

    init(load: EchoLoad) {
      self.load = load
    }

    func channelActive(context: ChannelHandlerContext) {
      let request =
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: request)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      var bytes = unwrapInboundIn(data)
      if head != nil {
        head?.writeBuffer(&bytes)
        guard let text = head.map({ String(buffer: $0) }), text.hasSuffix("\r\n\r\n") else { return }
        guard text.hasPrefix("HTTP/1.1 101 ") else { return context.close(promise: nil) }
        head = nil
        for _ in 0..<load.depth { context.write(wrapOutboundOut(load.frame), promise: nil) }
        return context.flush()
      }
      received += bytes.readableBytes
      let answers = received / load.answerLength
      received %= load.answerLength
      load.count.wrappingAdd(answers, ordering: .relaxed)
      for _ in 0..<answers { context.write(wrapOutboundOut(load.frame), promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
      context.flush()
    }
  }
}
