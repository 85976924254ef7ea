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
  /// What the dispatcher has to do, in order.
  package enum Action: Sendable, Hashable {
    case create(StoredExecution)
    case update(ExecutionChange)
    /// Write the execution as a whole: the store has lost of it.
    case restore(StoredExecution)
    /// The agents for all slots are wanted; answered by `start`.
    case wantsAgents
    /// Another agent is wanted for a slot; answered by `retry`.
    case wantsAgent(slot: Int)
    /// The task is recorded: its agent may have it.
    case send(TaskRecord)
    /// The task's outcome is recorded: its agent may forget it.
    case acknowledge(TaskRecord)
    /// The task takes up none of its agent's places any more: the agent has answered, or never had it.
    case freed(TaskRecord)
    /// The task is no longer wanted; its agent may stop, and has its place free again when it says so.
    case withdraw(TaskRecord, reason: String)
    /// The execution is in the store: the request may be acknowledged.
    case accepted
    /// The execution is terminal in the store.
    case finished
    /// The store has outcomes that this node has not read: read the execution, then call `replace`.
    case read
    /// Another node owns the execution now, or it is gone: nothing more may be done about it here, but to record the outcomes that its
    /// agents gave and that were not acknowledged.
    case lost([TaskRecord])
  }

  private enum Write: Sendable {
    case idle
    case inFlight(then: [Action], restores: Bool = false)
    /// The last write was refused, as the store has outcomes that were not read; `then` would have come out after it.
    case refused(then: [Action])
  }

  /// A decision that does not rest on what agents did, and is made again when the execution is read again.
  private enum Wish: Sendable {
    case cancel, timeOut
    case fail(ExecutionFailure)
  }

  /// How what a store holds compares with what is held here.
  package enum Standing: Sendable, Hashable {
    /// The store has lost of what it had.
    case behind
    /// Both are of one epoch.
    case current
    /// The store holds a later epoch, or the end of this one by another.
    case ahead
  }

  /// The execution as it stands once everything that was written has arrived.
  package private(set) var stored: StoredExecution
  private var write = Write.idle
  private var queued: (change: ExecutionChange, then: [Action])?
  /// Whether the store may have lost what is not on its way there.
  private var isStoreReset = false
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
  package var isWriting: Bool {
    if case .idle = write { false } else { true }
  }

  // MARK: Creation and recovery

  /// Creates the execution, with its first tasks when `agents` has enough for the pattern, else pending.
  package mutating func create(agents: [String], at now: Timestamp) -> [Action] {
    precondition(stored.execution.status == .pending && stored.tasks.isEmpty, "created twice")
    var actions: [Action] = [.accepted]
    if agents.isEmpty {
      actions.append(.wantsAgents)
    } else {
      let tasks = firstTasks(agents)
      stored.execution.status = .running
      stored.execution.startedAt = instant(now)
      stored.tasks = tasks
      actions += sending(tasks)
    }
    write = .inFlight(then: actions)
    return [.create(stored)]
  }

  /// Goes on with an execution that this node has claimed.
  ///
  /// Open tasks count as being with their agents.
  package mutating func resume(at now: Timestamp) -> [Action] {
    switch stored.execution.status {
    case .pending: return [.wantsAgents]
    case .running: return stored.lastAttempts.filter(canRetry).map { .wantsAgent(slot: $0.slot) } + settle(at: now, then: [])
    case .aggregating: return conclude(at: now)
    case .completed, .failed, .cancelled, .timedOut: return [.finished]
    }
  }

  // MARK: Agents

  /// Gives a pending execution its agents, one slot each.
  package mutating func start(agents: [String], at now: Timestamp) -> [Action] {
    guard isWaitingForAgents, !agents.isEmpty else { return [] }
    let tasks = firstTasks(agents)
    let started = instant(now)
    return record(then: sending(tasks)) { change in
      change.status = .running
      change.startedAt = started
      change.tasks = tasks
    }
  }

  /// Gives a slot whose agent failed or was lost to another agent.
  package mutating func retry(slot: Int, agent: String) -> [Action] {
    guard stored.execution.status == .running, let last = stored.lastAttempts.first(where: { $0.slot == slot }), canRetry(last)
    else { return [] }
    let attempt = last.attempt + (last.isUncounted ? 0 : 1)
    let task = TaskRecord(id: taskID(stored.tasks.count), agentID: agent, slot: slot, attempt: attempt)
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

  /// How a task was lost with its agent.
  package enum Loss: Sendable, Hashable {
    /// The agent is gone for good, as far as anyone can tell.
    case agentGone
    /// The agent came back without the task, once more.
    case repeated
    /// The agent came back without this task and others that may have been why: the next attempt costs no retry.
    case amongOthers
  }

  /// How many agents an input may take down, being the only one that can have been why, before no further one gets it.
  private static let greatestLosses = 3

  /// The task is lost with its agent.
  ///
  /// Nothing happens when the task has an outcome.
  package mutating func taskLost(_ taskID: String, _ loss: Loss = .agentGone, at now: Timestamp) -> [Action] {
    guard let task = stored.tasks.first(where: { $0.id == taskID && $0.state == .open }) else { return [] }
    let error: ExecutionFailure
    var retryable = true
    switch loss {
    case .agentGone: error = ExecutionFailure(code: "AGENT_LOST", message: "the agent went away and did not come back in time")
    case .amongOthers:
      error = ExecutionFailure(code: TaskRecord.lostAmongOthers, message: "the agent came back without this task and others")
    case .repeated:
      let code = "AGENT_LOST_AGAIN"
      let losses = 1 + stored.tasks.count { $0.slot == task.slot && $0.error?.code == code }
      retryable = losses < Self.greatestLosses
      error = ExecutionFailure(
        code: code,
        message: retryable
          ? "the agent came back without this task, twice" : "set aside: \(losses) agents came back without this task, twice each")
    }
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
    if completedSlots() >= stored.execution.pattern.agents.min { return aggregate(at: now, changing: nil, then: []) }
    let limit = (stored.execution.deadline - stored.execution.createdAt).text
    let error = ExecutionFailure(code: "TIMEOUT", message: "not finished within \(limit)")
    return end(.timedOut, error: error, reason: "timeout", at: now)
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
    guard case .inFlight(let actions, let restores) = write, epoch == stored.execution.epoch, revision == writtenRevision else { return [] }
    write = .idle
    switch outcome {
    // A change that waits finds out by itself whether the store has lost of the execution; what lists it is restored after that.
    case .applied where isStoreReset && queued == nil: return restore(then: actions)
    case .behind where !restores, .missing where !restores: return restore(then: actions)
    case .applied:
      let actions = stillWanted(actions)
      if let next = queued {
        queued = nil
        write = .inFlight(then: next.then)
        var change = next.change
        change.recordings = stored.execution.recordings
        return actions + [.update(change)]
      }
      return stored.execution.status == .aggregating ? actions + conclude(at: now) : actions
    case .unread:
      write = .refused(then: actions + (queued?.then ?? []))
      queued = nil
      return [.read]
    case .stale, .behind, .missing:
      write = .inFlight(then: actions, restores: restores)
      return [.lost(letGo())]
    }
  }

  /// The revision of the write that is on its way.
  private var writtenRevision: Int64 { queued.map { $0.change.revision - 1 } ?? stored.execution.revision }

  /// Gives up the execution, and returns the outcomes that its agents gave and that were not acknowledged: nobody else may know them.
  package mutating func letGo() -> [TaskRecord] {
    defer {
      write = .idle
      queued = nil
    }
    let waiting: [Action]
    switch write {
    case .idle: waiting = queued?.then ?? []
    case .inFlight(let actions, _), .refused(let actions): waiting = actions + (queued?.then ?? [])
    }
    return waiting.compactMap { if case .acknowledge(let task) = $0 { task } else { nil } }
  }

  /// Goes on from what the store holds, which counts more than what is held here: another owner had the execution in between, or others
  /// have recorded outcomes.
  ///
  /// Outcomes that were not acknowledged and decisions that did not rest on agents are taken in again.
  package mutating func replace(with found: StoredExecution, at now: Timestamp) -> [Action] {
    let former = self
    let outcomes = letGo()
    let restoresLater = isStoreReset
    self = ExecutionMachine(found)
    isStoreReset = restoresLater
    wish = former.wish
    let open = Set(found.tasks.lazy.filter { $0.state == .open }.map(\.id))
    var actions = former.stored.tasks.filter { $0.state == .open && !open.contains($0.id) }.map(Action.freed)
    if found.execution.status == .running { actions += found.lastAttempts.filter(canRetry).map { .wantsAgent(slot: $0.slot) } }
    for outcome in outcomes {
      actions +=
        outcome.state == .completed
        ? taskCompleted(
          outcome.id, result: outcome.result ?? .null, confidence: outcome.confidence, duration: outcome.duration?.duration, at: now)
        : taskEnded(outcome, at: now)
    }
    switch former.wish {
    case nil: break
    case .cancel: actions += cancel(at: now)
    case .timeOut: actions += deadlinePassed(at: now)
    case .fail(let error): actions += fail(error, at: now)
    }
    guard case .idle = write else { return actions }
    switch stored.execution.status {
    case .running: return actions + settle(at: now, then: [])
    default: return actions + resume(at: now)
    }
  }

  /// Takes note that all outcomes were read which the store had at this count.
  package mutating func outcomesTaken(upTo recordings: Int64) {
    stored.execution.recordings = max(stored.execution.recordings, recordings)
  }

  /// The store may have lost what it had of the execution, as after a failover: writes it as a whole, with the next write if one is on its
  /// way.
  package mutating func storeReset() -> [Action] {
    switch write {
    case .idle: return restore(then: [])
    case .refused(let actions): return restore(then: actions)
    case .inFlight:
      isStoreReset = true
      return []
    }
  }

  /// How the execution as it was read from the store compares with this one.
  package func standing(of found: StoredExecution) -> Standing {
    let (found, known) = (found.execution, stored.execution)
    guard found.epoch == known.epoch else { return found.epoch < known.epoch ? .behind : .ahead }
    guard found.owner == known.owner else { return .ahead }
    switch write {
    // What is on its way is not expected there yet, and finds out by itself.
    case .inFlight: return .current
    case .refused: return .ahead
    case .idle where found.revision < known.revision: return .behind
    case .idle: return found.revision > known.revision ? .ahead : .current
    }
  }

  /// Whether a write was refused until the execution is read again.
  package var isRefused: Bool {
    if case .refused = write { true } else { false }
  }

  private mutating func restore(then actions: [Action]) -> [Action] {
    isStoreReset = false
    write = .inFlight(then: actions + (queued?.then ?? []), restores: true)
    queued = nil
    return [.restore(stored)]
  }
}

