import ParallaxAPI
import ParallaxState

/// An execution that this node drives.
struct DrivenExecution: Sendable {
  var machine: ExecutionMachine
  let key: PoolKey
  /// The deadline on this node's monotonic clock, which no jump of a wall clock moves.
  private(set) var due: Duration
  /// Whether the request has an idempotency key, so that the caller can repeat it.
  var isRepeatable = false
  /// The ids of the messages with the outcomes, by task; acknowledgements repeat them.
  var messageIDs: [String: String] = [:]

  var execution: Execution { machine.stored.execution }
  var openTasks: [TaskRecord] { machine.stored.tasks.filter { $0.state == .open } }

  /// Makes a driven execution, whose remaining time is at most its time-out, whatever the wall clocks read.
  init(_ machine: ExecutionMachine, at now: Moment) {
    self.machine = machine
    key = PoolKey(machine.stored.execution.pattern.agents.capabilities)
    due = Self.due(of: machine.stored.execution, at: now)
  }

  /// Adopts the deadline of the stored execution, which differs if a repeat of the request was created first.
  ///
  /// - Returns: Whether the deadline has changed.
  mutating func setDeadline(of stored: StoredExecution, at now: Moment) -> Bool {
    guard stored.execution.deadline != execution.deadline else { return false }
    due = Self.due(of: stored.execution, at: now)
    return true
  }

  private static func due(of execution: Execution, at now: Moment) -> Duration {
    now.instant + min(execution.deadline - now.wall, execution.deadline - execution.createdAt)
  }

  /// The failure of an execution that waited too long for agents.
  func failure(needed: Int, capable: Int) -> ExecutionFailure {
    ExecutionFailure(
      code: APIError.Code.noAgents.rawValue,
      message: "\(needed) connected agents with \(key.capabilities.joined(separator: ", ")) are needed, \(capable) are there")
  }
}

extension DrivenExecution {
  /// The message that delivers a task, with the remaining time.
  func message(for task: TaskRecord, at now: Moment) -> ControlPlaneMessage.Task {
    ControlPlaneMessage.Task(
      taskId: task.id, executionId: execution.id, patternName: execution.pattern.name, patternVersion: execution.pattern.version,
      capability: execution.pattern.agents.capabilities.first ?? "", input: execution.input,
      timeout: max(.milliseconds(1), due - now.instant), priority: execution.priority,
      context: ControlPlaneMessage.Task.Context(stepIndex: 0, totalSteps: 1))
  }

  /// The agents that an entry of a queue demands.
  func demand(for need: WaitingQueue.Need) -> PlacementDemand {
    switch need {
    case .start(let needed): .start(min: needed, max: execution.pattern.agents.max)
    case .slot(let slot): .slot(tried: machine.stored.agentsTried(slot: slot), isSuspect: machine.stored.isSuspect(slot: slot))
    }
  }
}

extension TaskRecord {
  /// The outcome that an agent reports; it has no slot yet.
  init(_ result: AgentMessage.TaskResult, by agent: String) {
    let confidence = (result.confidence ?? result.result?["confidence"]?.doubleValue).map { min(max($0, 0), 1) }
    self.init(
      id: result.taskId, agentID: agent, slot: 0, state: .completed, result: result.result ?? .null, confidence: confidence,
      duration: result.duration?.duration)
  }

  /// The failure that an agent reports; it has no slot yet.
  init(_ failure: AgentMessage.TaskError, by agent: String) {
    self.init(id: failure.taskId, agentID: agent, slot: 0, state: .failed, error: failure.error, retryable: failure.retryable ?? false)
  }
}
