import DequeModule
import ParallaxAPI
import ParallaxHA
import ParallaxState

/// Tracks the tasks of each agent: assignment, delivery, places and losses.
struct AssignmentMachine: Sendable {
  typealias Action = AgentMachine.Action

  private enum Timer: Sendable {
    /// A task that its agent did not report at its registration under this epoch.
    case redelivery(task: String, agent: String, epoch: Int64)
    /// A task of an agent that cannot report its tasks.
    case unconfirmed(task: String, agent: String, epoch: Int64)
    /// A task that its agent reports after one death after the other.
    case kept(task: String, agent: String, epoch: Int64)
    /// The place of a withdrawn task at an agent that sends no list of its tasks.
    ///
    /// Its place is free at `end`, unless a list arrives before, or the timer is late.
    case place(task: String, agent: String, epoch: Int64, end: Duration, due: Duration)
  }

  /// The time without a list of the agent's tasks for which a withdrawn task occupies its place, at the least.
  private static let leastPlacePatience = Duration.seconds(30)
  /// The interval between the timers of a place, and the delay of one beyond which the node was paused: it may not have read what the agent
  /// has sent.
  private static let placeInterval = Duration.seconds(5)
  private static let pauseLimit = Duration.seconds(3)

  private let settings: DispatchMachine.Settings
  var directory = AgentDirectory()
  private var backlogs = Backlogs()
  private var timers = TimerQueue<Timer>()
  /// The suspect task of each agent that has one: such a task may take down its agent, so an agent gets one at a time.
  private var suspects: [String: String] = [:]

  init(settings: DispatchMachine.Settings) {
    self.settings = settings
  }

  private var placePatience: Duration { max(Self.leastPlacePatience, settings.heartbeatInterval * 3) }
  var nextWake: Duration? { timers.next }
  var timerCount: Int { timers.count }

  /// Processes due timers: redelivers or gives up tasks that agents did not report, and frees the places of withdrawn ones.
  mutating func timePassed(at now: Moment) -> [Action] {
    var actions: [Action] = []
    while let timer = timers.popDue(at: now.instant) {
      switch timer {
      case .redelivery(let task, let id, let epoch):
        guard let inHand = ownTask(task, of: id, epoch: epoch) else { continue }
        actions.append(.redeliver(task: task, execution: inHand.executionID))
      case .unconfirmed(let task, let id, let epoch):
        guard let inHand = ownTask(task, of: id, epoch: epoch), !directory.isDelivered(task: task, to: id) else { continue }
        let isAlone = directory[id]?.tasksAtRisk.count ?? 0 <= 1
        actions.append(.lost(task: task, execution: inHand.executionID, isAlone ? .agentGone : .goneWithOthers))
      case .kept(let task, let id, let epoch):
        if let inHand = ownTask(task, of: id, epoch: epoch) { actions.append(keptTooOften(task, inHand.executionID, by: id)) }
      case .place(let task, let id, let epoch, let end, let due):
        guard let agent = directory[id], agent.isConnected, agent.epoch == epoch, agent.ending.contains(task) else { continue }
        let wasPaused = now.instant - due > Self.pauseLimit
        let begin = wasPaused ? now.instant : agent.listedAt ?? end - placePatience
        let later = max(end, begin + placePatience)
        if later > now.instant { watchPlace(of: task, at: id, until: later, at: now) } else { directory.endWithdrawal(of: task, from: id) }
      }
    }
    return actions
  }

  private func ownTask(_ task: String, of id: String, epoch: Int64) -> TaskInHand? {
    guard let agent = directory[id], agent.epoch == epoch else { return nil }
    return agent.tasks[task].flatMap { $0.isOwn ? $0 : nil }
  }

  /// Frees the place of a task that its agent has answered, if the task was withdrawn or only the agent knew it.
  mutating func answered(_ task: String, by id: String) {
    directory.endWithdrawal(of: task, from: id)
    if directory[id]?.tasks[task]?.executionID.isEmpty == true { directory.free(task: task, from: id, completed: false) }
  }

