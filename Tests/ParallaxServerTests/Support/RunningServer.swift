import AsyncHTTPClient
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import ParallaxAPI
import ParallaxConcurrency
import ServiceLifecycle

@testable import ParallaxServer

/// A server on a free loopback port during a test.
struct RunningServer {
  let port: Int
  private let services: ServiceGroup
  private let server: HTTPServer
  private let listener: ServerListener
  private let configuration: HTTPServer.Configuration

  /// Starts the server, passes it to the test, and stops it gracefully, also after a failure.
  static func with(
    controlPlane: FakeControlPlane = FakeControlPlane(), gateway: any AgentGateway = RecordingGateway.echo(),
    change: (inout HTTPServer.Configuration) -> Void = { _ in },
    probes: @escaping ProbeResponder = { probe, _ in
      ProbeAnswer(status: 200, contentType: "text/plain", body: ByteBuffer(string: probe.name))
    }, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, logger: Logger? = nil,
    isLeaving: @escaping @Sendable () -> Bool = { false },
    onStopAccepting: @escaping @Sendable () async -> Void = {},
    _ test: (RunningServer) async throws -> Void
  ) async throws {
    var configuration = HTTPServer.Configuration(port: 0)
    change(&configuration)
    let (bound, boundContinuation) = AsyncStream<Int>.makeStream()
    var quiet = Logger(label: "test")
    quiet.logLevel = .critical
    let logger = logger ?? quiet
    let clock = MonotonicClock(ContinuousClock())
    let listener = ServerListener(clock: clock)
    let server = HTTPServer(
      configuration: configuration, controlPlane: controlPlane, gateway: gateway,
      probes: probes, listener: listener, group: group,
      hooks: HTTPServer.Hooks(
        onBound: { address in boundContinuation.yield(address.port ?? 0) }, onStopAccepting: onStopAccepting,
        isLeaving: isLeaving),
      clock: clock, logger: logger)
    let services = ServiceGroup(configuration: ServiceGroupConfiguration(services: [server], logger: logger))
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        defer { boundContinuation.finish() }
        try await services.run()
      }
      var ports = bound.makeAsyncIterator()
      if let port = await ports.next() {
        do {
          try await test(
            RunningServer(
              port: port, services: services, server: server, listener: listener, configuration: configuration))
        } catch {
          await services.triggerGracefulShutdown()
          throw error
        }
      }
      await services.triggerGracefulShutdown()
      try await group.waitForAll()
    }
  }

  /// Applies other rules than those of the start.
  func update(_ change: (inout HTTPServer.Configuration) -> Void) {
    var configuration = configuration
    change(&configuration)
    server.update(configuration)
  }

  /// Stops the server as a node does.
  func stop() async {
    await listener.refuseConnections()
    await services.triggerGracefulShutdown()
  }

  /// Returns when a connection is refused.
  ///
  /// That can be a moment after the socket was closed: a child process that another test is just starting holds a copy of the socket until
  /// it has executed its program.
  func untilNothingIsAccepted() async {
    while true {
      do { try await connect { _ in } } catch { return }
    }
  }

  struct Answer {
    var status: Int
    var headers: [String: String]
    var text: String

    var error: ErrorDocument.Body? { try? JSON.decode(ErrorDocument.self, from: text).error }
  }

  func send(_ method: String = "GET", _ path: String, headers: [(String, String)] = [], body: String? = nil) async throws -> Answer {
    var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)\(path)")
    request.method = .RAW(value: method)
    for (name, value) in headers { request.headers.add(name: name, value: value) }
    if let body { request.body = .bytes(ByteBuffer(string: body)) }
    let response = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
    let text = String(buffer: try await response.body.collect(upTo: 1 << 20))
    return Answer(
      status: Int(response.status.code),
      headers: Dictionary(response.headers.map { ($0.name.lowercased(), $0.value) }) { first, _ in first }, text: text)
  }

  /// A TCP connection, for input that no correct client would send; over TLS if the context is given.
  func connect<Result>(tls: NIOSSLContext? = nil, _ body: (RawConnection) async throws -> Result) async throws -> Result {
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .connect(host: "127.0.0.1", port: port) { channel in
        channel.eventLoop.makeCompletedFuture {
          if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: tls, serverHostname: nil)) }
          return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
            wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        }
      }
    return try await channel.executeThenClose { inbound, outbound in
      try await body(RawConnection(inbound: inbound.makeAsyncIterator(), outbound: outbound))
    }
  }
}

/// A connection to a server, byte by byte.
final class RawConnection {
  private var inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
  private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
  private var received = ByteBuffer()

  init(inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator, outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>) {
    self.inbound = inbound
    self.outbound = outbound
  }

  func send(_ text: String) async throws {
    try await outbound.write(ByteBuffer(string: text))
  }

  func send(_ bytes: [UInt8]) async throws {
    try await outbound.write(ByteBuffer(bytes: bytes))
  }

  func finish() {
    outbound.finish()
  }

  /// One response: its head and a body of the declared length.
  func response() async throws -> String {
    while true {
      if let end = received.readableBytesView.firstRange(of: Array("\r\n\r\n".utf8))?.upperBound {
        let head = received.getString(at: received.readerIndex, length: end - received.readerIndex) ?? ""
        let length =
          head.lowercased().split(separator: "content-length: ").dropFirst().first.flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
        let total = end - received.readerIndex + length
        if received.readableBytes >= total { return received.readString(length: total) ?? "" }
      }
      guard try await receive() else { return rest() }
    }
  }

  func frame() async throws -> ServerFrame? {
    while true {
      if let frame = ServerFrame.read(from: &received) { return frame }
      guard try await receive() else { return nil }
    }
  }

  /// Reads until this text has arrived, or the connection has ended; what was read stays.
  func until(_ text: String) async throws {
    while received.readableBytesView.firstRange(of: Array(text.utf8)) == nil, try await receive() {}
  }

  /// All bytes until the server ends the connection.
  func untilEnd() async throws -> String {
    while try await receive() {}
    return rest()
  }

  private func rest() -> String {
    received.readString(length: received.readableBytes) ?? ""
  }

  private func receive() async throws -> Bool {
    guard let buffer = try await inbound.next() else { return false }
    received.discardReadBytes()
    received.writeImmutableBuffer(buffer)
    return true
  }
}

extension Probe {
  /// The answers of test servers.
  var name: String {
    switch self {
    case .health(let probe): "\(probe)"
    case .metrics: "metrics"
    }
  }
}
