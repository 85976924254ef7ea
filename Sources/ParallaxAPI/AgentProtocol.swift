/// A frame of the agent protocol: `{"type","id","timestamp","payload"}`.
package struct AgentFrame<Payload: Codable & Sendable>: Codable, Sendable {
  package var type: String
  /// Chosen by the sender; an answer repeats the id that it answers.
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

/// What an agent says: the payloads of the messages from agent to control plane.
public enum AgentMessage: Sendable, Hashable {
  /// Who the agent is and what it can do.
  case register(Register)
  /// A task's result.
  case taskResult(TaskResult)
  /// A task that did not succeed.
  case taskError(TaskError)
  /// The agent has stopped a task that was cancelled.
  case taskCancelledAck(TaskCancelledAck)
  /// A sign of life.
  case heartbeat(Heartbeat)
  /// What changed about the agent.
  case statusUpdate(StatusUpdate)
  /// The agent leaves.
  case disconnect(Disconnect)

  /// `register`: who the agent is and what it can do.
  public struct Register: Codable, Sendable, Hashable {
    /// What the agent wants of the control plane.
    public struct Config: Codable, Sendable, Hashable {
      /// Tasks at once, 1 to 10,000.
      ///
      /// Default 1.
      public var maxConcurrentTasks: Int?
      /// How long the agent gives a task; the node may choose another.
      public var taskTimeout: WireDuration?
      /// The largest message that the agent takes, in bytes; nil: it cannot tell.
      public var maxMessageSize: Int?

      /// Makes a configuration.
      ///
      /// - Parameters:
      ///   - maxConcurrentTasks: Tasks at once, 1 to 10,000; nil is 1.
      ///   - taskTimeout: How long the agent gives a task.
      ///   - maxMessageSize: The largest message that the agent takes, in bytes; nil: it cannot tell.
      public init(maxConcurrentTasks: Int? = nil, taskTimeout: Duration? = nil, maxMessageSize: Int? = nil) {
        self.maxConcurrentTasks = maxConcurrentTasks
        self.taskTimeout = taskTimeout.map { WireDuration($0) }
        self.maxMessageSize = maxMessageSize
      }
    }

    /// What the agent can do, 1 to 1,000 names; nil takes those of the handshake's header.
    public var capabilities: [String]?
    /// What the agent says of itself; `name` is shown as its name.
    public var metadata: JSONValue?
    /// What differs from the defaults.
    public var config: Config?
    /// The ids of the tasks that the agent still works on or whose results were not acknowledged; nil: it cannot tell.
    public var activeTasks: [String]?

    /// Makes a registration.
    ///
    /// - Parameters:
    ///   - capabilities: What the agent can do; nil takes those of the handshake's header.
    ///   - metadata: What the agent says of itself.
    ///   - config: What differs from the defaults.
    ///   - activeTasks: The ids of the tasks that the agent still has; nil: it cannot tell.
    public init(capabilities: [String]?, metadata: JSONValue? = nil, config: Config? = nil, activeTasks: [String]? = nil) {
      self.capabilities = capabilities
      self.metadata = metadata
      self.config = config
      self.activeTasks = activeTasks
    }
  }

  /// `task_result`: a task's result.
  public struct TaskResult: Codable, Sendable, Hashable {
    /// The task's id.
    public var taskId: String
    /// The execution that the task belongs to.
    public var executionId: String
    /// `completed` or `failed`; nil is `completed`.
    public var status: String?
    /// The result, or what is known of a failure; nil counts as null.
    public var result: JSONValue?
    /// 0 to 1; also taken from inside `result`.
    public var confidence: Double?
    /// How long the agent worked.
    public var duration: WireDuration?
    /// Anything that the agent wants to say; not kept.
    public var metadata: JSONValue?

    /// Makes a result.
    ///
    /// - Parameters:
    ///   - taskId: The task's id.
    ///   - executionId: The execution that the task belongs to.
    ///   - status: `completed` or `failed`.
    ///   - result: The result.
    ///   - confidence: How sure the agent is, 0 to 1.
    ///   - duration: How long the agent worked.
    ///   - metadata: Anything that the agent wants to say.
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

  /// `task_error`: a task that did not succeed.
  public struct TaskError: Codable, Sendable, Hashable {
    /// The task's id.
    public var taskId: String
    /// The execution that the task belongs to.
    public var executionId: String
    /// What went wrong.
    public var error: ExecutionFailure
    /// Whether another agent may do better.
    ///
    /// Default false.
    public var retryable: Bool?

    /// Makes an error.
    ///
    /// - Parameters:
    ///   - taskId: The task's id.
    ///   - executionId: The execution that the task belongs to.
    ///   - error: What went wrong.
    ///   - retryable: Whether another agent may do better; nil is false.
    public init(taskId: String, executionId: String, error: ExecutionFailure, retryable: Bool? = nil) {
      self.taskId = taskId
      self.executionId = executionId
      self.error = error
      self.retryable = retryable
    }
  }

  /// `task_cancelled_ack`: the agent has stopped a task that was cancelled; its place is free.
  public struct TaskCancelledAck: Codable, Sendable, Hashable {
    /// The task's id.
    public var taskId: String

    /// Makes the payload.
    public init(taskId: String) {
      self.taskId = taskId
    }
  }

  /// `heartbeat`: a sign of life, and how the agent does.
  public struct Heartbeat: Codable, Sendable, Hashable {
    /// What the agent does, for those who read the traffic; only `status_update` changes it.
    public var status: String?
    /// The tasks that the agent works on: their number or their ids.
    public var activeTasks: JSONValue?
    /// Anything that the agent measures.
    public var metrics: JSONValue?

    /// Makes a heartbeat.
    public init(status: String? = nil, activeTasks: JSONValue? = nil, metrics: JSONValue? = nil) {
      self.status = status
      self.activeTasks = activeTasks
      self.metrics = metrics
    }
  }

  /// `status_update`: what changed about the agent.
  public struct StatusUpdate: Codable, Sendable, Hashable {
    /// `idle`, `busy` or `draining`.
    public var status: String?
    /// What the agent can do from now on; nil changes nothing.
    public var capabilities: [String]?
    /// How many tasks the agent takes at once from now on, 1 to 10,000; nil changes nothing.
    public var maxTasks: Int?
    /// Why, for the logs.
    public var reason: String?

    /// Makes an update; what is nil stays as it is.
    public init(status: String? = nil, capabilities: [String]? = nil, maxTasks: Int? = nil, reason: String? = nil) {
      self.status = status
      self.capabilities = capabilities
      self.maxTasks = maxTasks
      self.reason = reason
    }
  }

  /// `disconnect`: the agent leaves.
  public struct Disconnect: Codable, Sendable, Hashable {
    /// Why, for the logs.
    public var reason: String?
    /// Whether the agent has finished what it had.
    public var graceful: Bool?

    /// Makes a farewell.
    public init(reason: String? = nil, graceful: Bool? = nil) {
      self.reason = reason
      self.graceful = graceful
    }
  }
}

/// What the control plane says: the payloads of the messages from control plane to agent.
public enum ControlPlaneMessage: Sendable, Hashable {
  /// The session stands.
  case registered(Registered)
  /// Work to do.
  case task(Task)
  /// A result is no longer wanted.
  case taskCancelled(TaskCancelled)
  /// The answer to a heartbeat.
  case heartbeatAck(HeartbeatAck)
  /// A result is recorded.
  case resultAck(ResultAck)
  /// The agent is asked to go to another node.
  case reconnect(Reconnect)
  /// Something that the agent sent was wrong.
  case error(ProtocolError)

  /// `registered`: the session stands.
  public struct Registered: Codable, Sendable, Hashable {
    /// How the agent is to behave; milliseconds and bytes.
    public struct Config: Codable, Sendable, Hashable {
      /// How often the agent sends a heartbeat.
      public var heartbeatInterval: WireDuration
      /// How long a task may take unless it says otherwise.
      public var taskTimeout: WireDuration
      /// The largest message that the node takes, in bytes; nil: it does not say.
      public var maxMessageSize: Int?

      /// Makes a configuration.
      public init(heartbeatInterval: Duration, taskTimeout: Duration, maxMessageSize: Int? = nil) {
        self.heartbeatInterval = WireDuration(heartbeatInterval)
        self.taskTimeout = WireDuration(taskTimeout)
        self.maxMessageSize = maxMessageSize
      }
    }

    /// The id under which the agent is known.
    public var agentId: String
    /// The capabilities that were taken.
    public var capabilities: [String]
    /// How the agent is to behave.
    public var config: Config

    /// Makes the answer to a registration.
    public init(agentId: String, capabilities: [String], config: Config) {
      self.agentId = agentId
      self.capabilities = capabilities
      self.config = config
    }
  }

  /// `task`: work to do.
  ///
  /// Delivery is at least once; a task id belongs to one attempt.
  public struct Task: Codable, Sendable, Hashable {
    /// Where in its pattern the task stands.
    public struct Context: Codable, Sendable, Hashable {
      /// Which step it is, from 0.
      public var stepIndex: Int
      /// How many steps there are.
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
    /// The capability that is asked for, the first of the pattern's.
    public var capability: String
    /// The input of the execution.
    public var input: JSONValue
    /// How long the agent has.
    public var timeout: WireDuration
    /// How urgent the execution is.
    public var priority: ExecutionPriority
    /// Where in its pattern the task stands.
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

  /// `task_cancelled`: the result is no longer wanted.
  public struct TaskCancelled: Codable, Sendable, Hashable {
    /// The task's id.
    public var taskId: String
    /// The execution that the task belongs to.
    public var executionId: String
    /// Why: for instance `cancelled`, `timeout`, `decided`.
    public var reason: String

    /// Makes a cancellation.
    public init(taskId: String, executionId: String, reason: String) {
      self.taskId = taskId
      self.executionId = executionId
      self.reason = reason
    }
  }

  /// `heartbeat_ack`: the answer to a heartbeat.
  public struct HeartbeatAck: Codable, Sendable, Hashable {
    /// The node's wall clock.
    public var serverTime: Timestamp
    /// In how many milliseconds the next heartbeat is expected.
    public var nextHeartbeat: WireDuration

    /// Makes the answer to a heartbeat.
    public init(serverTime: Timestamp, nextHeartbeat: Duration) {
      self.serverTime = serverTime
      self.nextHeartbeat = WireDuration(nextHeartbeat)
    }
  }

  /// `result_ack`: recorded; the agent may forget the task.
  public struct ResultAck: Codable, Sendable, Hashable {
    /// The task's id.
    public var taskId: String

    /// Makes an acknowledgement.
    public init(taskId: String) {
      self.taskId = taskId
    }
  }

  /// `reconnect`: the agent is asked to go to another node.
  public struct Reconnect: Codable, Sendable, Hashable {
    /// `drain`, `rebalance` or `cut_off`.
    public var reason: String
    /// In how many milliseconds the agent is to reconnect; 0 or more.
    public var afterMs: Int

    /// Makes a request to reconnect.
    public init(reason: String, afterMs: Int) {
      self.reason = reason
      self.afterMs = afterMs
    }
  }

  /// `error`: something that the agent sent was wrong; a fatal one is followed by the end of the connection.
  public struct ProtocolError: Codable, Sendable, Hashable {
    /// For programs, for instance `INVALID_MESSAGE`, `UNKNOWN_TYPE`.
    public var code: String
    /// For people: what was wrong.
    public var message: String
    /// Whether the connection ends.
    public var fatal: Bool

    /// Makes an error.
    public init(code: String, message: String, fatal: Bool = false) {
      self.code = code
      self.message = message
      self.fatal = fatal
    }
  }
}
