import DequeModule
package import ParallaxAPI
package import ParallaxHA
package import ParallaxState

/// An instant on both clocks: the monotonic one decides, the wall clock is what people read and what outlives the process.
package struct Moment: Sendable, Hashable {
  /// Since an arbitrary origin, on a clock that only goes forward.
  package var instant: Duration
  package var wall: Timestamp

  package init(instant: Duration, wall: Timestamp) {
    self.instant = instant
    self.wall = wall
  }
}

/// Whoever waits for an execution: a number that the driver gave.
package typealias WaiterID = UInt64

/// How the wait of a caller ends.
package enum Resolution: Sendable, Hashable {
  case finished(StoredExecution)
  case accepted(ExecutionAcceptance)
  case failed(APIError)
}

/// What the driver of the dispatcher has to do, in order.
package enum DispatchAction: Sendable, Hashable {
  /// Store; then call `writeFinished`.
  case create(StoredExecution)
  case update(ExecutionChange)
  case restore(StoredExecution)
  /// Take the execution off this node's list, some time.
  case release(String, owner: NodeSession)
  case send(ControlPlaneMessage, to: String, inAnswerTo: String? = nil)
  case resolve(WaiterID, Resolution)
  /// For log and metrics, and to be remembered for a while: an execution has ended.
  case ended(StoredExecution)
  /// The store may list an agent for this node that is not here: look, and take it off.
  case checkAgent(String)
  /// Record how a task of an execution that this node does not drive ended, tell its owner, and acknowledge it; or tell the agent that it
  /// never had that task.
  case record(TaskRecord, execution: String, messageID: String?)
  /// Read an execution again and call `executionRead`: others may have changed or taken it, or recorded something.
  case read(String)
  /// Claim an execution from a session, which this one may be itself; then call `claimFinished`.
  case claim(String, from: NodeSession, cancels: Bool = false)
  /// Take off this node's list what is not this node's.
  case unlist(String)
  /// Write to the store that the agent is not connected.
  case agentVanished(String, epoch: Int64)
  /// Remove the agent from the store.
  case agentGone(String, epoch: Int64)
  /// Tell another node session.
  case tell(NodeMessage, to: NodeSession)
  /// Tell all nodes about an agent of this node.
  case publish(AgentAnnouncement)
  /// Tell people how an execution stands.
  case publishStatus(Execution)
  /// The agent has registered at another node: its connection here is to end.
  case agentMoved(String)
}

