import ParallaxAPI

/// The writes of one execution: at most one is pending, and the next one collects the changes in between.
///
/// An action that needs a stored change waits with the change.
struct ExecutionWrites: Sendable {
  typealias Action = ExecutionMachine.Action

  private enum Flight: Sendable {
    case idle
    case underway(then: [Action], restores: Bool)
    /// The store refused the last write, because it has unread outcomes; `then` still waits, and `base` is the earliest revision of a store
    /// without a loss.
    case refused(then: [Action], base: Int64)
  }

  /// The step after the end of a write.
  enum Step {
    /// No write was pending.
    case ignored
    /// The change is stored: its actions follow, and the collected changes are written.
    case written(then: [Action], next: StoreCall?)
    /// The store lost the execution wholly or in part: it is restored.
    case restore
    /// The store has unread outcomes.
    case read
    /// Another node owns the execution, or the store does not take it (`isBarred`).
    case lost(isBarred: Bool)
  }

  private var flight = Flight.idle
  private var gathered: (change: ExecutionChange, then: [Action])?
  /// Whether the store may have lost writes that are not pending.
  private var isStoreReset = false

  init() {}

  /// The writes of an execution after a reread: none, but a due restoration stays due.
  init(after former: ExecutionWrites) {
    isStoreReset = former.isStoreReset
  }

  /// Whether no write is pending or refused.
  var isIdle: Bool {
    if case .idle = flight { true } else { false }
  }

  /// Whether the next write needs a read of the execution.
  var isRefused: Bool { refusedBase != nil }

  /// The earliest revision of a store without a loss after it refused a write; nil if it refused none.
  var refusedBase: Int64? {
    if case .refused(_, let base) = flight { base } else { nil }
  }

  /// The revision of the pending write.
  func writtenRevision(of execution: Execution) -> Int64 { gathered.map { $0.change.revision - 1 } ?? execution.revision }

  /// The revision of the next change.
  func nextRevision(of execution: Execution) -> Int64 { gathered?.change.revision ?? execution.revision + 1 }

  /// Starts the creation of the execution.
  mutating func create(_ stored: StoredExecution, then: [Action]) -> StoreCall {
    flight = .underway(then: then, restores: false)
    return .create(stored)
  }

  /// Adds a change, and returns it if no other write is pending.
  mutating func add(_ change: ExecutionChange, then: [Action]) -> StoreCall? {
    if isIdle {
      flight = .underway(then: then, restores: false)
      return .update(change)
    }
    if gathered == nil {
      gathered = (change, then)
    } else {
      gathered?.change.add(change)
      gathered?.then += then
    }
    return nil
  }

  /// Takes a collected end without a result into a change that a full store refuses: the store takes such an end, but not what precedes it.
  ///
  /// Results that the store has not taken are dropped; the end does not depend on them, and their agents keep them until then.
  ///
  /// - Returns: The change to write instead, under the same revision; nil if there is none.
  mutating func endInstead(of change: ExecutionChange, in stored: inout StoredExecution) -> ExecutionChange? {
    guard case .underway(let then, restores: false) = flight, let (end, more) = gathered, change.epoch == stored.execution.epoch,
      change.revision == writtenRevision(of: stored.execution), let status = end.status, status.isTerminal, status != .completed
    else { return nil }
    var merged = change
    merged.add(end)
    for index in merged.tasks.indices where merged.tasks[index].state == .completed {
      let dropped = merged.tasks[index]
      merged.tasks[index] = TaskRecord(
        id: dropped.id, agentID: dropped.agentID, slot: dropped.slot, attempt: dropped.attempt, state: .cancelled)
      if let known = stored.tasks.firstIndex(where: { $0.id == dropped.id }) { stored.tasks[known] = merged.tasks[index] }
    }
    flight = .underway(then: then + more, restores: false)
    gathered = nil
    stored.execution.revision = change.revision
    return merged
  }

