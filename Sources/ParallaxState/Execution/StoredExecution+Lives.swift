import ParallaxAPI

/// The comparison of an owner's execution with the state in a store that lost writes.
extension StoredExecution {
  /// Whether another state has tasks or outcomes that this one lacks.
  ///
  /// Of two results of one task the other state's counts, unless the store had acknowledged this state's: then the other came later.
  package func lacksTasks(of other: StoredExecution, besides acknowledged: Set<String> = []) -> Bool {
    other.tasks.contains { task in
      guard let known = tasks.first(where: { $0.id == task.id }) else { return true }
      return task.overrules(known) || task.differs(from: known) && !acknowledged.contains(task.id)
    }
  }

  /// Whether this state lacks only outcomes of its open tasks.
  ///
  /// Two results of one task are from two runs, and the stored one counts.
  func awaitsOutcomes(of other: StoredExecution) -> Bool {
    other.tasks.allSatisfy { task in
      guard let known = tasks.first(where: { $0.id == task.id }) else { return false }
      if task.differs(from: known) { return false }
      return !task.overrules(known) || known.state == .open && known.isSame(as: task)
    }
  }

  /// Adds the tasks and outcomes of another state that this one lacks.
  mutating func takeTasks(of other: StoredExecution, besides acknowledged: Set<String>) {
    execution.recordings = max(execution.recordings, other.execution.recordings)
    if tasks.isEmpty, !other.tasks.isEmpty, execution.status == .pending {
      (execution.status, execution.startedAt) = (.running, execution.startedAt ?? other.execution.startedAt)
    }
    for task in other.tasks {
      guard let index = tasks.firstIndex(where: { $0.id == task.id }) else {
        tasks.append(task)
        continue
      }
      let isOther = task.differs(from: tasks[index]) && !acknowledged.contains(task.id)
      if isOther || task.overrules(tasks[index]) { tasks[index] = task }
    }
  }

  /// Reverts a decision that is not stored.
  mutating func reopen() {
    execution.status = tasks.isEmpty ? .pending : .running
    (execution.result, execution.error, execution.completedAt) = (nil, nil, nil)
    for index in tasks.indices where tasks[index].state == .cancelled { tasks[index].state = .open }
  }

  /// Cancels unsent tasks in slots for which another state has a result or an open task.
  mutating func giveWay(to other: StoredExecution, unsent: Set<String>) {
    for index in tasks.indices where tasks[index].state == .open && unsent.contains(tasks[index].id) {
      let slot = tasks[index].slot
      if other.tasks.contains(where: { $0.slot == slot && ($0.state == .open || $0.state == .completed) }) {
        tasks[index].state = .cancelled
      }
    }
  }

  /// The actions for open tasks that are not open in a later state.
  func tasksGone(from later: StoredExecution, unsent: Set<String>) -> [ExecutionMachine.Action] {
    tasks.compactMap { task in
      guard task.state == .open, !later.tasks.contains(where: { $0.isSame(as: task) && $0.state == .open }) else { return nil }
      let isKnown = unsent.contains(task.id) || later.tasks.contains { $0.isSame(as: task) }
      return isKnown ? .freed(task) : .withdraw(task, reason: "superseded")
    }
  }

  /// Sends tasks again that a reverted decision had cancelled.
  func tasksReopened(since former: StoredExecution, unsent: Set<String>) -> [ExecutionMachine.Action] {
    tasks.filter { task in
      task.state == .open && !unsent.contains(task.id) && former.tasks.contains { $0.isSame(as: task) && $0.state == .cancelled }
    }.map { .send($0) }
  }
}
