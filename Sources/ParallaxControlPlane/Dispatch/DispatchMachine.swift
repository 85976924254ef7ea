package import ParallaxAPI
package import ParallaxHA
package import ParallaxState

/// Holds the node's whole knowledge of running executions and connected agents, and makes every decision about them; `Dispatcher` drives
/// it.
///
/// `ExecutionDriver` brings the executions of this node to their ends; this type decides which executions those are: it claims, hands over,
/// rereads and restores executions, and sends messages to other nodes.
package struct DispatchMachine: Sendable {
  /// The settings of the machine.
  package struct Settings: Sendable {
    package var session: NodeSession
    /// How long a synchronous caller waits for capable agents to connect.
    package var agentWait: Duration
    /// How long a task waits for its disconnected agent.
    package var resumeGrace: Duration
    /// How long an agent that reconnected without a task may still send its result before it gets the task again.
    package var redeliveryDelay: Duration
    /// How long an execution waits for agents that only other nodes have before it moves to such a node; nil without other nodes.
    package var relocationDelay: Duration?
    /// The interval at which agents are asked to list their tasks.
    package var heartbeatInterval: Duration
    /// The interval at which an execution is reread that other nodes work on or may have claimed, because a message may be lost.
    package var recheckInterval: Duration
    /// The largest number of concurrent rereads, and of concurrent restorations.
    package var width: Int
    /// Whether the store can lose acknowledged writes; the machine then keeps the recent ones to restore them.
    package var isStoreLossy: Bool
    /// The largest number of ended executions that the store keeps.
    package var maxRetained: Int
    /// The parts of the store that can be away one by one.
    package var partitions: StorePartitions

    package init(
      session: NodeSession, agentWait: Duration = .seconds(5), resumeGrace: Duration = .seconds(30),
      redeliveryDelay: Duration = .seconds(2), relocationDelay: Duration? = nil, heartbeatInterval: Duration = .seconds(10),
      recheckInterval: Duration = .seconds(30),
      width: Int = 64, isStoreLossy: Bool = false, maxRetained: Int = RecentWrites.greatestCapacity,
      partitions: StorePartitions = .whole
    ) {
      self.session = session
      self.agentWait = agentWait
      self.resumeGrace = resumeGrace
      self.redeliveryDelay = redeliveryDelay
      self.relocationDelay = relocationDelay
      self.heartbeatInterval = heartbeatInterval
      self.recheckInterval = recheckInterval
      self.width = width
      self.isStoreLossy = isStoreLossy
      self.maxRetained = maxRetained
      self.partitions = partitions
    }

    /// Whether other nodes may claim the executions of this one.
    var hasPeers: Bool { relocationDelay != nil }
  }

  package let settings: Settings
  private var driver: ExecutionDriver
  private var restoration: RestorationMachine
  private var records = PendingRecords()

  package init(settings: Settings) {
    self.settings = settings
    driver = ExecutionDriver(settings: settings)
    restoration = RestorationMachine(settings: settings)
  }

  // MARK: Views

  package var executionCount: Int { driver.count }
  package var connectedAgents: Int { driver.agents.directory.connectedCount }
  /// The instant of the next `timePassed`; nil without timers.
  package var nextWake: Duration? { driver.nextWake }

  /// The numbers of timers, and of executions and slots that wait for agents, including outdated entries.
  package var sizes: (timers: Int, waiting: Int) { driver.sizes }

  /// The executions of this node by capabilities, the longest queue first.
  package var queues: [QueueDocument] { driver.queueReport }

  package func agent(_ id: String) -> AgentDirectory.Agent? { driver.agents.directory[id] }

  /// The tasks that an agent of this node has or gets.
  package func held(by id: String) -> [String] { agent(id).map { driver.agents.tasks.held(by: $0) } ?? [] }

  /// An execution of this node, in the state after all pending writes; nil if this node does not drive it.
  package func execution(_ id: String) -> StoredExecution? { driver.stored(id) }

  /// The other node sessions to which agents are known to be connected.
  package var agentHomes: Set<NodeSession> { driver.agents.directory.homes }

  /// The epochs of the agents that are known to be connected to another node session.
  package func agentEpochs(at home: NodeSession) -> [String: Int64] { driver.agents.directory.epochs(at: home) }

  /// Whether the store may lack executions that their owners are about to restore.
  package func mayBeRestoring(at now: Moment) -> Bool { restoration.mayBeUnderway(at: now) }

  // MARK: Events

  /// Processes an event; returns the actions to perform, in order.
  package mutating func handle(_ event: DispatchEvent, at now: Moment) -> [DispatchAction] {
    var actions = decide(event, at: now)
    actions += driver.giveWork(at: now)
    actions += records.takeDropped().map { .reconnect($0) }
    for case .ended(let stored) in actions { restoration.add(stored, at: now) }
    actions.removeAll { action in
      guard case .store(.record(let outcome, let id, let messageID)) = action else { return false }
      return !records.begin(outcome, of: id, messageID: messageID, isKept: event.isOutcome)
    }
    return actions
  }

  /// The change to write instead of one that a full store refuses, because its execution has ended since; nil for the same again.
  package mutating func endInstead(of change: ExecutionChange) -> ExecutionChange? { driver.endInstead(of: change) }

  private mutating func decide(_ event: DispatchEvent, at now: Moment) -> [DispatchAction] {
    switch event {
    case .submitted(let execution, let waiter, let waits, let isRepeatable):
      return driver.submit(execution, waiter, waits: waits, isRepeatable: isRepeatable, at: now)
    case .attached(let waiter, let id, let waits): return driver.attach(waiter, to: id, waits: waits)
    case .detached(let waiter, let id): return driver.detach(waiter, from: id)
    case .cancelled(let id, let waiter): return driver.cancel(id, waiter, at: now)
    case .stopping: return driver.releaseCallers()
    case .agent(let event): return driver.handle(event, at: now)
    case .completed(let result, let agent, let messageID):
      return driver.ended(TaskRecord(result, by: agent), of: result.executionId, messageID, at: now)
    case .failed(let error, let agent, let messageID):
      return driver.ended(TaskRecord(error, by: agent), of: error.executionId, messageID, at: now)
    case .message(let message): return received(message, at: now)
    case .handOver(let sessions): return handOver(to: sessions)
    case .written(let id, let epoch, let revision, let outcome):
      return driver.advance(id, at: now) { $0.writeFinished(outcome, epoch: epoch, revision: revision) }
        + continueRestoration(after: id, at: now)
    case .creationDelayed(let id, let error): return driver.creationDelayed(id, error, at: now)
    case .read(let id, let stored):
      let further = driver.ownership.readEnded(id)
      // An execution that this node gives up needs no restoration.
      return takeIn(id, stored, at: now) + further + continueRestoration(after: id, at: now)
    case .unreadable(let id):
      _ = (driver.ownership.takeReported(of: id), driver.ownership.takeDeclined(id, at: now))
      return driver.ownership.readEnded(id)
    case .claimed(let id, let owner, let stored, let cancels): return claimed(id, from: owner, stored, cancels: cancels, at: now)
    case .recovering(let id):
      driver.ownership.claimBegins(id)
      return []
    case .recovered(let stored):
      let isOutdated = driver.ownership.claimEnded(stored.execution.id)
      return recover(stored, isOutdated: isOutdated, at: now)
    case .notRecovered(let id):
      _ = driver.ownership.claimEnded(id)
      // The entry that preceded the claim.
      return driver.stored(id) == nil ? [.store(.unlist(id))] : []
    case .recorded(let outcome, let id, let messageID, let result):
      let messageID = records.end(outcome, of: id) ?? messageID
      if result != .unknown { restoration.add(RecentWrites.Outcome(task: outcome, execution: id), at: now) }
      return recorded(outcome, of: id, result) + [answer(outcome, of: id, result, messageID)]
    case .unrecorded(let outcome, let id):
      _ = records.end(outcome, of: id)
      return []
    case .recordedAgain(let outcome, let id, let result): return recorded(outcome, of: id, result)
    case .outcomeRecorded(let id): return outcomeRecorded(of: id)
    case .keyClaimed(let claim):
      restoration.add(claim, at: now)
      return []
    case .storeReset(let connection): return storeReset(connectedAt: connection, at: now)
    case .restorationEnded(let number):
      restoration.ended(number)
      return []
    case .timePassed:
      return driver.timePassed(at: now) + driver.ownership.timePassed(at: now, isDriving: driver.count > 0).flatMap { perform($0, at: now) }
    }
  }
}

