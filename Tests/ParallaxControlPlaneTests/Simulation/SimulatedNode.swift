import ParallaxAPI
import ParallaxControlPlane
import ParallaxHA
import ParallaxState

/// A node of the simulation: its dispatch machine, and what `Dispatcher`, `ClusterFeed`, `SessionRecovery` and the messenger do around it.
final class SimulatedNode {
  static let resumeGrace = Duration.seconds(30)
  static let checkInterval = Duration.seconds(5)
  static let detection = Duration.seconds(15)
  /// How long after it was heard an outcome is kept and acknowledged.
  static let keepDelay = Duration.seconds(10)

  let index: Int
  unowned let world: DispatchSimulation
  private(set) var session: NodeSession
  private(set) var machine: DispatchMachine
  private(set) var isUp = false
  private(set) var isPaused = false
  /// Since when the process has run without a pause.
  private(set) var runsSince = Duration.zero
  /// Which life of the process this is: what belongs to a former one is dropped.
  private var life = 0
  private var pause = 0
  /// What arrived while the process was paused.
  private var deferred: [() -> Void] = []
  private var clockOffset: Duration
  private var startedAt = Duration.zero
  private var plannedWake: Duration?
  private var links: [String: (epoch: Int64, agent: SimulatedAgent, connection: Int)] = [:]
  private var waiters: [WaiterID: (id: String, answer: (Resolution) -> Void)] = [:]
  private var lastWaiter: WaiterID = 0
  private var gone: Set<NodeSession> = []
  private var lastSeen: [NodeSession: (beats: UInt64, at: Duration)] = [:]
  private var lost: Set<NodeSession> = []
  private var recoveries: [NodeSession: Duration] = [:]
  private var lastWrite = Duration.zero
  private var hasOpened = false

  init(_ index: Int, in world: DispatchSimulation) {
    self.index = index
    self.world = world
    session = NodeSession(nodeID: "node-\(index)", incarnation: "0")
    machine = DispatchMachine(settings: DispatchMachine.Settings(session: session))
    clockOffset = .zero
  }

  var moment: Moment { Moment(instant: world.now - startedAt, wall: World.start + world.now + clockOffset) }
  var isCutOff: Bool { world.now - lastWrite > Self.detection }
  var unanswered: [String] { waiters.values.map(\.id).sorted() }

  func isWaited(for id: String) -> Bool { waiters.values.contains { $0.id == id } }

  // MARK: Life

  func start() {
    life += 1
    isUp = true
    isPaused = false
    runsSince = world.now
    session = NodeSession(nodeID: "node-\(index)", incarnation: "\(life)")
    startedAt = world.now - .seconds(1)
    (links, waiters, gone, lastSeen, lost, recoveries) = ([:], [:], [], [:], [], [:])
    (deferred, plannedWake, hasOpened, lastWrite) = ([], nil, false, world.now - .seconds(100))
    machine = DispatchMachine(
      settings: DispatchMachine.Settings(
        session: session, resumeGrace: Self.resumeGrace, relocationDelay: .milliseconds(250)))
    world.note("\(session) starts")
    beat()
    look()
    tellLoads()
  }

  func die(until downTime: Duration) {
    guard isUp else { return }
    world.note("\(session) dies")
    isUp = false
    life += 1
    for (_, link) in links.sorted(by: { $0.key < $1.key }) { later { link.agent.connectionEnded(link.connection) } }
    let current = life
    world.plan(after: downTime) { if self.life == current, !self.isUp { self.start() } }
  }

  func pause(for time: Duration) {
    guard isUp, !isPaused else { return }
    world.note("\(session) pauses for \(time.milliseconds) ms")
    isPaused = true
    pause += 1
    let current = (life, pause)
    world.plan(after: time) { if (self.life, self.pause) == current { self.resume() } }
  }

  private func resume() {
    guard isPaused else { return }
    world.note("\(session) goes on")
    isPaused = false
    runsSince = world.now
    // After its own pause a judge grants everyone a full window again.
    for (session, seen) in lastSeen { lastSeen[session] = (seen.beats, world.now) }
    let waiting = deferred
    deferred = []
    for work in waiting { work() }
    wake()
  }

  func heal() {
    resume()
    if !isUp { start() }
  }

  private func later(_ work: @escaping () -> Void) { world.plan(after: world.travel(), work) }

  /// Does something in this life of the process, when it is not paused.
  private func here(after delay: Duration, _ work: @escaping () -> Void) {
    let current = life
    world.plan(after: delay) {
      guard self.life == current, self.isUp else { return }
      if self.isPaused { self.deferred.append(work) } else { work() }
    }
  }

