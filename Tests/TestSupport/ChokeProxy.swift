import NIOCore
import NIOPosix
import Synchronization

/// A TCP proxy that simulates a cut network: once silent, it passes no bytes in either direction, while all connections stay open.
///
/// The proxy becomes silent on request, or at a given word in the bytes of its clients. The word itself still passes: this stops a process
/// between two writes, the first of which arrives without an answer.
package final class ChokeProxy: Sendable {
  /// The port for clients.
  package let port: Int

  private let channel: any Channel
  private let choke: Choke

  /// Starts a proxy to a port of this machine, passes it to the body, and always stops it.
  package static func with<Result>(
    to port: Int, at word: String? = nil, _ body: (ChokeProxy) async throws -> Result
  ) async throws -> Result {
    let proxy = try await ChokeProxy(to: port, at: word)
    do {
      let result = try await body(proxy)
      try? await proxy.channel.close()
      return result
    } catch {
      try? await proxy.channel.close()
      throw error
    }
  }

  /// Whether the proxy is silent.
  package var isSilent: Bool { choke.isSilent }

  /// Makes the proxy silent.
  package func silence() { choke.setSilent(true) }

  /// Serves new connections again, and closes the silent ones, which have lost bytes.
  package func restore() {
    choke.setSilent(false)
    for connection in choke.takeConnections() { connection.close(promise: nil) }
  }

  private init(to port: Int, at word: String?) async throws {
    let choke = Choke(word: word.map { Array($0.utf8) })
    let group = MultiThreadedEventLoopGroup.singleton
    channel = try await ServerBootstrap(group: group)
      .childChannelOption(.autoRead, value: false)
      .childChannelInitializer { client in
        client.eventLoop.makeCompletedFuture {
          try client.pipeline.syncOperations.addHandler(ClientSide(target: port, choke: choke))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    guard let bound = channel.localAddress?.port else { throw ProcessFailure("the proxy has no port") }
    self.port = bound
    self.choke = choke
  }
}

/// Detects the word in the bytes of clients.
private final class Choke: Sendable {
  private struct State {
    var isSilent = false
    var connections: [any Channel] = []
  }

  private let word: [UInt8]?
  private let state = Mutex(State())

  init(word: [UInt8]?) {
    self.word = word
  }

  var isSilent: Bool { state.withLock { $0.isSilent } }

  func setSilent(_ isSilent: Bool) {
    state.withLock { $0.isSilent = isSilent }
  }

  func add(_ connection: any Channel) {
    state.withLock { $0.connections.append(connection) }
  }

  func takeConnections() -> [any Channel] {
    state.withLock { state in
      defer { state.connections = [] }
      return state.connections
    }
  }

  /// The part of the bytes that may pass; the word must be within one read, because clients write a command in one piece.
  func passing(_ bytes: ByteBuffer) -> ByteBuffer? {
    state.withLock { state in
      if state.isSilent { return nil }
      if let word, bytes.readableBytesView.firstRange(of: word) != nil { state.isSilent = true }
      return bytes
    }
  }
}

/// The client's side, which connects to the target and forwards the bytes that may pass.
private final class ClientSide: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let target: Int
  private let choke: Choke
  private var server: (any Channel)?

  init(target: Int, choke: Choke) {
    self.target = target
    self.choke = choke
  }

  func channelActive(context: ChannelHandlerContext) {
    let client = context.channel
    choke.add(client)
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    ClientBootstrap(group: context.eventLoop)
      .channelInitializer { [choke] server in
        server.eventLoop.makeCompletedFuture {
          try server.pipeline.syncOperations.addHandler(ServerSide(client: client, choke: choke))
        }
      }
      .connect(host: "127.0.0.1", port: target)
      .whenComplete { result in
        switch result {
        case .success(let server):
          bound.value.server = server
          client.setOption(.autoRead, value: true).whenFailure { _ in client.close(promise: nil) }
        case .failure: client.close(promise: nil)
        }
      }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if let bytes = choke.passing(Self.unwrapInboundIn(data)) { server?.writeAndFlush(bytes, promise: nil) }
  }

  func channelInactive(context: ChannelHandlerContext) {
    server?.close(promise: nil)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }
}

/// The server's side, which forwards answers until the proxy is silent.
private final class ServerSide: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let client: any Channel
  private let choke: Choke

  init(client: any Channel, choke: Choke) {
    self.client = client
    self.choke = choke
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if !choke.isSilent { client.writeAndFlush(Self.unwrapInboundIn(data), promise: nil) }
  }

  func channelInactive(context: ChannelHandlerContext) {
    client.close(promise: nil)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }
}
