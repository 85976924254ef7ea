import NIOCore
import NIOPosix
import Synchronization

/// A TCP proxy to a real server that can insert bytes into the server's output, and pass its replies on byte by byte.
final class MeddlingProxy: Sendable {
  private let channel: any Channel
  private let meddler: Meddler

  /// The port for clients.
  var port: Int { channel.localAddress?.port ?? 0 }

  private init(to port: Int) async throws {
    let meddler = Meddler()
    self.meddler = meddler
    channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelOption(.autoRead, value: false)
      .childChannelInitializer { client in
        meddler.add(client)
        return ClientBootstrap(group: client.eventLoop)
          .channelInitializer { server in
            server.eventLoop.makeCompletedFuture {
              try server.pipeline.syncOperations.addHandler(Passage(to: client, meddler: meddler))
            }
          }
          .connect(host: "127.0.0.1", port: port)
          .flatMapThrowing { server in
            try client.pipeline.syncOperations.addHandler(Passage(to: server, meddler: nil))
            client.setOption(.autoRead, value: true).whenFailure { _ in client.close(promise: nil) }
          }
      }
      .bind(host: "127.0.0.1", port: 0).get()
  }

  /// Starts a proxy to a port of this machine, passes it to the body, and stops it, also after a failure.
  static func with<Value>(to port: Int, _ body: (MeddlingProxy) async throws -> Value) async throws -> Value {
    let proxy = try await MeddlingProxy(to: port)
    do {
      let value = try await body(proxy)
      try? await proxy.channel.close()
      return value
    } catch {
      try? await proxy.channel.close()
      throw error
    }
  }

  /// Sends bytes to all clients as if the server had sent them.
  func inject(_ text: String) {
    for client in meddler.clients { client.writeAndFlush(ByteBuffer(string: text), promise: nil) }
  }

  /// Passes the server's replies on byte by byte from now on.
  ///
  /// - Parameter count: The number of bytes after which the proxy holds the rest, until ``passAll()``.
  func trickle(upTo count: Int = .max) { meddler.setAllowance(count) }

  /// Passes the server's replies on unchanged.
  func passAll() { meddler.setAllowance(nil) }
}

private final class Meddler: Sendable {
  private let state = Mutex<(clients: [any Channel], allowance: Int?)>(([], nil))

  var clients: [any Channel] { state.withLock { $0.clients } }
  func add(_ client: any Channel) { state.withLock { $0.clients.append(client) } }

  /// The number of bytes that may pass one by one; nil for no limit.
  var allowance: Int? { state.withLock { $0.allowance } }
  func setAllowance(_ count: Int?) { state.withLock { $0.allowance = count } }
  func countByte() { state.withLock { $0.allowance = $0.allowance.map { $0 - 1 } } }
}

/// Passes its input on to another channel.
private final class Passage: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let target: any Channel
  private let meddler: Meddler?
  private var waiting = ByteBuffer()
  private var isTrickling = false

  init(to target: any Channel, meddler: Meddler?) {
    self.target = target
    self.meddler = meddler
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var bytes = unwrapInboundIn(data)
    waiting.writeBuffer(&bytes)
    if !isTrickling { passOn(context.eventLoop) }
  }

  private func passOn(_ eventLoop: any EventLoop) {
    let allowance = meddler?.allowance
    isTrickling = allowance != nil && waiting.readableBytes > 0
    if isTrickling {
      if allowance != 0, let byte = waiting.readSlice(length: 1) {
        meddler?.countByte()
        target.writeAndFlush(byte, promise: nil)
      }
      eventLoop.assumeIsolated().scheduleTask(in: allowance == 0 ? .milliseconds(5) : .zero) { self.passOn(eventLoop) }
    } else if waiting.readableBytes > 0 {
      target.writeAndFlush(waiting, promise: nil)
      waiting = ByteBuffer()
    }
  }

  func channelInactive(context: ChannelHandlerContext) { target.close(promise: nil) }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