  // MARK: The machine

  private func handle(_ event: DispatchEvent) {
    for action in machine.handle(event, at: moment) { act(action) }
    arm()
  }

  private func arm() {
    guard let due = machine.nextWake else { return }
    if let planned = plannedWake, planned <= due { return }
    plannedWake = due
    here(after: max(.zero, due - moment.instant)) { self.wake() }
  }

  private func wake() {
    plannedWake = nil
    handle(.timePassed)
  }

  private func act(_ action: DispatchAction) {
    switch action {
    case .store(let call): make(call)
    case .send(let message, let agent, _): send(message, to: agent)
    case .resolve(let waiter, let resolution): if let resolution { resolve(waiter, resolution) }
    case .tell(let message, let other): tell(message, other)
    case .publish(let announcement): publish(announcement)
    case .agentMoved(let id):
      if let link = links.removeValue(forKey: id) { later { link.agent.connectionEnded(link.connection) } }
    case .ended, .publishStatus, .restore: break
    }
  }

  private func make(_ call: StoreCall) {
    let session = session
    switch call {
    case .create(let stored):
      self.call({ $0.create(stored) }, about: stored.execution.id) { outcome in
        self.written(stored.execution, outcome == .created ? .applied : .stale)
      }
    case .update(let change):
      self.call({ $0.update(change) }, about: change.id) { outcome in
        self.handle(.written(change.id, epoch: change.epoch, revision: change.revision, outcome))
      }
    case .restore(let stored):
      self.call({ $0.restore(stored, as: .owner) }, about: stored.execution.id) { outcome in
        let result: UpdateOutcome =
          switch outcome {
          case .intact, .restored: .applied
          case .stale: .stale
          case .barred: .missing
          }
        self.written(stored.execution, result)
      }
    case .read(let id): self.call({ $0.execution(id) }) { self.handle(.read(id, $0)) }
    case .release(let id, let owner): self.call({ $0.release(id, owner: owner) }) { _ in }
    case .claim(let id, let owner, let cancels):
      self.call({ $0.claim(id, from: owner, isGone: false, to: session) }, about: id) { stored in
        self.handle(.claimed(id, from: owner, stored, cancels: cancels))
      }
    case .unlist(let id): self.call({ $0.unlist(id, from: session) }) { _ in }
    case .record(let outcome, let execution, let messageID):
      self.call({ $0.record(outcome, of: execution) }, about: execution) { result in
        self.handle(.recorded(outcome, execution: execution, messageID: messageID, result))
      }
    case .changeAgent(let id, let epoch, let capabilities, let limit):
      change(id, epoch: epoch) {
        if let capabilities { $0.capabilities = capabilities }
        if let limit { $0.maxConcurrentTasks = limit }
      }
    case .disconnectAgent(let id, let epoch): change(id, epoch: epoch) { $0.isConnected = false }
    case .removeAgent(let id, let epoch): self.call({ $0.removeAgent(id, epoch: epoch, session: session) }) { _ in }
    case .checkAgent(let id):
      // As `StoreWorker` does: twice, since a registration may be about to be known here.
      self.call({ $0.agent(id) }) { record in
        guard let record, record.session == session, (self.machine.agent(id)?.epoch ?? 0) < record.epoch else { return }
        self.here(after: .seconds(5)) {
          guard (self.machine.agent(id)?.epoch ?? 0) < record.epoch else { return }
          self.call({ $0.removeAgent(id, epoch: record.epoch, session: session) }) { _ in
            self.handle(.agent(.removed(id, epoch: record.epoch)))
          }
        }
      }
    }
  }

  private func written(_ execution: Execution, _ outcome: UpdateOutcome) {
    handle(.written(execution.id, epoch: execution.epoch, revision: execution.revision, outcome))
  }

  /// Calls the store, again and again until an answer has come.
  private func call<Value>(_ request: @escaping (InMemoryStateStore) -> Value, about id: String? = nil, _ done: @escaping (Value) -> Void) {
    let current = life
    let isLost = world.hasFaults && world.chance(world.mix.failedCalls)
    world.plan(after: world.travel()) {
      let value = request(self.world.store)
      if let id { self.world.check(id) }
      if isLost {
        // Its reply is: the call is repeated.
        self.here(after: .milliseconds(500)) { self.call(request, about: id, done) }
      } else if self.life == current {
        self.here(after: self.world.travel()) { done(value) }
      }
    }
  }

