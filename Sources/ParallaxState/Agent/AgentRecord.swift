public import ParallaxAPI
public import ParallaxHA

/// An agent's registration at a node session, as the store keeps it.
public struct AgentRecord: Sendable, Hashable {
  /// The agent's id.
  public var id: String
  /// The name that it is shown under; nil without one.
  public var name: String?
  /// What it can do.
  public var capabilities: [String]
  /// How many tasks it takes at once; 1 or more.
  public var maxConcurrentTasks: Int
  /// What it says of itself.
  public var metadata: JSONValue?
  /// The node session that holds the agent's connection, or held it last.
  public var session: NodeSession
  /// Raised by every registration: what an earlier registration's node still wants to change is refused.
  public var epoch: Int64
  /// When it registered.
  public var connectedAt: Timestamp
  /// False once the connection is gone and the agent has not come back.
  public var isConnected: Bool
  /// The tasks that the agent said, when it registered, that it still had; nil: it could not tell.
  public var activeTasks: [String]?

  /// Makes a registration; `epoch` is the greatest that the node remembers of this agent, 0 for none.
  public init(
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
