import ParallaxAPI
import ParallaxControlPlane
import ParallaxHA
import ParallaxState

/// Drives the machines of the dispatcher in a simulated node, as `Dispatcher` and its parts do in the product.
///
/// No other file of the simulation uses those machines.
final class SimulatedDispatcher {
  private let session: NodeSession
  /// The node of the dispatcher; nil before the node first runs.
  private unowned let node: SimulatedNode?
  private var machine: DispatchMachine
  private var plannedWake: Duration?
  private var waiters: [WaiterID: (id: String, answer: (Resolution) -> Void)] = [:]
  private var lastWaiter: WaiterID = 0
  /// Whether the last resolution was nil: this node does not drive the execution, or its outcome is decided.
  private var isRefused = false
  private var areLoadsDue = false

  private static let restorationAttempts = 7
  private static let restorationPatience = Int64.seconds(2)
  private static let loadInterval = 0.1
  private static let registrationDelay = 5.0

  init(_ session: NodeSession, at node: SimulatedNode? = nil) {
    self.session = session
    self.node = node
    machine = DispatchMachine(
      settings: DispatchMachine.Settings(
        session: session, resumeGrace: SimulatedNode.resumeGrace, relocationDelay: .milliseconds(250),
        isStoreLossy: true))
  }

  // MARK: Events

  private var moment: Moment { Moment(instant: node?.instant ?? .zero, wall: node?.wall ?? ExecutionSimulation.start) }

  func handle(_ event: DispatchEvent) {
    for action in machine.handle(event, at: moment) { act(action) }
    arm()
    tellLoadsSoon()
  }

  private func arm() {
    guard let node, let due = machine.nextWake else { return }
    if let plannedWake, plannedWake <= due { return }
    plannedWake = due
    node.here(afterOwn: Double((due - node.instant).nanoseconds) / 1e9 + 1e-6) { if self.plannedWake == due { self.wake() } }
  }

  func wake() {
    plannedWake = nil
    handle(.timePassed)
  }

  var executionCount: Int { machine.executionCount }

  /// Whether the store may lack executions and keys that their holders are about to restore.
  var mayBeRestoring: Bool { machine.mayBeRestoring(at: moment) }

  func epoch(of agent: String) -> Int64 { machine.agent(agent)?.epoch ?? 0 }

  func agentEpochs(at home: NodeSession) -> [String: Int64] { machine.agentEpochs(at: home) }

  func agentRegistered(_ id: String, epoch: Int64, limit: Int, activeTasks: [String]?) {
    handle(.agent(.registered(id, epoch: epoch, capabilities: ["text"], limit: limit, activeTasks: activeTasks)))
  }

  func heard(_ outcome: SimulatedAgent.Outcome, of task: String, in execution: String, by agent: String) {
    switch outcome {
    case .result(let value):
      let message = AgentMessage.TaskResult(taskId: task, executionId: execution, result: value)
      handle(.completed(message, by: agent, messageID: nil))
    case .error(let retryable):
      let failure = ExecutionFailure(code: SimulatedAgent.errorCode, message: "it could not be done")
      let message = AgentMessage.TaskError(taskId: task, executionId: execution, error: failure, retryable: retryable)
      handle(.failed(message, by: agent, messageID: nil))
    }
  }

  /// Fails a task whose outcome is too large.
  func tooLarge(_ task: String, in execution: String, by agent: String) {
    let failure = ExecutionFailure(code: SimulatedAgent.errorCode, message: "its outcome is too large")
    let message = AgentMessage.TaskError(taskId: task, executionId: execution, error: failure, retryable: true)
    handle(.failed(message, by: agent, messageID: nil))
  }

  // MARK: Callers

  var hasCallers: Bool { !waiters.isEmpty }

  private func enter(_ id: String, _ answer: @escaping (Resolution) -> Void) -> WaiterID {
    lastWaiter += 1
    waiters[lastWaiter] = (id, answer)
    return lastWaiter
  }

  func submit(_ execution: Execution, waits: Bool, isRepeatable: Bool, _ answer: @escaping (Resolution) -> Void) {
    let waiter = enter(execution.id, answer)
    handle(.submitted(execution, waiter, waits: waits, isRepeatable: isRepeatable))
  }

  /// Waits for an execution of this node; returns false if this node does not drive it.
  func attach(to id: String, _ answer: @escaping (Resolution) -> Void) -> Bool {
    guard machine.execution(id) != nil else { return false }
    handle(.attached(enter(id, answer), to: id, waits: true))
    return true
  }

  /// Cancels an execution of this node; returns false if this node does not drive it, or if its outcome is decided.
  func cancel(_ id: String) -> Bool {
    guard machine.execution(id) != nil else { return false }
    let waiter = enter(id) { _ in }
    isRefused = false
    handle(.cancelled(id, by: waiter))
    return !isRefused
  }

  private func resolve(_ waiter: WaiterID, _ resolution: Resolution?) {
    guard let caller = waiters.removeValue(forKey: waiter) else {
      node?.world.violate(.answeredTwice, "a caller at \(session) was answered twice")
      return
    }
    if let resolution { caller.answer(resolution) } else { isRefused = true }
  }

