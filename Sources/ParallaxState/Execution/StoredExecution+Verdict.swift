import ParallaxAPI

/// How a task was lost with its agent.
package enum TaskLoss: Sendable, Hashable {
  /// The agent is gone for good, as far as anyone can tell.
  case agentGone
  /// The agent came back without the task, once more.
  case repeated
  /// The agent came back without this task and others that may have been why: the next attempt costs no retry.
  case amongOthers
}

/// What the tasks of an execution, as they stand, say about its end.
extension StoredExecution {
  /// How many agents an input may take down, being the only one that can have been why, before no further one gets it.
  static let greatestLosses = 3

  /// How what a store holds compares with what an owner holds.
  package enum Standing: Sendable, Hashable {
    /// The store has lost of what it had.
    case behind
    /// Both are of one epoch.
    case current
    /// The store holds a later epoch, or the end of this one by another.
    case ahead
  }

  enum Verdict {
    /// The results that count are there.
    case enough
    /// There can be no more enough results.
    case tooFew
    /// More outcomes are awaited.
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

  /// The instant to be written: wall clocks differ and jump, and nothing ends before it began.
  func instant(_ now: Timestamp) -> Timestamp { max(now, execution.startedAt ?? execution.createdAt) }

  var completedSlots: Int {
    lastAttempts.count { $0.state == .completed }
  }

  /// Whether the slot of a failed task may be given to another agent.
  func canRetry(_ task: TaskRecord) -> Bool {
    guard task.state == .failed, task.retryable == true else { return false }
    if task.attempt <= execution.pattern.retries { return true }
    return task.isUncounted && tasks.count { $0.slot == task.slot && $0.isUncounted } <= Self.greatestLosses
  }

  /// The recorded results made into one.
  var aggregated: Result<JSONValue, ExecutionFailure> {
    Result { () throws(ExecutionFailure) in try Aggregator.aggregate(execution.pattern.aggregation, tasks: lastAttempts) }
  }

  /// Why there are not enough results: the error of the agents when they agree, else all of them.
  var failure: ExecutionFailure {
    let errors = lastAttempts.compactMap(\.error)
    if let first = errors.first, errors.allSatisfy({ $0.code == first.code }) { return first }
    let details = errors.map { JSONValue.object(["code": .string($0.code), "message": .string($0.message)]) }
    return ExecutionFailure(
      code: "TASK_FAILED", message: "too few agents gave a result", details: ["errors": .array(details)])
  }

  /// The failure of an execution whose time is over.
  var timeOut: ExecutionFailure {
    ExecutionFailure(code: "TIMEOUT", message: "not finished within \((execution.deadline - execution.createdAt).text)")
  }

  /// The failure that the loss of a task with its agent is, and whether the slot may be given to another agent.
  func failure(by loss: TaskLoss) -> (error: ExecutionFailure, retryable: Bool) {
    switch loss {
    case .agentGone: return (ExecutionFailure(code: "AGENT_LOST", message: "the agent went away and did not come back in time"), true)
    case .amongOthers:
      return (ExecutionFailure(code: TaskRecord.lostAmongOthers, message: "the agent came back without this task and others"), true)
    case .repeated:
      let code = "AGENT_LOST_AGAIN"
      // All slots have one input.
      let losses = 1 + tasks.count { $0.error?.code == code }
      let isRetryable = losses < Self.greatestLosses
      let message =
        isRetryable ? "the agent came back without this task, twice" : "set aside: \(losses) agents came back without this task, twice each"
      return (ExecutionFailure(code: code, message: message), isRetryable)
    }
  }

  /// The tasks that a pending execution begins with, one slot for each agent.
  func firstTasks(for agents: [String]) -> [TaskRecord] {
    agents.enumerated().map { TaskRecord(id: taskID(at: $0.offset), agentID: $0.element, slot: $0.offset) }
  }

  /// The id of the execution's task at an index.
  ///
  /// It has the epoch, unless that is the first: a store that has lost a claim may see two lives of an execution, whose tasks differ.
  func taskID(at index: Int) -> String {
    let epoch = execution.epoch == 1 ? "" : "_\(execution.epoch)"
    return "task_\(execution.id.drop { $0 != "_" }.dropFirst())\(epoch)_\(index)"
  }
}
