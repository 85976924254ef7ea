package import ParallaxAPI

/// The decisions of an owner about one execution: writes, messages to agents, and the end.
///
/// The machine is a value from events to actions, with the time as an argument. It writes one change at a time and collects further changes
/// into the next write. Actions that need a stored change, such as sending a task, acknowledging a result or answering the caller, follow
/// `writeFinished(.applied)`.
///
/// `pending → running → completed | failed | cancelled | timed_out`; every other status leads to each terminal one. The last result, the
/// aggregate and the end are one write; an execution that an earlier version left `aggregating` is aggregated by its next owner.
package struct ExecutionMachine: Sendable {
  /// A decision that is independent of agents, and is repeated after a reread of the execution.
  private enum Wish: Sendable {
    case cancel, timeOut, fail(ExecutionFailure)
  }

  /// The execution including all pending writes.
  package private(set) var stored: StoredExecution
  private var writes = ExecutionWrites()
  /// The tasks that are not sent until they are stored.
  private var unsent: Set<String> = []
  private var wish: Wish?

  /// Creates a machine for an execution that is stored or about to be created.
  package init(_ stored: StoredExecution) {
    self.stored = stored
  }

  package var id: String { stored.execution.id }
  /// Whether the outcome is decided; its write may be pending.
  package var isDecided: Bool { stored.execution.status == .aggregating || stored.execution.status.isTerminal }

  /// Whether the execution waits for the agents of all slots.
  package var isWaitingForAgents: Bool { stored.execution.status == .pending }

  /// Whether a write is pending, or waits for a reread of the execution.
  package var isWriting: Bool { !writes.isIdle }

  // MARK: Creation and recovery

  /// Creates an execution: running with its first tasks if there are agents, otherwise pending.
  package static func create(_ execution: Execution, agents: [String], at now: Timestamp) -> (machine: ExecutionMachine, actions: [Action])
  {
    var machine = ExecutionMachine(StoredExecution(execution: execution, tasks: []))
    var actions: [Action] = [.accepted]
    if agents.isEmpty {
      actions.append(.wantsAgents)
    } else {
      let tasks = machine.stored.firstTasks(for: agents)
      machine.stored.execution.status = .running
      machine.stored.execution.startedAt = machine.stored.instant(now)
      machine.stored.tasks = tasks
      actions += machine.sending(tasks)
    }
    let call = machine.writes.create(machine.stored, then: actions)
    return (machine, [.store(call)])
  }

  /// Resumes an execution that this node has claimed.
  ///
  /// Open tasks count as delivered to their agents.
  package mutating func resume(at now: Timestamp) -> [Action] {
    switch stored.execution.status {
    case .pending: return [.wantsAgents]
    case .running: return stored.lastAttempts.filter(stored.canRetry).map { .wantsAgent(slot: $0.slot) } + settle(at: now, then: [])
    case .aggregating: return aggregate(at: now)
    case .completed, .failed, .cancelled, .timedOut: return [.finished]
    }
  }

  // MARK: Agents

  /// Assigns agents to a pending execution, one for each slot.
  package mutating func start(agents: [String], at now: Timestamp) -> [Action] {
    guard isWaitingForAgents, !agents.isEmpty else { return [] }
    let tasks = stored.firstTasks(for: agents)
    let started = stored.instant(now)
    return record(then: sending(tasks)) { change in
      change.status = .running
      change.startedAt = started
      change.tasks = tasks
    }
  }

  /// Assigns another agent to a slot whose agent failed or was lost.
  package mutating func retry(slot: Int, agent: String) -> [Action] {
    guard stored.execution.status == .running, let last = stored.lastAttempts.first(where: { $0.slot == slot }), stored.canRetry(last)
    else { return [] }
    let attempt = last.attempt + (stored.isNextAttemptFree(after: last) ? 0 : 1)
    let task = TaskRecord(id: stored.taskID(at: stored.tasks.count), agentID: agent, slot: slot, attempt: attempt)
    let greatest = max(attempt, stored.execution.attempt)
    return record(then: sending([task])) { change in
      change.attempt = greatest
      change.tasks.append(task)
    }
  }

  /// Whether an open task was sent to its agent.
  package func isSent(_ taskID: String) -> Bool {
    !unsent.contains(taskID) && stored.tasks.contains { $0.id == taskID && $0.state == .open }
  }

  // MARK: Outcomes

  /// Records the result of a task.
  ///
  /// The first outcome of a task counts; a repeat is acknowledged.
  package mutating func taskCompleted(
    _ taskID: String, result: JSONValue, confidence: Double?, duration: Duration?, at now: Timestamp
  ) -> [Action] {
    guard var task = stored.tasks.first(where: { $0.id == taskID }) else { return [] }
    let isFirst = task.state == .open && !isDecided
    task.state = .completed
    task.result = result
    task.confidence = confidence
    task.duration = duration.map { WireDuration($0) }
    guard isFirst else { return acknowledgeAgain(task) }
    return [.freed(task)] + settle(task, at: now, then: [.acknowledge(task)])
  }

  /// Records the error of a task.
  package mutating func taskFailed(
    _ taskID: String, error: ExecutionFailure, retryable: Bool, at now: Timestamp
  ) -> [Action] {
    taskEnded(taskID, error: error, retryable: retryable, at: now, then: { [.acknowledge($0)] })
  }

  /// Records an outcome from another node or from an earlier report; open and cancelled tasks are ignored.
  package mutating func taskEnded(as outcome: TaskRecord, at now: Timestamp) -> [Action] {
    switch outcome.state {
    case .completed:
      return taskCompleted(
        outcome.id, result: outcome.result ?? .null, confidence: outcome.confidence, duration: outcome.duration?.duration, at: now)
    case .failed:
      let error = outcome.error ?? ExecutionFailure(code: "TASK_FAILED", message: "the agent reported a failure")
      return taskFailed(outcome.id, error: error, retryable: outcome.retryable ?? false, at: now)
    case .open, .cancelled: return []
    }
  }

  /// Records the loss of a task with its agent.
  ///
  /// A task with an outcome is not lost.
  package mutating func taskLost(_ taskID: String, _ loss: TaskLoss = .agentGone, at now: Timestamp) -> [Action] {
    guard let task = stored.tasks.first(where: { $0.id == taskID && $0.state == .open }) else { return [] }
    let (error, retryable) = stored.failure(of: task.slot, by: loss)
    return taskEnded(taskID, error: error, retryable: retryable, at: now, then: { _ in [] })
  }

  /// Cancels the execution.
  ///
  /// A decided execution cannot be cancelled.
  package mutating func cancel(at now: Timestamp) -> [Action] {
    guard !isDecided else { return [] }
    wish = .cancel
    return end(.cancelled, error: nil, reason: "cancelled", at: now)
  }

  /// Ends the execution at its deadline: with the results so far if they suffice, otherwise as timed out.
  package mutating func deadlinePassed(at now: Timestamp) -> [Action] {
    // A decision may not hold, and the deadline passes only once.
    wish = isDecided ? wish ?? .timeOut : .timeOut
    guard !isDecided else { return [] }
    if stored.completedSlots >= stored.execution.pattern.agents.min { return aggregate(at: now) }
    return end(.timedOut, error: stored.timeOut, reason: "timeout", at: now)
  }

  /// Ends the execution with an error of the control plane.
  package mutating func fail(_ error: ExecutionFailure, at now: Timestamp) -> [Action] {
    guard !isDecided else { return [] }
    wish = .fail(error)
    return end(.failed, error: error, reason: "failed", at: now)
  }

  // MARK: Writes

  /// Handles the reply to the last write, which has this epoch and revision; replies to other writes are ignored.
  package mutating func writeFinished(_ outcome: UpdateOutcome, epoch: Int64, revision: Int64) -> [Action] {
    let execution = stored.execution
    guard epoch == execution.epoch, revision == writes.writtenRevision(of: execution) else { return [] }
    switch writes.finish(outcome, revision: revision, recordings: execution.recordings) {
    case .ignored: return []
    case .written(let actions, let next):
      return stillWanted(actions) + (next.map { [.store($0)] } ?? [])
    case .restore: return [writes.restoration(of: stored)]
    case .read: return [.store(.read(id))]
    case .lost(let isBarred): return [.lost(letGo(), isBarred: isBarred)]
    }
  }

  /// The change to write instead of one that a full store refuses, because the execution has ended since; nil for the same again.
  package mutating func endInstead(of change: ExecutionChange) -> ExecutionChange? { writes.endInstead(of: change, in: &stored) }

  /// Releases the execution, and returns the unacknowledged outcomes of its agents, which no other node may have.
  package mutating func letGo() -> [TaskRecord] {
    writes.letGo().compactMap { if case .acknowledge(let task) = $0 { task } else { nil } }
  }

  /// Continues from the stored execution, which outweighs the local copy: another owner had it in between, or other nodes recorded
  /// outcomes.
  ///
  /// Outcomes that the store lacks, and decisions that are independent of agents, are applied again.
  package mutating func replace(with found: StoredExecution, at now: Timestamp) -> [Action] {
    var (former, outcomes) = (self, letGo())
    // The store may have lost outcomes that it had acknowledged.
    outcomes += former.stored.tasks.filter { task in
      task.isReported && found.tasks.contains { $0.state == .open && $0.isSame(as: task) } && !outcomes.contains { $0.isSame(as: task) }
    }
    self = ExecutionMachine(found)
    writes = ExecutionWrites(after: former.writes)
    wish = former.wish
    // The stored execution is an earlier creation for the same request, with another deadline.
    if case .timeOut = wish, found.execution.deadline != former.stored.execution.deadline { wish = nil }
    var actions = former.stored.tasksGone(from: found, unsent: former.unsent)
    if found.execution.status == .running { actions += found.lastAttempts.filter(found.canRetry).map { .wantsAgent(slot: $0.slot) } }
    for outcome in outcomes {
      // The store decides about a task of a life that it has lost.
      let isKnown = found.tasks.contains { $0.isSame(as: outcome) }
      actions += isKnown ? taskEnded(as: outcome, at: now) : [.store(.record(outcome, execution: id, messageID: nil))]
    }
    actions += wishAgain(at: now)
    if writes.isIdle { actions += stored.execution.status == .running ? settle(at: now, then: []) : resume(at: now) }
    actions += stored.tasksReopened(since: former.stored, unsent: unsent)
    return writes.isRestorationDue && !stored.execution.status.isTerminal ? actions + storeReset() : actions
  }

  /// Records a read of the store, whose outcomes of open tasks are applied next.
  ///
  /// An unread outcome of any other task overrules a decision of this node, so the store must refuse the next change.
  package mutating func outcomesRead(in found: StoredExecution) {
    if stored.awaitsOutcomes(of: found) { stored.execution.recordings = max(stored.execution.recordings, found.execution.recordings) }
  }

  /// Restores the execution after a possible loss in the store, such as a failover: after a pending write, and after a pending read of
  /// outcomes.
  package mutating func storeReset() -> [Action] {
    writes.storeReset() ? [writes.restoration(of: stored)] : []
  }

  /// Restores the execution after a read has shown a loss; `found` is the stored rest, nil for none.
  ///
  /// A write that the store refused because of unread outcomes is dropped: its decision is not stored, and is made again.
  package mutating func storeLacks(_ found: StoredExecution?, at now: Timestamp) -> [Action] {
    let acknowledged = writes.acknowledged(in: stored)
    if let found, writes.isRefused, stored.lacksTasks(of: found, besides: acknowledged) { return decideAgain(over: found, at: now) }
    return writes.storeLacks() ? [writes.restoration(of: stored)] : []
  }

  private mutating func decideAgain(over found: StoredExecution, at now: Timestamp) -> [Action] {
    let former = self
    stored.takeTasks(of: found, besides: writes.acknowledged(in: stored))
    if isDecided { stored.reopen() }
    stored.giveWay(to: found, unsent: unsent)
    let open = stored.tasks.filter { $0.state == .open }
    let late = writes.restoreUndecided { task in open.contains { $0.isSame(as: task) } }
    var actions = former.stored.tasksGone(from: stored, unsent: former.unsent) + [writes.restoration(of: stored)]
    for outcome in late { actions += taskEnded(as: outcome, at: now) }
    if stored.execution.status == .running { actions += stored.lastAttempts.filter(stored.canRetry).map { .wantsAgent(slot: $0.slot) } }
    actions += wishAgain(at: now)
    if !isDecided { actions += isWaitingForAgents ? [.wantsAgents] : settle(at: now, then: []) }
    return actions + stored.tasksReopened(since: former.stored, unsent: unsent)
  }

  /// Compares the stored execution with the local one.
  package func standing(of found: StoredExecution) -> StoredExecution.Standing {
    let (found, known) = (found.execution, stored.execution)
    guard found.epoch == known.epoch else { return found.epoch < known.epoch ? .behind : .ahead }
    guard found.owner == known.owner else { return .ahead }
    if let base = writes.refusedBase { return found.revision < base ? .behind : .ahead }
    // The reply to a pending write reveals a loss.
    if !writes.isIdle || found.revision == known.revision { return .current }
    return found.revision < known.revision ? .behind : .ahead
  }
}