  private func change(_ id: String, epoch: Int64, _ edit: @escaping (inout AgentRecord) -> Void) {
    call({ store in
      guard var record = store.agent(id), record.epoch == epoch else { return }
      edit(&record)
      _ = store.update(record)
    }) { _ in }
  }

  // MARK: Callers

  func submit(_ execution: Execution, _ answer: @escaping (Resolution) -> Void) {
    later {
      self.here(after: .zero) {
        self.lastWaiter += 1
        let waiter = self.lastWaiter
        self.waiters[waiter] = (execution.id, answer)
        self.handle(.submitted(execution, waiter, waits: self.world.chance(0.5), isRepeatable: false))
      }
    }
  }

  private func resolve(_ waiter: WaiterID, _ resolution: Resolution) {
    guard let caller = waiters.removeValue(forKey: waiter) else { return world.fault("a caller was answered twice about an execution") }
    caller.answer(resolution)
  }

  // MARK: Agents

  func register(_ agent: SimulatedAgent, connection: Int, activeTasks: [String]?) {
    here(after: .zero) {
      let session = self.session
      let record = AgentRecord(
        id: agent.id, capabilities: ["text"], maxConcurrentTasks: agent.limit, session: session,
        epoch: self.machine.agent(agent.id)?.epoch ?? 0, connectedAt: World.start, activeTasks: activeTasks)
      self.call({ $0.register(record) }) { epoch in
        guard agent.connection == connection else {
          return self.handle(.agent(.left(agent.id, epoch: epoch, graceful: false)))
        }
        if (self.machine.agent(agent.id)?.epoch ?? 0) >= epoch { return self.later { agent.connectionEnded(connection) } }
        if let former = self.links[agent.id] { self.later { former.agent.connectionEnded(former.connection) } }
        self.links[agent.id] = (epoch, agent, connection)
        self.later { agent.registered(connection) }
        self.handle(
          .agent(.registered(agent.id, epoch: epoch, capabilities: ["text"], limit: agent.limit, activeTasks: activeTasks)))
      }
    }
  }

  /// A connection has ended; `graceful`: the agent said good-bye.
  func lose(_ agent: SimulatedAgent, connection: Int, graceful: Bool) {
    here(after: .zero) {
      guard let link = self.links[agent.id], link.connection == connection else { return }
      self.links[agent.id] = nil
      self.handle(.agent(.left(agent.id, epoch: link.epoch, graceful: graceful)))
    }
  }

  func completed(_ task: String, by agent: SimulatedAgent, connection: Int, result: JSONValue) {
    here(after: .zero) {
      guard self.links[agent.id]?.connection == connection else { return }
      let heard = self.world.now
      self.here(after: Self.keepDelay) {
        guard self.runsSince <= heard, self.links[agent.id]?.connection == connection, agent.unacknowledged[task] != nil else { return }
        self.world.fault(
          "\(self.session) heard what \(agent.id) gave for \(task), and it is not kept: \(self.world.describe(World.execution(of: task)))")
      }
      let message = AgentMessage.TaskResult(taskId: task, executionId: World.execution(of: task), result: result)
      self.handle(.completed(message, by: agent.id, messageID: nil))
    }
  }

  func stopped(_ task: String, by agent: SimulatedAgent, connection: Int) {
    here(after: .zero) {
      guard self.links[agent.id]?.connection == connection else { return }
      self.handle(.agent(.stopped(task: task, by: agent.id)))
    }
  }

  private func send(_ message: ControlPlaneMessage, to agent: String) {
    guard let link = links[agent] else { return }
    if case .resultAck(let ack) = message { world.checkAcknowledgement(of: ack.taskId) }
    later { link.agent.receive(message, link.connection) }
  }

  // MARK: Other nodes

  private func tell(_ message: NodeMessage, _ other: NodeSession) {
    guard !gone.contains(other), let node = world.nodes.first(where: { $0.session == other }) else { return }
    let copies = !world.hasFaults ? 1 : world.chance(world.mix.lostMessages) ? 0 : world.chance(world.mix.doubledMessages) ? 2 : 1
    for _ in 0..<copies { later { if node.session == other { node.receive(message) } } }
  }

  func receive(_ message: NodeMessage) {
    here(after: .zero) { self.handle(.message(message)) }
  }

  private func publish(_ announcement: AgentAnnouncement) {
    let sender = session
    for node in world.nodes where node !== self && !(world.hasFaults && world.chance(world.mix.lostEvents)) {
      later { node.here(after: .zero) { node.handle(.agent(.announced(announcement, from: sender))) } }
    }
  }

