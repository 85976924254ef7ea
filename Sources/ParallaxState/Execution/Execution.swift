public import ParallaxAPI
public import ParallaxHA

/// An execution: its request, its owner and its progress.
///
/// Only the owner changes an execution, and every change names the owner's epoch and the next revision. A store refuses the change of a
/// former owner, and accepts a repeat of the last change as done.
public struct Execution: Sendable, Hashable {
  /// The id, never reused, 1 to 128 bytes; ``SortableID`` makes one.
  public var id: String
  /// The pattern's definition at the creation of the execution; later changes to the pattern do not affect it.
  public var pattern: PatternDefinition
  /// The status.
  public var status: ExecutionStatus
  /// The priority among executions that wait for the same agents.
  public var priority: ExecutionPriority
  /// The input for the agents.
  public var input: JSONValue
  /// The aggregated result; nil unless the status is `completed`.
  public var result: JSONValue?
  /// The reason of a failure or time-out; nil for any other status.
  public var error: ExecutionFailure?
  /// The caller's metadata.
  public var metadata: JSONValue?
  /// The key that identifies repeats of the request; nil if the request had none.
  ///
  /// A store that removes the execution remembers its end for the lifetime of the key.
  public var idempotencyKey: String?
  /// The digest by which another request under the same key differs; nil without a key.
  ///
  /// With it the owner restores a claim of the key that the store has lost.
  public var idempotencyDigest: String?
  /// The time of creation, which never changes.
  public var createdAt: Timestamp
  /// The time of the first tasks; nil before.
  public var startedAt: Timestamp?
  /// The time at which the status became terminal; nil before.
  public var completedAt: Timestamp?
  /// The time at which the execution times out.
  public var deadline: Timestamp
  /// The greatest attempt number of any task, starting at 1.
  public var attempt: Int
  /// The node session that owns the execution.
  public var owner: NodeSession
  /// The epoch, starting at 1, which every change of owner raises.
  public var epoch: Int64
  /// The revision, starting at 1, which every change raises.
  public var revision: Int64
  /// The number of outcomes recorded by nodes other than the owner, starting at 0.
  ///
  /// A change names the number that its owner has read. A store refuses it while there are more, so that no decision overrules an unread
  /// outcome.
  public var recordings: Int64

