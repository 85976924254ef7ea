package import ParallaxAPI
package import ParallaxHA
import ParallaxState

// MARK: - Agents and time

extension DispatchMachine {

  /// An agent that was connected to a former node session, and is likely to come back.
  package mutating func agentExpected(_ id: String, epoch: Int64, home: NodeSession, at now: Moment) {
    guard agents[id] == nil else { return }
    agents.expect(id: id, epoch: epoch, home: home)
    timers.add(.agentGrace(id, epoch: epoch), at: now.instant + settings.resumeGrace)
  }

  /// An agent is registered, newly or again.
  ///
  /// `activeTasks` is what it says it still has; nil if it cannot tell.
  package mutating func agentRegistered(
    _ id: String, epoch: Int64, capabilities: [String], limit: Int, activeTasks: [String]?, at now: Moment
  ) -> [DispatchAction] {
    if let known = agents[id], known.epoch >= epoch { return [] }
    agents.upsert(id: id, epoch: epoch, capabilities: Set(capabilities), limit: limit)
    agents.setReportedTasks(activeTasks.map { Set($0) }, id: id)
    backlogs[id] = nil
    adjustForeignTasks(of: id)
    noteLosses(of: id)
    confirmTasks(of: id, at: now)
    let news = AgentAnnouncement.registered(id, epoch: epoch, capabilities: capabilities, limit: limit, activeTasks: activeTasks)
    return [.publish(news)] + giveWork(at: now)
  }

  /// An agent's registration was stored once more; nothing about the agent has changed.
  package mutating func agentRenewed(_ id: String, from former: Int64, epoch: Int64, at now: Moment) -> [DispatchAction] {
    guard let agent = agents[id], agent.epoch == former, agent.isConnected, agent.home == nil else { return [] }
    agents.renew(epoch: epoch, id: id)
    // The timers of the former epoch mean nothing any more.
    for task in agent.ending.sorted() { watchPlace(of: task, at: id, at: now) }
    confirmTasks(of: id, at: now)
    return [
      .publish(
        .registered(
          id, epoch: epoch, capabilities: agent.capabilities.sorted(), limit: agent.limit, activeTasks: agent.tasks.keys.sorted()))
    ]
  }

  mutating func confirmTasks(of id: String, at now: Moment) {
    guard let agent = agents[id] else { return }
    for (task, execution) in agent.tasks.sorted(by: { $0.key < $1.key }) { confirm(task, of: execution, with: agent, at: now) }
  }

  /// Sees to a task that was given to a connected agent before it registered: the agent may have lost it.
  mutating func confirm(_ task: String, of execution: String, with agent: AgentDirectory.Agent, at now: Moment) {
    guard executions[execution]?.machine.isSent(task) ?? false, !agents.isDelivered(task: task, to: agent.id) else { return }
    switch agent.reportedTasks {
    case nil where agent.home == nil:
      let timer = Timer.unconfirmed(task: task, execution: execution, agent: agent.id, epoch: agent.epoch)
      timers.add(timer, at: now.instant + settings.resumeGrace)
    case let reported? where reported.contains(task): break
    case nil, .some:
      // The node of a distant agent knows whether the agent has it, and passes it on only if not.
      let timer = Timer.redelivery(task: task, execution: execution, agent: agent.id, epoch: agent.epoch)
      timers.add(timer, at: now.instant + settings.redeliveryDelay)
    }
  }

  /// An agent has a place free again: it has stopped what was not wanted any more.
  package mutating func placeFreed(_ task: String, by id: String, at now: Moment) -> [DispatchAction] {
    freePlace(of: task, at: id)
    return giveWork(at: now)
  }

  /// An agent tells which tasks it has.
  package mutating func agentReported(_ id: String, epoch: Int64, tasks: [String], at now: Moment) -> [DispatchAction] {
    guard let agent = agents[id], agent.epoch == epoch, agent.isConnected, agent.home == nil else { return [] }
    agents.keepPlaces(of: Set(tasks), id: id)
    return giveWork(at: now)
  }

