package import Logging
package import NIOCore
package import ParallaxAPI
package import ParallaxHA
package import ParallaxState
import ServiceLifecycle
import Synchronization

/// Drives the dispatch machine: serialises its events, performs its actions, keeps its clock.
///
/// Events come from event loops and tasks alike and take a lock for the time of a decision; sending and answering callers never
/// block. What touches the store is done by `run`, a child task for each write.
package final class Dispatcher: Service {
  private struct State {
    var machine: DispatchMachine
    var callers: [WaiterID: CheckedContinuation<Resolution, Never>] = [:]
    var links: [String: (epoch: Int64, link: any AgentLink)] = [:]
    var nextWaiter: WaiterID = 0
    var alarm: (instant: Duration, timer: Scheduled<Void>)?
    var idleWaiter: IdleWaiter?
    /// Nil if the store cannot lose what it has acknowledged.
    var recentWrites: RecentWrites?
    /// Executions whose changes the store refused since they have another owner, since that was last reported.
    var otherOwners = (count: 0, example: "")
    /// How many executions the store had lost of, since that was last reported.
    var restored = 0
    /// When the store was last said to have lost writes.
    var resetAt: Duration?
    /// Since when there may be writes that it has lost and that were not written again yet.
    var unrestoredSince: Duration?
    /// What is to be told once the lock is free.
    var answers: [(caller: CheckedContinuation<Resolution, Never>, resolution: Resolution)] = []
    var endedIdleWaits: [CheckedContinuation<Void, Never>] = []
  }

  /// Who waits for there to be nothing to do.
  private struct IdleWaiter {
    var includingExecutions: Bool
    var continuation: CheckedContinuation<Void, Never>
  }

  /// How the node reaches the others; a node that runs alone reaches nobody.
  package struct Peers: Sendable {
    /// Puts a message on its way to another node session.
    package var tell: @Sendable (NodeMessage, NodeSession) -> Void
    /// Tells everybody about an agent of this node.
    package var publish: @Sendable (AgentAnnouncement) -> Void
    /// Tells people how an execution stands.
    package var publishStatus: @Sendable (Execution) -> Void

    package init(
      tell: @escaping @Sendable (NodeMessage, NodeSession) -> Void = { _, _ in },
      publish: @escaping @Sendable (AgentAnnouncement) -> Void = { _ in },
      publishStatus: @escaping @Sendable (Execution) -> Void = { _ in }
    ) {
      self.tell = tell
      self.publish = publish
      self.publishStatus = publishStatus
    }
  }

  private let state: Mutex<State>
  let store: any StateStore
  let session: NodeSession
  let peers: Peers
  private let jobs: AsyncStream<StoreJob>
  private let addJob: AsyncStream<StoreJob>.Continuation
  /// What may have to be written again; the last includes what those before it did.
  let restorations: AsyncStream<RecentWrites>
  private let addRestoration: AsyncStream<RecentWrites>.Continuation
  private let timerLoop: any EventLoop
  let clock: NodeClock
  private let metrics: DispatchMetrics
  /// For how long an execution is sure to stay in the store.
  let retention: Duration
  let logger: Logger
  /// Whether the store has refused a write, and none was taken since.
  let isRefused = Atomic<Bool>(false)
  private let jobCount = Atomic<Int>(0)

  /// How long a node that stops goes on with what the store does not take.
  private static let stopLimit = Duration.seconds(5)

  /// Makes a dispatcher.
  ///
  /// `lossy`: the store can lose what it has acknowledged; what was written last is kept, for `storeReset`. `retention`, `maxRetained`:
  /// for how long after its creation, and beside how many others, an execution is sure to stay in the store.
  package init(
    settings: DispatchMachine.Settings, store: any StateStore, lossy: Bool, retention: Duration, maxRetained: Int,
    peers: Peers = Peers(), timerLoop: any EventLoop, clock: NodeClock, metrics: DispatchMetrics, logger: Logger
  ) {
    self.peers = peers
    self.retention = retention
    state = Mutex(State(machine: DispatchMachine(settings: settings), recentWrites: lossy ? RecentWrites(maxRetained: maxRetained) : nil))
    self.store = store
    session = settings.session
    self.timerLoop = timerLoop
    self.clock = clock
    self.metrics = metrics
    self.logger = logger
    (jobs, addJob) = AsyncStream.makeStream(of: StoreJob.self)
    (restorations, addRestoration) = AsyncStream.makeStream(of: RecentWrites.self, bufferingPolicy: .bufferingNewest(1))
  }

  /// Does the store's work until a graceful shutdown begins and all of it is done, within a bound, or the task is cancelled.
  package func run() async throws {
    await withGracefulShutdownHandler {
      await withDiscardingTaskGroup { group in
        group.addTask { await self.restoreAgainAndAgain() }
        for await job in jobs {
          jobCount.add(1, ordering: .relaxed)
          group.addTask {
            await self.perform(job)
            self.jobCount.subtract(1, ordering: .relaxed)
          }
        }
        await finishJobs()
        group.cancelAll()
      }
    } onGracefulShutdown: {
      self.stop()
    }
  }

  /// Waits until there is no job, but not for a store that does not answer.
  private func finishJobs() async {
    let end = ContinuousClock.now + Self.stopLimit
    while jobCount.load(ordering: .relaxed) > 0, .now < end {
      do { try await Task.sleep(for: .milliseconds(20)) } catch { return }
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

  // MARK: Callers

  /// Takes a new execution and returns when it is acknowledged, or when it has ended if `waits`.
  ///
  /// A cancelled caller gets the acknowledgement; the execution goes on.
  /// `isRepeatable`: the caller can ask for it again by an idempotency key.
  package func submit(_ execution: Execution, waits: Bool, isRepeatable: Bool) async -> Resolution {
    await wait(for: execution) { machine, waiter, now in
      machine.submit(execution, waiter: waiter, waits: waits, isRepeatable: isRepeatable, at: now)
    }
  }

  /// Waits for an execution that this node drives; nil when it does not.
  package func attach(to id: String, waits: Bool) async -> Resolution? {
    guard let execution = state.withLock({ $0.machine.execution(id)?.execution }) else { return nil }
    return await wait(for: execution) { machine, waiter, _ in
      let (attached, actions) = machine.attach(waiter, to: id, waits: waits)
      let acceptance = ExecutionAcceptance(executionId: id, status: execution.status)
      // It ended between the two looks: the caller reads it from the store.
      return attached ? actions : [.resolve(waiter, .accepted(acceptance))]
    }
  }

  /// Cancels an execution and returns when that is stored; nil when this node does not drive it or its outcome is decided.
  package func cancel(_ id: String) async -> Resolution? {
    guard let execution = state.withLock({ $0.machine.execution(id)?.execution }) else { return nil }
    let refused = APIError(.conflict, "execution \(id) is already decided")
    let resolution = await wait(for: execution) { machine, waiter, now in
      let (cancelled, actions) = machine.cancel(id, waiter: waiter, at: now)
      return cancelled ? actions : [.resolve(waiter, .failed(refused))]
    }
    return resolution == .failed(refused) ? nil : resolution
  }

  /// Tells every caller that still waits where to look for the outcome: the node stops.
  package func releaseCallers() {
    handle { machine, _ in machine.releaseWaiters() }
  }

  /// Returns when no caller waits any more, and no execution is left if `includingExecutions`; or when the task is cancelled.
  ///
  /// For one caller at a time.
  package func waitUntilIdle(includingExecutions: Bool) async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        withState { state in
          state.idleWaiter = IdleWaiter(includingExecutions: includingExecutions, continuation: continuation)
          if Task.isCancelled { endIdleWait(&state) } else { checkIdle(&state) }
        }
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

  private func wait(
    for execution: Execution, _ event: @Sendable (inout DispatchMachine, WaiterID, Moment) -> [DispatchAction]
  ) async -> Resolution {
    let waiter = withState { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let now = clock.now
        withState { state in
          state.callers[waiter] = continuation
          route(event(&state.machine, waiter, now), &state)
        }
      }
    } onCancel: {
      withState { state in
        state.machine.detach(waiter, from: execution.id)
        let acceptance = ExecutionAcceptance(executionId: execution.id, status: execution.status)
        answer(waiter, .accepted(acceptance), &state)
      }
    }
  }

  // MARK: Agents

  /// Stores a registration; the session is told how that ended.
  func register(_ registration: AgentSessionMachine.Registration, session: AgentSession) {
    let knownEpoch = withState { $0.machine.agent(registration.agentID)?.epoch ?? 0 }
    addJob.yield(.register(registration, knownEpoch: knownEpoch, session))
  }

  /// A stored registration stands: the agent can be given work through `link`.
  func agentRegistered(_ registration: AgentSessionMachine.Registration, epoch: Int64, link: any AgentLink) {
    let now = clock.now
    withState { state in
      let former = state.links[registration.agentID]
      // A later connection, here or at another node, has been heard of first.
      if (state.machine.agent(registration.agentID)?.epoch ?? 0) >= epoch { return link.replace() }
      former?.link.replace()
      state.links[registration.agentID] = (epoch, link)
      let actions = state.machine.agentRegistered(
        registration.agentID, epoch: epoch, capabilities: registration.capabilities, limit: registration.limit,
        activeTasks: registration.activeTasks, at: now)
      route(actions, &state)
    }
  }

  /// A registration was stored once more.
  func agentRenewed(_ id: String, from former: Int64, epoch: Int64) {
    let now = clock.now
    withState { state in
      if let link = state.links[id], link.epoch == former { state.links[id] = (epoch, link.link) }
      route(state.machine.agentRenewed(id, from: former, epoch: epoch, at: now), &state)
    }
  }

  /// The store has lost its data, or others had taken this node for lost: stores the registrations of its agents once more, and whatever
  /// else it may lack.
  package func storeForgot() {
    for link in state.withLock({ $0.links.values.map(\.link) }) { link.registerAnew() }
    storeReset(connectedAt: nil)
  }

  /// The store may have lost what was written last before `connection`, when a connection to it was made, as after a failover or a restart:
  /// it is written again where it has.
  package func storeReset(since connection: ContinuousClock.Instant) {
    storeReset(connectedAt: clock.now.instant - (.now - connection))
  }

  private func storeReset(connectedAt connection: Duration?) {
    let now = clock.now
    let recent = withState { state -> RecentWrites? in
      state.resetAt = now.instant
      route(state.machine.storeReset(at: now), &state)
      guard var recent = state.recentWrites else { return nil }
      // What an earlier restoration has not come to is still to be done.
      let since = min(connection.map { recent.endangered(at: $0) } ?? .zero, state.unrestoredSince ?? now.instant)
      state.unrestoredSince = since
      recent.drop(before: since)
      return recent
    }
    if let recent { addRestoration.yield(recent) }
  }

  /// All that was written before the last reset of the store and may have been lost is there.
  func restorationEnded() {
    withState { $0.unrestoredSince = nil }
  }

  /// Whether the store may lack what its owners are about to restore.
  var mayBeRestoring: Bool {
    guard let resetAt = state.withLock({ $0.resetAt }) else { return false }
    return clock.now.instant - resetAt < Self.restorationWindow
  }

  /// How long it may take every node to find out that the store has lost writes, and to restore them.
  private static let restorationWindow = Duration.seconds(10)

  /// An idempotency key was claimed for an execution.
  func claimed(_ claim: RecentWrites.Claim) {
    let now = clock.now.instant
    withState { $0.recentWrites?.add(claim, at: now) }
  }

  /// The outcome of a task was recorded for an execution of another node.
  func recorded(_ outcome: RecentWrites.Outcome) {
    let now = clock.now.instant
    withState { $0.recentWrites?.add(outcome, at: now) }
  }

  /// The store had lost of an execution, and has it again.
  func countRestored() {
    metrics.restoredExecution()
    withState { $0.restored += 1 }
  }

  /// The store refused a change of an execution, since that has another owner: one line of the log tells of all in a second.
  func noteOtherOwner(of id: String) {
    let isFirst = withState { state in
      if state.otherOwners.count == 0 { state.otherOwners.example = id }
      state.otherOwners.count += 1
      return state.otherOwners.count == 1
    }
    if isFirst { timerLoop.scheduleTask(in: .seconds(1)) { self.reportOtherOwners() } }
  }

  private func reportOtherOwners() {
    let (count, example) = withState { state in
      defer { state.otherOwners = (0, "") }
      return state.otherOwners
    }
    logger.warning(
      "executions of this node have another owner now", metadata: ["count": "\(count)", "example": "\(example)"])
  }

  /// How many executions the store had lost of, since this was last asked.
  func takeRestored() -> Int {
    withState { state in
      defer { state.restored = 0 }
      return state.restored
    }
  }

  /// The connections of this node's agents, with the epochs of their registrations.
  var registeredLinks: [String: (epoch: Int64, link: any AgentLink)] { state.withLock { $0.links } }

  func agentChanged(_ id: String, epoch: Int64, capabilities: [String]?, limit: Int?, isDraining: Bool?) {
    handle { machine, now in
      machine.agentChanged(id, epoch: epoch, capabilities: capabilities, limit: limit, isDraining: isDraining, at: now)
    }
    if capabilities != nil || limit != nil { addJob.yield(.agentChanged(id, epoch: epoch, capabilities: capabilities, limit: limit)) }
  }

  func agentLeft(_ id: String, epoch: Int64, graceful: Bool) {
    let now = clock.now
    withState { state in
      if state.links[id]?.epoch == epoch { state.links[id] = nil }
      route(state.machine.agentLeft(id, epoch: epoch, graceful: graceful, at: now), &state)
    }
  }

  func placeFreed(_ task: String, by agent: String) {
    handle { machine, now in machine.placeFreed(task, by: agent, at: now) }
  }

  func agentReported(_ id: String, epoch: Int64, tasks: [String]) {
    handle { machine, now in machine.agentReported(id, epoch: epoch, tasks: tasks, at: now) }
  }

  func taskCompleted(_ result: AgentMessage.TaskResult, by agent: String, messageID: String?) {
    handle { machine, now in machine.taskCompleted(result, by: agent, messageID: messageID, at: now) }
  }

  func taskFailed(_ error: AgentMessage.TaskError, by agent: String, messageID: String?) {
    handle { machine, now in machine.taskFailed(error, by: agent, messageID: messageID, at: now) }
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
    withState { state in
      state.machine.agent(id).map { agent in
        AgentView(
          isConnected: agent.isConnected, isDraining: agent.isDraining, activeTasks: agent.load,
          tasksCompleted: agent.tasksCompleted, lastSeen: state.links[id]?.link.lastSeen)
      }
    }
  }

  /// How many executions this node drives, and how many agents are connected to it; costs the same however many there are.
  package var counts: (executions: Int, agents: Int) {
    state.withLock { ($0.machine.executionCount, $0.links.count) }
  }

  /// Ends an agent's connection; false when it is not connected here.
  package func disconnectAgent(_ id: String) -> Bool {
    guard let link = state.withLock({ $0.links[id]?.link }) else { return false }
    link.end("disconnected by an operator")
    return true
  }

  /// Asks every agent to go elsewhere, spread over `interval`.
  package func askAgentsToReconnect(reason: String, over interval: Duration) {
    let links = withState { $0.links.values.map(\.link) }
    let spread = max(1, Int(interval.wholeMilliseconds))
    for (index, link) in links.enumerated() {
      let afterMs = spread * index / max(1, links.count)
      link.send(.reconnect(ControlPlaneMessage.Reconnect(reason: reason, afterMs: afterMs)), inAnswerTo: nil)
    }
  }

  /// Ends all agent connections: the node stops.
  package func closeAgents(reason: String) {
    for link in state.withLock({ $0.links.values.map(\.link) }) { link.restart(reason) }
  }

  // MARK: Doing

  func add(_ job: StoreJob) {
    addJob.yield(job)
  }

  func inspect<Value: Sendable>(_ look: (inout DispatchMachine) -> Value) -> Value {
    withState { look(&$0.machine) }
  }

  func handle(_ event: (inout DispatchMachine, Moment) -> [DispatchAction]) {
    let now = clock.now
    withState { state in route(event(&state.machine, now), &state) }
  }

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

  private func answer(_ waiter: WaiterID, _ resolution: Resolution, _ state: inout State) {
    if let caller = state.callers.removeValue(forKey: waiter) { state.answers.append((caller, resolution)) }
  }

  private func route(_ actions: [DispatchAction], _ state: inout State) {
    for action in actions {
      switch action {
      case .create(let stored): addJob.yield(.create(stored))
      case .update(let change): addJob.yield(.update(change))
      case .restore(let stored): addJob.yield(.restore(stored))
      case .release(let id, let owner): addJob.yield(.release(id, owner: owner))
      case .send(let message, let agent, let id): state.links[agent]?.link.send(message, inAnswerTo: id)
      case .resolve(let waiter, let resolution): answer(waiter, resolution, &state)
      case .ended(let stored):
        ended(stored.execution)
        state.recentWrites?.add(stored, at: clock.now.instant)
      case .record(let outcome, let execution, let id): addJob.yield(.record(outcome, execution: execution, messageID: id))
      case .read(let id): addJob.yield(.read(id))
      case .claim(let id, let owner, let cancels): addJob.yield(.claim(id, from: owner, cancels: cancels))
      case .unlist(let id): addJob.yield(.unlist(id))
      case .checkAgent(let id): addJob.yield(.checkAgent(id))
      case .tell(let message, let other): peers.tell(message, other)
      case .publish(let news): peers.publish(news)
      case .publishStatus(let execution): peers.publishStatus(execution)
      case .agentMoved(let id): state.links.removeValue(forKey: id)?.link.replace()
      case .agentVanished(let id, let epoch): addJob.yield(.agentVanished(id, epoch: epoch))
      case .agentGone(let id, let epoch): addJob.yield(.agentGone(id, epoch: epoch))
      }
    }
    arm(&state)
    checkIdle(&state)
  }

  private func ended(_ execution: Execution) {
    metrics.ended(execution)
    logger.debug(
      "execution ended",
      metadata: ["execution": "\(execution.id)", "status": "\(execution.status.rawValue)", "pattern": "\(execution.pattern.name)"])
  }

  private func arm(_ state: inout State) {
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
      route(state.machine.timePassed(at: now), &state)
    }
  }
}