// MARK: - Ownership

extension DispatchMachine {
  /// Continues a claimed execution, which replaces the state of an earlier epoch; its callers keep waiting.
  ///
  /// If `isOutdated`, this node has driven the execution since the claim, and may have ended it.
  private mutating func recover(_ stored: StoredExecution, isOutdated: Bool, at now: Moment) -> [DispatchAction] {
    let id = stored.execution.id
    if let known = driver.stored(id)?.execution { return stored.execution.epoch > known.epoch ? driver.replace(with: stored, at: now) : [] }
    // The store lost the end that this node acknowledged, and its restoration is pending.
    if restoration.knowsEnd(of: id) { return [.store(.unlist(id))] }
    return isOutdated ? driver.ownership.read(id) : driver.adopt(stored, at: now)
  }

  /// Processes the stored state of an execution; nil if the store does not have it.
  ///
  /// A later epoch wins over this node's state: the execution belongs to another node, so this one gives it up, or to this one, which
  /// continues from the stored state. In the same epoch other nodes can only have recorded outcomes. An earlier state is overwritten.
  private mutating func takeIn(_ id: String, _ stored: StoredExecution?, at now: Moment) -> [DispatchAction] {
    guard driver.stored(id) != nil else { return found(id, stored, at: now) }
    guard let stored, let standing = driver.standing(of: stored) else { return driver.storeLacks(id, nil, at: now) }
    switch standing {
    case .behind: return driver.storeLacks(id, stored, at: now) + driver.takeOutcomes(of: stored, at: now)
    case .ahead where stored.execution.status.isTerminal: return driver.endedElsewhere(stored, at: now) + [.store(.unlist(id))]
    case .ahead where stored.execution.owner == settings.session:
      return driver.replace(with: stored, at: now) + driver.repeatDeliveries(of: id, at: now)
    case .ahead:
      driver.ownership.handedOver(stored, at: now)
      return driver.leave(id, for: stored) + [.store(.unlist(id))]
    case .current: return driver.takeOutcomes(of: stored, at: now) + driver.repeatDeliveries(of: id, at: now)
    }
  }