  /// An agent changed what it can do, how much, or whether it takes work at all.
  package mutating func agentChanged(
    _ id: String, epoch: Int64, capabilities: [String]?, limit: Int?, isDraining: Bool?, at now: Moment
  ) -> [DispatchAction] {
    guard let agent = agents[id], agent.epoch == epoch, agent.isConnected, agent.home == nil else { return [] }
    if capabilities != nil || limit != nil {
      agents.upsert(id: id, epoch: epoch, capabilities: capabilities.map { Set($0) } ?? agent.capabilities, limit: limit ?? agent.limit)
      agents.setDraining(agent.isDraining, id: id)
    }
    if let isDraining { agents.setDraining(isDraining, id: id) }
    let news = agents[id].map { agent in
      AgentAnnouncement.changed(
        id, epoch: epoch, capabilities: agent.capabilities.sorted(), limit: agent.limit, isDraining: agent.isDraining)
    }
    return (news.map { [.publish($0)] } ?? []) + giveWork(at: now)
  }

  /// An agent's connection has ended.
  ///
  /// One that said good-bye gets no grace.
  package mutating func agentLeft(_ id: String, epoch: Int64, graceful: Bool, at now: Moment) -> [DispatchAction] {
    guard let agent = agents[id], agent.epoch == epoch, agent.isConnected, agent.home == nil else {
      // It left before its registration was known here: nobody else would take that off the store.
      return (agents[id]?.epoch ?? 0) < epoch ? [.agentGone(id, epoch: epoch)] : []
    }
    agents.setConnected(false, id: id)
    backlogs[id] = nil
    let news = DispatchAction.publish(.left(id, epoch: epoch, graceful: graceful))
    if graceful { return [news] + forget(agent: id, at: now) }
    timers.add(.agentGrace(id, epoch: epoch), at: now.instant + settings.resumeGrace)
    return [news, .agentVanished(id, epoch: epoch)] + giveWork(at: now)
  }

  /// An agent gave a task's result.
  package mutating func taskCompleted(
    _ result: AgentMessage.TaskResult, by agent: String, messageID: String?, at now: Moment
  ) -> [DispatchAction] {
    freePlace(of: result.taskId, at: agent)
    let value = result.result ?? .null
    let confidence = (result.confidence ?? result.result?["confidence"]?.doubleValue).map { min(max($0, 0), 1) }
    let duration = result.duration?.duration
    guard isTask(result.taskId, of: agent, in: result.executionId) else {
      let outcome = TaskRecord(
        id: result.taskId, agentID: agent, slot: 0, state: .completed, result: value, confidence: confidence, duration: duration)
      return foreign(outcome, of: result.executionId, messageID: messageID, at: now)
    }
    executions[result.executionId]?.messageIDs[result.taskId] = messageID
    return advance(result.executionId, at: now) {
      $0.taskCompleted(result.taskId, result: value, confidence: confidence, duration: duration, at: now.wall)
    }
  }

  /// An agent could not do a task.
  package mutating func taskFailed(
    _ failure: AgentMessage.TaskError, by agent: String, messageID: String?, at now: Moment
  ) -> [DispatchAction] {
    freePlace(of: failure.taskId, at: agent)
    guard isTask(failure.taskId, of: agent, in: failure.executionId) else {
      let outcome = TaskRecord(
        id: failure.taskId, agentID: agent, slot: 0, state: .failed, error: failure.error, retryable: failure.retryable ?? false)
      return foreign(outcome, of: failure.executionId, messageID: messageID, at: now)
    }
    executions[failure.executionId]?.messageIDs[failure.taskId] = messageID
    return advance(failure.executionId, at: now) {
      $0.taskFailed(failure.taskId, error: failure.error, retryable: failure.retryable ?? false, at: now.wall)
    }
  }

