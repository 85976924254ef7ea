import ParallaxAPI
import ParallaxHA
import ParallaxState

/// Brings the executions of this node to their ends: assigns agents, sends tasks, collects outcomes, and answers callers.
///
/// Each part has one subject: `CallerMachine` the waiting callers, `AgentMachine` the agents and their tasks in hand, `PlacementQueues` the
/// executions that wait for agents, `OwnershipMachine` the rereads that detect another owner. This type holds the machines of the
/// executions, and connects them with the parts.
struct ExecutionDriver: Sendable {
  private enum Timer: Sendable {
    case deadline(String)
    case agentWait(String)
  }

  private let settings: DispatchMachine.Settings
  private var executions: [String: DrivenExecution] = [:]
  var callers = CallerMachine()
  var agents: AgentMachine
  private var queues = PlacementQueues()
  var ownership: OwnershipMachine
  private var timers = TimerQueue<Timer>()

  init(settings: DispatchMachine.Settings) {
    self.settings = settings
    agents = AgentMachine(settings: settings)
    ownership = OwnershipMachine(settings: settings)
  }

  // MARK: Views

  var count: Int { executions.count }
  var ids: [String] { executions.keys.sorted() }
  var nextWake: Duration? { [timers.next, agents.nextWake, ownership.nextWake].compactMap { $0 }.min() }

  var sizes: (timers: Int, waiting: Int) { (timers.count + agents.timerCount + ownership.timerCount, queues.count) }

  var queueReport: [QueueDocument] { .report(on: executions.values, agents.directory, at: settings.session.nodeID) }

  func stored(_ id: String) -> StoredExecution? { executions[id]?.machine.stored }

  /// The standing of a stored execution relative to the one of this node; nil if this node does not drive it.
  func standing(of stored: StoredExecution) -> StoredExecution.Standing? {
    executions[stored.execution.id]?.machine.standing(of: stored)
  }

  func isWriting(_ id: String) -> Bool { executions[id]?.machine.isWriting ?? false }
  mutating func endInstead(of change: ExecutionChange) -> ExecutionChange? { executions[change.id]?.machine.endInstead(of: change) }
  /// Whether agents of other nodes have open tasks of an execution.
  func hasDistantTasks(_ id: String) -> Bool {
    executions[id]?.openTasks.contains { agents.directory[$0.agentID]?.home != nil } ?? false
  }

  /// The executions that another node can drive as well: stored, undecided, and without waiting callers here.
  var movable: [String] { ids.filter { executions[$0]?.machine.isDecided == false && callers.isUnattended($0) } }

  // MARK: Callers

  /// Starts a new execution: stores it, assigns agents, and answers the caller.
  ///
  /// If this node drives the execution already, because its request was repeated, the call only adds a caller.
  mutating func submit(_ execution: Execution, _ waiter: WaiterID, waits: Bool, isRepeatable: Bool, at now: Moment) -> [DispatchAction] {
    let id = execution.id
    if executions[id] != nil { return attach(waiter, to: id, waits: waits) }
    let (key, needs) = (PoolKey(execution.pattern.agents.capabilities), execution.pattern.agents)
    // Executions that wait already come first.
    let isStarted = !queues.hasQueue(for: key) && execution.deadline > now.wall
    let chosen = isStarted ? agents.tasks.choose(.start(min: needs.min, max: needs.max), from: key) : []
    let (machine, actions) = ExecutionMachine.create(execution, agents: chosen, at: now.wall)
    for task in machine.stored.tasks { agents.tasks.assign(task, of: id) }
    callers.begin(id, waiter, waits: waits)
    var driven = DrivenExecution(machine, at: now)
    driven.isRepeatable = isRepeatable
    drive(driven, at: now)
    return perform(actions, of: id, at: now)
  }

  mutating func attach(_ waiter: WaiterID, to id: String, waits: Bool) -> [DispatchAction] {
    executions[id].map { callers.attach(waiter, to: $0.execution, waits: waits) } ?? [.resolve(waiter, nil)]
  }

  mutating func detach(_ waiter: WaiterID, from id: String) -> [DispatchAction] {
    executions[id].map { callers.detach(waiter, from: $0.execution) } ?? [.resolve(waiter, nil)]
  }

