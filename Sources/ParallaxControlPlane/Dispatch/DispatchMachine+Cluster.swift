import DequeModule
package import ParallaxAPI
package import ParallaxHA
package import ParallaxState

// MARK: - Agents at other nodes

extension DispatchMachine {
  /// Another node tells about its agents.
  package mutating func heard(_ news: AgentNews, from home: NodeSession, at now: Moment) -> [DispatchAction] {
    switch news {
    case .registered(let id, let epoch, let capabilities, let limit, let activeTasks):
      return registeredElsewhere(
        id, epoch: epoch, capabilities: capabilities, limit: limit, activeTasks: activeTasks, home: home, at: now)
    case .changed(let id, let epoch, let capabilities, let limit, let isDraining):
      guard let agent = agents[id], agent.epoch == epoch, agent.home == home, agent.isConnected else { return [] }
      agents.upsert(id: id, epoch: epoch, capabilities: Set(capabilities), limit: limit, home: home)
      agents.setDraining(isDraining, id: id)
      return giveWork(at: now)
    case .left(let id, let epoch, let graceful): return leftElsewhere(id, epoch: epoch, graceful: graceful, home: home, at: now)
    case .loads(let loads):
      for (id, load) in loads where agents[id]?.home == home { agents.setLoad(load, id: id) }
      return giveWork(at: now)
    }
  }

  /// The epochs of the agents that are known to be connected to another node session.
  package func agentEpochs(at home: NodeSession) -> [String: Int64] {
    agents.all.reduce(into: [:]) { epochs, agent in
      if agent.home == home, agent.isConnected { epochs[agent.id] = agent.epoch }
    }
  }

  /// The loads of this node's agents that changed since the last call.
  package mutating func takeLoads() -> [String: Int] { agents.takeLoads() }

  /// All agents of another node session were read from the store.
  ///
  /// `before` is what `agentEpochs` gave before they were read: an agent that has been heard of since need not be among them.
  package mutating func listed(
    _ records: [AgentRecord], at home: NodeSession, before: [String: Int64], at now: Moment
  ) -> [DispatchAction] {
    var actions: [DispatchAction] = []
    for record in records {
      actions +=
        record.isConnected
        ? registeredElsewhere(
          record.id, epoch: record.epoch, capabilities: record.capabilities, limit: record.maxConcurrentTasks,
          activeTasks: record.activeTasks, home: home, at: now)
        : leftElsewhere(record.id, epoch: record.epoch, graceful: false, home: home, at: now)
    }
    let listed = Set(records.map(\.id))
    for (id, epoch) in before where !listed.contains(id) {
      // One that said good-bye is heard of: this one's registration may only be lost, and about to be stored again.
      actions += leftElsewhere(id, epoch: epoch, graceful: false, home: home, at: now)
    }
    return actions
  }

  /// A node session is gone: its agents are likely to come back elsewhere.
  package mutating func memberLost(_ home: NodeSession, at now: Moment) -> [DispatchAction] {
    var actions: [DispatchAction] = []
    for (id, epoch) in agentEpochs(at: home) { actions += leftElsewhere(id, epoch: epoch, graceful: false, home: home, at: now) }
    return actions
  }

  private mutating func registeredElsewhere(
    _ id: String, epoch: Int64, capabilities: [String], limit: Int, activeTasks: [String]?, home: NodeSession, at now: Moment
  ) -> [DispatchAction] {
    if let known = agents[id], known.epoch >= epoch {
      // Its node had been taken for lost, and what was on its way there may have been dropped.
      guard known.epoch == epoch, known.home == home, !known.isConnected else { return [] }
      agents.setConnected(true, id: id)
      for task in known.tasks.keys { agents.forgetDelivery(task: task, to: id) }
      confirmTasks(of: id, at: now)
      return giveWork(at: now)
    }
    let wasHere = agents[id].map { $0.home == nil && $0.isConnected } ?? false
    agents.upsert(id: id, epoch: epoch, capabilities: Set(capabilities), limit: limit, home: home)
    agents.setReportedTasks(activeTasks.map { Set($0) }, id: id)
    backlogs[id] = nil
    for (task, execution) in agents[id]?.tasks ?? [:] where executions[execution] == nil {
      agents.free(task: task, from: id, completed: false)
    }
    confirmTasks(of: id, at: now)
    return (wasHere ? [.agentMoved(id)] : []) + giveWork(at: now)
  }

