import NIOCore
import NIOHTTP1
import NIOWebSocket
import ParallaxAPI
import ParallaxState

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension FrontHandler {
  /// Checks the handshake, asks the gateway, and upgrades the connection or refuses the request.
  func answerHandshake(_ head: HTTPRequestHead, _ grant: Grant, context: ChannelHandlerContext) {
    if let refusal = WebSocketHandshake.refusal(of: head) ?? refusal(of: grant) {
      refuse(refusal, head: head, context: context)
      return
    }
    let compression = shared.limits.agentCompression.flatMap { threshold in
      PerMessageDeflate.accept(head.headers["sec-websocket-extensions"]).map {
        WebSocketHandler.Compression(agreed: $0, threshold: threshold)
      }
    }
    let socket = WebSocketHandler(
      maxMessageSize: shared.limits.agentMessageSize, compression: compression, framesPerSecond: shared.limits.agentFramesPerSecond,
      registry: shared.connections.on(context.eventLoop), at: now)
    let connection = WebSocketConnection(
      id: Self.makeConnectionID(), remoteAddress: context.channel.remoteAddress?.ipAddress, grant: grant, eventLoop: context.eventLoop,
      handler: socket, maxWaitingBytes: shared.limits.agentBacklog)
    let handshake = handshake(head, connection: connection)
    switch shared.gateway.accept(handshake, on: connection) {
    case .failure(let error):
      connection.end()
      refuse(HTTPErrorResponse(error), head: head, context: context)
    case .success(let messages):
      var headers = HTTPHeaders([("X-Connection-Id", connection.id)])
      headers.add(name: RequestID.headerName, value: handshake.requestID)
      if let compression { headers.add(name: "Sec-WebSocket-Extensions", value: compression.agreed.response) }
      let response = shared.upgrader.buildUpgradeResponse(channel: context.channel, upgradeRequest: head, initialResponseHeaders: headers)
      // The future has succeeded already: the shared upgrader returns a completed one.
      response.assumeIsolated().whenSuccess { upgrade in
        headers.add(contentsOf: upgrade)
        do {
          try self.upgrade(to: socket, headers: headers, context: context)
          socket.open(connection: connection, messages: messages)
        } catch {
          connection.end()
          messages.closed(.connectionLost("the connection ended during the handshake: \(error)"))
          context.close(promise: nil)
        }
      }
    }
  }

  /// The refusal of a caller that a reload between the head and the end of the request has shut out; nil for others.
  private func refusal(of grant: Grant) -> HTTPErrorResponse? {
    shared.policy.access.stillGrants(.agent, to: grant) ? nil : .unauthorized(.withdrawn)
  }

  private func handshake(_ head: HTTPRequestHead, connection: WebSocketConnection) -> AgentHandshake {
    let capabilities = head.headers[canonicalForm: "x-agent-capabilities"].filter { !$0.isEmpty }.map { String($0) }
    return AgentHandshake(
      connectionID: connection.id, uri: head.uri, agentID: head.headers.first(name: "x-agent-id"), capabilities: capabilities,
      remoteAddress: connection.remoteAddress, requestID: RequestID.make(from: head.headers.first(name: RequestID.headerName)))
  }

  /// Replaces the HTTP codec by the WebSocket handler.
  ///
  /// On a first request the front handler is removed too. After earlier requests it stays, with the router's handlers behind it, until the
  /// channel closes and the router's task ends.
  private func upgrade(to socket: WebSocketHandler, headers: HTTPHeaders, context: ChannelHandlerContext) throws {
    machine.upgrade()
    stopTimer()
    var response = context.channel.allocator.buffer(capacity: 256)
    RawResponse.writeSwitchingProtocols(headers, to: &response)
    writeRaw(response)
    request.access?.status = 101
    request.access?.requestID = headers.first(name: RequestID.headerName)
    logAccess(isComplete: true)
    flushIfNeeded()
    let pipeline = context.pipeline.syncOperations
    try pipeline.addHandler(socket, position: .before(self))
    if let encoder { pipeline.removeHandler(context: encoder, promise: nil) }
    let decoder = try pipeline.context(handlerType: ByteToMessageHandler<HTTPRequestDecoder>.self)
    // The decoder is removed in a later tick and passes on the bytes that arrived behind the handshake.
    let socketBound = NIOLoopBound(socket, eventLoop: context.eventLoop)
    let gateBound = NIOLoopBound(gate, eventLoop: context.eventLoop)
    pipeline.removeHandler(context: decoder).whenComplete { _ in
      gateBound.value.release()
      socketBound.value.finishRead()
    }
    becameWebSocket()
    if !hasRouter { pipeline.removeHandler(context: context, promise: nil) }
  }

  /// Replaces the parser, which stops for good after a request for another protocol, when that request is answered in HTTP.
  func replaceDecoder(context: ChannelHandlerContext) {
    let pipeline = context.pipeline.syncOperations
    isParserChanging = true
    do {
      let old = try pipeline.context(handlerType: ByteToMessageHandler<HTTPRequestDecoder>.self)
      try pipeline.addHandler(shared.limits.makeDecoder(), position: .before(self))
      // The old decoder is removed in a later tick and passes its unparsed bytes to the new one.
      let front = NIOLoopBound(self, eventLoop: context.eventLoop)
      pipeline.removeHandler(context: old).whenComplete { _ in
        front.value.isParserChanging = false
        front.value.scheduleWaiting()
        front.value.finishRead()
      }
    } catch {
      context.close(promise: nil)
    }
  }

  private static func makeConnectionID() -> String {
    var generator = SystemRandomNumberGenerator()
    let now = Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))
    return SortableID.make(prefix: "conn", at: now, using: &generator)
  }
}

extension ConnectionLimits {
  func makeDecoder() -> ByteToMessageHandler<HTTPRequestDecoder> {
    var configuration = NIOHTTPDecoderLimitConfiguration()
    configuration.maxHeaderFieldSize = headerFieldSize
    configuration.maxHeaderListSize = headerListSize
    configuration.maxHeaderFieldCount = headerCount
    return ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: configuration))
  }
}