  /// Frees the place of a task that was not sent; the deadline ends one of this node's own.
  mutating func dropped(_ task: String, at id: String) {
    directory.endWithdrawal(of: task, from: id)
    if directory[id]?.tasks[task]?.isOwn == false {
      directory.free(task: task, from: id, completed: false)
    } else {
      directory.forgetUnsent(task: task, to: id)
    }
  }

  mutating func releaseTasksOfOthers(of id: String, where isGone: (String) -> Bool = { _ in true }) {
    for (task, inHand) in directory[id]?.tasks ?? [:] where !inHand.isOwn && isGone(task) {
      directory.free(task: task, from: id, completed: false)
    }
  }

  /// The unanswered tasks at an agent of this node.
  func cargo(of agent: AgentDirectory.Agent) -> Cargo {
    var cargo = agent.cargo
    cargo.unsent.formUnion(backlogs.tasks(of: agent.id))
    return cargo
  }

  /// The tasks that an agent of this node has or gets.
  func held(by agent: AgentDirectory.Agent) -> [String] { Set(agent.tasks.keys).union(backlogs.tasks(of: agent.id)).sorted() }

  /// Clears the backlog of an agent whose connection has ended; the senders of its tasks send them again.
  mutating func disconnected(_ id: String) { backlogs.clear(id) }

  /// Removes an agent that is given up; `saidGoodbye` if it left by itself, and so was not taken down by a task.
  ///
  /// - Returns: The losses of its tasks.
  mutating func remove(_ id: String, saidGoodbye: Bool) -> [Action] {
    guard let agent = directory[id] else { return [] }
    let lost = agent.tasks.filter(\.value.isOwn).sorted { $0.key < $1.key }
    directory.remove(id: id)
    suspects[id] = nil
    let loss = saidGoodbye ? TaskLoss.agentLeft : agent.tasksAtRisk.count > 1 ? .goneWithOthers : .agentGone
    return lost.map { .lost(task: $0.key, execution: $0.value.executionID, agent.mayKnow($0.key) ? loss : .neverSent) }
  }
}

// MARK: - Tasks of this node

extension AssignmentMachine {
  /// Selects agents for a waiting execution; none if no free agent suits it.
  mutating func choose(_ demand: PlacementDemand, from key: PoolKey) -> [String] {
    switch demand {
    case .start(let min, let max): return directory.select(key, min: min, max: max)
    case .slot(let tried, isSuspect: true):
      let taken = Set(suspects.keys)
      let others = directory.select(key, min: 1, max: 1, excluding: tried.union(taken))
      return others.isEmpty ? directory.select(key, min: 1, max: 1, excluding: taken) : others
    case .slot(let tried, isSuspect: false):
      let others = directory.select(key, min: 1, max: 1, excluding: tried)
      // The only capable agent may try again; if there are others, the slot waits for one of them.
      return others.isEmpty && !directory.hasCapable(key, besides: tried) ? directory.select(key, min: 1, max: 1) : others
    }
  }

  /// The node session that has enough agents for an execution, if this one does not; sessions are chosen in proportion to the number of
  /// those agents.
  mutating func home(for execution: Execution) -> NodeSession? {
    let needed = execution.pattern.agents.min
    let homes = directory.capableByHome(PoolKey(execution.pattern.agents.capabilities))
    guard homes[nil, default: 0] < needed else { return nil }
    let able = homes.compactMap { home, count in home.flatMap { count >= needed ? (element: $0, weight: count) : nil } }
    return weightedChoice(from: able.sorted { $0.element.description < $1.element.description }, for: execution.id)
  }

  /// Reserves a place of an agent for a task that is about to be stored.
  mutating func assign(_ task: TaskRecord, of execution: String, isSuspect: Bool = false) {
    directory.assign(task.id, TaskInHand(executionID: execution, isOwn: true), to: task.agentID)
    if isSuspect { suspects[task.agentID] = task.id }
  }

