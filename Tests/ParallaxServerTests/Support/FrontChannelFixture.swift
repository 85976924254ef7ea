import Logging
import NIOCore
import NIOEmbedded
import ParallaxAPI

@testable import ParallaxServer

/// An in-memory connection with the codec and the front handler, as the server sets it up.
final class FrontChannelFixture {
  let channel = EmbeddedChannel()
  let gateway: RecordingGateway
  let negotiated: EventLoopFuture<FrontHandler.Negotiated>
  private(set) var output = ByteBuffer()

  init(
    gateway: RecordingGateway = .echo(), limits: ConnectionLimits = ConnectionLimits(), access: AccessGuard = AccessGuard(isLoopback: true),
    isBeyondLimit: Bool = false, isLeaving: Bool = false
  ) throws {
    self.gateway = gateway
    let context = FrontContext(
      limits: limits, access: access,
      probes: { probe, accept in
        ProbeAnswer(status: probe == .health(.ready) ? 503 : 200, contentType: accept ?? "text/plain", body: ByteBuffer(string: probe.name))
      },
      gateway: gateway, connections: ServerConnections(group: channel.embeddedEventLoop), isLeaving: { isLeaving },
      logger: Logger(label: "test"))
    let promise = channel.eventLoop.makePromise(of: FrontHandler.Negotiated.self)
    negotiated = promise.futureResult
    try FrontHandler.install(
      FrontHandler(shared: context, negotiation: promise, isBeyondLimit: isBeyondLimit), in: channel.pipeline.syncOperations)
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
  }

  deinit {
    _ = try? channel.finish(acceptAlreadyClosed: true)
  }

  func send(_ text: String) throws {
    try send(Array(text.utf8))
  }

  func send(_ bytes: [UInt8]) throws {
    try channel.writeInbound(ByteBuffer(bytes: bytes))
    channel.embeddedEventLoop.run()
    try collect()
  }

  func collect() throws {
    while var buffer = try channel.readOutbound(as: ByteBuffer.self) { output.writeBuffer(&buffer) }
  }

  /// All bytes written since the last call.
  func takeText() -> String {
    output.readString(length: output.readableBytes) ?? ""
  }

  /// Drops the written bytes up to the end of a response's head.
  func skipHead() {
    let bytes = output.readableBytesView
    let end = bytes.firstRange(of: Array("\r\n\r\n".utf8))?.upperBound ?? bytes.endIndex
    output.moveReaderIndex(to: end)
  }

  func takeFrames() -> [ServerFrame] {
    var frames: [ServerFrame] = []
    while let frame = ServerFrame.read(from: &output) { frames.append(frame) }
    return frames
  }

  static func get(_ path: String, headers: String = "") -> String {
    "GET \(path) HTTP/1.1\r\nHost: localhost:8080\r\n\(headers)\r\n"
  }

  static func handshake(path: String = "/ws/agent", headers: String = "") -> String {
    get(
      path,
      headers: "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + headers)
  }
}
