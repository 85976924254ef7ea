import ParallaxAPI

/// The circumstances in which a task was lost with its agent.
package enum TaskLoss: Sendable, Hashable {
  /// The agent, which had no other task, did not reconnect within the grace, or reconnected and cannot tell whether it has the task.
  case agentGone
  /// The same with other tasks, any of which may have been the cause: the next attempt uses no retry.
  case goneWithOthers
  /// The agent said goodbye.
  case agentLeft
  /// The agent left before the task was sent to it: the next attempt uses no retry.
  case neverSent
  /// The agent reconnected without the task after a redelivery, or reported it after one death after the other.
  case repeated
  /// The same with other tasks that may have been the cause: the next attempt uses no retry.
  case amongOthers
}

/// The outcome of an execution as its tasks decide it.
extension StoredExecution {
  /// The number of agents that an input may crash, as the only possible cause, before it is not retried.
  static let greatestLosses = 3
  /// The number of agents that may leave before one slot's task is sent to them, which bounds the tasks of the execution.
  static let greatestUnsent = 100

  /// The stored execution compared with the owner's copy.
  package enum Standing: Sendable, Hashable {
    /// The store lost a part of the execution.
    case behind
    /// Both have the same epoch.
    case current
    /// The store has a later epoch, or a later change of this one.
    case ahead
  }

  enum Verdict {
    /// There are enough results.
    case enough
    /// Enough results are impossible.
    case tooFew
    /// Further outcomes are needed.
    case open
  }

  var verdict: Verdict {
    let takesFirst = execution.pattern.aggregation.strategy == .first
    let last = lastAttempts
    let completed = last.count { $0.state == .completed }
    let open = last.count { $0.state == .open || canRetry($0) }
    if takesFirst ? completed > 0 : open == 0 && completed >= execution.pattern.agents.min { return .enough }
    return completed + open < (takesFirst ? 1 : execution.pattern.agents.min) ? .tooFew : .open
  }

  /// The instant to write: wall clocks differ and jump, and no execution ends before it starts.
  func instant(_ now: Timestamp) -> Timestamp { max(now, execution.startedAt ?? execution.createdAt) }

  var completedSlots: Int {
    lastAttempts.count { $0.state == .completed }
  }

  /// Whether a failed task may be retried at another agent.
  func canRetry(_ task: TaskRecord) -> Bool {
    guard task.state == .failed, task.retryable == true else { return false }
    return task.attempt <= execution.pattern.retries || isNextAttemptFree(after: task)
  }

  /// Whether the next attempt after a failed task does not count against the pattern's retries: so many do not.
  func isNextAttemptFree(after task: TaskRecord) -> Bool {
    let most = task.isSuspect ? Self.greatestLosses : Self.greatestUnsent
    return task.isUncounted && tasks.count { $0.slot == task.slot && $0.error?.code == task.error?.code } <= most
  }

  /// The aggregate of the recorded results.
  var aggregated: Result<JSONValue, ExecutionFailure> {
    Result { () throws(ExecutionFailure) in try Aggregator.aggregate(execution.pattern.aggregation, tasks: lastAttempts) }
  }

  /// The reason for too few results: the common error of the agents, otherwise all errors.
  var failure: ExecutionFailure {
    let errors = lastAttempts.compactMap(\.error)
    if let first = errors.first, errors.allSatisfy({ $0.code == first.code }) { return first }
    let details = errors.map { JSONValue.object(["code": .string($0.code), "message": .string($0.message)]) }
    return ExecutionFailure(
      code: "TASK_FAILED", message: "too few agents gave a result", details: ["errors": .array(details)])
  }

  /// The failure of an execution at its deadline.
  var timeOut: ExecutionFailure {
    ExecutionFailure(code: "TIMEOUT", message: "not finished within \((execution.deadline - execution.createdAt).text)")
  }

  /// The failure for a task of a slot that was lost with its agent, and whether it may be retried.
  func failure(of slot: Int, by loss: TaskLoss) -> (error: ExecutionFailure, retryable: Bool) {
    switch loss {
    case .agentLeft: return (ExecutionFailure(code: TaskRecord.left, message: "the agent left with the task unfinished"), true)
    case .neverSent: return (ExecutionFailure(code: TaskRecord.neverSent, message: "the agent left before the task was sent to it"), true)
    case .amongOthers:
      return (ExecutionFailure(code: TaskRecord.lostAmongOthers, message: "the agent lost this task and others more than once"), true)
    case .goneWithOthers:
      let message = "the agent disconnected with this task and others, and did not reconnect in time"
      // A first such loss is mostly the agent's own; a second one makes each of the tasks suspect.
      let isFirst = !tasks.contains { $0.slot == slot && $0.isLostBesideOthers }
      return (ExecutionFailure(code: isFirst ? TaskRecord.lostWithOthers : TaskRecord.lostAmongOthers, message: message), true)
    case .agentGone: return failure(of: slot, TaskRecord.lost, "the agent disconnected and did not reconnect in time")
    case .repeated: return failure(of: slot, TaskRecord.lostAgain, "the agent lost this task more than once")
    }
  }

  /// The failure for a task that was its agent's only one: so many agents may be lost with an input, and not more.
  ///
  /// Agents that do not return may have gone together, so those of other slots do not count; agents that lost the task twice do.
  private func failure(of slot: Int, _ code: String, _ message: String) -> (error: ExecutionFailure, retryable: Bool) {
    let losses = 1 + tasks.count { $0.isLostAlone && ($0.slot == slot || $0.error?.code == TaskRecord.lostAgain) }
    guard losses >= Self.greatestLosses else { return (ExecutionFailure(code: code, message: message), true) }
    return (ExecutionFailure(code: code, message: "not retried: \(losses) agents were lost with nothing but this task"), false)
  }

  /// Whether the next attempt of the slot must not share an agent with other tasks suspected of crashing theirs.
  package func isSuspect(slot: Int) -> Bool {
    lastAttempts.first { $0.slot == slot }.map { $0.isSuspect || $0.isLostAlone } ?? false
  }

  /// The agents that get this slot again only if there are no others.
  package func agentsTried(slot: Int) -> Set<String> {
    Set(tasks.filter { $0.slot == slot || $0.state == .open }.map(\.agentID))
  }

  /// The first tasks of an execution, one slot for each agent.
  func firstTasks(for agents: [String]) -> [TaskRecord] {
    agents.enumerated().map { TaskRecord(id: taskID(at: $0.offset), agentID: $0.element, slot: $0.offset) }
  }

  /// The id of the task at an index.
  ///
  /// The id includes the epoch unless it is 1: after the loss of a claim, two lives of an execution may have different tasks.
  func taskID(at index: Int) -> String {
    let epoch = execution.epoch == 1 ? "" : "_\(execution.epoch)"
    return "\(TaskRecord.idPrefix(ofExecution: execution.id))\(epoch)_\(index)"
  }
}

extension TaskRecord {
  fileprivate static func idPrefix(ofExecution id: String) -> String { "task_\(id.drop { $0 != "_" }.dropFirst())" }

  /// The execution of a task with an id of this form; nil for another form.
  package static func executionID(ofTask id: String) -> String? {
    let parts = id.split(separator: "_", omittingEmptySubsequences: false)
    return parts.first == "task" && (3...4).contains(parts.count) && !parts[1].isEmpty ? "exec_\(parts[1])" : nil
  }

  /// Whether a task of some life of an execution may have this id.
  package static func isID(_ id: String, ofExecution execution: String) -> Bool {
    id.hasPrefix(idPrefix(ofExecution: execution) + "_")
  }
}
