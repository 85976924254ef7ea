import NIOCore
import NIOPosix

/// Runs a server that answers all input like an HTTP server.
func withServerOfNonsense(_ body: (Int) async throws -> Void) async throws {
  let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
    .childChannelInitializer { channel in
      channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Nonsense()) }
    }
    .bind(host: "127.0.0.1", port: 0).get()
  do {
    try await body(server.localAddress?.port ?? 0)
    try await server.close()
  } catch {
    try await server.close()
    throw error
  }
}

private final class Nonsense: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 400 Bad Request\r\n\r\n")), promise: nil)
  }
}
