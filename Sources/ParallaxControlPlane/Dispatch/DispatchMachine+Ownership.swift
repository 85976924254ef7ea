import ParallaxAPI
package import ParallaxHA
package import ParallaxState

// MARK: - Whose an execution is

extension DispatchMachine {
  /// How late a pulse shows that the process was paused, or the machine asleep.
  private static let pauseLimit = Duration.seconds(3)
  private static let pulseInterval = Duration.seconds(1)

  /// Has an execution read again; each is read once at a time, and few at once.
  mutating func read(_ id: String) -> [DispatchAction] {
    reads.add(id)
    return takeReads()
  }

  private mutating func takeReads() -> [DispatchAction] {
    var actions: [DispatchAction] = []
    while let id = reads.next(width: settings.width) { actions.append(.read(id)) }
    return actions
  }

  /// An execution was read again.
  ///
  /// A later epoch counts more than what this node holds: it is another's, which this node leaves it to, or this node's own, which it goes
  /// on with. In the same epoch others can only have recorded outcomes. An earlier state is written over. `stored` is nil if it is not in
  /// the store any more.
  package mutating func executionRead(_ id: String, _ stored: StoredExecution?, at now: Moment) -> [DispatchAction] {
    reads.finish(id)
    return takeIn(id, stored, at: now) + takeReads()
  }

  /// An execution could not be read by this version: whoever can goes on with it.
  package mutating func readFailed(_ id: String) -> [DispatchAction] {
    reads.finish(id)
    return takeReads()
  }

  private mutating func takeIn(_ id: String, _ stored: StoredExecution?, at now: Moment) -> [DispatchAction] {
    guard let machine = executions[id]?.machine else { return found(id, stored) }
    guard let stored else { return advance(id, at: now) { $0.storeReset() } }
    switch machine.standing(of: stored) {
    case .behind: return advance(id, at: now) { $0.storeReset() } + takeOutcomes(of: stored, at: now)
    case .ahead where stored.execution.status.isTerminal: return endedElsewhere(stored, at: now)
    case .ahead where stored.execution.owner == settings.session && !settings.rules.lacks(.keepsEarlierEpoch):
      return replace(id, with: stored, at: now) + deliverAgain(id, at: now)
    case .ahead: return taken(id, at: now)
    case .current: return takeOutcomes(of: stored, at: now) + deliverAgain(id, at: now)
    }
  }

  /// What this node does not drive and yet was read: it may own it, as the reply to a claim can be lost; else it does not list it.
  private func found(_ id: String, _ stored: StoredExecution?) -> [DispatchAction] {
    guard let execution = stored?.execution, execution.owner == settings.session, !execution.status.isTerminal else { return [.unlist(id)] }
    return [.claim(id, from: settings.session)]
  }

  private mutating func takeOutcomes(of stored: StoredExecution, at now: Moment) -> [DispatchAction] {
    let id = stored.execution.id
    executions[id]?.machine.outcomesTaken(upTo: stored.execution.recordings)
    let open = Set((executions[id]?.machine.stored.tasks ?? []).lazy.filter { $0.state == .open }.map(\.id))
    var actions: [DispatchAction] = []
    for task in stored.tasks where open.contains(task.id) {
      switch task.state {
      case .completed:
        actions += advance(id, at: now) {
          $0.taskCompleted(
            task.id, result: task.result ?? .null, confidence: task.confidence, duration: task.duration?.duration, at: now.wall)
        }
      case .failed:
        let error = task.error ?? ExecutionFailure(code: "TASK_FAILED", message: "the agent reported a failure")
        actions += advance(id, at: now) { $0.taskFailed(task.id, error: error, retryable: task.retryable ?? false, at: now.wall) }
      case .open, .cancelled: break
      }
    }
    return actions
  }

  /// Another node owns an execution that this one drove.
  private mutating func taken(_ id: String, at now: Moment) -> [DispatchAction] {
    let outcomes = executions[id]?.machine.letGo() ?? []
    return lost(id, outcomes) + [.unlist(id)] + giveWork(at: now)
  }

  /// A claim has ended; `stored` is nil if there was nothing to take over.
  package mutating func claimFinished(
    _ id: String, from owner: NodeSession, _ stored: StoredExecution?, cancels: Bool, at now: Moment
  ) -> [DispatchAction] {
    guard let stored else { return executions[id] == nil ? [.unlist(id)] : read(id) }
    var actions = recover(stored, at: now)
    if cancels { actions += cancel(id, waiter: nil, at: now).actions }
    if owner != settings.session { actions.append(.tell(.adopted(execution: id), to: owner)) }
    return actions
  }