  private mutating func leftElsewhere(
    _ id: String, epoch: Int64, graceful: Bool, home: NodeSession, at now: Moment
  ) -> [DispatchAction] {
    guard let agent = agents[id], agent.epoch == epoch, agent.home == home, agent.isConnected else { return [] }
    agents.setConnected(false, id: id)
    if graceful { return forget(agent: id, at: now) }
    timers.add(.agentGrace(id, epoch: epoch), at: now.instant + settings.resumeGrace)
    return giveWork(at: now)
  }
}

// MARK: - Tasks of other nodes for agents here

extension DispatchMachine {
  /// Another node gives a task to an agent of this one.
  ///
  /// An agent that is not here any more is the sender's to find: it hears of its registration elsewhere.
  package mutating func forwarded(_ task: ControlPlaneMessage.Task, to id: String, at now: Moment) -> [DispatchAction] {
    guard let agent = agents[id], agent.isConnected, agent.home == nil, !agents.isDelivered(task: task.taskId, to: id),
      backlogs[id]?.contains(where: { $0.taskId == task.taskId }) != true
    else { return [] }
    if agent.load < agent.limit || agent.tasks[task.taskId] != nil { return hand(task, to: id) }
    backlogs[id, default: []].append(task)
    return []
  }

  /// Another node does not want a task any more that it gave to an agent of this one.
  package mutating func withdrawn(_ cancellation: ControlPlaneMessage.TaskCancelled, from id: String, at now: Moment) -> [DispatchAction] {
    backlogs[id]?.removeAll { $0.taskId == cancellation.taskId }
    guard let agent = agents[id], agent.home == nil, executions[cancellation.executionId] == nil else { return [] }
    agents.free(task: cancellation.taskId, from: id, completed: false)
    return [.send(.taskCancelled(cancellation), to: id)] + giveWork(at: now)
  }

  mutating func workOffBacklogs() -> [DispatchAction] {
    guard !backlogs.isEmpty else { return [] }
    var actions: [DispatchAction] = []
    for id in backlogs.keys.sorted() {
      while let agent = agents[id], agent.isConnected, agent.home == nil, agent.load < agent.limit, let task = backlogs[id]?.popFirst() {
        actions += hand(task, to: id)
      }
      if backlogs[id]?.isEmpty ?? true { backlogs[id] = nil }
    }
    return actions
  }

  private mutating func hand(_ task: ControlPlaneMessage.Task, to id: String) -> [DispatchAction] {
    agents.assign(task: task.taskId, execution: task.executionId, to: id)
    return agents.deliver(task: task.taskId, to: id) ? [.send(.task(task), to: id)] : []
  }

  /// Makes what an agent of this node has in hand agree with what it says: tasks of other nodes that it does not have take up nothing,
  /// their owners give them to it again; tasks that only it knows of do.
  mutating func adjustForeignTasks(of id: String) {
    guard let agent = agents[id] else { return }
    for (task, execution) in agent.tasks where executions[execution] == nil {
      if agent.reportedTasks?.contains(task) != true { agents.free(task: task, from: id, completed: false) }
    }
    for task in agent.reportedTasks ?? [] {
      if agent.tasks[task] == nil { agents.assign(task: task, execution: "", to: id) }
      _ = agents.deliver(task: task, to: id)
    }
  }
}

// MARK: - Executions between nodes