  mutating func cancel(_ id: String, _ waiter: WaiterID?, at now: Moment) -> [DispatchAction] {
    guard let driven = executions[id], !driven.machine.isDecided else { return waiter.map { [.resolve($0, nil)] } ?? [] }
    if let waiter { callers.join(waiter, id) }
    return advance(id, at: now) { $0.cancel(at: now.wall) }
  }

  mutating func releaseCallers() -> [DispatchAction] {
    let executions = executions
    return callers.stop { executions[$0]?.execution }
  }

  /// Refuses the callers of an execution that the store has not taken in time, and fails the execution once the store answers.
  ///
  /// An execution with an idempotency key continues: its caller repeats the request with that key.
  mutating func creationDelayed(_ id: String, _ error: APIError, at now: Moment) -> [DispatchAction] {
    let refusals = callers.refuse(id, error)
    if executions[id]?.isRepeatable ?? true { return refusals }
    let failure = ExecutionFailure(code: "STORE_UNAVAILABLE", message: "the request was not acknowledged")
    return refusals + advance(id, at: now) { $0.fail(failure, at: now.wall) }
  }

  // MARK: Beginning and ending to drive

  /// Begins to drive an execution that this node has claimed.
  mutating func adopt(_ stored: StoredExecution, at now: Moment) -> [DispatchAction] {
    let id = stored.execution.id
    callers.adopt(id)
    let reported = ownership.takeReported(of: id)
    drive(DrivenExecution(ExecutionMachine(stored), at: now), at: now)
    var actions = expectTasks(of: id, at: now) + advance(id, at: now) { $0.resume(at: now.wall) }
    for task in reported where stored.tasks.contains(where: { $0.state == .open && $0.isSame(as: task) }) {
      actions += advance(id, at: now) { $0.taskEnded(as: task, at: now.wall) }
    }
    return actions
  }

  /// Continues an execution of this node from its stored state.
  mutating func replace(with stored: StoredExecution, at now: Moment) -> [DispatchAction] {
    let id = stored.execution.id
    if executions[id]?.setDeadline(of: stored, at: now) == true { timers.add(.deadline(id), at: executions[id]?.due ?? now.instant) }
    return callers.accepted(stored.execution) + advance(id, at: now) { $0.replace(with: stored, at: now.wall) }
      + expectTasks(of: id, at: now)
  }

  /// Handles a loss of an execution that this node drives; `found` is the stored rest, nil for none.
  mutating func storeLacks(_ id: String, _ found: StoredExecution?, at now: Moment) -> [DispatchAction] {
    let known = Set((executions[id]?.machine.stored.tasks ?? []).map(\.id))
    var actions = advance(id, at: now) { $0.storeLacks(found, at: now.wall) }
    // The added tasks belong to an earlier life of the execution.
    for task in executions[id]?.machine.stored.tasks ?? [] where !known.contains(task.id) {
      actions += perform(agents.expect(task, of: id, at: now), at: now)
    }
    return actions
  }

  private mutating func drive(_ driven: DrivenExecution, at now: Moment) {
    executions[driven.execution.id] = driven
    timers.add(.deadline(driven.execution.id), at: driven.due)
    ownership.watch(driven.execution.id, at: now)
  }

  /// Assigns open tasks to the agents that a former owner chose.
  private mutating func expectTasks(of id: String, at now: Moment) -> [DispatchAction] {
    (executions[id]?.machine.stored.tasks ?? []).flatMap { perform(agents.expect($0, of: id, at: now), at: now) }
  }

  /// Stops driving an execution whose end the store has, and answers its callers.
  private mutating func finish(_ id: String) -> [DispatchAction] {
    guard let stored = forget(id)?.machine.stored else { return [] }
    return [.ended(stored), .publishStatus(stored.execution), .store(.release(id, owner: stored.execution.owner))] + callers.finish(stored)
  }

  /// Stops driving an execution of another owner, which the store has in the state `found`.
  ///
  /// Callers get the acknowledgement; outcomes that the store lacks are recorded for the owner.
  mutating func leave(_ id: String, for found: StoredExecution) -> [DispatchAction] {
    let outcomes = executions[id]?.machine.letGo() ?? []
    let actions = leave(id, outcomes)
    return actions + ownership.recordReported(of: found, besides: outcomes)
  }