  /// Another node session asks for something or tells something; whatever comes late, twice or out of order is found out by reading.
  package mutating func received(_ message: NodeMessage, at now: Moment) -> [DispatchAction] {
    switch message {
    case .deliver(let task, let agent, _): forwarded(task, to: agent, at: now)
    case .withdraw(let cancellation, let agent): withdrawn(cancellation, from: agent, at: now)
    case .recorded(let execution, _): outcomeRecorded(of: execution)
    case .cancel(let execution):
      executions[execution] == nil
        ? [.claim(execution, from: settings.session, cancels: true)] : cancel(execution, waiter: nil, at: now).actions
    case .adopt(let execution, let owner): [.claim(execution, from: owner)]
    case .adopted(let execution): executions[execution] == nil ? [] : read(execution)
    case .watch(let execution, let watcher): watch(execution, by: watcher)
    case .ended, .disconnect: []
    }
  }

  /// An outcome was recorded for an execution of this node.
  package mutating func outcomeRecorded(of id: String) -> [DispatchAction] {
    executions[id] == nil ? [.claim(id, from: settings.session)] : read(id)
  }

  // MARK: What may have been missed

  /// The store may have lost what was written last: writes all executions anew, few at once, those that others have taken over aside, and,
  /// when that is likely to be done, sees to the tasks at other nodes, as messages may be lost too.
  package mutating func storeReset(at now: Moment) -> [DispatchAction] {
    timers.add(.recheckAll, at: now.instant + settings.redeliveryDelay)
    for id in executions.keys.sorted() { restorations.add(id) }
    return takeRestorations(at: now)
  }

  private mutating func takeRestorations(at now: Moment) -> [DispatchAction] {
    var actions: [DispatchAction] = []
    while let id = restorations.next(width: settings.width) {
      if executions[id] == nil { restorations.finish(id) } else { actions += advance(id, at: now) { $0.storeReset() } }
    }
    return actions
  }

  mutating func continueRestorations(after id: String, at now: Moment) -> [DispatchAction] {
    guard restorations.isActive(id), executions[id]?.machine.isWriting != true else { return [] }
    restorations.finish(id)
    return takeRestorations(at: now)
  }

  mutating func beat(at now: Moment) {
    hasPulse = true
    let due = now.instant + Self.pulseInterval
    timers.add(.pulse(due: due), at: due)
  }

  /// After a pause others may have taken, ended or recorded anything.
  mutating func pulse(due: Duration, at now: Moment) -> [DispatchAction] {
    hasPulse = false
    guard !executions.isEmpty else { return [] }
    beat(at: now)
    guard now.instant - due > Self.pauseLimit, !settings.rules.lacks(.neverReadsAgain) else { return [] }
    return executions.keys.sorted().flatMap { read($0) }
  }

  mutating func recheck(_ id: String, at now: Moment) {
    guard executions[id]?.isRechecked == false, !settings.rules.lacks(.neverReadsAgain) else { return }
    executions[id]?.isRechecked = true
    timers.add(.recheck(id), at: now.instant + settings.recheckInterval)
  }

  mutating func recheckDue(_ id: String, at now: Moment) -> [DispatchAction] {
    executions[id]?.isRechecked = false
    guard settings.hasPeers || hasDistantTasks(id) else { return [] }
    recheck(id, at: now)
    return readForTasks(of: id)
  }

  func hasDistantTasks(_ id: String) -> Bool {
    executions[id]?.machine.stored.tasks.contains { $0.state == .open && agents[$0.agentID]?.home != nil } ?? false
  }

  /// Finds out what has become of the tasks of an execution, and passes on again what other nodes' agents have not got.
  mutating func readForTasks(of id: String) -> [DispatchAction] {
    executions[id]?.resends = true
    return read(id)
  }

  /// Gives tasks that turned out to be open still to their agents once more, where that is due.
  private mutating func deliverAgain(_ id: String, at now: Moment) -> [DispatchAction] {
    guard let running = executions[id], running.resends || !running.redelivers.isEmpty else { return [] }
    executions[id]?.resends = false
    executions[id]?.redelivers = []
    var actions: [DispatchAction] = []
    for task in running.machine.stored.tasks where running.machine.isSent(task.id) {
      let isDistant = agents[task.agentID]?.home != nil
      if running.resends, isDistant, agents.isDelivered(task: task.id, to: task.agentID) {
        // The agent's node knows whether the agent has it, and passes it on only if not.
        agents.forgetDelivery(task: task.id, to: task.agentID)
        actions += deliver(task, of: running.machine.stored.execution, at: now)
      } else if running.redelivers.contains(task.id) {
        actions += repeatDelivery(of: task, in: id, at: now)
      }
    }
    return actions
  }
}