  /// Assigns a task, if it is open, to the agent that a former owner of the execution chose.
  mutating func expect(_ task: TaskRecord, of execution: String, at now: Moment) -> [Action] {
    guard task.state == .open else {
      // A withdrawal by the former owner may have been lost.
      backlogs.remove(task.id, of: task.agentID)
      return []
    }
    directory.expect(id: task.agentID)
    if let inHand = directory[task.agentID]?.tasks[task.id] {
      directory.edit(task.id, of: task.agentID) { task in
        if !task.isOwn { task.wasCarried = true }
        (task.executionID, task.isOwn, task.isRecorded) = (execution, true, true)
      }
      guard !inHand.isRecorded, inHand.isOwn else { return [] }
    } else {
      let inHand = TaskInHand(executionID: execution, isOwn: true, isRecorded: true, wasCarried: true)
      directory.assign(task.id, inHand, to: task.agentID)
    }
    guard let agent = directory[task.agentID], agent.isConnected else { return [] }
    confirm(task.id, with: agent, at: now)
    return agent.home == nil ? [] : [.recheck(execution: execution)]
  }

  /// Records that the store has a task; returns whether its agent is connected and has not received the task over this connection.
  mutating func isDeliverable(_ task: TaskRecord) -> Bool {
    directory.edit(task.id, of: task.agentID) { $0.isRecorded = true }
    return directory[task.agentID]?.isConnected == true && !directory.isDelivered(task: task.id, to: task.agentID)
  }

  /// Sends a task to the node of its agent, or hands it to an agent here, at once or when the agent has a free place.
  mutating func deliver(_ task: ControlPlaneMessage.Task, to id: String, due: Duration, at now: Moment) -> [Action] {
    guard let home = directory[id]?.home else { return handOver(task, to: id, due: due, at: now) }
    _ = directory.deliver(task: task.taskId, to: id)
    let message = NodeMessage.deliver(task, agent: id, owner: settings.session, deadline: now.wall + (due - now.instant))
    return [.recheck(execution: task.executionId), .perform(.tell(message, to: home))]
  }

  /// Whether a task was sent to an agent of another node, which can be asked about it.
  func isWithDistantAgent(_ task: TaskRecord) -> Bool {
    directory[task.agentID]?.home != nil && directory.isDelivered(task: task.id, to: task.agentID)
  }

  /// Whether a task was handed to an agent of this node.
  func isWithAgentHere(_ task: TaskRecord) -> Bool {
    directory[task.agentID].map { $0.home == nil } ?? false && directory.isDelivered(task: task.id, to: task.agentID)
  }

  /// Allows a further delivery of a task to the node of its agent, which knows whether the agent has it.
  mutating func forgetDelivery(of task: TaskRecord) {
    directory.forgetDelivery(task: task.id, to: task.agentID)
  }

  /// Counts the death of an agent that has registered under another name of its process.
  ///
  /// A task that the agent reports after one death after the other is lost, unless its result follows the registration.
  ///
  /// - Returns: The losses of tasks that have ended a further process before that.
  mutating func noteDeath(of id: String, process: String?, at now: Moment) -> [Action] {
    guard let epoch = directory[id]?.epoch else { return [] }
    var lost: [Action] = []
    for (task, execution, deaths) in directory.noteDeath(of: id, process: process) {
      if deaths > TaskInHand.mostDeaths {
        lost.append(keptTooOften(task, execution, by: id))
      } else {
        timers.add(.kept(task: task, agent: id, epoch: epoch), at: now.instant + settings.redeliveryDelay)
      }
    }
    return lost
  }

  /// Watches the tasks of an agent whose registration is stored again, as timers of its former epoch have no effect.
  mutating func renewed(_ id: String, from former: Int64, at now: Moment) {
    watchPlaces(of: id, at: now)
    confirmTasks(of: id, at: now)
    guard let agent = directory[id] else { return }
    for (task, inHand) in agent.tasks where inHand.reportedAt == former {
      directory.edit(task, of: id) { $0.reportedAt = agent.epoch }
      guard inHand.deaths >= TaskInHand.mostDeaths, !inHand.isGivenUp else { continue }
      timers.add(.kept(task: task, agent: id, epoch: agent.epoch), at: now.instant + settings.redeliveryDelay)
    }
  }