/// Hands executions to agents: the node's whole knowledge of running executions and connected agents, and every decision about them.
///
/// A value; `Dispatcher` drives it.
package struct DispatchMachine: Sendable {
  /// What the machine is told about its surroundings.
  package struct Settings: Sendable, Hashable {
    package var session: NodeSession
    /// How long a synchronous caller waits for capable agents to appear.
    package var agentWait: Duration
    /// How long a task waits for its vanished agent.
    package var resumeGrace: Duration
    /// How long an agent that came back without a task may still send its result, before it gets the task again.
    package var redeliveryDelay: Duration
    /// How long an execution waits for agents that only other nodes have, before it is given to such a node.
    ///
    /// Nil: there are no other nodes.
    package var relocationDelay: Duration?
    /// How often an execution that other nodes work on, or may have taken, is read again, in case that a message was lost.
    package var recheckInterval: Duration
    /// How many executions are read again, or written again, at once.
    package var width: Int
    package var rules: DispatchRules

    package init(
      session: NodeSession, agentWait: Duration = .seconds(5), resumeGrace: Duration = .seconds(30),
      redeliveryDelay: Duration = .seconds(2), relocationDelay: Duration? = nil, recheckInterval: Duration = .seconds(30),
      width: Int = 64, rules: DispatchRules = DispatchRules()
    ) {
      self.session = session
      self.agentWait = agentWait
      self.resumeGrace = resumeGrace
      self.redeliveryDelay = redeliveryDelay
      self.relocationDelay = relocationDelay
      self.recheckInterval = recheckInterval
      self.width = width
      self.rules = rules
    }

    /// Whether other nodes may take over what this one drives.
    var hasPeers: Bool { relocationDelay != nil }
  }

  enum Timer: Sendable {
    case deadline(String)
    case agentWait(String)
    /// The agent's tasks are given to others unless it came back: its epoch rose.
    case agentGrace(String, epoch: Int64)
    /// A task that its agent said it did not have, when it registered under this epoch.
    case redelivery(task: String, execution: String, agent: String, epoch: Int64)
    /// A task that its agent said nothing about.
    case unconfirmed(task: String, execution: String, agent: String, epoch: Int64)
    /// An execution that waits here for agents that only other nodes have.
    case relocation(String)
    /// An execution that other nodes work on or may have taken.
    case recheck(String)
    /// What other nodes were told before the store lost writes may not have reached them.
    case recheckAll
    /// Comes late if the process was paused.
    case pulse(due: Duration)
    /// The place of a task that is not wanted any more, at an agent that says nothing of it.
    case place(task: String, agent: String, epoch: Int64)
  }

  struct Waiter: Sendable {
    var id: WaiterID
    /// Wants the outcome, not only the acknowledgement.
    var waits: Bool
  }

  struct Running: Sendable {
    var machine: ExecutionMachine
    var key: PoolKey
    var waiters: [Waiter]
    /// When its time is over, on this node's monotonic clock: no wall clock that jumps moves it.
    var due: Duration
    /// Whether its caller can ask for it again by an idempotency key.
    var isRepeatable = false
    var acknowledged = false
    /// What callers are told when the store does not take the execution in time.
    var refusal: APIError?
    /// The id of the message that gave a task's outcome, which its acknowledgement repeats.
    var messageIDs: [String: String] = [:]
    /// The other node sessions where somebody waits for the end.
    var watchers: Set<NodeSession> = []
    /// The status that people were told last.
    var published: ExecutionStatus?
    var isRechecked = false
    /// Whether tasks at other nodes that are still open after the next reading go there once more.
    var resends = false
    /// Tasks that go to their agents once more if they are still open after the next reading.
    var redelivers: Set<String> = []
    /// How often each task's agent came back without it.
    var losses: [String: Int] = [:]
    /// Tasks that were lost with others which may have been why.
    var lostAmongOthers: Set<String> = []
  }

  package let settings: Settings
  var executions: [String: Running] = [:]
  var agents = AgentDirectory()
  var waiting: [PoolKey: WaitingQueue] = [:]
  var timers = TimerQueue<Timer>()
  /// Tasks of other nodes for this node's agents that have no room for them yet, by agent.
  var backlogs: [String: Deque<ControlPlaneMessage.Task>] = [:]
  /// Pools whose queue got an entry that was not looked at yet.
  var unserved: Set<PoolKey> = []
  /// How many entries the waiting queues ever got.
  var arrivals: UInt64 = 0
  /// Executions to be read again.
  var reads = WorkQueue()
  /// Executions to be written again as a whole.
  var restorations = WorkQueue()
  var hasPulse = false
  /// The agents that have a task which may take them down, and has to be the only such one there.
  var suspects: [String: String] = [:]
  /// When all loads were told last.
  var loadsToldAt: Duration?
  /// The node stops: nobody is kept waiting for an outcome.
  private var isReleasing = false

  package init(settings: Settings) {
    self.settings = settings
  }

  package var executionCount: Int { executions.count }
  package var connectedAgents: Int { agents.connectedCount }
  /// When `timePassed` is due next.
  package var nextWake: Duration? { timers.next }

  package func agent(_ id: String) -> AgentDirectory.Agent? { agents[id] }

  /// An execution that this node drives, as it will stand when what was written has arrived.
  package func execution(_ id: String) -> StoredExecution? { executions[id]?.machine.stored }

  // MARK: Callers

  /// Takes a new execution: stores it, gives it to agents, tells the caller.
  ///
  /// `waits`: the caller wants the outcome. One that this node drives already, since its request was repeated, gets a further caller.
  package mutating func submit(
    _ execution: Execution, waiter: WaiterID, waits: Bool, isRepeatable: Bool = false, at now: Moment
  ) -> [DispatchAction] {
    if executions[execution.id] != nil { return attach(waiter, to: execution.id, waits: waits).actions }
    let key = PoolKey(execution.pattern.agents.capabilities)
    var machine = ExecutionMachine(StoredExecution(execution: execution, tasks: []))
    let needs = execution.pattern.agents
    // Those that wait already come first.
    let chosen = waiting[key] == nil && execution.deadline > now.wall ? agents.select(key, min: needs.min, max: needs.max) : []
    let actions = machine.create(agents: chosen, at: now.wall)
    for task in machine.stored.tasks { agents.assign(task: task.id, execution: execution.id, to: task.agentID) }
    executions[execution.id] = Running(
      machine: machine, key: key, waiters: [Waiter(id: waiter, waits: waits)], due: due(of: execution, at: now), isRepeatable: isRepeatable)
    watchOver(execution.id, at: now)
    return perform(actions, of: execution.id, at: now)
  }

  /// Lets a further caller wait for an execution; false when this node does not drive it.
  package mutating func attach(_ waiter: WaiterID, to id: String, waits: Bool) -> (attached: Bool, actions: [DispatchAction]) {
    guard let running = executions[id] else { return (false, []) }
    if let refusal = running.refusal, !running.acknowledged { return (true, [.resolve(waiter, .failed(refusal))]) }
    if running.acknowledged, !waits || isReleasing {
      return (true, [.resolve(waiter, .accepted(acceptance(running.machine.stored.execution)))])
    }
    executions[id]?.waiters.append(Waiter(id: waiter, waits: waits))
    return (true, [])
  }

  /// A caller has gone; its execution goes on.
  package mutating func detach(_ waiter: WaiterID, from id: String) {
    executions[id]?.waiters.removeAll { $0.id == waiter }
  }

  /// Cancels; false when this node does not drive the execution or its outcome is decided.
  package mutating func cancel(_ id: String, waiter: WaiterID?, at now: Moment) -> (cancelled: Bool, actions: [DispatchAction]) {
    guard let running = executions[id], !running.machine.isDecided else { return (false, []) }
    if let waiter { executions[id]?.waiters.append(Waiter(id: waiter, waits: true)) }
    return (true, advance(id, at: now) { $0.cancel(at: now.wall) })
  }

  /// Callers at another node session wait for an execution.
  package mutating func watch(_ id: String, by watcher: NodeSession) -> [DispatchAction] {
    guard executions[id] != nil else { return [.tell(.ended(execution: id), to: watcher)] }
    executions[id]?.watchers.insert(watcher)
    return []
  }

  /// Every caller that still waits is told where to look instead.
  package mutating func releaseWaiters() -> [DispatchAction] {
    isReleasing = true
    var actions: [DispatchAction] = []
    for (id, running) in executions where running.acknowledged {
      let answer = acceptance(running.machine.stored.execution)
      actions += running.waiters.map { .resolve($0.id, .accepted(answer)) }
      executions[id]?.waiters = []
    }
    return actions
  }

  // MARK: Store

  /// The write of an execution under this epoch and revision has ended.
  package mutating func writeFinished(
    _ id: String, epoch: Int64, revision: Int64, _ outcome: UpdateOutcome, at now: Moment
  ) -> [DispatchAction] {
    let actions = advance(id, at: now) { $0.writeFinished(outcome, epoch: epoch, revision: revision, at: now.wall) }
    return actions + continueRestorations(after: id, at: now)
  }

  /// The store does not take the execution in time.
  ///
  /// Its callers are told; it is ended as soon as the store is there, lest it runs though nobody knows of it. One with an idempotency
  /// key goes on: its caller will ask for it again by that key.
  package mutating func creationDelayed(_ id: String, error: APIError, at now: Moment) -> [DispatchAction] {
    guard let waiters = executions[id]?.waiters else { return [] }
    executions[id]?.waiters = []
    executions[id]?.refusal = error
    let refusals = waiters.map { DispatchAction.resolve($0.id, .failed(error)) }
    if executions[id]?.isRepeatable == true { return refusals }
    let failure = ExecutionFailure(code: "STORE_UNAVAILABLE", message: "the request was not acknowledged")
    return refusals + advance(id, at: now) { $0.fail(failure, at: now.wall) }
  }

  /// Goes on with an execution that this node has claimed; what it holds of an earlier epoch gives way, its callers go on waiting.
  package mutating func recover(_ stored: StoredExecution, at now: Moment) -> [DispatchAction] {
    let id = stored.execution.id
    if let known = executions[id]?.machine.stored.execution {
      guard stored.execution.epoch > known.epoch, !settings.rules.lacks(.keepsEarlierEpoch) else { return [] }
      return replace(id, with: stored, at: now)
    }
    let key = PoolKey(stored.execution.pattern.agents.capabilities)
    executions[id] = Running(
      machine: ExecutionMachine(stored), key: key, waiters: [], due: due(of: stored.execution, at: now), acknowledged: true)
    expectAgents(of: id, at: now)
    watchOver(id, at: now)
    return advance(id, at: now) { $0.resume(at: now.wall) }
  }

  /// Goes on from what the store holds of an execution that this node drives.
  mutating func replace(_ id: String, with stored: StoredExecution, at now: Moment) -> [DispatchAction] {
    executions[id]?.acknowledged = true
    let actions = advance(id, at: now) { $0.replace(with: stored, at: now.wall) }
    expectAgents(of: id, at: now)
    return actions
  }

  /// Puts open tasks into the hands of their agents, as whoever owned the execution before gave them to those.
  private mutating func expectAgents(of id: String, at now: Moment) {
    for task in executions[id]?.machine.stored.tasks ?? [] where task.state == .open {
      agents.expect(id: task.agentID)
      guard agents[task.agentID]?.tasks[task.id] == nil else { continue }
      agents.assign(task: task.id, execution: id, to: task.agentID)
      guard let agent = agents[task.agentID] else { continue }
      if agent.isConnected {
        confirm(task.id, of: id, with: agent, at: now)
        if agent.home != nil { recheck(id, at: now) }
      } else {
        timers.add(.agentGrace(agent.id, epoch: agent.epoch), at: now.instant + settings.resumeGrace)
      }
    }
  }

  /// When an execution's time is over; never later than if it had been created now, whatever the wall clocks say.
  private func due(of execution: Execution, at now: Moment) -> Duration {
    now.instant + min(execution.deadline - now.wall, execution.deadline - execution.createdAt)
  }

  /// Sets the timers that every execution has which this node drives.
  private mutating func watchOver(_ id: String, at now: Moment) {
    timers.add(.deadline(id), at: executions[id]?.due ?? now.instant)
    guard settings.hasPeers else { return }
    recheck(id, at: now)
    if !hasPulse { beat(at: now) }
  }
}