  /// Adds the acknowledgement of a repeated outcome, which must not overtake a write, and returns it if no write is pending.
  ///
  /// One acknowledgement waits for each task, however often its agent repeats the outcome while the store does not answer.
  mutating func acknowledge(_ task: TaskRecord) -> Action? {
    let action = Action.acknowledge(task)
    if awaitsAcknowledgement(of: task) { return nil }
    if gathered != nil {
      gathered?.then.append(action)
      return nil
    }
    switch flight {
    case .idle: return action
    case .underway(let then, let restores): flight = .underway(then: then + [action], restores: restores)
    case .refused(let then, let base): flight = .refused(then: then + [action], base: base)
    }
    return nil
  }

  /// Ends the pending write of a revision; `recordings` is the number of outcomes of other nodes that were read so far.
  mutating func finish(_ outcome: UpdateOutcome, revision: Int64, recordings: Int64) -> Step {
    guard case .underway(let then, let restores) = flight else { return .ignored }
    switch outcome {
    // A collected change reveals a loss of the execution; a restoration of its index entries follows.
    case .applied where isStoreReset && gathered == nil: return restore(then: then)
    case .behind where !restores, .missing where !restores: return restore(then: then)
    case .applied:
      flight = .idle
      guard var next = gathered else { return .written(then: then, next: nil) }
      gathered = nil
      next.change.recordings = recordings
      return .written(then: then, next: add(next.change, then: next.then))
    case .unread:
      // A restoration follows a loss, so every revision that a read shows is behind.
      flight = .refused(then: then + (gathered?.then ?? []), base: restores ? .max : revision - 1)
      gathered = nil
      return .read
    case .missing: return .lost(isBarred: true)
    case .stale, .behind: return .lost(isBarred: false)
    }
  }

  /// The actions that wait for writes.
  private var waiting: [Action] {
    switch flight {
    case .idle: gathered?.then ?? []
    case .underway(let then, _), .refused(let then, _): then + (gathered?.then ?? [])
    }
  }

  private func awaitsAcknowledgement(of task: TaskRecord) -> Bool {
    waiting.contains { if case .acknowledge(let other) = $0 { other.isSame(as: task) } else { false } }
  }

  /// The tasks whose results the store has acknowledged; another result of such a task, in a store that has lost writes, came later.
  func acknowledged(in stored: StoredExecution) -> Set<String> {
    let pending = Set(waiting.compactMap { if case .acknowledge(let task) = $0 { task.id } else { nil } })
    return Set(stored.tasks.lazy.filter { $0.state == .completed }.map(\.id)).subtracting(pending)
  }

  /// The restoration of the execution.
  func restoration(of stored: StoredExecution) -> Action { .store(.restore(stored, acknowledged: acknowledged(in: stored))) }

  /// Whether a restoration is due and no write is pending.
  var isRestorationDue: Bool { isStoreReset && isIdle }

  /// Records a possible loss of writes, and returns whether the restoration starts at once.
  mutating func storeReset() -> Bool {
    guard isIdle else {
      isStoreReset = true
      return false
    }
    _ = restore(then: [])
    return true
  }

  /// Records a loss that a read has shown, and returns whether the restoration starts at once.
  mutating func storeLacks() -> Bool {
    guard case .refused(let then, _) = flight else { return storeReset() }
    _ = restore(then: then)
    return true
  }

  /// Starts a restoration in place of a refused write, and drops the report of the execution's end.
  ///
  /// - Parameter isOpen: Whether a task is open again, so that its outcome is not part of the restoration.
  /// - Returns: The outcomes that arrived for such tasks after the decision, whose acknowledgements are dropped too.
  mutating func restoreUndecided(isOpen: (TaskRecord) -> Bool) -> [TaskRecord] {
    var late: [TaskRecord] = []
    let actions = letGo().filter { action in
      if case .acknowledge(let task) = action, isOpen(task) {
        late.append(task)
        return false
      }
      return action != .finished
    }
    _ = restore(then: actions)
    return late
  }

  /// Drops all writes, and returns the actions that waited for them.
  mutating func letGo() -> [Action] {
    defer {
      flight = .idle
      gathered = nil
    }
    return waiting
  }

  private mutating func restore(then: [Action]) -> Step {
    isStoreReset = false
    flight = .underway(then: then + (gathered?.then ?? []), restores: true)
    gathered = nil
    return .restore
  }
}
