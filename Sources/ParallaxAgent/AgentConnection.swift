import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket
import ParallaxAPI

/// An open WebSocket to a node.
struct AgentConnection: Sendable {
  /// What comes from a connection; `closed` is the last one.
  enum Input: Sendable {
    case text([UInt8])
    case closed(code: Int?, reason: String)
  }

  /// The reason that a node cannot be reached or does not take the agent.
  struct Refusal: Error, Sendable, Hashable {
    let reason: String
    let retryAfter: Duration?
  }

  /// A connection whose handshake is under way.
  private struct Dialed: Sendable {
    let channel: any Channel
    let handshake: EventLoopFuture<Handshake>
  }

  private enum Handshake: Sendable {
    case open(NIOAsyncChannel<WebSocketFrame, WebSocketFrame>)
    case refused(NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>)
  }

  static let connectTimeout: TimeAmount = .seconds(5)
  static let handshakeTimeout: TimeAmount = .seconds(10)
  /// The largest text of a refusal that is read.
  private static let largestRefusal = 64 << 10

  private let channel: any Channel

  /// Connects, upgrades to a WebSocket, and runs the body with the connection; `inputs` takes what the node sends, in order.
  ///
  /// - Parameters:
  ///   - endpoint: The node.
  ///   - headers: The headers of the handshake.
  ///   - tls: The settings for an endpoint with TLS.
  ///   - maxMessageSize: The bytes of the largest accepted message.
  ///   - opened: Called once the connection is open, ahead of the first input.
  ///   - input: Takes what comes, and the end.
  /// - Throws: ``Refusal`` if the connection cannot be opened.
  static func run(
    _ endpoint: AgentEndpoint, headers: HTTPHeaders, tls: AgentConfiguration.TLS, maxMessageSize: Int,
    opened: (AgentConnection) -> Void, input: (Input) -> Void
  ) async throws(Refusal) {
    let handshake: Handshake
    do {
      handshake = try await open(endpoint, headers: headers, tls: tls, maxMessageSize: maxMessageSize)
    } catch {
      throw Refusal(reason: "\(endpoint.authority): \(reason(error))", retryAfter: nil)
    }
    switch handshake {
    case .refused(let channel): throw await refusal(channel, from: endpoint)
    case .open(let channel):
      let end = await read(channel, opened: opened, input: input)
      input(end)
    }
  }

  /// Sends a message as one text frame.
  func send(_ text: [UInt8]) {
    write(WebSocketFrame(fin: true, opcode: .text, maskKey: .random(), data: channel.allocator.buffer(bytes: text)))
  }