// MARK: - Deciding

extension ExecutionMachine {
  private mutating func sending(_ tasks: [TaskRecord]) -> [Action] {
    unsent.formUnion(tasks.map(\.id))
    return tasks.map(Action.send)
  }

  /// The actions that waited for a write, without the sending of tasks that have ended since.
  private mutating func stillWanted(_ actions: [Action]) -> [Action] {
    actions.filter { action in
      guard case .send(let task) = action else { return true }
      unsent.remove(task.id)
      return stored.tasks.contains { $0.id == task.id && $0.state == .open }
    }
  }

  private mutating func taskEnded(
    _ taskID: String, error: ExecutionFailure, retryable: Bool, at now: Timestamp, then: (TaskRecord) -> [Action]
  ) -> [Action] {
    guard var task = stored.tasks.first(where: { $0.id == taskID }) else { return [] }
    let isFirst = task.state == .open && !isDecided
    task.state = .failed
    task.error = error
    task.retryable = retryable
    guard isFirst else { return acknowledgeAgain(task) }
    let wanted: [Action] = stored.canRetry(task) ? [.wantsAgent(slot: task.slot)] : []
    return [.freed(task)] + settle(task, at: now, then: then(task)) + wanted.filter { _ in !isDecided }
  }

  /// Records the outcome of a task, together with the end of the execution if the outcome decides it.
  private mutating func settle(_ task: TaskRecord? = nil, at now: Timestamp, then: [Action]) -> [Action] {
    if let task, let index = stored.tasks.firstIndex(where: { $0.id == task.id }) { stored.tasks[index] = task }
    switch stored.verdict {
    case .enough: return aggregate(at: now, changing: task, then: then)
    case .tooFew: return end(.failed, error: stored.failure, reason: "failed", at: now, changing: task, then: then)
    case .open: break
    }
    guard let task else { return [] }
    return record(then: then) { $0.tasks.append(task) }
  }

