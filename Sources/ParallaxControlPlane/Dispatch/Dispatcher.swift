package import Logging
package import NIOCore
package import ParallaxAPI
import ParallaxConcurrency
package import ParallaxHA
package import ParallaxState
import ServiceLifecycle
import Synchronization

/// Drives the dispatch machine: serializes its events, performs its actions, keeps its clock.
///
/// Events come from event loops and tasks alike and take a lock for the time of a decision; sending and answering callers never
/// block. The calls of the store are made by `run`, a child task for each.
package final class Dispatcher: Service {
  private struct State {
    var machine: DispatchMachine
    var callers: [WaiterID: UnsafeContinuation<Resolution?, Never>] = [:]
    var links: [String: (epoch: Int64, link: any AgentLink)] = [:]
    var nextWaiter: WaiterID = 0
    var alarm: (instant: Duration, timer: Scheduled<Void>)?
    var idleWaiter: IdleWaiter?
    /// What is to be told once the lock is free.
    var answers: [(caller: UnsafeContinuation<Resolution?, Never>, resolution: Resolution?)] = []
    var endedIdleWaits: [UnsafeContinuation<Void, Never>] = []
  }

  /// A task that waits until there is nothing to do.
  private struct IdleWaiter {
    var includingExecutions: Bool
    var continuation: UnsafeContinuation<Void, Never>
  }

  /// A piece of work for the store.
  private enum Job: Sendable {
    case call(StoreCall)
    case register(AgentRecord, any AgentLink)
  }

  /// How long a node that stops goes on with what the store does not take.
  private static let stopLimit = Duration.seconds(5)

  private let state: Mutex<State>
  private let worker: StoreWorker
  private let jobs: AsyncStream<Job>
  private let addJob: AsyncStream<Job>.Continuation
  /// What may have to be written again; the last includes what those before it did.
  private let restorations: AsyncStream<RecentWrites>
  private let addRestoration: AsyncStream<RecentWrites>.Continuation
  private let session: NodeSession
  private let peers: Peers
  private let timerLoop: any EventLoop
  private let clock: NodeClock
  private let metrics: DispatchMetrics
  private let logger: Logger
  /// Whether the session is being entered in the store, or an entry was not answered: the store may have said that it had forgotten it.
  let isOpening = Atomic<Bool>(false)

  /// Makes a dispatcher; `retention` is for how long after its creation an execution is sure to stay in the store.
  package init(
    settings: DispatchMachine.Settings, store: any StateStore, retention: Duration, peers: Peers = Peers(), timerLoop: any EventLoop,
    clock: NodeClock, metrics: DispatchMetrics, logger: Logger
  ) {
    state = Mutex(State(machine: DispatchMachine(settings: settings)))
    session = settings.session
    self.peers = peers
    self.timerLoop = timerLoop
    self.clock = clock
    self.metrics = metrics
    self.logger = logger
    let reports = StoreReports(metrics: metrics, logger: logger) { report in timerLoop.scheduleTask(in: .seconds(1), report) }
    worker = StoreWorker(store: store, session: settings.session, retention: retention, clock: clock, reports: reports)
    (jobs, addJob) = AsyncStream.makeStream(of: Job.self)
    (restorations, addRestoration) = AsyncStream.makeStream(of: RecentWrites.self, bufferingPolicy: .bufferingNewest(1))
  }

  /// Does the store's work until a graceful shutdown begins and all of it is done, within a bound, or the task is cancelled.
  package func run() async throws {
    let isStopping = Deferred<Void>()
    await withGracefulShutdownHandler {
      _ = await race {
        await self.work()
      } until: {
        try await isStopping.value()
        try await self.clock.sleep(for: Self.stopLimit)
      }
    } onGracefulShutdown: {
      self.stop()
      isStopping.set()
    }
  }

  private func work() async {
    await withDiscardingTaskGroup { group in
      group.addTask { await StoreRestoration(worker: self.worker).run(self.restorations, for: self) }
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
      link.registrationEnded(outcome)
      // A registration that failed may have been stored all the same.
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

  /// Takes in an event, and performs what the machine decides.
  package func handle(_ event: DispatchEvent) {
    let now = clock.now
    withState { handle(event, &$0, at: now) }
  }

  private func handle(_ event: DispatchEvent, _ state: inout State, at now: Moment) {
    perform(state.machine.handle(event, at: now), &state)
  }

  /// Takes in that the store may have lost what was written last before `connection`, when a connection to it was made, as after a failover
  /// or a restart: it is written again where it has.
  package func storeReset(since connection: ContinuousClock.Instant) {
    handle(.storeReset(connectedAt: clock.now.instant - (.now - connection)))
  }

  /// Takes in that the store has lost its data, or that others had taken this node for lost: stores the registrations of its agents once
  /// more, and whatever else it may lack.
  package func storeForgot() {
    for registered in registeredLinks.values { registered.link.registerAnew() }
    handle(.storeReset(connectedAt: nil))
  }

  /// Takes in a message of another node session.
  package func received(_ message: NodeMessage) {
    if case .disconnect(let agent) = message { _ = disconnectAgent(agent) }
    handle(.message(message))
  }

  // MARK: Callers

  /// Takes a new execution and returns when it is acknowledged, or when it has ended if `waits`.
  ///
  /// A cancelled caller gets the acknowledgement; the execution goes on.
  /// `isRepeatable`: the caller can ask for it again by an idempotency key.
  package func submit(_ execution: Execution, waits: Bool, isRepeatable: Bool) async -> Resolution {
    let resolution = await wait(for: execution.id) { .submitted(execution, $0, waits: waits, isRepeatable: isRepeatable) }
    return resolution ?? .accepted(ExecutionAcceptance(executionId: execution.id, status: execution.status))
  }

  /// Waits for an execution that this node drives; nil when it does not.
  package func attach(to id: String, waits: Bool) async -> Resolution? {
    await wait(for: id) { .attached($0, to: id, waits: waits) }
  }

  /// Cancels an execution and returns when that is stored; nil when this node does not drive it or its outcome is decided.
  package func cancel(_ id: String) async -> Resolution? {
    await wait(for: id) { .cancelled(id, by: $0) }
  }

  private func wait(for id: String, _ event: (WaiterID) -> DispatchEvent) async -> Resolution? {
    let waiter = withState { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
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

  /// Returns when no caller waits any more, and no execution is left if `includingExecutions`; or when the task is cancelled.
  ///
  /// For one caller at a time.
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

  /// Stores a registration; `link` is told how that ended.
  func register(_ registration: AgentSessionMachine.Registration, link: any AgentLink) {
    let record = AgentRecord(
      id: registration.agentID, name: registration.name, capabilities: registration.capabilities,
      maxConcurrentTasks: registration.limit, metadata: registration.metadata, session: session,
      epoch: knownEpoch(of: registration.agentID), connectedAt: clock.now.wall, activeTasks: registration.activeTasks)
    addJob.yield(.register(record, link))
  }

  /// Takes in that a stored registration stands: the agent can be given work through `link`.
  func registered(_ registration: AgentSessionMachine.Registration, epoch: Int64, link: any AgentLink) {
    let now = clock.now
    withState { state in
      // A later connection, here or at another node, was known first.
      if (state.machine.agent(registration.agentID)?.epoch ?? 0) >= epoch { return link.replace() }
      state.links[registration.agentID]?.link.replace()
      state.links[registration.agentID] = (epoch, link)
      let event = AgentEvent.registered(
        registration.agentID, epoch: epoch, capabilities: registration.capabilities, limit: registration.limit,
        activeTasks: registration.activeTasks)
      handle(.agent(event), &state, at: now)
    }
  }

  /// Takes in that a registration was stored once more.
  func renewed(_ id: String, from former: Int64, epoch: Int64) {
    let now = clock.now
    withState { state in
      if let link = state.links[id], link.epoch == former { state.links[id] = (epoch, link.link) }
      handle(.agent(.renewed(id, from: former, epoch: epoch)), &state, at: now)
    }
  }

  /// Takes in that an agent's connection has ended.
  func left(_ id: String, epoch: Int64, graceful: Bool) {
    let now = clock.now
    withState { state in
      if state.links[id]?.epoch == epoch { state.links[id] = nil }
      handle(.agent(.left(id, epoch: epoch, graceful: graceful)), &state, at: now)
    }
  }

  /// Has the registrations of connected agents stored once more that the store lacks.
  ///
  /// - Throws: The store's error.
  package func restoreRegistrations() async throws { try await worker.restoreRegistrations(of: self) }

  /// Ends an agent's connection; false when it is not connected here.
  package func disconnectAgent(_ id: String) -> Bool {
    guard let link = state.withLock({ $0.links[id]?.link }) else { return false }
    link.end("disconnected by an operator")
    return true
  }

  /// Asks every agent to go elsewhere, spread over `interval`.
  package func askAgentsToReconnect(reason: String, over interval: Duration) {
    let links = registeredLinks.values.map(\.link)
    let spread = max(1, Int(interval.wholeMilliseconds))
    for (index, link) in links.enumerated() {
      let afterMs = spread * index / max(1, links.count)
      link.send(.reconnect(ControlPlaneMessage.Reconnect(reason: reason, afterMs: afterMs)), inAnswerTo: nil)
    }
  }

  /// Ends all agent connections: the node stops.
  package func closeAgents(reason: String) {
    for registered in registeredLinks.values { registered.link.restart(reason) }
  }

  // MARK: Views

  /// How an agent does at this node.
  package struct AgentView: Sendable {
    package var isConnected: Bool
    package var isDraining: Bool
    package var activeTasks: Int
    package var tasksCompleted: Int
    package var lastSeen: Timestamp?
  }

  package func agent(_ id: String) -> AgentView? {
    state.withLock { state in
      state.machine.agent(id).map { agent in
        AgentView(
          isConnected: agent.isConnected, isDraining: agent.isDraining, activeTasks: agent.load,
          tasksCompleted: agent.tasksCompleted, lastSeen: state.links[id]?.link.lastSeen)
      }
    }
  }

  /// The epochs of the agents that are known to be connected to another node session.
  package func agentEpochs(at home: NodeSession) -> [String: Int64] { state.withLock { $0.machine.agentEpochs(at: home) } }

  /// How many executions this node drives, and how many agents are connected to it; costs the same however many there are.
  package var counts: (executions: Int, agents: Int) {
    state.withLock { ($0.machine.executionCount, $0.links.count) }
  }

  // MARK: Performing

  /// Does something under the lock, and answers callers after it.
  ///
  /// Not under it: to resume a task that is being cancelled waits for its cancellation handlers, and those of callers want the lock.
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
      case .resolve(let waiter, let resolution):
        if let caller = state.callers.removeValue(forKey: waiter) { state.answers.append((caller, resolution)) }
      case .ended(let stored): ended(stored.execution)
      case .tell(let message, let other): peers.tell(message, other)
      case .publish(let announcement): peers.publish(announcement)
      case .publishStatus(let execution): peers.publishStatus(execution)
      case .agentMoved(let id): state.links.removeValue(forKey: id)?.link.replace()
      case .restore(let recent): addRestoration.yield(recent)
      }
    }
    setAlarm(&state)
    checkIdle(&state)
  }

  private func ended(_ execution: Execution) {
    metrics.ended(execution)
    logger.debug(
      "execution ended",
      metadata: ["execution": "\(execution.id)", "status": "\(execution.status.rawValue)", "pattern": "\(execution.pattern.name)"])
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

// MARK: - What the work for the store needs

extension Dispatcher: StoreWorker.Owner {
  func knownEpoch(of agent: String) -> Int64 { state.withLock { $0.machine.agent(agent)?.epoch ?? 0 } }

  var mayBeRestoring: Bool {
    let now = clock.now
    return isOpening.load(ordering: .relaxed) || state.withLock { $0.machine.mayBeRestoring(at: now) }
  }

  var registeredLinks: [String: (epoch: Int64, link: any AgentLink)] { state.withLock { $0.links } }
}
