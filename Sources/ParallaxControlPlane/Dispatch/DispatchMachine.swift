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
  /// Take the execution off this node's list, some time.
  case release(String, owner: NodeSession)
  case send(ControlPlaneMessage, to: String, inAnswerTo: String? = nil)
  case resolve(WaiterID, Resolution)
  /// For log and metrics: an execution has ended.
  case ended(Execution)
  /// Look in the store whether the agent once had this task; acknowledge it if so, else tell the agent.
  case lookUp(task: String, execution: String, agent: String, messageID: String?)
  /// Write to the store that the agent is not connected.
  case agentVanished(String, epoch: Int64)
  /// Remove the agent from the store.
  case agentGone(String, epoch: Int64)
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

    package init(
      session: NodeSession, agentWait: Duration = .seconds(5), resumeGrace: Duration = .seconds(30),
      redeliveryDelay: Duration = .seconds(2)
    ) {
      self.session = session
      self.agentWait = agentWait
      self.resumeGrace = resumeGrace
      self.redeliveryDelay = redeliveryDelay
    }
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
    /// Whether its caller can ask for it again by an idempotency key.
    var isRepeatable = false
    var acknowledged = false
    /// What callers are told when the store does not take the execution in time.
    var refusal: APIError?
    /// The id of the message that gave a task's outcome, which its acknowledgement repeats.
    var messageIDs: [String: String] = [:]
  }

  package let settings: Settings
  var executions: [String: Running] = [:]
  var agents = AgentDirectory()
  var waiting: [PoolKey: WaitingQueue] = [:]
  var timers = TimerQueue<Timer>()
  /// Pools whose queue got an entry that was not looked at yet.
  var unserved: Set<PoolKey> = []
  /// How many entries the waiting queues ever got.
  var arrivals: UInt64 = 0
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
    let chosen = waiting[key] == nil ? agents.select(key, min: needs.min, max: needs.max) : []
    let actions = machine.create(agents: chosen, at: now.wall)
    for task in machine.stored.tasks { agents.assign(task: task.id, execution: execution.id, to: task.agentID) }
    executions[execution.id] = Running(machine: machine, key: key, waiters: [Waiter(id: waiter, waits: waits)], isRepeatable: isRepeatable)
    timers.add(.deadline(execution.id), at: now.instant + (execution.deadline - now.wall))
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
  package mutating func cancel(_ id: String, waiter: WaiterID, at now: Moment) -> (cancelled: Bool, actions: [DispatchAction]) {
    guard let running = executions[id], !running.machine.isDecided else { return (false, []) }
    executions[id]?.waiters.append(Waiter(id: waiter, waits: true))
    return (true, advance(id, at: now) { $0.cancel(at: now.wall) })
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

  /// A write has ended.
  package mutating func writeFinished(_ id: String, _ outcome: UpdateOutcome, at now: Moment) -> [DispatchAction] {
    advance(id, at: now) { $0.writeFinished(outcome, at: now.wall) }
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

  /// Goes on with an execution that this node has claimed.
  package mutating func recover(_ stored: StoredExecution, at now: Moment) -> [DispatchAction] {
    let id = stored.execution.id
    guard executions[id] == nil else { return [] }
    let key = PoolKey(stored.execution.pattern.agents.capabilities)
    executions[id] = Running(machine: ExecutionMachine(stored), key: key, waiters: [], acknowledged: true)
    for task in stored.tasks where task.state == .open {
      agents.expect(id: task.agentID)
      agents.assign(task: task.id, execution: id, to: task.agentID)
      guard let agent = agents[task.agentID] else { continue }
      if agent.isConnected {
        confirm(task.id, of: id, with: agent, at: now)
      } else {
        timers.add(.agentGrace(agent.id, epoch: agent.epoch), at: now.instant + settings.resumeGrace)
      }
    }
    timers.add(.deadline(id), at: now.instant + (stored.execution.deadline - now.wall))
    return advance(id, at: now) { $0.resume(at: now.wall) }
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
      case .update(let change): result.append(.update(change))
      case .wantsAgents: wait(id, need: .start(agents: execution.pattern.agents.min), at: now)
      case .wantsAgent(let slot): wait(id, need: .slot(slot), at: now)
      case .send(let task): result += deliver(task, of: execution, at: now)
      case .acknowledge(let task):
        let message = ControlPlaneMessage.ResultAck(taskId: task.id)
        result.append(.send(.resultAck(message), to: task.agentID, inAnswerTo: running.messageIDs[task.id]))
      case .freed(let task):
        let completed = running.machine.stored.tasks.contains { $0.id == task.id && $0.state == .completed }
        agents.free(task: task.id, from: task.agentID, completed: completed)
      case .withdraw(let task, let reason):
        let message = ControlPlaneMessage.TaskCancelled(taskId: task.id, executionId: id, reason: reason)
        result.append(.send(.taskCancelled(message), to: task.agentID))
      case .accepted: result += accepted(id)
      case .finished: result += finished(id)
      case .lost: result += lost(id)
      }
    }
    return result
  }

  func deliver(_ task: TaskRecord, of execution: Execution, at now: Moment) -> [DispatchAction] {
    guard agents[task.agentID]?.isConnected == true else { return [] }
    let remaining = max(.milliseconds(1), execution.deadline - now.wall)
    let message = ControlPlaneMessage.Task(
      taskId: task.id, executionId: execution.id, patternName: execution.pattern.name, patternVersion: execution.pattern.version,
      capability: execution.pattern.agents.capabilities.first ?? "", input: execution.input, timeout: remaining,
      priority: execution.priority, context: ControlPlaneMessage.Task.Context(stepIndex: 0, totalSteps: 1))
    return [.send(.task(message), to: task.agentID)]
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
    return running.waiters.filter { !$0.waits || isReleasing }.map { .resolve($0.id, .accepted(answer)) }
  }

  private mutating func finished(_ id: String) -> [DispatchAction] {
    guard let running = executions.removeValue(forKey: id) else { return [] }
    dropOutdatedTimers()
    let stored = running.machine.stored
    return running.waiters.map { .resolve($0.id, .finished(stored)) } + [
      .ended(stored.execution), .release(id, owner: stored.execution.owner),
    ]
  }

  private mutating func lost(_ id: String) -> [DispatchAction] {
    guard let running = executions.removeValue(forKey: id) else { return [] }
    let answer = acceptance(running.machine.stored.execution)
    return running.waiters.map { .resolve($0.id, .accepted(answer)) }
  }

  private mutating func dropOutdatedTimers() {
    let (executions, agents) = (executions, agents)
    timers.compact { timer in
      switch timer {
      case .deadline(let id), .agentWait(let id): executions[id] != nil
      case .agentGrace(let id, let epoch): agents[id]?.epoch == epoch
      case .redelivery(_, let execution, let agent, let epoch), .unconfirmed(_, let execution, let agent, let epoch):
        executions[execution] != nil && agents[agent]?.epoch == epoch
      }
    }
  }
}
