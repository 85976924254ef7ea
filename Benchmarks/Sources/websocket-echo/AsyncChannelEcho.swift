import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket

/// An echo server on NIOAsyncChannel, as SwiftNIO's example of a WebSocket server has it.
enum AsyncChannelEcho {
  private typealias Frame = NIOWebSocket.WebSocketFrame
  private typealias Connection = NIOAsyncChannel<Frame, Frame>

  /// Serves until the process ends.
  static func serve(on port: Int, group: any EventLoopGroup) async throws {
    let server = try await ServerBootstrap(group: group)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelOption(.backlog, value: 256)
      .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
      .bind(host: "127.0.0.1", port: port) { channel in
        channel.eventLoop.makeCompletedFuture {
          let upgrader = NIOTypedWebSocketServerUpgrader<Connection?>(
            maxFrameSize: HandlerEcho.maxMessageSize,
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture(HTTPHeaders()) },
            upgradePipelineHandler: { channel, _ in
              channel.eventLoop.makeCompletedFuture { try Connection(wrappingChannelSynchronously: channel) }
            })
          let configuration = NIOTypedHTTPServerUpgradeConfiguration<Connection?>(
            upgraders: [upgrader],
            notUpgradingCompletionHandler: { channel in
              channel.close(promise: nil)
              return channel.eventLoop.makeSucceededFuture(nil)
            })
          return try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(
            configuration: .init(upgradeConfiguration: configuration))
        }
      }
    HandlerEcho.announce(server.channel)
    try await withThrowingDiscardingTaskGroup { group in
      try await server.executeThenClose { clients in
        for try await client in clients {
          // A client's fault ends its own connection only.
          group.addTask { if let connection = try? await client.get() { try? await echo(connection) } }
        }
      }
    }
  }

  private static func echo(_ connection: Connection) async throws {
    try await connection.executeThenClose { inbound, outbound in
      for try await frame in inbound {
        switch frame.opcode {
        case .text, .binary, .continuation:
          try await outbound.write(Frame(fin: frame.fin, opcode: frame.opcode, data: frame.unmaskedData))
        case .ping: try await outbound.write(Frame(fin: true, opcode: .pong, data: frame.unmaskedData))
        case .connectionClose:
          try await outbound.write(Frame(fin: true, opcode: .connectionClose, data: frame.unmaskedData))
          return
        default: break
        }
      }
    }
  }
}
