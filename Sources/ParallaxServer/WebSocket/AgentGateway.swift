package import ParallaxAPI

/// Admits agents, and receives their messages.
package protocol AgentGateway: Sendable {
  /// Accepts or refuses an agent before its connection becomes a WebSocket.
  ///
  /// Called on the connection's event loop, so it must not block. Messages sent on `connection` before ``AgentMessageHandler/opened()`` are
  /// kept and follow the handshake.
  /// - Returns: the handler of this connection's messages, or the error document that refuses the agent.
  func accept(_ handshake: AgentHandshake, on connection: any AgentConnection) -> Result<any AgentMessageHandler, APIError>
}

/// The agent's details in the request that opened the WebSocket.
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
