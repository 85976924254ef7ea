/// What an agent says of itself, and what the API shows of it.
package enum AgentStatus: String, Sendable, Hashable, Codable, CaseIterable {
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
package struct AgentDocument: Sendable, Hashable, Codable {
  package var id: String
  package var name: String?
  package var status: AgentStatus
  package var capabilities: [String]
  package var nodeId: String
  package var connectedAt: Timestamp
  package var lastHeartbeat: Timestamp?
  package var activeTasks: Int
  package var tasksCompleted: Int
  package var maxConcurrentTasks: Int
  package var metadata: JSONValue?

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

/// All agents that match a query.
package struct AgentList: Sendable, Hashable, Codable {
  package var agents: [AgentDocument]
  package var total: Int
  package var connected: Int
  package var disconnected: Int

  package init(agents: [AgentDocument]) {
    self.agents = agents
    total = agents.count
    disconnected = agents.count { $0.status == .disconnected }
    connected = total - disconnected
  }
}

/// The answer to `POST /api/agents/{id}/disconnect`.
package struct AgentDisconnected: Sendable, Hashable, Codable {
  package var id: String
  package var disconnected: Bool

  package init(id: String, disconnected: Bool) {
    self.id = id
    self.disconnected = disconnected
  }
}
