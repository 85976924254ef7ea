package import NIOCore
package import ParallaxAPI

/// Decides which agents may connect, and takes their messages.
package protocol AgentGateway: Sendable {
  /// Accepts or refuses an agent before its connection becomes a WebSocket.
  ///
  /// Called on the connection's event loop, so it must not block. Nothing may be sent on `connection` before
  /// ``AgentMessageHandler/opened()`` is called; what is sent earlier is kept and goes out behind the handshake.
  /// - Returns: the handler of this connection's messages, or why the agent is refused, answered with the usual error document.
  func accept(_ handshake: AgentHandshake, on connection: any AgentConnection) -> Result<any AgentMessageHandler, APIError>
}

/// One agent connection's messages, confined to the connection's event loop: every method is called there, in order, never reentrantly.
package protocol AgentMessageHandler: AnyObject {
  /// The handshake has been answered; messages can follow.
  func opened()

  /// One complete text message, valid UTF-8, not longer than the configured maximum.
  func received(_ message: ByteBuffer)

  /// Called about once a second while the connection is open, to watch for silence without a timer per connection.
  ///
  /// `silence` is how long no byte has arrived: any frame is a sign of life, a pong and a part of a long message too.
  func tick(at now: NIODeadline, silence: TimeAmount)

  /// The connection delivers nothing any more; called exactly once for every accepted agent, last of all.
  func closed(_ reason: AgentCloseReason)
}

/// A live connection to an agent: a handle that any thread may use and keep; after the connection has gone it does nothing.
package protocol AgentConnection: AnyObject, Sendable {
  /// Unique in this process and sortable by time; also the value of `X-Connection-Id`.
  var id: String { get }

  /// The peer's address, without the port, or nil for peers that have none.
  var remoteAddress: String? { get }

  var eventLoop: any EventLoop { get }

  /// Sends one text message, which must be valid UTF-8.
  ///
  /// Messages go out in the order of the calls. Those sent in one burst are written together. An agent that does not read is disconnected
  /// when more than the configured bound waits for it (``AgentCloseReason/slowReader``).
  func send(_ text: ByteBuffer)

  /// Sends a ping, which every WebSocket library answers by itself; none while the agent does not read.
  func ping()

  /// Sends what was sent before, then a Close frame, and ends the connection; ``AgentMessageHandler/closed(_:)`` follows.
  ///
  /// Messages that arrive afterwards are dropped. A reason longer than a Close frame can carry (123 bytes) is cut.
  func close(code: WebSocketCloseCode, reason: String)
}

/// What an agent said of itself in the request that opened the WebSocket.
package struct AgentHandshake: Sendable {
  package var connectionID: String
  /// The path with its query, as sent.
  package var uri: String
  /// `X-Agent-Id`.
  package var agentID: String?
  /// The comma-separated names of `X-Agent-Capabilities`, trimmed, without empty ones.
  package var capabilities: [String]
  package var remoteAddress: String?
  package var requestID: String

  package init(
    connectionID: String, uri: String, agentID: String? = nil, capabilities: [String] = [],
    remoteAddress: String? = nil, requestID: String
  ) {
    self.connectionID = connectionID
    self.uri = uri
    self.agentID = agentID
    self.capabilities = capabilities
    self.remoteAddress = remoteAddress
    self.requestID = requestID
  }
}

/// A close code of RFC 6455, section 7.4.
///
/// 1012 and 1013, which were registered later, are not sent: Qt, libwebsockets, faye-websocket and libsoup take them for protocol errors.
package struct WebSocketCloseCode: RawRepresentable, Hashable, Sendable {
  package let rawValue: UInt16

  package init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  package static let normal = WebSocketCloseCode(rawValue: 1000)
  package static let goingAway = WebSocketCloseCode(rawValue: 1001)
  package static let protocolError = WebSocketCloseCode(rawValue: 1002)
  package static let unsupportedData = WebSocketCloseCode(rawValue: 1003)
  package static let invalidPayload = WebSocketCloseCode(rawValue: 1007)
  package static let policyViolation = WebSocketCloseCode(rawValue: 1008)
  package static let messageTooBig = WebSocketCloseCode(rawValue: 1009)
  package static let internalError = WebSocketCloseCode(rawValue: 1011)
}

/// Why an agent connection ended.
package enum AgentCloseReason: Hashable, Sendable {
  /// The agent sent a Close frame; the code is nil when it gave none.
  case closedByAgent(code: WebSocketCloseCode?, reason: String)
  /// ``AgentConnection/close(code:reason:)`` was called.
  case closedByServer(code: WebSocketCloseCode, reason: String)
  /// The agent broke the WebSocket protocol or a limit and was told so with this code.
  case protocolViolation(code: WebSocketCloseCode, reason: String)
  /// More than the bound was waiting for an agent that does not read.
  case slowReader(bytesWaiting: Int)
  /// The connection went away without a Close frame.
  case connectionLost(String)
}