// MARK: - Deciding

extension ExecutionMachine {
  /// The instant to be written: wall clocks differ and jump, and nothing ends before it began.
  private func instant(_ now: Timestamp) -> Timestamp { max(now, stored.execution.startedAt ?? stored.execution.createdAt) }

  private func taskID(_ index: Int) -> String { "task_\(id.drop(while: { $0 != "_" }).dropFirst())_\(index)" }

  private func firstTasks(_ agents: [String]) -> [TaskRecord] {
    agents.enumerated().map { TaskRecord(id: taskID($0.offset), agentID: $0.element, slot: $0.offset) }
  }

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

  private func canRetry(_ task: TaskRecord) -> Bool {
    guard task.state == .failed, task.retryable == true else { return false }
    if task.attempt <= stored.execution.pattern.retries { return true }
    return task.isUncounted && stored.tasks.count { $0.slot == task.slot && $0.isUncounted } <= Self.greatestLosses
  }

  private func completedSlots() -> Int {
    stored.lastAttempts.count { $0.state == .completed }
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
    let wanted: [Action] = canRetry(task) ? [.wantsAgent(slot: task.slot)] : []
    return [.freed(task)] + settle(task, at: now, then: then(task)) + wanted.filter { _ in !isDecided }
  }

  /// Takes in a failure that an agent gave before.
  private mutating func taskEnded(_ outcome: TaskRecord, at now: Timestamp) -> [Action] {
    let error = outcome.error ?? ExecutionFailure(code: "TASK_FAILED", message: "the agent reported a failure")
    return taskFailed(outcome.id, error: error, retryable: outcome.retryable ?? false, at: now)
  }