  func isWaited(for id: String) -> Bool { waiters.values.contains { $0.id == id } }

  func claimed(_ key: String, for id: String) {
    handle(.keyClaimed(RecentWrites.Claim(key: key, executionID: id, digest: "")))
  }

  // MARK: Loads

  private func tellLoadsSoon() {
    guard !areLoadsDue, let node else { return }
    areLoadsDue = true
    node.here(afterOwn: Self.loadInterval) {
      self.areLoadsDue = false
      self.tellLoads()
    }
  }

  func tellLoads() {
    for action in machine.handle(.agent(.loadsDue), at: moment) { act(action) }
  }

  func tellAllLoads() {
    handle(.agent(.loadsMissed))
  }

  // MARK: Actions

  private func act(_ action: DispatchAction) {
    guard let node else { return }
    switch action {
    case .store(let call): make(call, node)
    case .send(let message, let agent, _): node.send(message, to: agent)
    case .ping(let number, let agent): node.ping(number, to: agent)
    case .resolve(let waiter, let resolution): resolve(waiter, resolution)
    case .tell(let message, let other): node.tell(message, other)
    case .publish(let announcement): node.publish(announcement)
    case .agentMoved(let id), .reconnect(let id): node.replaced(id)
    case .restore(let recent): restore(recent, node)
    case .ended, .publishStatus: break
    }
  }

  private func make(_ call: StoreCall, _ node: SimulatedNode) {
    let session = session
    switch call {
    case .create(let stored): create(stored, node)
    case .update(let change): update(change, node)
    case .restore(let stored, let acknowledged):
      node.call(
        .write, about: stored.execution.id,
        { store in
          let outcome = store.restore(stored, as: .owner, acknowledged: acknowledged)
          if [.intact, .restored].contains(outcome) { Self.restoreKey(of: stored.execution, in: store) }
          return outcome
        }
      ) { outcome in
        let result: UpdateOutcome =
          switch outcome {
          case .intact, .restored: .applied
          case .stale: .stale
          case .unread: .unread
          case .barred: .missing
          }
        self.written(stored.execution, result)
      }
    case .read where node.losesReads: node.here(after: .seconds(1)) { self.make(call, node) }
    case .read(let id): node.call(.reading, { $0.state.execution(id) }) { self.handle(.read(id, $0)) }
    case .release(let id, let owner): node.call(.admittedWrite, { $0.state.release(id, owner: owner) })
    case .claim(let id, let owner, let cancels):
      node.call(.admittedWrite, about: id, { $0.claim(id, from: owner, isGone: false, to: session) }) { stored in
        if node.losesClaims { return node.here(after: .seconds(1)) { self.make(call, node) } }
        self.handle(.claimed(id, from: owner, stored, cancels: cancels))
      }
    case .unlist(let id): node.call(.admittedWrite, { $0.state.unlist(id, from: session) })
    case .record(let outcome, let execution, _): record(outcome, of: execution, node)
    case .changeAgent(let id, let change):
      node.call(
        .admittedWrite,
        { store in
          guard var record = store.state.agent(id), change.apply(to: &record) else { return }
          _ = store.state.update(record)
        }
      ) { self.handle(.agent(.changeEnded(id))) }
    case .removeAgent(let id, let epoch): node.call(.admittedWrite, { $0.state.removeAgent(id, epoch: epoch, session: session) })
    case .checkAgent(let id): checkAgent(id)
    }
  }

  private func update(_ change: ExecutionChange, _ node: SimulatedNode) {
    var change = change
    node.call(
      change.isAdmitted ? .admittedWrite : .write, about: change.id,
      onRepeat: { if node.world.store.isFull { change = self.machine.endInstead(of: change) ?? change } },
      { $0.state.update(change) }
    ) { outcome in
      self.handle(.written(change.id, epoch: change.epoch, revision: change.revision, outcome))
    }
  }

  private func create(_ stored: StoredExecution, _ node: SimulatedNode) {
    let id = stored.execution.id
    node.call(
      .write, about: id,
      onFailure: {
        let refusal = APIError(.notReady, "the store did not take the execution")
        self.handle(.creationDelayed(id, refusal))
      }, { $0.create(stored) }
    ) { outcome in
      let result: UpdateOutcome =
        switch outcome {
        case .created: .applied
        case .exists: .stale
        case .barred: .missing
        }
      self.written(stored.execution, result)
    }
  }

  private func written(_ execution: Execution, _ outcome: UpdateOutcome) {
    handle(.written(execution.id, epoch: execution.epoch, revision: execution.revision, outcome))
  }

  /// Removes the registration of an agent at this node that is unknown here, after two checks, because its registration may be in progress.
  func checkAgent(_ id: String) {
    guard let node else { return }
    let session = session
    let ghost = { [self] (record: AgentRecord?) -> Int64? in
      guard let record, record.session == session, epoch(of: id) < record.epoch else { return nil }
      return record.epoch
    }
    node.call(.reading, { $0.state.agent(id) }) { record in
      guard let found = ghost(record) else { return }
      node.here(afterOwn: Self.registrationDelay) {
        node.call(.reading, { $0.state.agent(id) }) { record in
          guard ghost(record) == found else { return }
          node.call(.admittedWrite, { $0.state.removeAgent(id, epoch: found, session: session) }) { _ in
            self.handle(.agent(.removed(id, epoch: found)))
          }
        }
      }
    }
  }

