/// What an agent says of itself, and what the API shows of it.
public enum AgentStatus: String, Sendable, Hashable, Codable, CaseIterable {
  /// Connected and with room for tasks.
  case idle
  /// Connected and at its limit, or said to be busy.
  case busy
  /// Finishes what it has and takes nothing new.
  case draining
  /// Its connection is gone; its tasks wait for it for `agents.resumeGrace`.
  case disconnected
}

/// An agent as the API shows it.
public struct AgentDocument: Sendable, Hashable, Codable {
  /// The agent's id.
  public var id: String
  /// The name that the agent gave in its metadata; nil without one.
  public var name: String?
  /// What the agent does now.
  public var status: AgentStatus
  /// What the agent can do.
  public var capabilities: [String]
  /// The node that holds the agent's connection, or held it last.
  public var nodeId: String
  /// When the agent registered last.
  public var connectedAt: Timestamp
  /// When the node last received a frame of the agent; nil when the answering node does not know.
  public var lastHeartbeat: Timestamp?
  /// How many tasks the agent has.
  public var activeTasks: Int
  /// How many tasks the agent has completed, as far as the answering node knows.
  public var tasksCompleted: Int
  /// How many tasks the agent takes at once.
  public var maxConcurrentTasks: Int
  /// What the agent said of itself when it registered.
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

/// The agents that match a query, or a page of them; the counts are of all.
public struct AgentList: Sendable, Hashable, Codable {
  /// The agents of this page, by their ids.
  public var agents: [AgentDocument]
  /// How many agents match.
  public var total: Int
  /// How many of those are connected.
  public var connected: Int
  /// How many of those are not connected.
  public var disconnected: Int
  /// How many agents the page can have.
  public var limit: Int
  /// How many agents come before the page.
  public var offset: Int

  /// Metadata greater than this, in bytes, is left out of a page; the agent's own document has it.
  package static let metadataLimit = 4_096

  package init(agents: [AgentDocument]) {
    self.agents = agents
    total = agents.count
    disconnected = agents.count { $0.status == .disconnected }
    connected = total - disconnected
    limit = total
    offset = 0
  }

  /// At most `limit` agents from `offset` on.
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
  /// Whether the connection was ended, or its node was asked to end it; false when there was none.
  public var disconnected: Bool

  package init(id: String, disconnected: Bool) {
    self.id = id
    self.disconnected = disconnected
  }
}