  private mutating func leave(_ id: String, _ outcomes: [TaskRecord], isBarred: Bool = false) -> [DispatchAction] {
    guard let driven = forget(id) else { return [] }
    for task in driven.openTasks { agents.tasks.disown(task) }
    ownership.left(id, reported: driven.machine.stored.tasks.filter(\.isReported))
    return callers.leave(driven.execution, isBarred: isBarred)
      + outcomes.map { .store(.record($0, execution: id, messageID: driven.messageIDs[$0.id])) }
  }

  /// Stops driving an execution that another node has ended, and withdraws its tasks from agents here.
  mutating func endedElsewhere(_ stored: StoredExecution, at now: Moment) -> [DispatchAction] {
    let id = stored.execution.id
    let tasks = (executions[id]?.openTasks ?? []).filter { agents.tasks.isWithAgentHere($0) }
    let answers = callers.finish(stored)
    return answers + leave(id, for: stored) + tasks.flatMap { withdraw($0, of: id, reason: "ended", at: now) }
  }

  private mutating func forget(_ id: String) -> DrivenExecution? {
    guard let driven = executions.removeValue(forKey: id) else { return nil }
    let executions = executions
    timers.compact { timer in
      switch timer {
      case .deadline(let id), .agentWait(let id): executions[id] != nil
      }
    }
    ownership.forget(id)
    return driven
  }
}

// MARK: - One execution's actions

extension ExecutionDriver {
  /// Passes an event to the machine of an execution, if this node drives it, and performs the resulting actions.
  mutating func advance(_ id: String, at now: Moment, _ event: (inout ExecutionMachine) -> [ExecutionMachine.Action]) -> [DispatchAction] {
    guard let index = executions.index(forKey: id) else { return [] }
    let actions = event(&executions.values[index].machine)
    return perform(actions, of: id, at: now)
  }

  private mutating func perform(_ actions: [ExecutionMachine.Action], of id: String, at now: Moment) -> [DispatchAction] {
    guard !actions.isEmpty, let driven = executions[id] else { return [] }
    var result: [DispatchAction] = []
    for action in actions {
      switch action {
      case .store(.read(let id)): result += ownership.read(id)
      case .store(.record(let task, let id, _)):
        result.append(.store(.record(task, execution: id, messageID: driven.messageIDs[task.id])))
      case .store(let call): result.append(.store(call))
      case .wantsAgents: wait(driven, need: .start(agents: driven.execution.pattern.agents.min), at: now)
      case .wantsAgent(let slot): wait(driven, need: .slot(slot), at: now)
      case .send(let task): result += deliver(task, of: id, at: now)
      case .acknowledge(let task):
        // An agent of another node got its answer there, from the node that recorded the outcome.
        guard agents.directory[task.agentID]?.home == nil else { continue }
        agents.acknowledged(task.id, to: task.agentID)
        let message = ControlPlaneMessage.ResultAck(taskId: task.id)
        result.append(.send(.resultAck(message), to: task.agentID, inAnswerTo: driven.messageIDs[task.id]))
      case .freed(let task) where agents.directory[task.agentID]?.tasks[task.id]?.isGivenUp == true:
        result += withdraw(task, of: id, reason: "failed", at: now)
      case .freed(let task):
        let completed = driven.machine.stored.tasks.contains { $0.id == task.id && $0.state == .completed }
        agents.tasks.free(task.id, from: task.agentID, completed: completed)
      case .withdraw(let task, let reason): result += withdraw(task, of: id, reason: reason, at: now)
      case .accepted: result += callers.accepted(driven.execution)
      case .finished: result += finish(id)
      case .lost(let outcomes, let isBarred):
        // The store may lose the execution before the read.
        if !isBarred, !driven.machine.isDecided { ownership.handedOver(driven.machine.stored, at: now) }
        result += leave(id, outcomes, isBarred: isBarred) + ownership.read(id)
      }
    }
    return result
  }