// MARK: - One execution's actions

extension DispatchMachine {
  mutating func advance(
    _ id: String, at now: Moment, _ event: (inout ExecutionMachine) -> [ExecutionMachine.Action]
  ) -> [DispatchAction] {
    guard let index = executions.index(forKey: id) else { return [] }
    let actions = event(&executions.values[index].machine)
    return perform(actions, of: id, at: now) + giveWork(at: now)
  }

  mutating func perform(_ actions: [ExecutionMachine.Action], of id: String, at now: Moment) -> [DispatchAction] {
    guard let running = executions[id] else { return [] }
    let execution = running.machine.stored.execution
    var result: [DispatchAction] = []
    for action in actions {
      switch action {
      case .create(let stored): result.append(.create(stored))
      case .update(var change):
        if settings.rules.lacks(.overlooksRecordings) { change.recordings = .max }
        result.append(.update(change))
      case .restore(let stored): result.append(.restore(stored))
      case .wantsAgents: wait(id, need: .start(agents: execution.pattern.agents.min), at: now)
      case .wantsAgent(let slot): wait(id, need: .slot(slot), at: now)
      case .send(let task): result += deliver(task, of: execution, at: now)
      case .acknowledge(let task):
        // An agent at another node was answered there, by whoever recorded the outcome.
        guard agents[task.agentID]?.home == nil else { continue }
        let message = ControlPlaneMessage.ResultAck(taskId: task.id)
        result.append(.send(.resultAck(message), to: task.agentID, inAnswerTo: running.messageIDs[task.id]))
      case .freed(let task):
        let completed = running.machine.stored.tasks.contains { $0.id == task.id && $0.state == .completed }
        agents.free(task: task.id, from: task.agentID, completed: completed)
        backlogs[task.agentID]?.removeAll { $0.taskId == task.id }
        clearSuspicion(of: task)
      case .withdraw(let task, let reason):
        withdraw(task, at: now)
        let message = ControlPlaneMessage.TaskCancelled(taskId: task.id, executionId: id, reason: reason)
        if let home = agents[task.agentID]?.home {
          result.append(.tell(.withdraw(message, agent: task.agentID), to: home))
        } else {
          result.append(.send(.taskCancelled(message), to: task.agentID))
        }
      case .accepted: result += accepted(id)
      case .finished: result += finished(id)
      case .read: result += read(id)
      case .lost(let outcomes): result += lost(id, outcomes) + (settings.rules.lacks(.keepsEarlierEpoch) ? [] : read(id))
      }
    }
    return result
  }