  /// Processes the stored state of an execution that this node does not drive.
  ///
  /// If this node owns it, because the reply to a claim was lost, the node claims it, else removes it from its list. An execution that the
  /// store lost before its new owner knew it is taken back.
  private mutating func found(_ id: String, _ stored: StoredExecution?, at now: Moment) -> [DispatchAction] {
    let declined = driver.ownership.takeDeclined(id, at: now)
    guard let stored else {
      _ = driver.ownership.takeReported(of: id)
      return declined.map { takeBack($0, at: now) } ?? [.store(.unlist(id))]
    }
    let outcomes = driver.ownership.recordReported(of: stored)
    if stored.execution.status.isTerminal { return [.store(.unlist(id))] }
    if stored.execution.owner == settings.session { return outcomes + claim(id, from: settings.session) }
    driver.ownership.handedOver(stored, at: now)
    return outcomes + [.store(.unlist(id))]
  }

  /// Drives an execution again that the store and its new owner lack, under a later epoch than that of the claim, which may not be known.
  private mutating func takeBack(_ stored: StoredExecution, at now: Moment) -> [DispatchAction] {
    var stored = stored
    stored.execution.owner = settings.session
    stored.execution.epoch += 2
    return driver.adopt(stored, at: now) + driver.storeLacks(stored.execution.id, nil, at: now)
  }

