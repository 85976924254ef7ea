package import Logging
package import NIOCore
import ParallaxAPI
import ParallaxConcurrency
package import ParallaxHA
package import ParallaxState
import ServiceLifecycle
import Synchronization

/// Drives the dispatch machine: serializes its events, performs its actions, and keeps its alarm.
///
/// Event loops and tasks alike pass events, which hold a lock for the time of a decision; sends and answers to callers never block. `run`
/// calls the store, with a child task for each call.
package final class Dispatcher: Service {
  private struct State {
    var machine: DispatchMachine
    var callers: [WaiterID: UnsafeContinuation<Resolution?, Never>] = [:]
    var links: [String: (epoch: Int64, link: any AgentLink)] = [:]
    var alarm: (instant: Duration, timer: Scheduled<Void>)?
    var idleWaiter: IdleWaiter?
    /// The answers to callers, sent after the lock is released.
    var answers: [(caller: UnsafeContinuation<Resolution?, Never>, resolution: Resolution?)] = []
    var endedIdleWaits: [UnsafeContinuation<Void, Never>] = []
  }

  /// A task that waits until the dispatcher is idle.
  private struct IdleWaiter {
    var includingExecutions: Bool
    var continuation: UnsafeContinuation<Void, Never>
  }

  /// A job for the store.
  private enum Job: Sendable {
    case call(StoreCall)
    case register(AgentRecord, any AgentLink)
  }

  private let state: Mutex<State>
  private let lastWaiter = Atomic<WaiterID>(0)
  private let worker: StoreWorker
  private let restoration: StoreRestoration
  private let jobs: AsyncStream<Job>
  private let addJob: AsyncStream<Job>.Continuation
  /// The recent writes to restore; each element includes those of the previous ones.
  private let restorations: AsyncStream<RecentWrites>
  private let addRestoration: AsyncStream<RecentWrites>.Continuation
  private let session: NodeSession
  private let peers: Peers
  private let timerLoop: any EventLoop
  private let clock: NodeClock
  private let metrics: DispatchMetrics
  private let log: ActivityLog
  /// Whether the session is being opened, or the last opening had no answer; the store may then have reported that it had lost the session.
  let isOpening = Atomic<Bool>(false)

  /// Makes a dispatcher.
  ///
  /// - Parameters:
  ///   - settings: The settings of the machine.
  ///   - store: The store of executions and agents.
  ///   - retention: The time after its creation for which the store surely keeps an execution.
  ///   - peers: The channels to other nodes; none by default.
  ///   - timerLoop: The event loop for the alarm.
  ///   - clock: The node's clock.
  ///   - metrics: The metrics of executions.
  ///   - activityLog: Logs ended executions; by default one that nobody asks for its minutes.
  ///   - logger: Logs failures of the store.
  package init(
    settings: DispatchMachine.Settings, store: any StateStore, retention: Duration, peers: Peers = Peers(), timerLoop: any EventLoop,
    clock: NodeClock, metrics: DispatchMetrics, activityLog: ActivityLog? = nil, logger: Logger
  ) {
    state = Mutex(State(machine: DispatchMachine(settings: settings)))
    session = settings.session
    self.peers = peers
    self.timerLoop = timerLoop
    self.clock = clock
    self.metrics = metrics
    log = activityLog ?? ActivityLog(clock: clock, logger: logger)
    let reports = StoreReports(metrics: metrics, logger: logger) { report in timerLoop.scheduleTask(in: .seconds(1), report) }
    worker = StoreWorker(store: store, session: settings.session, retention: retention, clock: clock, reports: reports)
    restoration = StoreRestoration(worker: worker, partitions: settings.partitions)
    (jobs, addJob) = AsyncStream.makeStream(of: Job.self)
    (restorations, addRestoration) = AsyncStream.makeStream(of: RecentWrites.self, bufferingPolicy: .bufferingNewest(1))
  }

  /// Performs the jobs for the store until the task is cancelled, or until a graceful shutdown has begun and all are done, at most 5 s
  /// later.
  package func run() async throws {
    let isStopping = Deferred<Void>()
    await withGracefulShutdownHandler {
      _ = await race {
        await self.work()
      } until: {
        try await isStopping.value()
        try await self.clock.sleep(for: ShutdownPlan.storeLimit)
      }
    } onGracefulShutdown: {
      self.stop()
      isStopping.set()
    }
  }

  private func work() async {
    await withDiscardingTaskGroup { group in
      group.addTask { await self.restoration.run(self.restorations, for: self) }
      for await job in jobs {
        group.addTask { await self.perform(job) }
      }
    }
  }

  private func perform(_ job: Job) async {
    switch job {
    case .call(let call): await worker.perform(call, for: self)
    case .register(let record, let link):
      let outcome = await worker.register(record, for: self)
      link.registrationEnded(outcome) {
        if case .success(let epoch) = outcome { self.left(record.id, epoch: epoch, graceful: false) }
      }
      // A registration that failed may have taken effect all the same.
      if case .failure = outcome { await worker.perform(.checkAgent(record.id), for: self) }
    }
  }

  private func stop() {
    withState { state in
      state.alarm?.timer.cancel()
      state.alarm = nil
    }
    addJob.finish()
    addRestoration.finish()
  }

  // MARK: Events

  /// Processes an event, and performs the resulting actions.
  package func handle(_ event: DispatchEvent) {
    let now = clock.now
    withState { handle(event, &$0, at: now) }
  }

  private func handle(_ event: DispatchEvent, _ state: inout State, at now: Moment) {
    perform(state.machine.handle(event, at: now), &state)
  }

  /// Restores the writes that the store may have lost before a new connection to it, as after a failover or a restart.
  ///
  /// - Parameter connectionAge: The time since the connection was made.
  package func storeReset(connectionAge: Duration) {
    handle(.storeReset(connectedAt: clock.now.instant - connectionAge))
  }

  /// Restores everything that the store may lack, because it has lost its data or other nodes have closed this session: the registrations
  /// of connected agents, and all recent writes.
  package func storeForgot() {
    for registered in registeredLinks.values { registered.link.registerAnew() }
    handle(.storeReset(connectedAt: nil))
  }

  /// Processes a message from another node session.
  package func received(_ message: NodeMessage) {
    if case .disconnect(let agent) = message { _ = disconnectAgent(agent) }
    handle(.message(message))
  }

  // MARK: Callers

  /// Submits a new execution, and returns at its acknowledgement, or at its end if `waits`.
  ///
  /// A cancelled task gets the acknowledgement; the execution continues.
  ///
  /// - Parameters:
  ///   - execution: The execution.
  ///   - waits: Whether the caller wants the outcome, not only the acknowledgement.
  ///   - isRepeatable: Whether the request has an idempotency key, so that the caller can repeat it.
  /// - Returns: The acknowledgement, the outcome, or the error.
  package func submit(_ execution: Execution, waits: Bool, isRepeatable: Bool) async -> Resolution {
    log.accepted()
    let resolution = await wait(for: execution.id) { .submitted(execution, $0, waits: waits, isRepeatable: isRepeatable) }
    return resolution ?? .accepted(ExecutionAcceptance(executionId: execution.id, status: execution.status))
  }

  /// Waits for an execution of this node; nil if this node does not drive it.
  package func attach(to id: String, waits: Bool) async -> Resolution? {
    await wait(for: id) { .attached($0, to: id, waits: waits) }
  }

  /// Cancels an execution, and returns when the store has the cancellation; nil if this node does not drive the execution or its outcome is
  /// decided.
  package func cancel(_ id: String) async -> Resolution? {
    await wait(for: id) { .cancelled(id, by: $0) }
  }

  private func wait(for id: String, _ event: (WaiterID) -> DispatchEvent) async -> Resolution? {
    let waiter = lastWaiter.wrappingAdd(1, ordering: .relaxed).newValue
    return await suspend { (continuation: UnsafeContinuation<Resolution?, Never>) in
      let now = clock.now
      withState { state in
        state.callers[waiter] = continuation
        handle(event(waiter), &state, at: now)
      }
    } onCancel: {
      handle(.detached(waiter, from: id))
    }
  }

  /// Waits until no caller waits any longer and, if `includingExecutions`, no execution is left; also returns when the task is cancelled.
  ///
  /// Only one task may wait at a time.
  package func waitUntilIdle(includingExecutions: Bool) async {
    await suspend { (continuation: UnsafeContinuation<Void, Never>) in
      withState { state in
        state.idleWaiter = IdleWaiter(includingExecutions: includingExecutions, continuation: continuation)
        checkIdle(&state)
      }
    } onCancel: {
      withState { endIdleWait(&$0) }
    }
  }

  private func checkIdle(_ state: inout State) {
    guard let waiter = state.idleWaiter, state.callers.isEmpty else { return }
    if !waiter.includingExecutions || state.machine.executionCount == 0 { endIdleWait(&state) }
  }

  private func endIdleWait(_ state: inout State) {
    if let waiter = state.idleWaiter { state.endedIdleWaits.append(waiter.continuation) }
    state.idleWaiter = nil
  }

  // MARK: Agents

  /// Stores a registration, and reports the outcome to `link`.
  func register(_ registration: AgentSessionMachine.Registration, link: any AgentLink) {
    let record = AgentRecord(
      id: registration.agentID, name: registration.name, capabilities: registration.capabilities,
      maxConcurrentTasks: registration.limit, metadata: registration.metadata, session: session,
      epoch: knownEpoch(of: registration.agentID), connectedAt: clock.now.wall,
      activeTasks: registration.isRenewal ? state.withLock { $0.machine.held(by: registration.agentID) } : registration.activeTasks)
    addJob.yield(.register(record, link))
  }

  /// Adds an agent whose registration is stored; work reaches the agent through `link`.
  func registered(_ registration: AgentSessionMachine.Registration, epoch: Int64, link: any AgentLink) {
    let now = clock.now
    withState { state in
      // A later connection of the agent, here or at another node, is already known.
      if (state.machine.agent(registration.agentID)?.epoch ?? 0) >= epoch { return link.replace() }
      state.links[registration.agentID]?.link.replace()
      state.links[registration.agentID] = (epoch, link)
      let event = AgentEvent.registered(
        registration.agentID, epoch: epoch, capabilities: registration.capabilities, limit: registration.limit,
        activeTasks: registration.activeTasks, process: registration.process)
      handle(.agent(event), &state, at: now)
    }
  }

  /// Records the new epoch of a registration that was stored again.
  func renewed(_ id: String, from former: Int64, epoch: Int64) {
    let now = clock.now
    withState { state in
      if let link = state.links[id], link.epoch == former { state.links[id] = (epoch, link.link) }
      handle(.agent(.renewed(id, from: former, epoch: epoch)), &state, at: now)
    }
  }

  /// Records the end of an agent's connection.
  func left(_ id: String, epoch: Int64, graceful: Bool) {
    let now = clock.now
    withState { state in
      if state.links[id]?.epoch == epoch { state.links[id] = nil }
      handle(.agent(.left(id, epoch: epoch, graceful: graceful)), &state, at: now)
    }
  }

  /// Renews the registrations of connected agents that the store lacks.
  ///
  /// - Throws: The store's error.
  package func restoreRegistrations() async throws { try await worker.restoreRegistrations(of: self) }

  /// Ends an agent's connection; returns false if the agent is not connected here.
  package func disconnectAgent(_ id: String) -> Bool {
    guard let link = state.withLock({ $0.links[id]?.link }) else { return false }
    link.end("disconnected by an operator")
    return true
  }

  /// Asks all agents to reconnect elsewhere, spread over `interval`.
  package func askAgentsToReconnect(reason: String, over interval: Duration) {
    let links = registeredLinks.values.map(\.link)
    let spread = max(1, Int(interval.wholeMilliseconds))
    for (index, link) in links.enumerated() {
      let afterMs = spread * index / max(1, links.count)
      link.send(.reconnect(ControlPlaneMessage.Reconnect(reason: reason, afterMs: afterMs)), inAnswerTo: nil)
    }
  }

  /// Ends all agent connections, because the node stops.
  package func closeAgents(reason: String) {
    for registered in registeredLinks.values { registered.link.restart(reason) }
  }

  // MARK: Views

  package func agent(_ id: String) -> AgentView? {
    state.withLock { state in
      state.machine.agent(id).map { agent in
        AgentView(
          isConnected: agent.isConnected, isDraining: agent.isDraining, activeTasks: agent.load,
          tasksCompleted: agent.tasksCompleted, lastSeen: state.links[id]?.link.lastSeen)
      }
    }
  }

  /// The id of the other node to which, as far as this node knows, an agent is connected.
  func otherHome(of id: String) -> String? {
    state.withLock { state in state.machine.agent(id).flatMap { $0.isConnected ? $0.home?.nodeID : nil } }
  }

  /// The other node sessions to which, as far as this node knows, agents are connected.
  package var agentHomes: Set<NodeSession> { state.withLock { $0.machine.agentHomes } }

  /// The epochs of the agents that, as far as this node knows, are connected to another node session.
  package func agentEpochs(at home: NodeSession) -> [String: Int64] { state.withLock { $0.machine.agentEpochs(at: home) } }

  /// The numbers of executions of this node, of those that wait for agents, and of agents connected to it, at constant cost.
  package var counts: (executions: Int, waiting: Int, agents: Int) {
    state.withLock { state in
      let count = state.machine.executionCount
      return (count, min(count, state.machine.sizes.waiting), state.links.count)
    }
  }

  /// The executions of this node by capabilities; costs time for each of them.
  var queues: [QueueDocument] { state.withLock { $0.machine.queues } }

  // MARK: Performing

  /// Runs an operation under the lock, and answers callers after it.
  ///
  /// Resuming a task that is being cancelled waits for its cancellation handlers, and those of callers need the lock.
  private func withState<Value: Sendable>(_ body: (inout State) -> Value) -> Value {
    let (value, answers, endedIdleWaits) = state.withLock { state in
      let value = body(&state)
      defer {
        state.answers = []
        state.endedIdleWaits = []
      }
      return (value, state.answers, state.endedIdleWaits)
    }
    for (caller, resolution) in answers { caller.resume(returning: resolution) }
    for waiter in endedIdleWaits { waiter.resume() }
    return value
  }

  private func perform(_ actions: [DispatchAction], _ state: inout State) {
    for action in actions {
      switch action {
      case .store(let call): addJob.yield(.call(call))
      case .send(let message, let agent, let id): state.links[agent]?.link.send(message, inAnswerTo: id)
      case .ping(let number, let agent): state.links[agent]?.link.ping(number)
      case .resolve(let waiter, let resolution):
        if let caller = state.callers.removeValue(forKey: waiter) { state.answers.append((caller, resolution)) }
      case .ended(let stored): ended(stored.execution)
      case .tell(let message, let other): peers.tell(message, other)
      case .publish(let announcement): peers.publish(announcement)
      case .publishStatus(let execution): peers.publishStatus(execution)
      case .agentMoved(let id): state.links.removeValue(forKey: id)?.link.replace()
      case .reconnect(let id): state.links[id]?.link.restart("send the results again, which the node could not store")
      case .restore(let recent): addRestoration.yield(recent)
      }
    }
    setAlarm(&state)
    checkIdle(&state)
  }

  private func ended(_ execution: Execution) {
    metrics.ended(execution)
    log.ended(execution)
  }

  private func setAlarm(_ state: inout State) {
    guard let instant = state.machine.nextWake else { return }
    if let alarm = state.alarm, alarm.instant <= instant { return }
    state.alarm?.timer.cancel()
    let delay = max(.zero, instant - clock.now.instant)
    let timer = timerLoop.scheduleTask(in: TimeAmount(delay)) { self.alarmRang() }
    state.alarm = (instant, timer)
  }

  private func alarmRang() {
    let now = clock.now
    withState { state in
      state.alarm = nil
      handle(.timePassed, &state, at: now)
    }
  }
}

// MARK: - The worker's view

extension Dispatcher: StoreWorker.Owner {
  func knownEpoch(of agent: String) -> Int64 { state.withLock { $0.machine.agent(agent)?.epoch ?? 0 } }

  func endInstead(of change: ExecutionChange) -> ExecutionChange? { state.withLock { $0.machine.endInstead(of: change) } }

  var mayBeRestoring: Bool {
    let now = clock.now
    return isOpening.load(ordering: .relaxed) || state.withLock { $0.machine.mayBeRestoring(at: now) }
  }

  var registeredLinks: [String: (epoch: Int64, link: any AgentLink)] { state.withLock { $0.links } }
}