  private func tellLoads() {
    handle(.agent(.loadsDue))
    here(after: .milliseconds(500)) { self.tellLoads() }
  }

  /// Reads the agents of all others from the store, once a minute.
  private func look() {
    for other in world.members.keys.sorted(by: { $0.description < $1.description }) where other != session && !lost.contains(other) {
      let before = machine.agentEpochs(at: other)
      call({ $0.agents(at: other).sorted { $0.id < $1.id } }) { records in
        self.handle(.agent(.listed(records, at: other, before: before)))
      }
    }
    here(after: .seconds(60)) { self.look() }
  }

  // MARK: Members and recovery

  private func beat() {
    let session = session
    call({ store in
      self.world.members[session, default: 0] += 1
      return store.open(session)
    }) { isNew in
      self.lastWrite = self.world.now
      // Others had taken this session for lost.
      if isNew, self.hasOpened { self.storeForgot() }
      self.hasOpened = true
    }
    call({ _ in self.world.members }) { self.judge($0) }
    call({ _ in self.lead() }) { leads in if leads { self.recover() } }
    here(after: Self.checkInterval) { self.beat() }
  }

  private func storeForgot() {
    for (id, link) in links.sorted(by: { $0.key < $1.key }) {
      let record = AgentRecord(
        id: id, capabilities: ["text"], maxConcurrentTasks: link.agent.limit, session: session, epoch: link.epoch,
        connectedAt: World.start, activeTasks: nil)
      call({ $0.register(record) }) { epoch in
        guard self.links[id]?.connection == link.connection else { return }
        self.links[id]?.epoch = epoch
        self.handle(.agent(.renewed(id, from: link.epoch, epoch: epoch)))
      }
    }
    handle(.storeReset(connectedAt: nil))
  }

  private func judge(_ beats: [NodeSession: UInt64]) {
    for (other, count) in beats.sorted(by: { $0.key.description < $1.key.description }) where other != session {
      if let seen = lastSeen[other], seen.beats == count {
        guard world.now - seen.at > Self.detection, lost.insert(other).inserted else { continue }
        world.note("\(session) takes \(other) for lost")
        gone.insert(other)
        handle(.agent(.memberLost(other)))
      } else {
        lastSeen[other] = (count, world.now)
        if lost.remove(other) != nil {
          gone.remove(other)
          call({ $0.agents(at: other).sorted { $0.id < $1.id } }) { records in
            self.handle(.agent(.listed(records, at: other, before: [:])))
          }
        }
      }
    }
  }

  private func lead() -> Bool {
    if let lease = world.lease, lease.holder != session, world.now - lease.renewed < .seconds(15) { return false }
    world.lease = (session, world.now)
    return true
  }

  private func recover() {
    call({ $0.sessions() }) { sessions in
      for (former, generation) in sessions.sorted(by: { $0.key.description < $1.key.description }) where former != self.session {
        // A session whose node has a later life, or that is silent, is gone.
        let isRestarted = self.world.members.keys.contains {
          $0.nodeID == former.nodeID && Int($0.incarnation) ?? 0 > Int(former.incarnation) ?? 0
        }
        guard isRestarted || self.lost.contains(former) else {
          self.recoveries[former] = nil
          continue
        }
        self.recover(former, generation: generation)
      }
    }
  }

  private func recover(_ former: NodeSession, generation: Int64) {
    let session = session
    call({ $0.agents(at: former).sorted { $0.id < $1.id } }) { records in
      for record in records {
        self.handle(.agent(.expected(record.id, epoch: record.epoch, home: former)))
      }
      self.call({ $0.executions(ownedBy: former).sorted() }) { ids in
        for id in ids {
          self.call({ $0.claim(id, from: former, isGone: true, to: session) }, about: id) { stored in
            if let stored { self.handle(.recovered(stored)) }
          }
        }
        guard let since = self.recoveries[former] else {
          self.recoveries[former] = self.world.now
          return
        }
        guard self.world.now - since >= Self.resumeGrace else { return }
        for record in records { self.call({ $0.removeAgent(record.id, epoch: record.epoch, session: former) }) { _ in } }
        self.call({ $0.executions(ownedBy: former) }) { left in
          guard left.isEmpty else { return }
          self.call({ $0.close(former, generation: generation) }) { _ in self.recoveries[former] = nil }
        }
      }
    }
  }
}