  /// The loss of a task that its agent still has; the task is blamed only if it was alone.
  private mutating func keptTooOften(_ task: String, _ execution: String, by id: String) -> Action {
    directory.edit(task, of: id) { $0.isGivenUp = true }
    let isAlone = directory[id]?.reportedTasks?.count ?? 0 <= 1
    return .lost(task: task, execution: execution, isAlone ? .repeated : .amongOthers)
  }

  /// The kind of loss of a task that its agent has reconnected without more than once; nil if the agent gets the task again.
  func loss(of task: TaskRecord) -> TaskLoss? {
    guard let agent = directory[task.agentID], let inHand = agent.tasks[task.id], inHand.losses > 1 else { return nil }
    return inHand.isLostAmongOthers || agent.othersLosses.isRepeated ? .amongOthers : .repeated
  }

  /// Frees the place of a task that its agent has answered or never had.
  mutating func free(_ task: String, from id: String, completed: Bool) {
    directory.free(task: task, from: id, completed: completed)
    backlogs.remove(task, of: id)
    clearSuspicion(of: task, at: id)
    dropOutdatedTimers()
  }

  /// Withdraws a task and notifies its agent, whose place is free again when the agent reports so.
  mutating func withdraw(_ message: ControlPlaneMessage.TaskCancelled, from id: String, at now: Moment) -> [Action] {
    directory.withdraw(task: message.taskId, from: id)
    backlogs.remove(message.taskId, of: id)
    clearSuspicion(of: message.taskId, at: id)
    dropOutdatedTimers()
    if let home = directory[id]?.home { return [.perform(.tell(.withdraw(message, agent: id), to: home))] }
    watchPlace(of: message.taskId, at: id, until: now.instant + placePatience, at: now)
    return [.perform(.send(.taskCancelled(message), to: id))] + ping(id, for: message.taskId)
  }

  /// Gives up a task whose execution another node owns; an agent here that has the task keeps it for the new owner.
  mutating func disown(_ task: TaskRecord) {
    clearSuspicion(of: task.id, at: task.agentID)
    backlogs.remove(task.id, of: task.agentID)
    if isWithAgentHere(task) {
      directory.edit(task.id, of: task.agentID) { $0.isOwn = false }
    } else {
      directory.free(task: task.id, from: task.agentID, completed: false)
    }
    dropOutdatedTimers()
  }

  private mutating func clearSuspicion(of task: String, at id: String) {
    guard suspects[id] == task else { return }
    suspects[id] = nil
    // Another suspect task may wait for this agent.
    directory.reconsider(id: id)
  }

  private mutating func watchPlaces(of id: String, at now: Moment) {
    for task in directory[id]?.ending.sorted() ?? [] { watchPlace(of: task, at: id, until: now.instant + placePatience, at: now) }
  }

  private mutating func watchPlace(of task: String, at id: String, until end: Duration, at now: Moment) {
    guard let agent = directory[id], agent.ending.contains(task) else { return }
    let due = min(end, now.instant + Self.placeInterval)
    timers.add(.place(task: task, agent: id, epoch: agent.epoch, end: end, due: due), at: due)
  }

  /// Frees the places of tasks that a list of the agent lacks, and asks the agent whether it has read those of which the list says nothing.
  mutating func listed(_ tasks: [String], by id: String, at now: Moment) -> [Action] {
    directory.keepPlaces(of: Set(tasks), id: id, at: now.instant)
    return ping(id)
  }

  private mutating func ping(_ id: String, for task: String? = nil) -> [Action] {
    directory.ping(id, for: task).map { [.perform(.ping($0, to: id))] } ?? []
  }

  /// Checks on a task that turned out unsent after the return of its agent.
  mutating func confirmUnsent(_ task: String, of id: String, at now: Moment) {
    if let agent = directory[id] { confirm(task, with: agent, at: now) }
  }

  mutating func confirmTasks(of id: String, at now: Moment) {
    guard let agent = directory[id] else { return }
    for task in agent.tasks.keys.sorted() { confirm(task, with: agent, at: now) }
  }

