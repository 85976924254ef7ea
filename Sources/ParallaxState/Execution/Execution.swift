package import ParallaxAPI
package import ParallaxHA

/// An execution: what was asked for, who owns it, how far it is.
///
/// Only the owner changes it, and every change names the owner's epoch and the next revision: a store refuses a change by a
/// former owner, and takes a repeat of the last change as done.
package struct Execution: Sendable, Hashable {
  package var id: String
  /// The definition as it was when the execution was created: later changes to the pattern do not reach it.
  package var pattern: PatternDefinition
  package var status: ExecutionStatus
  package var priority: ExecutionPriority
  package var input: JSONValue
  package var result: JSONValue?
  package var error: ExecutionFailure?
  package var metadata: JSONValue?
  package var createdAt: Timestamp
  package var startedAt: Timestamp?
  package var completedAt: Timestamp?
  /// When it times out.
  package var deadline: Timestamp
  /// The greatest number of agents that any one of its tasks was given to, one after another; 1 at first.
  package var attempt: Int
  package var owner: NodeSession
  /// Raised by every change of owner; 1 at first.
  package var epoch: Int64
  /// Raised by every change; 1 when created.
  package var revision: Int64

  package init(
    id: String, pattern: PatternDefinition, status: ExecutionStatus = .pending, priority: ExecutionPriority = .normal,
    input: JSONValue, result: JSONValue? = nil, error: ExecutionFailure? = nil, metadata: JSONValue? = nil, createdAt: Timestamp,
    startedAt: Timestamp? = nil, completedAt: Timestamp? = nil, deadline: Timestamp, attempt: Int = 1, owner: NodeSession,
    epoch: Int64 = 1, revision: Int64 = 1
  ) {
    self.id = id
    self.pattern = pattern
    self.status = status
    self.priority = priority
    self.input = input
    self.result = result
    self.error = error
    self.metadata = metadata
    self.createdAt = createdAt
    self.startedAt = startedAt
    self.completedAt = completedAt
    self.deadline = deadline
    self.attempt = attempt
    self.owner = owner
    self.epoch = epoch
    self.revision = revision
  }
}

/// One attempt at one agent's part in an execution.
///
/// An execution has as many slots as agents were selected for it; a slot whose agent fails or is lost gets a further task, with
/// the next attempt number, within the pattern's retries.
package struct TaskRecord: Sendable, Hashable, Codable {
  /// How a task stands.
  package enum State: String, Sendable, Hashable, Codable {
    /// With its agent, or on the way there.
    case open
    case completed
    case failed
    /// No longer wanted.
    case cancelled
  }

  package var id: String
  package var agentID: String
  /// Which of the execution's parts this is, from 0.
  package var slot: Int
  /// From 1.
  package var attempt: Int
  package var state: State
  package var result: JSONValue?
  package var confidence: Double?
  package var error: ExecutionFailure?
  /// Whether another agent may do better than the one that failed.
  package var retryable: Bool?
  /// How long the agent worked, as it says.
  package var duration: WireDuration?

  package init(
    id: String, agentID: String, slot: Int, attempt: Int = 1, state: State = .open, result: JSONValue? = nil,
    confidence: Double? = nil, error: ExecutionFailure? = nil, retryable: Bool? = nil, duration: Duration? = nil
  ) {
    self.id = id
    self.agentID = agentID
    self.slot = slot
    self.attempt = attempt
    self.state = state
    self.result = result
    self.confidence = confidence
    self.error = error
    self.retryable = retryable
    self.duration = duration.map { WireDuration($0) }
  }
}

/// An execution with all its tasks, in the order in which they were made.
package struct StoredExecution: Sendable, Hashable {
  package var execution: Execution
  package var tasks: [TaskRecord]

  package init(execution: Execution, tasks: [TaskRecord]) {
    self.execution = execution
    self.tasks = tasks
  }

  /// The last attempt at each slot, in the order of the slots.
  package var lastAttempts: [TaskRecord] {
    // The first tasks were made one for each slot, in their order.
    if tasks.allSatisfy({ $0.attempt == 1 }) { return tasks }
    var last: [Int: TaskRecord] = [:]
    for task in tasks where task.attempt >= (last[task.slot]?.attempt ?? 0) { last[task.slot] = task }
    return last.values.sorted { $0.slot < $1.slot }
  }

  /// The execution as the API shows it: one part per slot, by its last attempt.
  package var document: ExecutionDocument {
    let parts = lastAttempts.map { task in
      ExecutionDocument.AgentPart(
        id: task.agentID, status: task.state == .open ? "pending" : task.state.rawValue, result: task.result, error: task.error,
        confidence: task.confidence, duration: task.duration?.duration)
    }
    return ExecutionDocument(
      executionId: execution.id, pattern: PatternReference(name: execution.pattern.name, version: execution.pattern.version),
      status: execution.status, input: execution.input, result: execution.result, error: execution.error,
      createdAt: execution.createdAt, startedAt: execution.startedAt, completedAt: execution.completedAt,
      nodeId: execution.owner.nodeID, attempt: execution.attempt, agents: parts, metadata: execution.metadata)
  }
}

/// A change that the owner makes to its execution: the fields that it sets, the tasks that it adds or replaces.
package struct ExecutionChange: Sendable, Hashable {
  package var id: String
  package var owner: NodeSession
  package var epoch: Int64
  /// The revision that the execution has after this change; the one before must be in the store.
  package var revision: Int64
  package var status: ExecutionStatus?
  package var startedAt: Timestamp?
  package var completedAt: Timestamp?
  package var result: JSONValue?
  package var error: ExecutionFailure?
  package var attempt: Int?
  /// Whole records, written over those with the same id.
  package var tasks: [TaskRecord]

  package init(id: String, owner: NodeSession, epoch: Int64, revision: Int64) {
    self.id = id
    self.owner = owner
    self.epoch = epoch
    self.revision = revision
    tasks = []
  }

  /// Takes in a change made after this one, to be written together with it.
  mutating func add(_ later: ExecutionChange) {
    status = later.status ?? status
    startedAt = later.startedAt ?? startedAt
    completedAt = later.completedAt ?? completedAt
    result = later.result ?? result
    error = later.error ?? error
    attempt = later.attempt ?? attempt
    tasks += later.tasks
  }
}

extension StoredExecution {
  /// Makes the change, as every store has to.
  package mutating func apply(_ change: ExecutionChange) {
    execution.revision = change.revision
    if let status = change.status { execution.status = status }
    if let startedAt = change.startedAt { execution.startedAt = startedAt }
    if let completedAt = change.completedAt { execution.completedAt = completedAt }
    if let result = change.result { execution.result = result }
    if let error = change.error { execution.error = error }
    if let attempt = change.attempt { execution.attempt = attempt }
    merge(change.tasks)
  }

  /// Writes whole records over those with the same id, and the rest behind them.
  package mutating func merge(_ records: [TaskRecord]) {
    for task in records {
      guard let index = tasks.firstIndex(where: { $0.id == task.id }) else {
        tasks.append(task)
        continue
      }
      // Another node may have recorded the outcome, which the owner did not know when it decided otherwise.
      let former = tasks[index].state
      let isOlder = former == .completed && task.state != .completed || former != .open && task.state == .open
      if !isOlder { tasks[index] = task }
    }
  }
}
