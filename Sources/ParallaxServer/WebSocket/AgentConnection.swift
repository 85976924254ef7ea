package import NIOCore

/// The messages of one agent connection: all methods are called on the connection's event loop, in order, never reentrantly.
package protocol AgentMessageHandler: AnyObject {
  /// The handshake is answered; messages can follow.
  func opened()

  /// One complete text message, valid UTF-8, not longer than the configured maximum.
  func received(_ message: ByteBuffer)

  /// One complete binary message, not longer than the configured maximum; only where binary messages are accepted.
  func receivedBinary(_ message: ByteBuffer)

  /// Called about once a second while the connection is open, so that detecting silence needs no timer per connection.
  ///
  /// `silence` is the time since the last byte arrived, of any frame: a pong or a part of a long message counts too.
  func tick(at now: NIODeadline, silence: TimeAmount)

  /// The agent has answered a numbered ping, and so has read all messages that were sent before the ping.
  func answered(_ ping: UInt64)

  /// The agent has read on: every message that waited in the outbox is on its way.
  func drained()

  /// The connection is about to end, because a message is too large or not valid UTF-8; `beginning` has its first bytes, at most 4 KiB.
  func refused(_ beginning: ByteBuffer)

  /// The connection has ended; called exactly once for every accepted agent, after all other calls.
  func closed(_ reason: AgentCloseReason)
}

extension AgentMessageHandler {
  /// The agent protocol has no binary messages.
  package func receivedBinary(_ message: ByteBuffer) {}
}

/// A handle of an agent's connection for any thread; its methods do nothing after the connection has ended.
package protocol AgentConnection: AnyObject, Sendable {
  /// Unique in this process and sortable by time; also the value of `X-Connection-Id`.
  var id: String { get }

  /// The peer's address without the port; nil if the peer has none.
  var remoteAddress: String? { get }

  var eventLoop: any EventLoop { get }

  /// Sends one text message, which must be valid UTF-8.
  ///
  /// Messages are sent in the order of the calls, and messages of one burst are written together. An agent that does not read is
  /// disconnected by the message that finds ``ConnectionLimits/agentBacklog`` unsent bytes before it (``AgentCloseReason/slowReader``).
  ///
  /// - Returns: Whether the message waits to be sent; false once the connection closes.
  @discardableResult
  func send(_ text: ByteBuffer) -> Bool

  /// The unsent bytes, of messages that wait in the outbox; ``AgentMessageHandler/drained()`` follows once there are none.
  ///
  /// After the end of the connection, the bytes of the messages that were never written: those sent last.
  var unsentBytes: Int { get }

  /// Sends a ping, which every WebSocket library answers; sends none while the agent does not read.
  func ping()

  /// Sends a numbered ping behind all earlier messages; ``AgentMessageHandler/answered(_:)`` follows with the answer.
  ///
  /// While the agent does not read, a later number replaces one that waits.
  func ping(_ number: UInt64)

  /// Sends the waiting messages, then a Close frame, and ends the connection; ``AgentMessageHandler/closed(_:)`` follows.
  ///
  /// Later messages of the agent are dropped. A reason longer than the 123 bytes of a Close frame is cut.
  func close(code: WebSocketCloseCode, reason: String)
}

/// A close code of RFC 6455, section 7.4.
///
/// The later codes 1012 and 1013 are not sent: Qt, libwebsockets, faye-websocket and libsoup treat them as protocol errors.
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
  /// The agent sent a Close frame; the code is nil if the frame had none.
  case closedByAgent(code: WebSocketCloseCode?, reason: String)
  /// ``AgentConnection/close(code:reason:)`` was called.
  case closedByServer(code: WebSocketCloseCode, reason: String)
  /// The agent violated the WebSocket protocol or a limit; the server sent this code.
  case protocolViolation(code: WebSocketCloseCode, reason: String)
  /// The unsent messages of an agent that does not read exceeded the limit.
  case slowReader(bytesWaiting: Int)
  /// The connection ended without a Close frame.
  case connectionLost(String)
}