  private mutating func claimed(
    _ id: String, from owner: NodeSession, _ stored: StoredExecution?, cancels: Bool, at now: Moment
  ) -> [DispatchAction] {
    let (isOutdated, further) = driver.ownership.claimEnded(id, from: owner)
    let actions = claimed(id, from: owner, stored, isOutdated: isOutdated, cancels: cancels, at: now)
    guard let further else { return actions }
    // What led to the further claim may have happened after the answer to this one.
    if driver.stored(id) == nil { return actions + claim(id, from: owner, cancels: further) }
    return actions + (further ? driver.cancel(id, nil, at: now) : []) + driver.ownership.read(id)
  }

  private mutating func claimed(
    _ id: String, from owner: NodeSession, _ stored: StoredExecution?, isOutdated: Bool, cancels: Bool, at now: Moment
  ) -> [DispatchAction] {
    guard let stored else {
      guard driver.stored(id) == nil else { return driver.ownership.read(id) }
      let isKnown = owner == settings.session || restoration.hasEnded(id)
      return [.store(.unlist(id))] + (isKnown ? [] : [.tell(.declined(execution: id), to: owner)])
    }
    var actions = recover(stored, isOutdated: isOutdated, at: now)
    if cancels { actions += driver.cancel(id, nil, at: now) }
    if owner != settings.session { actions.append(.tell(.adopted(execution: id), to: owner)) }
    return actions
  }

  private mutating func claim(_ id: String, from owner: NodeSession, cancels: Bool = false) -> [DispatchAction] {
    driver.ownership.claim(id, from: owner, cancels: cancels)
  }

  private mutating func perform(_ due: OwnershipMachine.Due, at now: Moment) -> [DispatchAction] {
    switch due {
    case .recheck(let id):
      guard driver.stored(id) != nil, settings.hasPeers || driver.hasDistantTasks(id) else { return [] }
      driver.ownership.recheck(id, at: now)
      return driver.ownership.readForTasks(of: id)
    case .recheckAll:
      return driver.ids.filter { driver.hasDistantTasks($0) }.flatMap { driver.ownership.readForTasks(of: $0) }
    case .paused: return driver.ids.flatMap { driver.ownership.read($0) }
    case .relocation(let id): return relocate(id, at: now)
    case .declined(let id): return driver.stored(id) == nil ? driver.ownership.readDeclined(id) : []
    }
  }
}

// MARK: - Other nodes

extension DispatchMachine {
  /// Processes a message from another node session; a read of the store detects messages that are late, repeated or out of order.
  private mutating func received(_ message: NodeMessage, at now: Moment) -> [DispatchAction] {
    switch message {
    case .deliver(let task, let agent, _, let deadline): return driver.deliverForOther(task, to: agent, deadline: deadline, at: now)
    case .withdraw(let cancellation, let agent): return driver.withdrawForOther(cancellation, from: agent, at: now)
    case .recorded(let id, _): return outcomeRecorded(of: id)
    case .cancel(let id):
      guard driver.stored(id) == nil else { return driver.cancel(id, nil, at: now) }
      return claim(id, from: settings.session, cancels: true)
    case .adopt(let id, let owner): return claim(id, from: owner)
    case .adopted(let id): return driver.stored(id) == nil ? [] : driver.ownership.read(id)
    case .declined(let id):
      guard driver.stored(id) == nil else { return driver.ownership.read(id) }
      driver.ownership.declined(id, at: now)
      return []
    case .watch(let id, let watcher): return driver.callers.watch(id, by: watcher)
    case .ended, .disconnect: return []
    }
  }