  private mutating func deliver(_ task: TaskRecord, of id: String, at now: Moment) -> [DispatchAction] {
    // A task past its deadline is not sent; the deadline ends the execution.
    guard let driven = executions[id], driven.due > now.instant else { return [] }
    var actions: [DispatchAction] = []
    // A reverted decision had withdrawn the task from its agent.
    if agents.directory[task.agentID]?.tasks[task.id] == nil { actions = perform(agents.expect(task, of: id, at: now), at: now) }
    guard agents.tasks.isDeliverable(task) else { return actions }
    actions += callers.publish(driven.execution)
    let message = driven.message(for: task, at: now)
    return actions + perform(agents.tasks.deliver(message, to: task.agentID, due: driven.due, at: now), at: now)
  }

  private mutating func withdraw(_ task: TaskRecord, of id: String, reason: String, at now: Moment) -> [DispatchAction] {
    let message = ControlPlaneMessage.TaskCancelled(taskId: task.id, executionId: id, reason: reason)
    return perform(agents.tasks.withdraw(message, from: task.agentID, at: now), at: now)
  }

  /// Processes the outcomes that other nodes have recorded.
  mutating func takeOutcomes(of stored: StoredExecution, at now: Moment) -> [DispatchAction] {
    let id = stored.execution.id
    let open = executions[id]?.openTasks ?? []
    executions[id]?.machine.outcomesRead(in: stored)
    return stored.tasks.filter { task in open.contains { $0.isSame(as: task) } }.flatMap { task in
      advance(id, at: now) { $0.taskEnded(as: task, at: now.wall) }
    }
  }

  /// Delivers tasks again that are due for it and turned out to be still open.
  mutating func repeatDeliveries(of id: String, at now: Moment) -> [DispatchAction] {
    let (isResent, redelivered) = ownership.takeRepeats(of: id)
    guard let driven = executions[id], isResent || !redelivered.isEmpty else { return [] }
    var actions: [DispatchAction] = []
    // The loss of one task may end the others.
    for task in driven.openTasks where executions[id]?.machine.isSent(task.id) == true {
      if isResent, agents.tasks.isWithDistantAgent(task) {
        // The agent's node knows whether the agent has the task, and delivers it only if not.
        agents.tasks.forgetDelivery(of: task)
        actions += deliver(task, of: id, at: now)
      } else if redelivered.contains(task.id), agents.tasks.isDeliverable(task) {
        if let loss = agents.tasks.loss(of: task) {
          actions += advance(id, at: now) { $0.taskLost(task.id, loss, at: now.wall) }
        } else {
          actions += deliver(task, of: id, at: now)
        }
      }
    }
    return actions
  }
}

// MARK: - Agents

extension ExecutionDriver {
  mutating func handle(_ event: AgentEvent, at now: Moment) -> [DispatchAction] { perform(agents.handle(event, at: now), at: now) }

  mutating func deliverForOther(
    _ task: ControlPlaneMessage.Task, to agent: String, deadline: Timestamp?, at now: Moment
  ) -> [DispatchAction] {
    perform(agents.tasks.deliverForOther(task, to: agent, deadline: deadline, at: now), at: now)
  }

  mutating func withdrawForOther(_ message: ControlPlaneMessage.TaskCancelled, from agent: String, at now: Moment) -> [DispatchAction] {
    perform(agents.tasks.withdrawForOther(message, from: agent, at: now), at: now)
  }

  /// Processes an outcome, or records it if this node does not drive the execution.
  mutating func ended(_ outcome: TaskRecord, of id: String, _ messageID: String?, at now: Moment) -> [DispatchAction] {
    agents.tasks.answered(outcome.id, by: outcome.agentID)
    guard executions[id]?.machine.stored.tasks.contains(where: { $0.id == outcome.id && $0.agentID == outcome.agentID }) == true else {
      agents.tasks.free(outcome.id, from: outcome.agentID, completed: outcome.state == .completed)
      return [.store(.record(outcome, execution: id, messageID: messageID))]
    }
    // A new owner, still unknown to this node, delivered the task again.
    if agents.directory[outcome.agentID]?.tasks[outcome.id]?.isOwn == false {
      agents.tasks.free(outcome.id, from: outcome.agentID, completed: outcome.state == .completed)
    }
    executions[id]?.messageIDs[outcome.id] = messageID
    return advance(id, at: now) { $0.taskEnded(as: outcome, at: now.wall) }
  }

