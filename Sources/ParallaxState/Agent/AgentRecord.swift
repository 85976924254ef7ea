public import ParallaxAPI
public import ParallaxHA

/// A stored registration of an agent at a node session.
public struct AgentRecord: Sendable, Hashable {
  /// The agent's id.
  public var id: String
  /// The agent's display name; nil without one.
  public var name: String?
  /// The agent's capabilities.
  public var capabilities: [String]
  /// The largest number of concurrent tasks, at least 1.
  public var maxConcurrentTasks: Int
  /// The metadata that the agent registered with.
  public var metadata: JSONValue?
  /// The node session that holds the agent's connection, or held the last one.
  public var session: NodeSession
  /// The epoch, which every registration raises; the store refuses changes under an earlier one.
  public var epoch: Int64
  /// The time of the registration.
  public var connectedAt: Timestamp
  /// Whether the agent is connected; false from the end of its connection until it registers again.
  public var isConnected: Bool
  /// The ids of the unfinished tasks that the agent reported when it registered; nil if it reported none.
  public var activeTasks: [String]?

  /// Makes a registration; `epoch` is the greatest epoch of this agent that the node remembers, 0 for none.
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