extension DispatchMachine {
  /// An execution was read again: takes in what others have recorded.
  ///
  /// `stored` is nil if it is not in the store any more.
  package mutating func outcomesRead(_ id: String, _ stored: StoredExecution?, at now: Moment) -> [DispatchAction] {
    guard let known = executions[id]?.machine.stored, known.execution.owner == settings.session else { return [] }
    guard let stored else { return advance(id, at: now) { $0.doubt() } }
    var actions: [DispatchAction] = []
    if executions[id]?.machine.isBehind(stored) == true {
      actions += advance(id, at: now) { $0.doubt() }
    } else if stored.execution.owner != settings.session || stored.execution.epoch != known.execution.epoch {
      return taken(id, at: now)
    }
    let open = Set(known.tasks.lazy.filter { $0.state == .open }.map(\.id))
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

  /// The store may have lost what was written last: writes all executions anew, those that others have taken over aside, and, when that is
  /// likely to be done, sees to the tasks at other nodes, as messages may be lost too.
  package mutating func storeDoubted(at now: Moment) -> [DispatchAction] {
    timers.add(.recheckAll, at: now.instant + settings.redeliveryDelay)
    var actions: [DispatchAction] = []
    for id in executions.keys.sorted() { actions += advance(id, at: now) { $0.doubt() } }
    return actions
  }

  /// Another node owns an execution that this one drove.
  package mutating func taken(_ id: String, at now: Moment) -> [DispatchAction] {
    lost(id) + giveWork(at: now)
  }

  /// Gives every execution that nobody here waits for to other nodes, as this one is about to stop.
  package mutating func handOver(to others: [NodeSession]) -> [DispatchAction] {
    guard !others.isEmpty else { return [] }
    let movable = executions.values.filter { $0.acknowledged && $0.waiters.isEmpty && !$0.machine.isDecided }
    return movable.map(\.machine.id).sorted().enumerated().map { index, id in
      .tell(.adopt(execution: id, owner: settings.session), to: others[index % others.count])
    }
  }

  /// Gives an execution that waits here for agents that only other nodes have to one of those, where its turn comes with that node's own.
  mutating func relocate(_ id: String, at now: Moment) -> [DispatchAction] {
    guard let delay = settings.relocationDelay, let running = executions[id], running.machine.isWaitingForAgents else { return [] }
    timers.add(.relocation(id), at: now.instant + delay * 20)
    let needed = running.machine.stored.execution.pattern.agents.min
    let homes = agents.capableByHome(running.key)
    guard running.acknowledged, homes[nil, default: 0] < needed else { return [] }
    let able = homes.compactMap { home, count in home.flatMap { count >= needed ? (home: $0, count: count) : nil } }
      .sorted { $0.home.description < $1.home.description }
    guard let home = Self.choose(from: able, for: id) else { return [] }
    return [.tell(.adopt(execution: id, owner: settings.session), to: home)]
  }

  /// Spreads executions over nodes by how many agents those have.
  private static func choose(from homes: [(home: NodeSession, count: Int)], for id: String) -> NodeSession? {
    let total = homes.reduce(0) { $0 + $1.count }
    guard total > 0 else { return nil }
    // FNV-1a: the end of an id is its random part.
    let hash = id.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    var place = Int((hash ^ (hash >> 33)) % UInt64(total))
    for (home, count) in homes {
      if place < count { return home }
      place -= count
    }
    return nil
  }

  mutating func recheckDue(_ id: String, at now: Moment) -> [DispatchAction] {
    executions[id]?.isRechecked = false
    let actions = lookAfter(id, at: now)
    if !actions.isEmpty { recheck(id, at: now) }
    return actions
  }

  /// Finds out what has become of the tasks of an execution that other nodes' agents have, and passes on again what did not get there.
  mutating func lookAfter(_ id: String, at now: Moment) -> [DispatchAction] {
    guard let stored = executions[id]?.machine.stored else { return [] }
    let distant = stored.tasks.filter { $0.state == .open && agents[$0.agentID]?.home != nil }
    guard !distant.isEmpty else { return [] }
    var actions: [DispatchAction] = [.readOutcomes(id)]
    // The agent's node knows whether the agent has it, and passes it on only if not.
    for task in distant where agents.isDelivered(task: task.id, to: task.agentID) {
      agents.forgetDelivery(task: task.id, to: task.agentID)
      actions += deliver(task, of: stored.execution, at: now)
    }
    return actions
  }
}