  /// Checks on a task that was given to a connected agent before its registration, because the agent may have lost it.
  private mutating func confirm(_ task: String, with agent: AgentDirectory.Agent, at now: Moment) {
    guard let inHand = directory[agent.id]?.tasks[task], inHand.isOwn, inHand.isRecorded, !directory.isDelivered(task: task, to: agent.id)
    else { return }
    switch agent.reportedTasks {
    case let reported? where reported.contains(task): break
    case _ where !inHand.mayBeKnown: timers.add(.redelivery(task: task, agent: agent.id, epoch: agent.epoch), at: now.instant)
    case nil where agent.home == nil:
      timers.add(.unconfirmed(task: task, agent: agent.id, epoch: agent.epoch), at: now.instant + settings.resumeGrace)
    case nil, .some:
      // The node of a distant agent knows whether the agent has the task, and delivers it only if not.
      timers.add(.redelivery(task: task, agent: agent.id, epoch: agent.epoch), at: now.instant + settings.redeliveryDelay)
    }
  }

  private mutating func dropOutdatedTimers() {
    let directory = directory
    timers.compact { timer in
      switch timer {
      case .place(let task, let id, let epoch, _, _): directory[id]?.epoch == epoch && directory[id]?.ending.contains(task) == true
      case .redelivery(let task, let id, let epoch), .unconfirmed(let task, let id, let epoch), .kept(let task, let id, let epoch):
        directory[id]?.epoch == epoch && directory[id]?.tasks[task]?.isOwn == true
      }
    }
  }
}

// MARK: - Tasks of other nodes for agents here

extension AssignmentMachine {
  /// Delivers a task of another node to an agent of this node, unless its deadline has passed.
  mutating func deliverForOther(
    _ task: ControlPlaneMessage.Task, to id: String, deadline: Timestamp?, at now: Moment
  ) -> [Action] {
    // The store, or only the sender, lists an agent for this node that is unknown here.
    guard let agent = directory[id] else { return [.perform(.store(.checkAgent(id)))] }
    // The sender learns of an agent's registration elsewhere by an announcement.
    guard agent.isConnected, agent.home == nil, !directory.isDelivered(task: task.taskId, to: id), !agent.ending.contains(task.taskId)
    else { return [] }
    let left = min(task.timeout.duration, deadline.map { $0 - now.wall } ?? task.timeout.duration)
    guard left > .zero else { return [] }
    var task = task
    task.timeout = WireDuration(left)
    return handOver(task, to: id, due: now.instant + left, at: now)
  }

  /// Withdraws a task of another node from an agent of this node.
  mutating func withdrawForOther(_ message: ControlPlaneMessage.TaskCancelled, from id: String, at now: Moment) -> [Action] {
    backlogs.remove(message.taskId, of: id)
    guard let agent = directory[id], agent.home == nil, agent.tasks[message.taskId]?.isOwn == false,
      directory.isDelivered(task: message.taskId, to: id)
    else { return [] }
    return withdraw(message, from: id, at: now)
  }

  /// Hands over the tasks that waited for a place of their agent.
  mutating func workOffBacklogs(at now: Moment) -> [Action] {
    var actions: [Action] = []
    for id in backlogs.agents {
      while let agent = directory[id], agent.isConnected, agent.home == nil, agent.hasPlace, let task = backlogs.next(of: id, at: now) {
        actions += hand(task, to: id, at: now)
      }
    }
    return actions
  }

  private mutating func handOver(_ task: ControlPlaneMessage.Task, to id: String, due: Duration, at now: Moment) -> [Action] {
    if directory[id]?.hasPlace == true { return hand(task, to: id, at: now) }
    backlogs.add(task, to: id, due: due)
    return []
  }

  private mutating func hand(_ task: ControlPlaneMessage.Task, to id: String, at now: Moment) -> [Action] {
    if directory[id]?.tasks[task.taskId] == nil {
      directory.assign(task.taskId, TaskInHand(executionID: task.executionId, isOwn: false), to: id)
    }
    guard directory.deliver(task: task.taskId, to: id) else { return [] }
    directory.sent(task: task.taskId, to: id, at: now.instant)
    return [.perform(.send(.task(task), to: id))]
  }
}
