/// A frame of the agent protocol: `{"type","id","timestamp","payload"}`.
package struct AgentFrame<Payload: Codable & Sendable>: Codable, Sendable {
  package var type: String
  /// The id, which the sender chooses and an answer repeats.
  package var id: String?
  package var timestamp: Timestamp?
  package var payload: Payload

  package init(type: String, id: String?, timestamp: Timestamp?, payload: Payload) {
    self.type = type
    self.id = id
    self.timestamp = timestamp
    self.payload = payload
  }
}

/// A message from an agent to the control plane.
public enum AgentMessage: Sendable, Hashable {
  /// Registers the agent with its capabilities.
  case register(Register)
  /// Reports the result of a task.
  case taskResult(TaskResult)
  /// Reports the failure of a task.
  case taskError(TaskError)
  /// Confirms that the agent has stopped a cancelled task.
  case taskCancelledAck(TaskCancelledAck)
  /// Shows that the agent is alive.
  case heartbeat(Heartbeat)
  /// Changes the agent's status, capabilities or limit.
  case statusUpdate(StatusUpdate)
  /// Announces that the agent leaves.
  case disconnect(Disconnect)

  /// The payload of `register`, which registers the agent with its capabilities.
  public struct Register: Codable, Sendable, Hashable {
    /// The agent's settings.
    public struct Config: Codable, Sendable, Hashable {
      /// The largest number of concurrent tasks, 1 to 10,000; nil is 1.
      public var maxConcurrentTasks: Int?
      /// The time that the agent gives a task; the node may choose another.
      public var taskTimeout: WireDuration?
      /// The largest message that the agent accepts, in bytes; nil if unknown.
      public var maxMessageSize: Int?

      /// Makes a configuration.
      ///
      /// - Parameters:
      ///   - maxConcurrentTasks: The largest number of concurrent tasks, 1 to 10,000; nil is 1.
      ///   - taskTimeout: The time that the agent gives a task.
      ///   - maxMessageSize: The largest message that the agent accepts, in bytes; nil if unknown.
      public init(maxConcurrentTasks: Int? = nil, taskTimeout: Duration? = nil, maxMessageSize: Int? = nil) {
        self.maxConcurrentTasks = maxConcurrentTasks
        self.taskTimeout = taskTimeout.map { WireDuration($0) }
        self.maxMessageSize = maxMessageSize
      }
    }

    /// The agent's capabilities, 1 to 1,000 names; nil uses those of the handshake's header.
    public var capabilities: [String]?
    /// The agent's metadata; the member `name` is its display name.
    public var metadata: JSONValue?
    /// The agent's settings; nil uses the defaults.
    public var config: Config?
    /// The ids of the agent's unfinished tasks and of those whose results lack an acknowledgement; nil if unknown.
    public var activeTasks: [String]?
    /// The agent's process: a text of 1 to 128 bytes that it chose at its start and sends at each registration; nil if it names none.
    ///
    /// A registration with another one tells the control plane that the former process has ended, and with the same one that only the
    /// connection broke.
    public var process: String?

    /// Makes a registration.
    ///
    /// - Parameters:
    ///   - capabilities: The agent's capabilities, 1 to 1,000 names; nil uses those of the handshake's header.
    ///   - metadata: The agent's metadata.
    ///   - config: The agent's settings; nil uses the defaults.
    ///   - activeTasks: The ids of the agent's unfinished and unacknowledged tasks; nil if unknown.
    ///   - process: The agent's process, 1 to 128 bytes; nil if it names none.
    public init(
      capabilities: [String]?, metadata: JSONValue? = nil, config: Config? = nil, activeTasks: [String]? = nil, process: String? = nil
    ) {
      self.capabilities = capabilities
      self.metadata = metadata
      self.config = config
      self.activeTasks = activeTasks
      self.process = process
    }
  }

  /// The payload of `task_result`, which reports the result of a task.
  public struct TaskResult: Codable, Sendable, Hashable {
    /// The task's id.
    public var taskId: String
    /// The execution that the task belongs to.
    public var executionId: String
    /// `completed` or `failed`; nil is `completed`.
    public var status: String?
    /// The result, or the details of a failure; nil counts as null.
    public var result: JSONValue?
    /// The agent's confidence in the result, 0 to 1; nil uses the member `confidence` of `result`.
    public var confidence: Double?
    /// The agent's working time.
    public var duration: WireDuration?
    /// Arbitrary metadata, which the control plane does not store.
    public var metadata: JSONValue?

