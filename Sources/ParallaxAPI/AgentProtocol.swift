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
package enum AgentMessage: Sendable, Hashable {
  case register(Register)
  case taskResult(TaskResult)
  case taskError(TaskError)
  case heartbeat(Heartbeat)
  case statusUpdate(StatusUpdate)
  case disconnect(Disconnect)

  /// `register`: who the agent is and what it can do.
  package struct Register: Codable, Sendable, Hashable {
    /// What the agent wants of the control plane.
    package struct Config: Codable, Sendable, Hashable {
      /// Tasks at once, 1 to 10,000.
      ///
      /// Default 1.
      package var maxConcurrentTasks: Int?
      package var taskTimeout: WireDuration?

      package init(maxConcurrentTasks: Int? = nil, taskTimeout: Duration? = nil) {
        self.maxConcurrentTasks = maxConcurrentTasks
        self.taskTimeout = taskTimeout.map { WireDuration($0) }
      }
    }

    package var capabilities: [String]?
    package var metadata: JSONValue?
    package var config: Config?
    /// The ids of the tasks that the agent still works on or whose results were not acknowledged; nil: it cannot tell.
    package var activeTasks: [String]?

    package init(capabilities: [String]?, metadata: JSONValue? = nil, config: Config? = nil, activeTasks: [String]? = nil) {
      self.capabilities = capabilities
      self.metadata = metadata
      self.config = config
      self.activeTasks = activeTasks
    }
  }

  /// `task_result`: a task's result.
  package struct TaskResult: Codable, Sendable, Hashable {
    package var taskId: String
    package var executionId: String
    package var status: String?
    package var result: JSONValue?
    /// 0 to 1; also taken from inside `result`.
    package var confidence: Double?
    package var duration: WireDuration?
    package var metadata: JSONValue?

    package init(
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
  package struct TaskError: Codable, Sendable, Hashable {
    package var taskId: String
    package var executionId: String
    package var error: ExecutionFailure
    /// Whether another agent may do better.
    ///
    /// Default false.
    package var retryable: Bool?

    package init(taskId: String, executionId: String, error: ExecutionFailure, retryable: Bool? = nil) {
      self.taskId = taskId
      self.executionId = executionId
      self.error = error
      self.retryable = retryable
    }
  }

  /// `heartbeat`: a sign of life, and how the agent does.
  package struct Heartbeat: Codable, Sendable, Hashable {
    package var status: String?
    package var activeTasks: JSONValue?
    package var metrics: JSONValue?

    package init(status: String? = nil, activeTasks: JSONValue? = nil, metrics: JSONValue? = nil) {
      self.status = status
      self.activeTasks = activeTasks
      self.metrics = metrics
    }
  }

  /// `status_update`: what changed about the agent.
  package struct StatusUpdate: Codable, Sendable, Hashable {
    /// `idle`, `busy` or `draining`.
    package var status: String?
    package var capabilities: [String]?
    package var maxTasks: Int?
    package var reason: String?

    package init(status: String? = nil, capabilities: [String]? = nil, maxTasks: Int? = nil, reason: String? = nil) {
      self.status = status
      self.capabilities = capabilities
      self.maxTasks = maxTasks
      self.reason = reason
    }
  }

  /// `disconnect`: the agent leaves.
  package struct Disconnect: Codable, Sendable, Hashable {
    package var reason: String?
    package var graceful: Bool?

    package init(reason: String? = nil, graceful: Bool? = nil) {
      self.reason = reason
      self.graceful = graceful
    }
  }
}

/// What the control plane says: the payloads of the messages from control plane to agent.
package enum ControlPlaneMessage: Sendable, Hashable {
  case registered(Registered)
  case task(Task)
  case taskCancelled(TaskCancelled)
  case heartbeatAck(HeartbeatAck)
  case resultAck(ResultAck)
  case reconnect(Reconnect)
  case error(ProtocolError)

  /// `registered`: the session stands.
  package struct Registered: Codable, Sendable, Hashable {
    /// How the agent is to behave; milliseconds.
    package struct Config: Codable, Sendable, Hashable {
      package var heartbeatInterval: WireDuration
      package var taskTimeout: WireDuration

      package init(heartbeatInterval: Duration, taskTimeout: Duration) {
        self.heartbeatInterval = WireDuration(heartbeatInterval)
        self.taskTimeout = WireDuration(taskTimeout)
      }
    }

    package var agentId: String
    package var capabilities: [String]
    package var config: Config

    package init(agentId: String, capabilities: [String], config: Config) {
      self.agentId = agentId
      self.capabilities = capabilities
      self.config = config
    }
  }

  /// `task`: work to do.
  ///
  /// Delivery is at least once; a task id belongs to one attempt.
  package struct Task: Codable, Sendable, Hashable {
    /// Where in its pattern the task stands.
    package struct Context: Codable, Sendable, Hashable {
      package var stepIndex: Int
      package var totalSteps: Int

      package init(stepIndex: Int, totalSteps: Int) {
        self.stepIndex = stepIndex
        self.totalSteps = totalSteps
      }
    }

    package var taskId: String
    package var executionId: String
    package var patternName: String
    package var patternVersion: String
    package var capability: String
    package var input: JSONValue
    package var timeout: WireDuration
    package var priority: ExecutionPriority
    package var context: Context

    package init(
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
  package struct TaskCancelled: Codable, Sendable, Hashable {
    package var taskId: String
    package var executionId: String
    package var reason: String

    package init(taskId: String, executionId: String, reason: String) {
      self.taskId = taskId
      self.executionId = executionId
      self.reason = reason
    }
  }

  /// `heartbeat_ack`: the answer to a heartbeat.
  package struct HeartbeatAck: Codable, Sendable, Hashable {
    package var serverTime: Timestamp
    /// In how many milliseconds the next heartbeat is expected.
    package var nextHeartbeat: WireDuration

    package init(serverTime: Timestamp, nextHeartbeat: Duration) {
      self.serverTime = serverTime
      self.nextHeartbeat = WireDuration(nextHeartbeat)
    }
  }

  /// `result_ack`: recorded; the agent may forget the task.
  package struct ResultAck: Codable, Sendable, Hashable {
    package var taskId: String

    package init(taskId: String) {
      self.taskId = taskId
    }
  }

  /// `reconnect`: the agent is asked to go to another node.
  package struct Reconnect: Codable, Sendable, Hashable {
    /// `drain`, `rebalance` or `cut_off`.
    package var reason: String
    package var afterMs: Int

    package init(reason: String, afterMs: Int) {
      self.reason = reason
      self.afterMs = afterMs
    }
  }

  /// `error`: something that the agent sent was wrong; a fatal one is followed by the end of the connection.
  package struct ProtocolError: Codable, Sendable, Hashable {
    package var code: String
    package var message: String
    package var fatal: Bool

    package init(code: String, message: String, fatal: Bool = false) {
      self.code = code
      self.message = message
      self.fatal = fatal
    }
  }
}