  /// Processes the recording of an outcome for an execution of this node.
  private mutating func outcomeRecorded(of id: String) -> [DispatchAction] {
    driver.stored(id) == nil ? claim(id, from: settings.session) : driver.ownership.read(id)
  }

  /// Notifies the owner of an execution of another node that an outcome was recorded for it.
  private mutating func recorded(_ outcome: TaskRecord, of id: String, _ result: RecordOutcome) -> [DispatchAction] {
    switch result {
    case .recorded(let owner), .alreadyRecorded(let owner, terminal: false):
      // A repeat notifies the owner again, because the node that recorded the outcome first may have died before its message.
      return owner == settings.session ? outcomeRecorded(of: id) : [.tell(.recorded(execution: id, task: outcome.id), to: owner)]
    case .alreadyRecorded(_, terminal: true), .unknown: return []
    }
  }

  /// Acknowledges an outcome, even a late one, so that the agent forgets it; refuses the outcome of a task that no agent was given.
  ///
  /// A task that the store does not have may be from another life of its execution, or its execution was removed.
  private mutating func answer(_ outcome: TaskRecord, of id: String, _ result: RecordOutcome, _ messageID: String?) -> DispatchAction {
    if result == .unknown, !TaskRecord.isID(outcome.id, ofExecution: id) {
      let message = "this agent never got the task \(outcome.id.prefix(128))"
      return .send(
        .error(ControlPlaneMessage.ProtocolError(code: "UNKNOWN_TASK", message: message)), to: outcome.agentID, inAnswerTo: messageID)
    }
    driver.agents.acknowledged(outcome.id, to: outcome.agentID)
    return .send(.resultAck(ControlPlaneMessage.ResultAck(taskId: outcome.id)), to: outcome.agentID, inAnswerTo: messageID)
  }

  /// Offers the executions without waiting callers here to other nodes, because this one is about to stop.
  private func handOver(to others: [NodeSession]) -> [DispatchAction] {
    guard !others.isEmpty else { return [] }
    return driver.movable.enumerated().map { index, id in
      .tell(.adopt(execution: id, owner: settings.session), to: others[index % others.count])
    }
  }

  /// Offers a waiting execution to a node that has its agents, if this one lacks them; there it queues with that node's own.
  private mutating func relocate(_ id: String, at now: Moment) -> [DispatchAction] {
    guard let execution = driver.stored(id)?.execution, execution.status == .pending else { return [] }
    driver.ownership.offer(id, isRepeat: true, at: now)
    guard driver.callers.isAcknowledged(id), let home = driver.agents.tasks.home(for: execution) else { return [] }
    return [.tell(.adopt(execution: id, owner: settings.session), to: home)]
  }
}

// MARK: - Restoration

extension DispatchMachine {
  /// Restores a store that may have lost its last writes: rewrites all executions of this node, a few at a time, and the recent writes
  /// beside them; later checks on the tasks at other nodes, because messages may be lost too.
  private mutating func storeReset(connectedAt connection: Duration?, at now: Moment) -> [DispatchAction] {
    driver.ownership.recheckAll(at: now)
    let recent = restoration.reset(connectedAt: connection, executions: driver.ids, at: now)
    return takeRestorations(at: now) + recent
  }

  private mutating func takeRestorations(at now: Moment) -> [DispatchAction] {
    var actions: [DispatchAction] = []
    while let id = restoration.next() {
      if driver.stored(id) == nil { restoration.finish(id) } else { actions += driver.advance(id, at: now) { $0.storeReset() } }
    }
    return actions
  }

  private mutating func continueRestoration(after id: String, at now: Moment) -> [DispatchAction] {
    guard restoration.isUnderway(id), !driver.isWriting(id) else { return [] }
    restoration.finish(id)
    return takeRestorations(at: now)
  }
}
