public import ParallaxAPI
public import ParallaxHA

/// An execution: what was asked for, who owns it, how far it is.
///
/// Only the owner changes it, and every change names the owner's epoch and the next revision: a store refuses a change by a
/// former owner, and takes a repeat of the last change as done.
public struct Execution: Sendable, Hashable {
  /// Unique for ever, 1 to 128 bytes; ``SortableID`` makes one.
  public var id: String
  /// The definition as it was when the execution was created: later changes to the pattern do not reach it.
  public var pattern: PatternDefinition
  /// How far it is.
  public var status: ExecutionStatus
  /// How urgent it is among those that wait for the same agents.
  public var priority: ExecutionPriority
  /// What the agents get.
  public var input: JSONValue
  /// The aggregated result, once it is completed.
  public var result: JSONValue?
  /// Why there is no result, once it has failed or timed out.
  public var error: ExecutionFailure?
  /// What the caller gave along.
  public var metadata: JSONValue?
  /// The key by which a repeat of the request is recognized; nil if the request had none.
  ///
  /// A store that removes the execution keeps in mind that it ended for as long as the key lives.
  public var idempotencyKey: String?
  /// When it was created; it never changes.
  public var createdAt: Timestamp
  /// When the first tasks were made; nil before.
  public var startedAt: Timestamp?
  /// When its status became terminal; nil before.
  public var completedAt: Timestamp?
  /// When it times out.
  public var deadline: Timestamp
  /// The greatest number of agents that any one of its tasks was given to, one after another; 1 at first.
  public var attempt: Int
  /// The node session that drives it.
  public var owner: NodeSession
  /// Raised by every change of owner; 1 at first.
  public var epoch: Int64
  /// Raised by every change; 1 when created.
  public var revision: Int64
  /// Raised by every outcome that a node records which does not own the execution; 0 at first.
  ///
  /// A change names the number that its owner has read, and is refused while there are more: no decision overrules an outcome unseen.
  public var recordings: Int64

  /// Makes an execution; by default one that is new: pending, of epoch and revision 1.
  public init(
    id: String, pattern: PatternDefinition, status: ExecutionStatus = .pending, priority: ExecutionPriority = .normal,
    input: JSONValue, result: JSONValue? = nil, error: ExecutionFailure? = nil, metadata: JSONValue? = nil,
    idempotencyKey: String? = nil, createdAt: Timestamp, startedAt: Timestamp? = nil, completedAt: Timestamp? = nil, deadline: Timestamp,
    attempt: Int = 1, owner: NodeSession, epoch: Int64 = 1, revision: Int64 = 1, recordings: Int64 = 0
  ) {
    self.id = id
    self.pattern = pattern
    self.status = status
    self.priority = priority
    self.input = input
    self.result = result
    self.error = error
    self.metadata = metadata
    self.idempotencyKey = idempotencyKey
    self.createdAt = createdAt
    self.startedAt = startedAt
    self.completedAt = completedAt
    self.deadline = deadline
    self.attempt = attempt
    self.owner = owner
    self.epoch = epoch
    self.revision = revision
    self.recordings = recordings
  }
}

/// One attempt at one agent's part in an execution.
///
/// An execution has as many slots as agents were selected for it; a slot whose agent fails or is lost gets a further task, with
/// the next attempt number, within the pattern's retries.
public struct TaskRecord: Sendable, Hashable, Codable {
  /// How a task stands.
  public enum State: String, Sendable, Hashable, Codable {
    /// With its agent, or on the way there.
    case open
    /// Ended with a result.
    case completed
    /// Ended with an error.
    case failed
    /// No longer wanted.
    case cancelled
  }

  /// Unique in the execution; each attempt has one of its own.
  public var id: String
  /// The agent that has the task.
  public var agentID: String
  /// Which of the execution's parts this is, from 0.
  public var slot: Int
  /// From 1.
  public var attempt: Int
  /// How the task stands.
  public var state: State
  /// The result of a completed task.
  public var result: JSONValue?
  /// How sure the agent is of its result, 0 to 1; nil when it does not say.
  public var confidence: Double?
  /// The error of a failed task.
  public var error: ExecutionFailure?
  /// Whether another agent may do better than the one that failed.
  public var retryable: Bool?
  /// How long the agent worked, as it says.
  public var duration: WireDuration?

  /// Makes a task; by default an open one.
  public init(
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

extension TaskRecord {
  /// The code of a task that its agent came back without, as it did without others.
  static let lostAmongOthers = "AGENT_LOST_AMONG_OTHERS"

  /// Whether the next attempt costs no retry.
  var isUncounted: Bool { state == .failed && error?.code == Self.lostAmongOthers }
}

/// An execution with all its tasks, in the order in which they were made.
public struct StoredExecution: Sendable, Hashable {
  /// The execution.
  public var execution: Execution
  /// Its tasks.
  public var tasks: [TaskRecord]

  /// Makes a stored execution.
  public init(execution: Execution, tasks: [TaskRecord]) {
    self.execution = execution
    self.tasks = tasks
  }

  /// The last attempt at each slot, in the order of the slots.
  package var lastAttempts: [TaskRecord] {
    // The first tasks were made one for each slot, in their order.
    if tasks.indices.allSatisfy({ tasks[$0].slot == $0 }) { return tasks }
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
public struct ExecutionChange: Sendable, Hashable {
  /// The execution's id.
  public var id: String
  /// Who makes the change; it must be the owner in the store.
  public var owner: NodeSession
  /// The epoch in the store.
  public var epoch: Int64
  /// The revision that the execution has after this change; the one before must be in the store.
  public var revision: Int64
  /// How many recorded outcomes the owner has read.
  public var recordings: Int64
  /// The new status; nil leaves it.
  public var status: ExecutionStatus?
  /// The new instant of the start; nil leaves it.
  public var startedAt: Timestamp?
  /// The new instant of the end; nil leaves it.
  public var completedAt: Timestamp?
  /// The new result; nil leaves it.
  public var result: JSONValue?
  /// The new error; nil leaves it.
  public var error: ExecutionFailure?
  /// The new number of attempts; nil leaves it.
  public var attempt: Int?
  /// Whole records, written over those with the same id.
  public var tasks: [TaskRecord]

  /// Makes a change that sets nothing yet.
  ///
  /// - Parameters:
  ///   - id: The execution's id.
  ///   - owner: Who makes the change.
  ///   - epoch: The epoch in the store.
  ///   - revision: The revision after the change, one more than in the store.
  ///   - recordings: How many recorded outcomes the owner has read.
  public init(id: String, owner: NodeSession, epoch: Int64, revision: Int64, recordings: Int64 = 0) {
    self.id = id
    self.owner = owner
    self.epoch = epoch
    self.revision = revision
    self.recordings = recordings
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
  public mutating func apply(_ change: ExecutionChange) {
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
  public mutating func merge(_ records: [TaskRecord]) {
    for task in records {
      guard let index = tasks.firstIndex(where: { $0.id == task.id }) else {
        tasks.append(task)
        continue
      }
      // Another node may have recorded the outcome, which the owner did not know when it decided otherwise.
      let former = tasks[index].state
      if former != .completed, former == .open || task.state != .open { tasks[index] = task }
    }
  }
}
