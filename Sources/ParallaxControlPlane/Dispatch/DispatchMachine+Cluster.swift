import DequeModule
package import ParallaxAPI
package import ParallaxHA
package import ParallaxState

// MARK: - Agents at other nodes

extension DispatchMachine {
  /// Another node tells about its agents.
  package mutating func heard(_ news: AgentAnnouncement, from home: NodeSession, at now: Moment) -> [DispatchAction] {
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

  /// How often all loads are told, in case that news of one was lost.
  private static let loadInterval = Duration.seconds(10)

  /// The loads of this node's agents that changed since the last call, and now and then of all.
  package mutating func takeLoads(at now: Moment) -> [String: Int] {
    let isDue = now.instant - (loadsToldAt ?? now.instant) >= Self.loadInterval && !settings.rules.lacks(.tellsLoadsOnce)
    if isDue || loadsToldAt == nil { loadsToldAt = now.instant }
    return agents.takeLoads(all: isDue)
  }

  /// Makes the next `takeLoads` give the loads of all agents of this node: another node may have missed some.
  package mutating func tellAllLoads() { agents.tellAllLoads() }

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
    for (id, epoch) in before.sorted(by: { $0.key < $1.key }) where !listed.contains(id) {
      // One that said good-bye is heard of: this one's registration may only be lost, and about to be stored again.
      actions += leftElsewhere(id, epoch: epoch, graceful: false, home: home, at: now)
    }
    return actions
  }

  /// A node session is gone: its agents are likely to come back elsewhere.
  package mutating func memberLost(_ home: NodeSession, at now: Moment) -> [DispatchAction] {
    var actions: [DispatchAction] = []
    for (id, epoch) in agentEpochs(at: home).sorted(by: { $0.key < $1.key }) {
      actions += leftElsewhere(id, epoch: epoch, graceful: false, home: home, at: now)
    }
    return actions
  }

  private mutating func registeredElsewhere(
    _ id: String, epoch: Int64, capabilities: [String], limit: Int, activeTasks: [String]?, home: NodeSession, at now: Moment
  ) -> [DispatchAction] {
    if let known = agents[id], known.epoch >= epoch {
      guard known.epoch == epoch, known.home == home else { return [] }
      guard !known.isConnected else { return changedElsewhere(known, Set(capabilities), limit, at: now) }
      // Its node had been taken for lost, and what was on its way there may have been dropped; one that was only expected is not known yet.
      agents.upsert(id: id, epoch: epoch, capabilities: Set(capabilities), limit: limit, home: home)
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
    noteLosses(of: id)
    confirmTasks(of: id, at: now)
    for execution in Set((agents[id]?.tasks ?? [:]).values).sorted() { recheck(execution, at: now) }
    return (wasHere ? [.agentMoved(id)] : []) + giveWork(at: now)
  }

  /// The news of a change may have been lost.
  private mutating func changedElsewhere(
    _ agent: AgentDirectory.Agent, _ capabilities: Set<String>, _ limit: Int, at now: Moment
  ) -> [DispatchAction] {
    guard agent.capabilities != capabilities || agent.limit != limit else { return [] }
    agents.upsert(id: agent.id, epoch: agent.epoch, capabilities: capabilities, limit: limit, home: agent.home)
    agents.setDraining(agent.isDraining, id: agent.id)
    return giveWork(at: now)
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
    // The store, or the sender, takes an agent for connected here that is not.
    guard let agent = agents[id] else { return [.checkAgent(id)] }
    guard agent.isConnected, agent.home == nil, !agents.isDelivered(task: task.taskId, to: id), !agent.ending.contains(task.taskId),
      backlogs[id]?.contains(where: { $0.taskId == task.taskId }) != true
    else { return [] }
    return handOver(task, to: agent)
  }

  /// Hands a task to an agent of this node, now or when it has a place for it.
  mutating func handOver(_ task: ControlPlaneMessage.Task, to agent: AgentDirectory.Agent) -> [DispatchAction] {
    if agent.hasPlace { return hand(task, to: agent.id) }
    if backlogs[agent.id]?.contains(where: { $0.taskId == task.taskId }) != true { backlogs[agent.id, default: []].append(task) }
    return []
  }

  /// Another node does not want a task any more that it gave to an agent of this one.
  package mutating func withdrawn(_ cancellation: ControlPlaneMessage.TaskCancelled, from id: String, at now: Moment) -> [DispatchAction] {
    backlogs[id]?.removeAll { $0.taskId == cancellation.taskId }
    guard agents[id]?.home == nil, executions[cancellation.executionId] == nil,
      agents.isDelivered(task: cancellation.taskId, to: id)
    else { return [] }
    agents.withdraw(task: cancellation.taskId, from: id)
    watchPlace(of: cancellation.taskId, at: id, at: now)
    return [.send(.taskCancelled(cancellation), to: id)] + giveWork(at: now)
  }

  mutating func workOffBacklogs(at now: Moment) -> [DispatchAction] {
    guard !backlogs.isEmpty else { return [] }
    var actions: [DispatchAction] = []
    for id in backlogs.keys.sorted() {
      while let agent = agents[id], agent.isConnected, agent.home == nil, agent.hasPlace, let task = backlogs[id]?.popFirst() {
        if let stored = executions[task.executionId]?.machine.stored, let own = stored.tasks.first(where: { $0.id == task.taskId }) {
          // With the time that is left by now.
          if own.state == .open { actions += deliver(own, of: stored.execution, at: now) }
        } else {
          actions += hand(task, to: id)
        }
      }
      if backlogs[id]?.isEmpty ?? true { backlogs[id] = nil }
    }
    return actions
  }

  private mutating func hand(_ task: ControlPlaneMessage.Task, to id: String) -> [DispatchAction] {
    if agents[id]?.tasks[task.taskId] == nil { agents.assign(task: task.taskId, execution: task.executionId, to: id) }
    return agents.deliver(task: task.taskId, to: id) ? [.send(.task(task), to: id)] : []
  }

  /// Makes what an agent of this node has in hand agree with what it says: tasks of other nodes that it does not have take up nothing,
  /// their owners give them to it again; tasks that only it knows of do.
  mutating func adjustForeignTasks(of id: String) {
    guard let agent = agents[id] else { return }
    for (task, execution) in agent.tasks where executions[execution] == nil {
      if agent.reportedTasks?.contains(task) != true { agents.free(task: task, from: id, completed: false) }
    }
    for task in (agent.reportedTasks ?? []).sorted() {
      if agent.tasks[task] == nil { agents.assign(task: task, execution: "", to: id) }
      _ = agents.deliver(task: task, to: id)
    }
  }
}

// MARK: - Executions between nodes

extension DispatchMachine {
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
}
