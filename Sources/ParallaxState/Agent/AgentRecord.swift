package import ParallaxAPI
package import ParallaxHA

/// An agent's registration at a node session, as the store keeps it.
package struct AgentRecord: Sendable, Hashable {
  package var id: String
  package var name: String?
  package var capabilities: [String]
  package var maxConcurrentTasks: Int
  package var metadata: JSONValue?
  /// The node session that holds the agent's connection, or held it last.
  package var session: NodeSession
  /// Raised by every registration: what an earlier registration's node still wants to change is refused.
  package var epoch: Int64
  package var connectedAt: Timestamp
  /// False once the connection is gone and the agent has not come back.
  package var isConnected: Bool
  /// The tasks that the agent said, when it registered, that it still had; nil: it could not tell.
  package var activeTasks: [String]?

  package init(
    id: String, name: String? = nil, capabilities: [String], maxConcurrentTasks: Int = 1, metadata: JSONValue? = nil,
    session: NodeSession, epoch: Int64 = 0, connectedAt: Timestamp, isConnected: Bool = true, activeTasks: [String]? = nil
  ) {
    self.id = id
    self.name = name
    self.capabilities = capabilities
    self.maxConcurrentTasks = maxConcurrentTasks
    self.metadata = metadata
    self.session = session
    self.epoch = epoch
    self.connectedAt = connectedAt
    self.isConnected = isConnected
    self.activeTasks = activeTasks
  }
}
