/// What the executions of one node did in one interval, and how things stood at its end.
public struct ActivitySample: Sendable, Hashable, Codable {
  /// The end of the interval on the node's clock.
  public var at: Timestamp
  /// The executions of the node that completed in the interval.
  public var completed: Int
  /// The executions that failed in the interval.
  public var failed: Int
  /// The executions that timed out in the interval.
  public var timedOut: Int
  /// The executions that were cancelled in the interval.
  public var cancelled: Int
  /// The median time from creation to end of the completed executions, in milliseconds, within 7 %; nil if none completed.
  public var p50: Double?
  /// The 99th percentile of the same times; nil if none completed.
  public var p99: Double?
  /// The executions that agents work on.
  public var running: Int
  /// The executions and retries that wait for agents.
  public var waiting: Int
  /// The agents that are connected to the node.
  public var agents: Int

  package init(
    at: Timestamp, completed: Int = 0, failed: Int = 0, timedOut: Int = 0, cancelled: Int = 0, p50: Double? = nil, p99: Double? = nil,
    running: Int = 0, waiting: Int = 0, agents: Int = 0
  ) {
    self.at = at
    self.completed = completed
    self.failed = failed
    self.timedOut = timedOut
    self.cancelled = cancelled
    self.p50 = p50
    self.p99 = p99
    self.running = running
    self.waiting = waiting
    self.agents = agents
  }

  private enum CodingKeys: String, CodingKey {
    case at, completed, failed, timedOut, cancelled, p50, p99, running, waiting, agents
  }

  /// Encodes a missing percentile as `null`, not as a missing field.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(at, forKey: .at)
    try container.encode(completed, forKey: .completed)
    try container.encode(failed, forKey: .failed)
    try container.encode(timedOut, forKey: .timedOut)
    try container.encode(cancelled, forKey: .cancelled)
    try container.encode(p50, forKey: .p50)
    try container.encode(p99, forKey: .p99)
    try container.encode(running, forKey: .running)
    try container.encode(waiting, forKey: .waiting)
    try container.encode(agents, forKey: .agents)
  }
}

/// The body of `GET /api/activity`: the last quarter of an hour of every node, as far as the answering node has heard of it.
public struct ActivityDocument: Sendable, Hashable, Codable {
  /// The time between two samples of a node.
  public var interval: WireDuration
  /// The samples of each node by its id, oldest first, at most 180.
  public var nodes: [String: [ActivitySample]]

  package init(interval: Duration, nodes: [String: [ActivitySample]]) {
    self.interval = WireDuration(interval)
    self.nodes = nodes
  }
}

/// The reason that executions wait.
public enum QueueReason: String, Sendable, Hashable, Codable {
  /// Fewer agents with the capabilities are connected than an execution needs.
  case noAgent = "no_agent"
  /// The agents with the capabilities are connected, and have no free place.
  case allBusy = "all_busy"
}

/// The executions of a node that need the same capabilities.
public struct QueueDocument: Sendable, Hashable, Codable {
  /// The capabilities, sorted.
  public var capabilities: [String]
  /// The executions that wait for their first agents.
  public var waiting: Int
  /// The executions that agents work on.
  public var running: Int
  /// The creation of the oldest waiting execution; nil if none waits.
  public var oldestSince: Timestamp?
  /// The reason of the wait of the oldest one; nil if none waits.
  public var reason: QueueReason?
  /// The node that drives the executions.
  public var nodeId: String

  package init(
    capabilities: [String], waiting: Int, running: Int, oldestSince: Timestamp?, reason: QueueReason?, nodeId: String
  ) {
    self.capabilities = capabilities
    self.waiting = waiting
    self.running = running
    self.oldestSince = oldestSince
    self.reason = reason
    self.nodeId = nodeId
  }
}

/// The body of `GET /api/queues`: the executions that the answering node drives, by capabilities.
public struct QueueList: Sendable, Hashable, Codable {
  /// The queues, the longest first.
  public var queues: [QueueDocument]

  package init(queues: [QueueDocument]) {
    self.queues = queues
  }
}

/// The answer to a retry, with status 202.
public struct RetryAcceptance: Sendable, Hashable, Codable {
  /// The execution that was to be repeated.
  public var originalExecutionId: String
  /// The new execution, with the same definition of the pattern, input, priority, metadata and time-out, and without an idempotency key.
  public var newExecutionId: String
  /// The status of the new execution.
  public var status: ExecutionStatus

  package init(originalExecutionId: String, newExecutionId: String, status: ExecutionStatus) {
    self.originalExecutionId = originalExecutionId
    self.newExecutionId = newExecutionId
    self.status = status
  }
}

/// The body of `GET /ui/session`: who the caller is, and which node answers.
public struct SessionDocument: Sendable, Hashable, Codable {
  /// The caller, in words.
  public var identity: String
  /// What the caller may do; empty for a caller without valid credentials.
  public var scopes: [AccessScope]
  /// The id of the answering node.
  public var node: String
  /// The id of the node's cluster.
  public var cluster: String
  /// The version of the node.
  public var version: String
  /// Whether the node is a member of a cluster; false for a node alone.
  public var highAvailability: Bool

  package init(identity: String, scopes: [AccessScope], node: String, cluster: String, version: String, highAvailability: Bool) {
    self.identity = identity
    self.scopes = scopes
    self.node = node
    self.cluster = cluster
    self.version = version
    self.highAvailability = highAvailability
  }
}