  /// Makes an execution; by default a new one, which is pending with epoch and revision 1.
  public init(
    id: String, pattern: PatternDefinition, status: ExecutionStatus = .pending, priority: ExecutionPriority = .normal,
    input: JSONValue, result: JSONValue? = nil, error: ExecutionFailure? = nil, metadata: JSONValue? = nil,
    idempotencyKey: String? = nil, idempotencyDigest: String? = nil, createdAt: Timestamp, startedAt: Timestamp? = nil,
    completedAt: Timestamp? = nil, deadline: Timestamp, attempt: Int = 1, owner: NodeSession, epoch: Int64 = 1, revision: Int64 = 1,
    recordings: Int64 = 0
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
    self.idempotencyDigest = idempotencyDigest
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

/// One attempt at one slot of an execution.
///
/// An execution has one slot for each selected agent. When the agent of a slot fails or is lost, the slot gets another task with the next
/// attempt number, within the pattern's retries.
public struct TaskRecord: Sendable, Hashable, Codable {
  /// The states of a task.
  public enum State: String, Sendable, Hashable, Codable, JSONWritable {
    /// Assigned to its agent, without an outcome yet.
    case open
    /// Ended with a result.
    case completed
    /// Ended with an error.
    case failed
    /// Cancelled, because its result is no longer needed.
    case cancelled
  }

  /// The id of the attempt, unique in the execution.
  public var id: String
  /// The agent that has the task.
  public var agentID: String
  /// The index of the slot, from 0.
  public var slot: Int
  /// The number of the attempt at the slot, from 1.
  public var attempt: Int
  /// The state of the task.
  public var state: State
  /// The result of a completed task.
  public var result: JSONValue?
  /// The agent's confidence in its result, 0 to 1; nil if the agent reported none.
  public var confidence: Double?
  /// The error of a failed task.
  public var error: ExecutionFailure?
  /// Whether another agent may succeed where this one failed; nil unless the task failed.
  public var retryable: Bool?
  /// The working time that the agent reported; nil if it reported none.
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
  /// The error code of a task that is suspect, because its agent lost it together with other tasks.
  static let lostAmongOthers = "AGENT_LOST_AMONG_OTHERS"
  /// The error code of a task whose agent had others too, and did not return in time.
  static let lostWithOthers = "AGENT_LOST_WITH_OTHERS"
  /// The error code of a task whose agent had no other, and did not return in time.
  static let lost = "AGENT_LOST"
  /// The error code of a task whose agent left before the task was sent to it.
  static let neverSent = "AGENT_LOST_UNSENT"
  /// The error code of a task that its agent lost twice, and no other.
  static let lostAgain = "AGENT_LOST_AGAIN"
  /// The error code of a task whose agent said goodbye.
  static let left = "AGENT_LEFT"

  /// Whether the agent reported the outcome, and may have forgotten it since its acknowledgement.
  package var isReported: Bool {
    switch state {
    case .completed: true
    case .failed: !isLost
    case .open, .cancelled: false
    }
  }

  /// Whether this outcome replaces the other state of the same task: a result always does, a failure only if there is no outcome.
  func overrules(_ other: TaskRecord) -> Bool {
    switch state {
    case .completed: other.state != .completed
    case .failed: other.state == .open || other.state == .cancelled
    case .open, .cancelled: false
    }
  }

  /// Whether both are results of one task, from two runs of it.
  func differs(from other: TaskRecord) -> Bool { state == .completed && other.state == .completed && result != other.result }

  /// Whether both are the same task of the same agent.
  package func isSame(as other: TaskRecord) -> Bool { id == other.id && agentID == other.agentID }

  /// Whether this attempt represents its slot rather than an earlier one: by a result, else as an open task, else as the later attempt.
  func supersedes(_ other: TaskRecord) -> Bool {
    func rank(_ state: State) -> Int {
      switch state {
      case .completed: 2
      case .open: 1
      case .failed, .cancelled: 0
      }
    }
    let (mine, others) = (rank(state), rank(other.state))
    guard mine == others else { return mine > others }
    // A slot has two results only after a store lost a claim.
    return state == .completed ? id < other.id : attempt >= other.attempt
  }

  private var isLost: Bool { isLostAlone || isLostBesideOthers || [Self.left, Self.neverSent].contains(error?.code) }

  /// Whether the task may have taken down its agent, which had no other.
  var isLostAlone: Bool { state == .failed && [Self.lost, Self.lostAgain].contains(error?.code) }

  /// Whether the task was lost together with others.
  var isLostBesideOthers: Bool { state == .failed && [Self.lostWithOthers, Self.lostAmongOthers].contains(error?.code) }

  /// Whether the next attempt does not count against the pattern's retries.
  var isUncounted: Bool { isLostBesideOthers || state == .failed && error?.code == Self.neverSent }

  /// Whether the task may have crashed its agent.
  var isSuspect: Bool { state == .failed && error?.code == Self.lostAmongOthers }
}

/// An execution with all its tasks, in the order of their creation.
public struct StoredExecution: Sendable, Hashable {
  /// The execution.
  public var execution: Execution
  /// The tasks of the execution.
  public var tasks: [TaskRecord]

  /// Makes a stored execution.
  public init(execution: Execution, tasks: [TaskRecord]) {
    self.execution = execution
    self.tasks = tasks
  }

  /// The attempt that represents each slot, in slot order: the one with a result, else the open one, else the last.
  package var lastAttempts: [TaskRecord] {
    // The first tasks have the slots in order; most executions have no further ones.
    if tasks.indices.allSatisfy({ tasks[$0].slot == $0 }) { return tasks }
    var last: [Int: TaskRecord] = [:]
    for task in tasks where last[task.slot].map({ task.supersedes($0) }) ?? true { last[task.slot] = task }
    return last.values.sorted { $0.slot < $1.slot }
  }

  /// The API's document of the execution, with one part for each slot, from its last attempt.
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

/// A change by the owner of an execution: the fields to set, and the tasks to add or replace.
public struct ExecutionChange: Sendable, Hashable {
  /// The execution's id.
  public var id: String
  /// The node session that makes the change; must be the stored owner.
  public var owner: NodeSession
  /// The epoch; must be the stored one.
  public var epoch: Int64
  /// The revision after this change; must be one more than the stored one.
  public var revision: Int64
  /// The number of recorded outcomes that the owner has read.
  public var recordings: Int64
  /// The new status; nil leaves it unchanged.
  public var status: ExecutionStatus?
  /// The new start time; nil leaves it unchanged.
  public var startedAt: Timestamp?
  /// The new end time; nil leaves it unchanged.
  public var completedAt: Timestamp?
  /// The new result; nil leaves it unchanged.
  public var result: JSONValue?
  /// The new error; nil leaves it unchanged.
  public var error: ExecutionFailure?
  /// The new greatest attempt number; nil leaves it unchanged.
  public var attempt: Int?
  /// Whole task records, which replace those with the same id.
  public var tasks: [TaskRecord]

  /// Makes a change that sets no fields.
  ///
  /// - Parameters:
  ///   - id: The execution's id.
  ///   - owner: The node session that makes the change.
  ///   - epoch: The stored epoch.
  ///   - revision: The revision after the change, one more than the stored one.
  ///   - recordings: The number of recorded outcomes that the owner has read; 0 by default.
  public init(id: String, owner: NodeSession, epoch: Int64, revision: Int64, recordings: Int64 = 0) {
    self.id = id
    self.owner = owner
    self.epoch = epoch
    self.revision = revision
    self.recordings = recordings
    tasks = []
  }

  /// Merges a later change into this one, to write both together.
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
  /// Applies a change, as every store must.
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

  /// Replaces the tasks with the same ids and appends the others, but never overrules an outcome, unless by a result whose task is in
  /// `acknowledged`.
  public mutating func merge(_ records: [TaskRecord], acknowledged: Set<String> = []) {
    for task in records {
      guard let index = tasks.firstIndex(where: { $0.id == task.id }) else {
        tasks.append(task)
        continue
      }
      // Another node may have recorded an outcome that the owner did not know when it decided.
      let former = tasks[index].state
      let isFirst = task.state == .completed && acknowledged.contains(task.id)
      if isFirst || former != .completed && (former == .open || task.state != .open) { tasks[index] = task }
    }
  }
}