    /// Makes a result.
    ///
    /// - Parameters:
    ///   - taskId: The task's id.
    ///   - executionId: The execution that the task belongs to.
    ///   - status: `completed`, the default, or `failed`.
    ///   - result: The result, or the details of a failure.
    ///   - confidence: The agent's confidence in the result, 0 to 1.
    ///   - duration: The agent's working time.
    ///   - metadata: Arbitrary metadata, which the control plane does not store.
    public init(
      taskId: String, executionId: String, status: String? = "completed", result: JSONValue?, confidence: Double? = nil,
      duration: Duration? = nil, metadata: JSONValue? = nil
    ) {
      self.taskId = taskId
      self.executionId = executionId
      self.status = status
      self.result = result
      self.confidence = confidence
      self.duration = duration.map { WireDuration($0) }
      self.metadata = metadata
    }
  }

  /// The payload of `task_error`, which reports the failure of a task.
  public struct TaskError: Codable, Sendable, Hashable {
    /// The task's id.
    public var taskId: String
    /// The execution that the task belongs to.
    public var executionId: String
    /// The reason of the failure.
    public var error: ExecutionFailure
    /// Whether another agent may succeed; nil is false.
    public var retryable: Bool?

    /// Makes an error.
    ///
    /// - Parameters:
    ///   - taskId: The task's id.
    ///   - executionId: The execution that the task belongs to.
    ///   - error: The reason of the failure.
    ///   - retryable: Whether another agent may succeed; nil is false.
    public init(taskId: String, executionId: String, error: ExecutionFailure, retryable: Bool? = nil) {
      self.taskId = taskId
      self.executionId = executionId
      self.error = error
      self.retryable = retryable
    }
  }

  /// The payload of `task_cancelled_ack`, which confirms that the agent has stopped a cancelled task.
  public struct TaskCancelledAck: Codable, Sendable, Hashable {
    /// The task's id.
    public var taskId: String

    /// Makes the payload.
    public init(taskId: String) {
      self.taskId = taskId
    }
  }

  /// The payload of `heartbeat`, which shows that the agent is alive.
  public struct Heartbeat: Codable, Sendable, Hashable {
    /// The agent's status, for debugging; only `status_update` changes it.
    public var status: String?
    /// The agent's present tasks: their number or their ids.
    public var activeTasks: JSONValue?
    /// Arbitrary measurements.
    public var metrics: JSONValue?

    /// Makes a heartbeat.
    public init(status: String? = nil, activeTasks: JSONValue? = nil, metrics: JSONValue? = nil) {
      self.status = status
      self.activeTasks = activeTasks
      self.metrics = metrics
    }
  }

  /// The payload of `status_update`, which changes the agent's status, capabilities or limit.
  public struct StatusUpdate: Codable, Sendable, Hashable {
    /// The new status, `idle`, `busy` or `draining`; nil leaves it unchanged.
    public var status: String?
    /// The new capabilities, 1 to 1,000 names; nil leaves them unchanged.
    public var capabilities: [String]?
    /// The new largest number of concurrent tasks, 1 to 10,000; nil leaves it unchanged.
    public var maxTasks: Int?
    /// The reason, for logs.
    public var reason: String?

    /// Makes an update; a nil argument leaves its property unchanged.
    public init(status: String? = nil, capabilities: [String]? = nil, maxTasks: Int? = nil, reason: String? = nil) {
      self.status = status
      self.capabilities = capabilities
      self.maxTasks = maxTasks
      self.reason = reason
    }
  }

  /// The payload of `disconnect`, which announces that the agent leaves.
  public struct Disconnect: Codable, Sendable, Hashable {
    /// The reason, for logs.
    public var reason: String?
    /// Whether the agent has finished its tasks; nil is true.
    public var graceful: Bool?

    /// Makes an announcement.
    public init(reason: String? = nil, graceful: Bool? = nil) {
      self.reason = reason
      self.graceful = graceful
    }
  }
}

/// A message from the control plane to an agent.
public enum ControlPlaneMessage: Sendable, Hashable {
  /// Confirms the agent's registration.
  case registered(Registered)
  /// Assigns a task to the agent.
  case task(Task)
  /// Cancels a task.
  case taskCancelled(TaskCancelled)
  /// Answers a heartbeat.
  case heartbeatAck(HeartbeatAck)
  /// Acknowledges a result, which is stored.
  case resultAck(ResultAck)
  /// Asks the agent to reconnect, to this node or another.
  case reconnect(Reconnect)
  /// Reports a fault in the agent's messages.
  case error(ProtocolError)

  /// The payload of `registered`, which confirms the agent's registration.
  public struct Registered: Codable, Sendable, Hashable {
    /// The node's settings for the agent.
    public struct Config: Codable, Sendable, Hashable {
      /// The time between two heartbeats of the agent.
      public var heartbeatInterval: WireDuration
      /// The default time-out of a task.
      public var taskTimeout: WireDuration
      /// The largest message that the node accepts, in bytes; nil if unknown.
      public var maxMessageSize: Int?

