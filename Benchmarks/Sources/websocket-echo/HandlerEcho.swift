import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket

/// An echo server on the handler that serves the node's agents.
enum HandlerEcho {
  static let maxMessageSize = 17 << 20

  /// Serves until the process ends.
  static func serve(on port: Int, group: any EventLoopGroup) async throws {
    let connections = ServerConnections(group: group)
    let server = try await ServerBootstrap(group: group)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelOption(.backlog, value: 256)
      .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { channel in
        channel.pipeline.configureHTTPServerPipeline(
          withServerUpgrade: (upgraders: [EchoUpgrader(connections: connections)], completionHandler: { _ in }))
      }
      .bind(host: "127.0.0.1", port: port).get()
    announce(server)
    try await server.closeFuture.get()
  }

  static func announce(_ server: any Channel) {
    // Not by `print`, which keeps back what goes to a file.
    FileHandle.standardOutput.write(Data("listening on ws://127.0.0.1:\(server.localAddress?.port ?? 0)/\n".utf8))
  }
}

/// Turns a connection into a WebSocket with an echo.
private final class EchoUpgrader: HTTPServerProtocolUpgrader, Sendable {
  let supportedProtocol = "websocket"
  let requiredUpgradeHeaders: [String] = []

  private static let compressFrom = 1 << 10

  private let connections: ServerConnections
  /// Computes the headers of the answer.
  private let headers = NIOWebSocketServerUpgrader(
    shouldUpgrade: { channel, head in
      var headers = HTTPHeaders()
      if let agreed = PerMessageDeflate.accept(head.headers["sec-websocket-extensions"]) {
        headers.add(name: "Sec-WebSocket-Extensions", value: agreed.response)
      }
      return channel.eventLoop.makeSucceededFuture(headers)
    },
    upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })

  init(connections: ServerConnections) {
    self.connections = connections
  }

  func buildUpgradeResponse(
    channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
  ) -> EventLoopFuture<HTTPHeaders> {
    headers.buildUpgradeResponse(channel: channel, upgradeRequest: upgradeRequest, initialResponseHeaders: initialResponseHeaders)
  }

  func upgrade(context: ChannelHandlerContext, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<Void> {
    let agreed = PerMessageDeflate.accept(upgradeRequest.headers["sec-websocket-extensions"])
    let socket = WebSocketHandler(
      maxMessageSize: HandlerEcho.maxMessageSize, takesBinary: true,
      compression: agreed.map { WebSocketHandler.Compression(agreed: $0, threshold: Self.compressFrom) },
      registry: connections.on(context.eventLoop))
    let connection = WebSocketConnection(
      id: "echo", remoteAddress: nil, grant: "anybody", eventLoop: context.eventLoop, handler: socket,
      maxWaitingBytes: 4 * HandlerEcho.maxMessageSize)
    return context.eventLoop.makeCompletedFuture {
      try context.pipeline.syncOperations.addHandler(socket)
      socket.open(connection: connection, messages: Echo(connection: connection))
    }
  }
}

private final class Echo: AgentMessageHandler {
  private let connection: WebSocketConnection

  init(connection: WebSocketConnection) {
    self.connection = connection
  }

  func opened() {}
  func received(_ message: ByteBuffer) { connection.send(message) }
  func receivedBinary(_ message: ByteBuffer) { connection.sendBinary(message) }
  func tick(at now: NIODeadline, silence: TimeAmount) {}
  func answered(_ ping: UInt64) {}
  func drained() {}
  func refused(_ beginning: ByteBuffer) {}
  func closed(_ reason: AgentCloseReason) {}
}
