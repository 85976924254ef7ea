/// The status of an agent.
public enum AgentStatus: String, Sendable, Hashable, Codable, CaseIterable {
  /// Connected, with capacity for tasks.
  case idle
  /// Connected, without capacity for tasks.
  case busy
  /// Connected, finishing its tasks without accepting new ones.
  case draining
  /// Not connected; its tasks wait for `agents.resumeGrace` for it to reconnect.
  case disconnected
}

/// The API's document of an agent.
public struct AgentDocument: Sendable, Hashable, Codable {
  /// The agent's id.
  public var id: String
  /// The member `name` of the agent's metadata; nil without one.
  public var name: String?
  /// The agent's status.
  public var status: AgentStatus
  /// The agent's capabilities.
  public var capabilities: [String]
  /// The node that holds the agent's connection, or held the last one.
  public var nodeId: String
  /// The time of the agent's last registration.
  public var connectedAt: Timestamp
  /// The time of the last frame from the agent; nil if the answering node does not know it.
  public var lastHeartbeat: Timestamp?
  /// The number of the agent's present tasks.
  public var activeTasks: Int
  /// The number of tasks that the agent has completed, as far as the answering node knows.
  public var tasksCompleted: Int
  /// The largest number of concurrent tasks.
  public var maxConcurrentTasks: Int
  /// The metadata that the agent registered with.
  public var metadata: JSONValue?

  package init(
    id: String, name: String?, status: AgentStatus, capabilities: [String], nodeId: String, connectedAt: Timestamp,
    lastHeartbeat: Timestamp?, activeTasks: Int, tasksCompleted: Int, maxConcurrentTasks: Int, metadata: JSONValue?
  ) {
    self.id = id
    self.name = name
    self.status = status
    self.capabilities = capabilities
    self.nodeId = nodeId
    self.connectedAt = connectedAt
    self.lastHeartbeat = lastHeartbeat
    self.activeTasks = activeTasks
    self.tasksCompleted = tasksCompleted
    self.maxConcurrentTasks = maxConcurrentTasks
    self.metadata = metadata
  }
}

/// The agents that match a query, or a page of them; the counts cover all matching agents.
public struct AgentList: Sendable, Hashable, Codable {
  /// The agents of this page, ordered by id.
  public var agents: [AgentDocument]
  /// The number of matching agents.
  public var total: Int
  /// The number of matching agents that are connected.
  public var connected: Int
  /// The number of matching agents that are not connected.
  public var disconnected: Int
  /// The size of the page.
  public var limit: Int
  /// The number of matching agents before the page.
  public var offset: Int

  /// The size in bytes beyond which a page leaves out an agent's metadata; the agent's own document has it.
  package static let metadataLimit = 4_096

  package init(agents: [AgentDocument]) {
    self.agents = agents
    total = agents.count
    disconnected = agents.count { $0.status == .disconnected }
    connected = total - disconnected
    limit = total
    offset = 0
  }

  /// The page of at most `limit` agents from `offset` on.
  package func page(limit: Int, offset: Int) -> AgentList {
    var page = self
    page.limit = limit
    page.offset = offset
    page.agents = agents.dropFirst(offset).prefix(limit).map { agent in
      var agent = agent
      if let metadata = agent.metadata, metadata.approximateSize > Self.metadataLimit { agent.metadata = nil }
      return agent
    }
    return page
  }
}

/// The answer to `POST /api/agents/{id}/disconnect`.
public struct AgentDisconnected: Sendable, Hashable, Codable {
  /// The agent's id.
  public var id: String
  /// Whether the agent was connected, so that the node has closed the connection or asked the agent's node to.
  public var disconnected: Bool

  package init(id: String, disconnected: Bool) {
    self.id = id
    self.disconnected = disconnected
  }
}