  private func record(_ outcome: TaskRecord, of execution: String, _ node: SimulatedNode) {
    node.call(.write, about: execution, { $0.state.record(outcome, of: execution) }) { [self] result in
      guard result == .unknown else { return handle(.recorded(outcome, execution: execution, messageID: nil, result)) }
      let session = session
      node.call(.reading, { $0.state.sessions()[session] != nil }) { isKnown in
        // The owner may be about to restore the execution.
        guard isKnown, !self.mayBeRestoring, !node.isOpening else {
          return node.here(afterOwn: 1) { self.record(outcome, of: execution, node) }
        }
        self.handle(.recorded(outcome, execution: execution, messageID: nil, result))
      }
    }
  }

  // MARK: Restoration

  /// Restores the recent writes that the store may have lost.
  private func restore(_ recent: RecentWrites, _ node: SimulatedNode) {
    for (stored, _) in recent.finished.elements.reversed() {
      node.call(
        .write, about: stored.execution.id,
        { store in
          _ = store.restore(stored, as: .witnessOfEnd)
          Self.restoreKey(of: stored.execution, in: store)
        }
      ) {
        node.call(.admittedWrite, { $0.state.release(stored.execution.id, owner: stored.execution.owner) })
      }
    }
    for (claim, _) in recent.claims.elements.reversed() {
      node.call(.write, { Self.restoreKey(claim.key, of: claim.executionID, in: $0) })
    }
    for (outcome, _) in recent.outcomes.elements.reversed() { restore(outcome, attempts: Self.restorationAttempts, node) }
    checkRegistrations(node)
    node.here(afterOwn: 10) { self.handle(.restorationEnded(number: recent.number)) }
  }

  private static func restoreKey(of execution: Execution, in store: SimulatedStore) {
    if let key = execution.idempotencyKey { restoreKey(key, of: execution.id, in: store) }
  }

  private static func restoreKey(_ key: String, of id: String, in store: SimulatedStore) {
    store.state.restoreIdempotencyKey(key, executionID: id, digest: "", lifetime: .seconds(86_400))
  }

  private func restore(_ outcome: RecentWrites.Outcome, attempts: Int, _ node: SimulatedNode) {
    let (task, execution) = (outcome.task, outcome.execution)
    node.call(.write, about: execution, { $0.state.record(task, of: execution) }) { result in
      self.handle(.recordedAgain(task, execution: execution, result))
      guard result == .unknown, attempts > 1 else { return }
      node.here(after: Self.restorationPatience) { self.restore(outcome, attempts: attempts - 1, node) }
    }
  }

  /// Renews the registrations of connected agents that the store lacks.
  func checkRegistrations(_ node: SimulatedNode) {
    let session = session
    node.call(.reading, { $0.state.agents(at: session) }) { records in
      self.handle(.agent(.listedHere(records.sorted { $0.id < $1.id })))
      let listed = Dictionary(records.map { ($0.id, $0.epoch) }) { max($0, $1) }
      for (id, link) in node.links.sorted(by: { $0.key < $1.key }) where (listed[id] ?? 0) < link.epoch {
        node.call(.reading, { $0.state.agent(id)?.epoch ?? 0 }) { epoch in if epoch <= link.epoch { node.registerAnew(id) } }
      }
    }
  }

  // MARK: Views

  /// Describes an execution of this node; nil if this node does not drive it.
  func describe(_ id: String) -> String? {
    machine.execution(id).map { "\(session) drives epoch \($0.execution.epoch) revision \($0.execution.revision)" }
  }

  func describe(agent id: String) -> String? {
    machine.agent(id).map {
      "\(session) sees \(id) connected \($0.isConnected) at \($0.home?.description ?? "itself") load \($0.load) \($0.tasks) \($0.ending)"
    }
  }

  /// Describes this node's view of an idle connected agent; nil if the view is correct.
  func misjudges(_ id: String) -> String? {
    if let view = machine.agent(id), view.isConnected, view.load == 0 { return nil }
    return "\(session) sees \(id) otherwise than idle: \(describe(agent: id) ?? "not at all")"
  }

  /// Describes the executions and callers that remain after the end of all executions.
  var leftOvers: [String] {
    var texts: [String] = []
    if machine.executionCount > 0 { texts.append("\(session) still drives \(machine.executionCount) executions") }
    for waiter in waiters.values { texts.append("a caller at \(session) was never answered about \(waiter.id)") }
    return texts
  }
}

extension ExecutionChange {
  /// Whether a store with full memory takes the change: an end without a result.
  fileprivate var isAdmitted: Bool {
    guard let status, status.isTerminal else { return false }
    return status != .completed && !tasks.contains { $0.state == .completed }
  }
}