  /// Records a task's outcome, and with it the end of the execution if this decides it.
  private mutating func settle(_ task: TaskRecord? = nil, at now: Timestamp, then: [Action]) -> [Action] {
    if let task, let index = stored.tasks.firstIndex(where: { $0.id == task.id }) { stored.tasks[index] = task }
    let pattern = stored.execution.pattern
    let takesFirst = pattern.aggregation.strategy == .first
    let last = stored.lastAttempts
    let completed = last.count { $0.state == .completed }
    let open = last.count { $0.state == .open || canRetry($0) }
    if takesFirst ? completed > 0 : open == 0 && completed >= pattern.agents.min {
      return aggregate(at: now, changing: task, then: then)
    }
    if completed + open < (takesFirst ? 1 : pattern.agents.min) {
      return end(.failed, error: failure(), reason: "failed", at: now, changing: task, then: then)
    }
    guard let task else { return [] }
    return record(then: then) { $0.tasks.append(task) }
  }

  /// Why there are not enough results: the error of the agents when they agree, else all of them.
  private func failure() -> ExecutionFailure {
    let errors = stored.lastAttempts.compactMap(\.error)
    if let first = errors.first, errors.allSatisfy({ $0.code == first.code }) { return first }
    let details = errors.map { JSONValue.object(["code": .string($0.code), "message": .string($0.message)]) }
    return ExecutionFailure(
      code: "TASK_FAILED", message: "too few agents gave a result", details: ["errors": .array(details)])
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
    let outcome: Result<JSONValue, ExecutionFailure>
    do throws(ExecutionFailure) {
      outcome = .success(try Aggregator.aggregate(stored.execution.pattern.aggregation, tasks: stored.lastAttempts))
    } catch {
      outcome = .failure(error)
    }
    let ended = instant(now)
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
    let ended = instant(now)
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

  /// Writes a change now, or with the next write when one is on its way; `then` comes out when it is in the store.
  private mutating func record(then: [Action], _ build: (inout ExecutionChange) -> Void) -> [Action] {
    let execution = stored.execution
    var change = ExecutionChange(
      id: execution.id, owner: execution.owner, epoch: execution.epoch, revision: queued?.change.revision ?? execution.revision + 1,
      recordings: execution.recordings)
    build(&change)
    stored.apply(change)
    switch write {
    case .idle:
      write = .inFlight(then: then)
      return [.update(change)]
    case .inFlight, .refused:
      if queued == nil {
        queued = (change, then)
      } else {
        queued?.change.add(change)
        queued?.then += then
      }
      return []
    }
  }

  /// Acknowledges a repeat, or an outcome that comes too late, but not before what is decided is in the store.
  private mutating func acknowledgeAgain(_ task: TaskRecord) -> [Action] {
    if queued != nil {
      queued?.then.append(.acknowledge(task))
      return []
    }
    switch write {
    case .idle: return [.acknowledge(task)]
    case .inFlight(let actions, let restores): write = .inFlight(then: actions + [.acknowledge(task)], restores: restores)
    case .refused(let actions): write = .refused(then: actions + [.acknowledge(task)])
    }
    return []
  }
}