  /// Aggregates the results, and records them together with the end of the execution.
  ///
  /// A new owner that repeats the aggregation gets the same result.
  private mutating func aggregate(at now: Timestamp, changing task: TaskRecord? = nil, then: [Action] = []) -> [Action] {
    switch stored.aggregated {
    case .success(let result): end(.completed, result: result, error: nil, reason: "decided", at: now, changing: task, then: then)
    case .failure(let error): end(.failed, error: error, reason: "decided", at: now, changing: task, then: then)
    }
  }

  private mutating func end(
    _ status: ExecutionStatus, result: JSONValue? = nil, error: ExecutionFailure?, reason: String, at now: Timestamp,
    changing task: TaskRecord? = nil, then: [Action] = []
  ) -> [Action] {
    let (withdrawn, told) = withdrawOpenTasks(reason: reason)
    let ended = stored.instant(now)
    let actions = record(then: then + [.finished]) { change in
      change.status = status
      change.result = result
      change.error = error
      change.completedAt = ended
      change.tasks += withdrawn
      if let task { change.tasks.append(task) }
    }
    return told + actions
  }

  private func withdrawOpenTasks(reason: String) -> (tasks: [TaskRecord], actions: [Action]) {
    let open = stored.tasks.filter { $0.state == .open }
    let withdrawn = open.map { task in
      var task = task
      task.state = .cancelled
      return task
    }
    return (withdrawn, open.map { unsent.contains($0.id) ? .freed($0) : .withdraw($0, reason: reason) })
  }

  /// Repeats a decision that is independent of agents.
  private mutating func wishAgain(at now: Timestamp) -> [Action] {
    switch wish {
    case nil: []
    case .cancel: cancel(at: now)
    case .timeOut: deadlinePassed(at: now)
    case .fail(let error): fail(error, at: now)
    }
  }

  /// Writes a change at once, or with the next write if one is pending; `then` follows once the change is stored.
  private mutating func record(then: [Action], _ build: (inout ExecutionChange) -> Void) -> [Action] {
    let execution = stored.execution
    var change = ExecutionChange(
      id: execution.id, owner: execution.owner, epoch: execution.epoch, revision: writes.nextRevision(of: execution),
      recordings: execution.recordings)
    build(&change)
    stored.apply(change)
    return writes.add(change, then: then).map { [.store($0)] } ?? []
  }

  /// Acknowledges a repeated or late outcome once all decisions are stored.
  private mutating func acknowledgeAgain(_ task: TaskRecord) -> [Action] {
    writes.acknowledge(task).map { [$0] } ?? []
  }
}