  mutating func deliver(_ task: TaskRecord, of execution: Execution, at now: Moment) -> [DispatchAction] {
    guard let agent = agents[task.agentID], agent.isConnected, !agents.isDelivered(task: task.id, to: agent.id) else { return [] }
    let remaining = max(.milliseconds(1), (executions[execution.id]?.due ?? now.instant) - now.instant)
    let message = ControlPlaneMessage.Task(
      taskId: task.id, executionId: execution.id, patternName: execution.pattern.name, patternVersion: execution.pattern.version,
      capability: execution.pattern.agents.capabilities.first ?? "", input: execution.input, timeout: remaining,
      priority: execution.priority, context: ControlPlaneMessage.Task.Context(stepIndex: 0, totalSteps: 1))
    let status = publishStatus(of: execution.id)
    guard let home = agent.home else { return status + handOver(message, to: agent) }
    _ = agents.deliver(task: task.id, to: agent.id)
    recheck(execution.id, at: now)
    return status + [.tell(.deliver(message, agent: agent.id, owner: settings.session), to: home)]
  }

  private mutating func publishStatus(of id: String) -> [DispatchAction] {
    guard let execution = executions[id]?.machine.stored.execution, executions[id]?.published != execution.status else { return [] }
    executions[id]?.published = execution.status
    return [.publishStatus(execution)]
  }