  /// Sends a close frame, and ends the connection when the node has answered it, or after a second.
  func close(code: Int) {
    var data = channel.allocator.buffer(capacity: 2)
    data.write(webSocketErrorCode: WebSocketErrorCode(codeNumber: code))
    write(WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: .random(), data: data))
    let channel = channel
    channel.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
  }

  private func write(_ frame: WebSocketFrame) {
    channel.writeAndFlush(frame, promise: nil)
  }

  // MARK: Opening

  private static func open(
    _ endpoint: AgentEndpoint, headers: HTTPHeaders, tls: AgentConfiguration.TLS, maxMessageSize: Int
  ) async throws -> Handshake {
    let context = try endpoint.isTLS ? tls.context() : nil
    let dialed: Dialed = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .connectTimeout(connectTimeout)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .connect(host: endpoint.host, port: endpoint.port) { channel in
        channel.eventLoop.makeCompletedFuture {
          if let context {
            let isName = (try? SocketAddress(ipAddress: endpoint.host, port: 0)) == nil
            try channel.pipeline.syncOperations.addHandler(
              NIOSSLClientHandler(context: context, serverHostname: isName ? endpoint.host : nil))
          }
          return Dialed(channel: channel, handshake: try configure(channel, endpoint, headers, maxMessageSize: maxMessageSize))
        }
      }
    let limit = dialed.channel.eventLoop.scheduleTask(in: handshakeTimeout) { dialed.channel.close(promise: nil) }
    defer { limit.cancel() }
    let deadline = NIODeadline.now() + handshakeTimeout
    do {
      return try await withTaskCancellationHandler {
        try await dialed.handshake.get()
      } onCancel: {
        dialed.channel.close(promise: nil)
      }
    } catch  where NIODeadline.now() >= deadline {
      throw Refusal(reason: "no answer to the handshake within \(handshakeTimeout.nanoseconds / 1_000_000_000) s", retryAfter: nil)
    }
  }

  private static func configure(
    _ channel: any Channel, _ endpoint: AgentEndpoint, _ headers: HTTPHeaders, maxMessageSize: Int
  ) throws -> EventLoopFuture<Handshake> {
    let upgrader = NIOTypedWebSocketClientUpgrader<Handshake>(
      maxFrameSize: maxMessageSize,
      upgradePipelineHandler: { channel, _ in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(
            NIOWebSocketFrameAggregator(
              minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: 1 << 16, maxAccumulatedFrameSize: maxMessageSize))
          return .open(try NIOAsyncChannel(wrappingChannelSynchronously: channel))
        }
      })
    var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: endpoint.target, headers: headers)
    head.headers.replaceOrAdd(name: "Host", value: endpoint.authority)
    let configuration = NIOTypedHTTPClientUpgradeConfiguration<Handshake>(
      upgradeRequestHead: head, upgraders: [upgrader],
      notUpgradingCompletionHandler: { channel in
        channel.eventLoop.makeCompletedFuture { .refused(try NIOAsyncChannel(wrappingChannelSynchronously: channel)) }
      })
    return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
      configuration: NIOUpgradableHTTPClientPipelineConfiguration(upgradeConfiguration: configuration))
  }

  private static func refusal(
    _ channel: NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>, from endpoint: AgentEndpoint
  ) async -> Refusal {
    // A proxy may begin an answer and never end it.
    let raw = channel.channel
    let limit = raw.eventLoop.scheduleTask(in: handshakeTimeout) { raw.close(promise: nil) }
    defer { limit.cancel() }
    var status = 0
    var retryAfter: Duration?
    var body = ByteBuffer()
    let complete = try? await channel.executeThenClose { inbound, _ in
      for try await part in inbound {
        switch part {
        case .head(let head):
          status = Int(head.status.code)
          retryAfter = head.headers.first(name: "retry-after").flatMap { Int($0) }.map { .seconds(max(0, min($0, 3_600))) }
        case .body(var piece):
          body.writeBuffer(&piece)
          if body.readableBytes > largestRefusal { return false }
        case .end: return true
        }
      }
      return false
    }
    guard status != 0 else { return Refusal(reason: "\(endpoint.authority) is no server of WebSockets", retryAfter: nil) }
    let document = complete == true ? try? JSON.decode(ErrorDocument.self, from: body.readableBytesView) : nil
    let words = document.map { ": \($0.error.message) (\($0.error.code))" } ?? ""
    return Refusal(reason: "\(endpoint.authority) answered the handshake with \(status)\(words)", retryAfter: retryAfter)
  }

  // MARK: Reading

  private static func read(
    _ channel: NIOAsyncChannel<WebSocketFrame, WebSocketFrame>, opened: (AgentConnection) -> Void, input: (Input) -> Void
  ) async -> Input {
    let connection = AgentConnection(channel: channel.channel)
    do {
      return try await channel.executeThenClose { inbound, _ in
        opened(connection)
        for try await frame in inbound {
          switch frame.opcode {
          case .text: input(.text(Array(frame.unmaskedData.readableBytesView)))
          case .ping:
            connection.write(WebSocketFrame(fin: true, opcode: .pong, maskKey: .random(), data: frame.unmaskedData))
          case .connectionClose:
            var data = frame.unmaskedData
            let code = data.readInteger(as: UInt16.self).map(Int.init)
            let reason = String(buffer: data)
            // The echo of the close frame; the server ends the connection behind it.
            var echo = connection.channel.allocator.buffer(capacity: 2)
            if let code { echo.writeInteger(UInt16(code)) }
            let answer = WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: .random(), data: echo)
            try? await connection.channel.writeAndFlush(answer).get()
            return .closed(code: code, reason: reason.isEmpty ? "closed with code \(code.map(String.init) ?? "none")" : reason)
          case .pong: break
          default:
            // The protocol has text only.
            connection.close(code: 1_003)
          }
        }
        return .closed(code: nil, reason: "the connection has ended")
      }
    } catch {
      return .closed(code: nil, reason: "the connection broke: \(reason(error))")
    }
  }

  private static func reason(_ error: any Error) -> String {
    switch error {
    case let error as Refusal: error.reason
    case let error as NIOConnectionError:
      error.connectionErrors.first.map { reason($0.error) } ?? error.dnsAError.map { _ in "unknown host" } ?? "no connection"
    case let error as IOError: String(cString: strerror(error.errnoCode)).lowercased()
    case is CancellationError: "cancelled"
    default: "\(error)"
    }
  }
}

extension AgentConfiguration.TLS {
  fileprivate func context() throws -> NIOSSLContext {
    var settings = TLSConfiguration.makeClientConfiguration()
    if let authorities { settings.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authorities)) }
    if let certificate, let privateKey {
      settings.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) }
      settings.privateKey = .privateKey(try NIOSSLPrivateKey(file: privateKey, format: .pem))
    }
    return try NIOSSLContext(configuration: settings)
  }
}
