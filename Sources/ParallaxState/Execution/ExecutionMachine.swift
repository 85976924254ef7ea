package import ParallaxAPI

/// One execution as its owner drives it: what to store, what to send, when it is done.
///
/// A value that decides and does nothing: events go in, actions come out, time is an argument. Its changes are written one at a
/// time; what has to wait until a change is in the store (sending a task, acknowledging a result, answering the caller) comes out
/// as an action only after `writeFinished(.applied)`. Changes made while one is on its way are gathered into the next.
///
/// `pending → running → aggregating → completed | failed | cancelled | timed_out`; a terminal status can be reached from each
/// of the others.
package struct ExecutionMachine: Sendable {
  /// A decision that does not rest on what agents did, and is made again when the execution is read again.
  private enum Wish: Sendable {
    case cancel, timeOut, fail(ExecutionFailure)
  }

  /// The execution as it stands once everything that was written has arrived.
  package private(set) var stored: StoredExecution
  private var writes = ExecutionWrites()
  /// The tasks that wait to be sent until they are in the store.
  private var unsent: Set<String> = []
  private var wish: Wish?

  /// Takes over an execution that is in the store, or is about to be created.
  package init(_ stored: StoredExecution) {
    self.stored = stored
  }

  package var id: String { stored.execution.id }
  /// Whether the outcome is decided, though perhaps not yet stored.
  package var isDecided: Bool { stored.execution.status == .aggregating || stored.execution.status.isTerminal }

  /// Whether agents for all slots are still wanted.
  package var isWaitingForAgents: Bool { stored.execution.status == .pending }

  /// Whether a write is on its way, or waits for the execution to be read again.
  package var isWriting: Bool { !writes.isIdle }

  // MARK: Creation and recovery

  /// Creates an execution, with its first tasks when `agents` has enough for the pattern, else pending.
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

  /// Goes on with an execution that this node has claimed.
  ///
  /// Open tasks count as being with their agents.
  package mutating func resume(at now: Timestamp) -> [Action] {
    switch stored.execution.status {
    case .pending: return [.wantsAgents]
    case .running: return stored.lastAttempts.filter(stored.canRetry).map { .wantsAgent(slot: $0.slot) } + settle(at: now, then: [])
    case .aggregating: return conclude(at: now)
    case .completed, .failed, .cancelled, .timedOut: return [.finished]
    }
  }

  // MARK: Agents

  /// Gives a pending execution its agents, one slot each.
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

  /// Gives a slot whose agent failed or was lost to another agent.
  package mutating func retry(slot: Int, agent: String) -> [Action] {
    guard stored.execution.status == .running, let last = stored.lastAttempts.first(where: { $0.slot == slot }), stored.canRetry(last)
    else { return [] }
    let attempt = last.attempt + (last.isUncounted ? 0 : 1)
    let task = TaskRecord(id: stored.taskID(at: stored.tasks.count), agentID: agent, slot: slot, attempt: attempt)
    let greatest = max(attempt, stored.execution.attempt)
    return record(then: sending([task])) { change in
      change.attempt = greatest
      change.tasks.append(task)
    }
  }

  /// Whether the slot's next attempt is to be kept apart from others that may have taken down their agent.
  package func isSuspect(slot: Int) -> Bool {
    stored.lastAttempts.first { $0.slot == slot }?.isUncounted ?? false
  }

  /// The agents that should not get this slot again while there are others.
  package func agentsTried(slot: Int) -> Set<String> {
    Set(stored.tasks.filter { $0.slot == slot || $0.state == .open }.map(\.agentID))
  }

  /// Whether a task is with its agent, or was sent there.
  package func isSent(_ taskID: String) -> Bool {
    !unsent.contains(taskID) && stored.tasks.contains { $0.id == taskID && $0.state == .open }
  }

  // MARK: Outcomes

  /// An agent gave a task's result.
  ///
  /// The first outcome of a task counts; a repeat is acknowledged again.
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

  /// An agent could not do a task.
  package mutating func taskFailed(
    _ taskID: String, error: ExecutionFailure, retryable: Bool, at now: Timestamp
  ) -> [Action] {
    taskEnded(taskID, error: error, retryable: retryable, at: now, then: { [.acknowledge($0)] })
  }

  /// A task ended as another node has recorded it, or as an agent said before; nothing happens for a task that is open or cancelled.
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

  /// The task is lost with its agent.
  ///
  /// Nothing happens when the task has an outcome.
  package mutating func taskLost(_ taskID: String, _ loss: TaskLoss = .agentGone, at now: Timestamp) -> [Action] {
    guard stored.tasks.contains(where: { $0.id == taskID && $0.state == .open }) else { return [] }
    let (error, retryable) = stored.failure(by: loss)
    return taskEnded(taskID, error: error, retryable: retryable, at: now, then: { _ in [] })
  }

  /// The caller wants it no longer.
  ///
  /// Nothing happens when the outcome is decided.
  package mutating func cancel(at now: Timestamp) -> [Action] {
    guard !isDecided else { return [] }
    wish = .cancel
    return end(.cancelled, error: nil, reason: "cancelled", at: now)
  }

  /// The deadline has passed: what there is must do, or it has timed out.
  package mutating func deadlinePassed(at now: Timestamp) -> [Action] {
    guard !isDecided else { return [] }
    wish = .timeOut
    if stored.completedSlots >= stored.execution.pattern.agents.min { return aggregate(at: now, changing: nil, then: []) }
    return end(.timedOut, error: stored.timeOut, reason: "timeout", at: now)
  }

  /// Ends it with an error of the control plane's.
  package mutating func fail(_ error: ExecutionFailure, at now: Timestamp) -> [Action] {
    guard !isDecided else { return [] }
    wish = .fail(error)
    return end(.failed, error: error, reason: "failed", at: now)
  }

  // MARK: Writes

  /// The write that came out last, under this epoch and revision, has ended; the reply of any other write means nothing.
  package mutating func writeFinished(_ outcome: UpdateOutcome, epoch: Int64, revision: Int64, at now: Timestamp) -> [Action] {
    let execution = stored.execution
    guard epoch == execution.epoch, revision == writes.writtenRevision(of: execution) else { return [] }
    switch writes.finish(outcome, revision: revision, recordings: execution.recordings) {
    case .ignored: return []
    case .written(let actions, let next):
      let wanted = stillWanted(actions)
      if let next { return wanted + [.store(next)] }
      return execution.status == .aggregating ? wanted + conclude(at: now) : wanted
    case .restore: return [.store(.restore(stored))]
    case .read: return [.store(.read(id))]
    case .lost: return [.lost(letGo())]
    }
  }

  /// Gives up the execution, and returns the outcomes that its agents gave and that were not acknowledged: nobody else may know them.
  package mutating func letGo() -> [TaskRecord] {
    writes.letGo().compactMap { if case .acknowledge(let task) = $0 { task } else { nil } }
  }

  /// Goes on from what the store holds, which counts more than what is held here: another owner had the execution in between, or others
  /// have recorded outcomes.
  ///
  /// Outcomes that were not acknowledged and decisions that did not rest on agents are taken in again.
  package mutating func replace(with found: StoredExecution, at now: Timestamp) -> [Action] {
    let (former, outcomes) = (self, letGo())
    self = ExecutionMachine(found)
    writes = ExecutionWrites(after: former.writes)
    wish = former.wish
    // A repeat of the request was created first, and has its own time.
    if case .timeOut = wish, found.execution.deadline != former.stored.execution.deadline { wish = nil }
    var actions = former.stored.tasksGone(from: found, unsent: former.unsent)
    if found.execution.status == .running { actions += found.lastAttempts.filter(found.canRetry).map { .wantsAgent(slot: $0.slot) } }
    for outcome in outcomes {
      // A task of a life that the store has lost is the store's to judge.
      let isKnown = found.tasks.contains { $0.isSame(as: outcome) }
      actions += isKnown ? taskEnded(as: outcome, at: now) : [.store(.record(outcome, execution: id, messageID: nil))]
    }
    actions += wishAgain(at: now)
    if writes.isIdle { actions += stored.execution.status == .running ? settle(at: now, then: []) : resume(at: now) }
    actions += stored.tasksReopened(since: former.stored, unsent: unsent)
    return writes.isRestorationDue && !stored.execution.status.isTerminal ? actions + storeReset() : actions
  }

  /// Takes note that the store was read, whose outcomes of open tasks are about to be taken in.
  ///
  /// One of any other task overrules what was decided here: the next change is to be refused.
  package mutating func outcomesRead(in found: StoredExecution) {
    if stored.awaitsOutcomes(of: found) { stored.execution.recordings = max(stored.execution.recordings, found.execution.recordings) }
  }

  /// The store may have lost what it had of the execution, as after a failover: writes it as a whole, behind what is on its way, and not
  /// before outcomes are read that the store is known to have.
  package mutating func storeReset() -> [Action] {
    writes.storeReset() ? [.store(.restore(stored))] : []
  }

  /// The store was read, and has lost of what it had of the execution; `found`: what it has, nil for nothing.
  ///
  /// A write that it refused since it has what was not read gives way to that: what was decided is not in the store, and is decided anew.
  package mutating func storeLacks(_ found: StoredExecution?, at now: Timestamp) -> [Action] {
    if let found, writes.isRefused, stored.lacksTasks(of: found) { return decideAgain(over: found, at: now) }
    return writes.storeLacks() ? [.store(.restore(stored))] : []
  }

  private mutating func decideAgain(over found: StoredExecution, at now: Timestamp) -> [Action] {
    let former = self
    stored.takeTasks(of: found)
    if isDecided { stored.reopen() }
    stored.giveWay(to: found, unsent: unsent)
    writes.restoreUndecided()
    var actions = former.stored.tasksGone(from: stored, unsent: former.unsent) + [.store(.restore(stored))]
    if stored.execution.status == .running { actions += stored.lastAttempts.filter(stored.canRetry).map { .wantsAgent(slot: $0.slot) } }
    actions += wishAgain(at: now)
    if !isDecided { actions += isWaitingForAgents ? [.wantsAgents] : settle(at: now, then: []) }
    return actions + stored.tasksReopened(since: former.stored, unsent: unsent)
  }

  /// How the execution as it was read from the store compares with this one.
  package func standing(of found: StoredExecution) -> StoredExecution.Standing {
    let (found, known) = (found.execution, stored.execution)
    guard found.epoch == known.epoch else { return found.epoch < known.epoch ? .behind : .ahead }
    guard found.owner == known.owner else { return .ahead }
    if let base = writes.refusedBase { return found.revision < base ? .behind : .ahead }
    // What is on its way is not expected there yet, and finds out by itself.
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

  /// What waited for a write, without sending what was given up in the meantime.
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

  /// Records a task's outcome, and with it the end of the execution if this decides it.
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

  /// All results that count are there: they are recorded, then made into one.
  private mutating func aggregate(at now: Timestamp, changing task: TaskRecord?, then: [Action]) -> [Action] {
    let (withdrawn, told) = withdrawOpenTasks(reason: "decided")
    let actions = record(then: then) { change in
      change.status = .aggregating
      change.tasks += withdrawn
      if let task { change.tasks.append(task) }
    }
    return told + actions
  }

  /// Makes the result of the recorded results.
  ///
  /// A new owner does so again after a failover, and gets the same.
  private mutating func conclude(at now: Timestamp) -> [Action] {
    let outcome = stored.aggregated
    let ended = stored.instant(now)
    return record(then: [.finished]) { change in
      change.completedAt = ended
      switch outcome {
      case .success(let result):
        change.status = .completed
        change.result = result
      case .failure(let error):
        change.status = .failed
        change.error = error
      }
    }
  }

  private mutating func end(
    _ status: ExecutionStatus, error: ExecutionFailure?, reason: String, at now: Timestamp, changing task: TaskRecord? = nil,
    then: [Action] = []
  ) -> [Action] {
    let (withdrawn, told) = withdrawOpenTasks(reason: reason)
    let ended = stored.instant(now)
    let actions = record(then: then + [.finished]) { change in
      change.status = status
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

  /// Decides again what did not rest on agents.
  private mutating func wishAgain(at now: Timestamp) -> [Action] {
    switch wish {
    case nil: []
    case .cancel: cancel(at: now)
    case .timeOut: deadlinePassed(at: now)
    case .fail(let error): fail(error, at: now)
    }
  }

  /// Writes a change now, or with the next write when one is on its way; `then` comes out when it is in the store.
  private mutating func record(then: [Action], _ build: (inout ExecutionChange) -> Void) -> [Action] {
    let execution = stored.execution
    var change = ExecutionChange(
      id: execution.id, owner: execution.owner, epoch: execution.epoch, revision: writes.nextRevision(of: execution),
      recordings: execution.recordings)
    build(&change)
    stored.apply(change)
    return writes.add(change, then: then).map { [.store($0)] } ?? []
  }

  /// Acknowledges a repeat, or an outcome that comes too late, but not before what is decided is in the store.
  private mutating func acknowledgeAgain(_ task: TaskRecord) -> [Action] {
    writes.whenWritten(.acknowledge(task)).map { [$0] } ?? []
  }
}