  private func acceptance(_ execution: Execution) -> ExecutionAcceptance {
    ExecutionAcceptance(executionId: execution.id, status: execution.status)
  }

  private mutating func accepted(_ id: String) -> [DispatchAction] {
    guard let running = executions[id] else { return [] }
    executions[id]?.acknowledged = true
    let staying = running.waiters.filter { $0.waits && !isReleasing }
    executions[id]?.waiters = staying
    let answer = acceptance(running.machine.stored.execution)
    return running.waiters.filter { !$0.waits || isReleasing }.map { .resolve($0.id, .accepted(answer)) } + publishStatus(of: id)
  }

  private mutating func finished(_ id: String) -> [DispatchAction] {
    guard let running = executions.removeValue(forKey: id) else { return [] }
    dropOutdatedTimers()
    let stored = running.machine.stored
    var actions: [DispatchAction] = running.waiters.map { .resolve($0.id, .finished(stored)) }
    actions += [.ended(stored), .publishStatus(stored.execution), .release(id, owner: stored.execution.owner)]
    return actions + tellWatchers(of: running)
  }

  /// Another node owns the execution, or it is gone: callers are told that it was accepted, and look further; outcomes that only this node
  /// knows are recorded for whoever owns it.
  mutating func lost(_ id: String, _ outcomes: [TaskRecord]) -> [DispatchAction] {
    guard let running = executions.removeValue(forKey: id) else { return [] }
    dropOutdatedTimers()
    for task in running.machine.stored.tasks where task.state == .open {
      // An agent here still has it, for the new owner.
      if let agent = agents[task.agentID], agent.home == nil, agents.isDelivered(task: task.id, to: agent.id) { continue }
      agents.free(task: task.id, from: task.agentID, completed: false)
    }
    let answer = acceptance(running.machine.stored.execution)
    return running.waiters.map { .resolve($0.id, .accepted(answer)) } + tellWatchers(of: running)
      + outcomes.filter { _ in !settings.rules.lacks(.dropsOutcomes) }.map {
        .record($0, execution: id, messageID: running.messageIDs[$0.id])
      }
  }

  /// Another node has ended the execution like this.
  mutating func endedElsewhere(_ stored: StoredExecution, at now: Moment) -> [DispatchAction] {
    let id = stored.execution.id
    let outcomes = executions[id]?.machine.letGo() ?? []
    let waiters = executions[id]?.waiters ?? []
    executions[id]?.waiters = []
    let known = executions[id]?.machine.stored.tasks.filter { $0.state == .open } ?? []
    var actions: [DispatchAction] = waiters.map { .resolve($0.id, .finished(stored)) } + lost(id, outcomes) + [.unlist(id)]
    for task in known where agents[task.agentID]?.home == nil && agents.isDelivered(task: task.id, to: task.agentID) {
      withdraw(task, at: now)
      let message = ControlPlaneMessage.TaskCancelled(taskId: task.id, executionId: id, reason: "ended")
      actions.append(.send(.taskCancelled(message), to: task.agentID))
    }
    return actions + giveWork(at: now)
  }

  private func tellWatchers(of running: Running) -> [DispatchAction] {
    running.watchers.sorted { $0.description < $1.description }.map { .tell(.ended(execution: running.machine.id), to: $0) }
  }

  private mutating func dropOutdatedTimers() {
    let (executions, agents) = (executions, agents)
    timers.compact { timer in
      switch timer {
      case .deadline(let id), .agentWait(let id), .relocation(let id), .recheck(let id): executions[id] != nil
      case .agentGrace(let id, let epoch): agents[id]?.epoch == epoch
      case .recheckAll, .pulse: true
      case .place(let task, let agent, let epoch): agents[agent]?.epoch == epoch && agents[agent]?.ending.contains(task) == true
      case .redelivery(_, let execution, let agent, let epoch), .unconfirmed(_, let execution, let agent, let epoch):
        executions[execution] != nil && agents[agent]?.epoch == epoch
      }
    }
  }
}