      /// Makes a configuration.
      public init(heartbeatInterval: Duration, taskTimeout: Duration, maxMessageSize: Int? = nil) {
        self.heartbeatInterval = WireDuration(heartbeatInterval)
        self.taskTimeout = WireDuration(taskTimeout)
        self.maxMessageSize = maxMessageSize
      }
    }

    /// The agent's id.
    public var agentId: String
    /// The registered capabilities.
    public var capabilities: [String]
    /// The node's settings for the agent.
    public var config: Config

    /// Makes the answer to a registration.
    public init(agentId: String, capabilities: [String], config: Config) {
      self.agentId = agentId
      self.capabilities = capabilities
      self.config = config
    }
  }

  /// The payload of `task`, which assigns a task to the agent.
  ///
  /// Delivery is at least once; a task id belongs to one attempt.
  public struct Task: Codable, Sendable, Hashable {
    /// The position of a task in its pattern.
    public struct Context: Codable, Sendable, Hashable {
      /// The index of the step, from 0.
      public var stepIndex: Int
      /// The number of steps.
      public var totalSteps: Int

      /// Makes a context.
      public init(stepIndex: Int, totalSteps: Int) {
        self.stepIndex = stepIndex
        self.totalSteps = totalSteps
      }
    }

    /// The task's id, which the result repeats.
    public var taskId: String
    /// The execution that the task belongs to, which the result repeats.
    public var executionId: String
    /// The pattern's name.
    public var patternName: String
    /// The pattern's version.
    public var patternVersion: String
    /// The first capability of the pattern.
    public var capability: String
    /// The input of the execution.
    public var input: JSONValue
    /// The time that the agent has for the task.
    public var timeout: WireDuration
    /// The priority of the execution.
    public var priority: ExecutionPriority
    /// The position of the task in its pattern.
    public var context: Context

    /// Makes a task.
    public init(
      taskId: String, executionId: String, patternName: String, patternVersion: String, capability: String, input: JSONValue,
      timeout: Duration, priority: ExecutionPriority, context: Context
    ) {
      self.taskId = taskId
      self.executionId = executionId
      self.patternName = patternName
      self.patternVersion = patternVersion
      self.capability = capability
      self.input = input
      self.timeout = WireDuration(timeout)
      self.priority = priority
      self.context = context
    }
  }

  /// The payload of `task_cancelled`, which cancels a task.
  public struct TaskCancelled: Codable, Sendable, Hashable {
    /// The task's id.
    public var taskId: String
    /// The execution that the task belongs to.
    public var executionId: String
    /// The reason, for instance `cancelled`, `timeout` or `decided`.
    public var reason: String

    /// Makes a cancellation.
    public init(taskId: String, executionId: String, reason: String) {
      self.taskId = taskId
      self.executionId = executionId
      self.reason = reason
    }
  }

  /// The payload of `heartbeat_ack`, which answers a heartbeat.
  public struct HeartbeatAck: Codable, Sendable, Hashable {
    /// The time on the node's wall clock.
    public var serverTime: Timestamp
    /// The time until the next expected heartbeat.
    public var nextHeartbeat: WireDuration

    /// Makes the answer to a heartbeat.
    public init(serverTime: Timestamp, nextHeartbeat: Duration) {
      self.serverTime = serverTime
      self.nextHeartbeat = WireDuration(nextHeartbeat)
    }
  }

  /// The payload of `result_ack`, which acknowledges a result: the result is stored, and the agent may drop the task.
  public struct ResultAck: Codable, Sendable, Hashable {
    /// The task's id.
    public var taskId: String

    /// Makes an acknowledgement.
    public init(taskId: String) {
      self.taskId = taskId
    }
  }

  /// The payload of `reconnect`, which asks the agent to reconnect, to this node or another.
  public struct Reconnect: Codable, Sendable, Hashable {
    /// The reason: `drain`, `rebalance` or `cut_off`.
    public var reason: String
    /// The delay before the agent reconnects, in milliseconds; 0 or more.
    public var afterMs: Int

    /// Makes a request to reconnect.
    public init(reason: String, afterMs: Int) {
      self.reason = reason
      self.afterMs = afterMs
    }
  }

  /// The payload of `error`, which reports a fault in the agent's messages.
  public struct ProtocolError: Codable, Sendable, Hashable {
    /// The code, for programs, for instance `INVALID_MESSAGE` or `UNKNOWN_TYPE`.
    public var code: String
    /// A description of the fault, for people.
    public var message: String
    /// Whether the node closes the connection.
    public var fatal: Bool

    /// Makes an error.
    public init(code: String, message: String, fatal: Bool = false) {
      self.code = code
      self.message = message
      self.fatal = fatal
    }
  }
}