  private mutating func perform(_ actions: [AgentMachine.Action], at now: Moment) -> [DispatchAction] {
    var result: [DispatchAction] = []
    for action in actions {
      switch action {
      case .perform(let action): result.append(action)
      case .lost(let task, let id, let loss): result += advance(id, at: now) { $0.taskLost(task, loss, at: now.wall) }
      case .redeliver(let task, let id):
        if executions[id]?.machine.isSent(task) == true { result += ownership.readForTask(task, of: id) }
      case .recheck(let id): ownership.recheck(id, at: now)
      }
    }
    return result
  }
}

// MARK: - Time and placement

extension ExecutionDriver {
  /// Times out due executions, and gives up waits for agents.
  mutating func timePassed(at now: Moment) -> [DispatchAction] {
    var actions: [DispatchAction] = []
    while let timer = timers.popDue(at: now.instant) {
      switch timer {
      case .deadline(let id):
        if let due = executions[id]?.due, due <= now.instant { actions += advance(id, at: now) { $0.deadlinePassed(at: now.wall) } }
      case .agentWait(let id): actions += agentWaitEnded(id, at: now)
      }
    }
    return actions + perform(agents.timePassed(at: now), at: now)
  }

  private mutating func agentWaitEnded(_ id: String, at now: Moment) -> [DispatchAction] {
    guard let driven = executions[id], driven.machine.isWaitingForAgents else { return [] }
    let needed = driven.execution.pattern.agents.min
    let capable = agents.tasks.directory.capableCount(driven.key)
    guard capable < needed else { return [] }
    return advance(id, at: now) { $0.fail(driven.failure(needed: needed, capable: capable), at: now.wall) }
  }

  private mutating func wait(_ driven: DrivenExecution, need: WaitingQueue.Need, at now: Moment) {
    let (id, executions) = (driven.execution.id, executions)
    queues.add(id, need: need, key: driven.key, priority: driven.execution.priority) {
      executions[$0.executionID]?.machine.isDecided == false
    }
    guard case .start = need else { return }
    if callers.isOutcomeAwaited(id) { timers.add(.agentWait(id), at: now.instant + settings.agentWait) }
    ownership.offer(id, at: now)
  }

  /// Gives work to free agents: first the backlogs of tasks from other nodes, then the executions that wait here.
  mutating func giveWork(at now: Moment) -> [DispatchAction] {
    var actions = perform(agents.tasks.workOffBacklogs(at: now), at: now)
    for key in queues.turns(refreshed: agents.tasks.directory.takeRefreshed()) { actions += serve(key, at: now) }
    return actions
  }

  private mutating func serve(_ key: PoolKey, at now: Moment) -> [DispatchAction] {
    guard var turn = queues.beginTurn(of: key) else { return [] }
    var actions: [DispatchAction] = []
    while agents.tasks.directory.hasRoom(key), let entry = turn.next() {
      guard let demand = demand(of: entry, at: now) else { continue }
      let chosen = agents.tasks.choose(demand, from: key)
      if chosen.isEmpty { turn.pass(entry) } else { actions += start(entry, demand, chosen, at: now) }
    }
    queues.endTurn(turn)
    return actions
  }

  /// The demand of an entry; nil if its execution no longer waits.
  ///
  /// An execution past its deadline does not start; its deadline ends it.
  private func demand(of entry: WaitingQueue.Entry, at now: Moment) -> PlacementDemand? {
    executions[entry.executionID].flatMap { !$0.machine.isDecided && $0.due > now.instant ? $0.demand(for: entry.need) : nil }
  }

  private mutating func start(_ entry: WaitingQueue.Entry, _ demand: PlacementDemand, _ chosen: [String], at now: Moment)
    -> [DispatchAction]
  {
    let id = entry.executionID
    let before = executions[id]?.machine.stored.tasks.count ?? 0
    guard let index = executions.index(forKey: id) else { return [] }
    let actions =
      switch entry.need {
      case .start: executions.values[index].machine.start(agents: chosen, at: now.wall)
      case .slot(let slot): executions.values[index].machine.retry(slot: slot, agent: chosen[0])
      }
    for task in executions[id]?.machine.stored.tasks.dropFirst(before) ?? [] {
      agents.tasks.assign(task, of: id, isSuspect: demand.isSuspect)
    }
    return perform(actions, of: id, at: now)
  }
}