  /// An outcome for an execution that this node does not drive.
  private mutating func foreign(
    _ outcome: TaskRecord, of execution: String, messageID: String?, at now: Moment
  ) -> [DispatchAction] {
    agents.free(task: outcome.id, from: outcome.agentID, completed: outcome.state == .completed)
    return [.record(outcome, execution: execution, messageID: messageID)] + giveWork(at: now)
  }

  private func isTask(_ task: String, of agent: String, in execution: String) -> Bool {
    executions[execution]?.machine.stored.tasks.contains { $0.id == task && $0.agentID == agent } ?? false
  }

  // MARK: Time

  /// Does what is due.
  package mutating func timePassed(at now: Moment) -> [DispatchAction] {
    var actions: [DispatchAction] = []
    while let timer = timers.popDue(at: now.instant) {
      switch timer {
      case .deadline(let id): actions += advance(id, at: now) { $0.deadlinePassed(at: now.wall) }
      case .agentWait(let id): actions += agentWaitEnded(id, at: now)
      case .agentGrace(let id, let epoch):
        if let agent = agents[id], agent.epoch == epoch, !agent.isConnected { actions += forget(agent: id, at: now) }
      case .redelivery(let task, let execution, let agent, let epoch):
        if agents[agent]?.epoch == epoch { actions += redeliver(task, of: execution, at: now) }
      case .relocation(let id): actions += relocate(id, at: now)
      case .recheck(let id): actions += recheckDue(id, at: now)
      case .recheckAll: for id in executions.keys.sorted() where hasDistantTasks(id) { actions += readForTasks(of: id) }
      case .pulse(let due): actions += pulse(due: due, at: now)
      case .place(let task, let agent, let epoch):
        if let known = agents[agent], known.epoch == epoch, !known.tellsTasks, known.ending.contains(task) {
          agents.free(task: task, from: agent, completed: false)
          actions += giveWork(at: now)
        }
      case .unconfirmed(let task, let execution, let agent, let epoch):
        if agents[agent]?.epoch == epoch { actions += advance(execution, at: now) { $0.taskLost(task, at: now.wall) } }
      }
    }
    return actions
  }

  private mutating func agentWaitEnded(_ id: String, at now: Moment) -> [DispatchAction] {
    guard let running = executions[id], running.machine.isWaitingForAgents else { return [] }
    let needs = running.machine.stored.execution.pattern.agents
    let capable = agents.capableCount(running.key)
    guard capable < needs.min else { return [] }
    let failure = ExecutionFailure(
      code: APIError.Code.noAgents.rawValue,
      message: "\(needs.min) connected agents with \(running.key.capabilities.joined(separator: ", ")) are needed, \(capable) are there")
    return advance(id, at: now) { $0.fail(failure, at: now.wall) }
  }

  /// Gives a task to its agent once more, unless its outcome turns out to be in the store.
  private mutating func redeliver(_ taskID: String, of id: String, at now: Moment) -> [DispatchAction] {
    guard executions[id]?.machine.isSent(taskID) ?? false else { return [] }
    if settings.rules.lacks(.sendsAgainUnread), let stored = executions[id]?.machine.stored {
      return stored.tasks.filter { $0.id == taskID }.flatMap { deliver($0, of: stored.execution, at: now) }
    }
    executions[id]?.redelivers.insert(taskID)
    return read(id)
  }

  /// Gives up on an agent: its tasks are lost, its registration goes.
  mutating func forget(agent id: String, at now: Moment) -> [DispatchAction] {
    guard let agent = agents[id] else { return [] }
    var actions: [DispatchAction] = []
    for (task, execution) in agent.tasks.sorted(by: { $0.key < $1.key }) {
      actions += advance(execution, at: now) { $0.taskLost(task, at: now.wall) }
    }
    agents.remove(id: id)
    suspects[id] = nil
    // The registration of an agent elsewhere is that node's to remove, or of whoever recovers it.
    return actions + (agent.home == nil ? [.agentGone(id, epoch: agent.epoch)] : []) + giveWork(at: now)
  }
}
