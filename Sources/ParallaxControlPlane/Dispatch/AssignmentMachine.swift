import DequeModule
import ParallaxAPI
import ParallaxHA
import ParallaxState

/// Tracks the tasks of each agent: assignment, delivery, places and losses.
struct AssignmentMachine: Sendable {
  typealias Action = AgentMachine.Action

  private enum Timer: Sendable {
    /// A task that its agent said it did not have, when it registered under this epoch.
    case redelivery(task: String, agent: String, epoch: Int64)
    /// A task that its agent said nothing about.
    case unconfirmed(task: String, agent: String, epoch: Int64)
    /// The place of a task that is not wanted any more, at an agent that says nothing of it.
    case place(task: String, agent: String, epoch: Int64)
  }

  /// How long the place of a task that is not wanted any more stays taken at an agent that says nothing of it.
  private static let placePatience = Duration.seconds(30)

  private let settings: DispatchMachine.Settings
  var directory = AgentDirectory()
  private var backlogs = Backlogs()
  private var timers = TimerQueue<Timer>()
  /// The agents that have a task which may take them down, and has to be the only such one there.
  private var suspects: [String: String] = [:]

  init(settings: DispatchMachine.Settings) {
    self.settings = settings
  }

  var nextWake: Duration? { timers.next }
  var timerCount: Int { timers.count }

  /// Sees to tasks that agents said nothing of.
  mutating func timePassed(at now: Moment) -> [Action] {
    var actions: [Action] = []
    while let timer = timers.popDue(at: now.instant) {
      switch timer {
      case .redelivery(let task, let id, let epoch):
        guard let inHand = ownTask(task, of: id, epoch: epoch) else { continue }
        actions.append(.redeliver(task: task, execution: inHand.executionID))
      case .unconfirmed(let task, let id, let epoch):
        guard let inHand = ownTask(task, of: id, epoch: epoch) else { continue }
        actions.append(.lost(task: task, execution: inHand.executionID, .agentGone))
      case .place(let task, let id, let epoch):
        guard let agent = directory[id], agent.epoch == epoch, !agent.tellsTasks, agent.ending.contains(task) else { continue }
        directory.free(task: task, from: id, completed: false)
      }
    }
    return actions
  }

  private func ownTask(_ task: String, of id: String, epoch: Int64) -> TaskInHand? {
    guard let agent = directory[id], agent.epoch == epoch else { return nil }
    return agent.tasks[task].flatMap { $0.isOwn ? $0 : nil }
  }

  /// An agent has answered a task, wanted or not.
  mutating func answered(_ task: String, by id: String) {
    guard let agent = directory[id], agent.ending.contains(task) || agent.tasks[task]?.executionID.isEmpty == true else { return }
    directory.free(task: task, from: id, completed: false)
  }

  mutating func releaseTasksOfOthers(of id: String, where isGone: (String) -> Bool = { _ in true }) {
    for (task, inHand) in directory[id]?.tasks ?? [:] where !inHand.isOwn && isGone(task) {
      directory.free(task: task, from: id, completed: false)
    }
  }

  /// An agent's connection has ended: what waited for a place of it is its sender's to send again.
  mutating func disconnected(_ id: String) { backlogs.clear(id) }

  /// An agent is given up; returns the tasks that it has lost.
  mutating func remove(_ id: String) -> [Action] {
    let lost = (directory[id]?.tasks ?? [:]).filter(\.value.isOwn).sorted { $0.key < $1.key }
    directory.remove(id: id)
    suspects[id] = nil
    return lost.map { .lost(task: $0.key, execution: $0.value.executionID, .agentGone) }
  }
}

// MARK: - Tasks of this node

extension AssignmentMachine {
  /// Chooses agents for an execution that waits; none if those that are free do not suit.
  mutating func choose(_ demand: PlacementDemand, from key: PoolKey) -> [String] {
    switch demand {
    case .start(let min, let max): return directory.select(key, min: min, max: max)
    case .slot(let tried, isSuspect: true):
      let taken = Set(suspects.keys)
      let others = directory.select(key, min: 1, max: 1, excluding: tried.union(taken))
      return others.isEmpty ? directory.select(key, min: 1, max: 1, excluding: taken) : others
    case .slot(let tried, isSuspect: false):
      let others = directory.select(key, min: 1, max: 1, excluding: tried)
      // The only capable agent may try again; while there are others, a busy one is waited for.
      return others.isEmpty && !directory.hasCapable(key, besides: tried) ? directory.select(key, min: 1, max: 1) : others
    }
  }

  /// The node session that has the agents for an execution, if this one lacks them; nodes are chosen by how many such agents they have.
  mutating func home(for execution: Execution) -> NodeSession? {
    let needed = execution.pattern.agents.min
    let homes = directory.capableByHome(PoolKey(execution.pattern.agents.capabilities))
    guard homes[nil, default: 0] < needed else { return nil }
    let able = homes.compactMap { home, count in home.flatMap { count >= needed ? (element: $0, weight: count) : nil } }
    return weightedChoice(from: able.sorted { $0.element.description < $1.element.description }, for: execution.id)
  }

  /// Takes a place of an agent for a task that is about to be stored.
  mutating func assign(_ task: TaskRecord, of execution: String, isSuspect: Bool = false) {
    directory.assign(task.id, TaskInHand(executionID: execution, isOwn: true), to: task.agentID)
    if isSuspect { suspects[task.agentID] = task.id }
  }

  /// Puts a task into the hands of its agent, to which a former owner of the execution gave it, if it is open.
  mutating func expect(_ task: TaskRecord, of execution: String, at now: Moment) -> [Action] {
    guard task.state == .open else {
      // The former owner may have said that it is not wanted any more, and not have been heard.
      backlogs.remove(task.id, of: task.agentID)
      return []
    }
    directory.expect(id: task.agentID)
    if let inHand = directory[task.agentID]?.tasks[task.id] {
      directory.edit(task.id, of: task.agentID) { ($0.executionID, $0.isOwn, $0.isRecorded) = (execution, true, true) }
      guard !inHand.isRecorded, inHand.isOwn else { return [] }
    } else {
      directory.assign(task.id, TaskInHand(executionID: execution, isOwn: true, isRecorded: true), to: task.agentID)
    }
    guard let agent = directory[task.agentID], agent.isConnected else { return [] }
    confirm(task.id, with: agent, at: now)
    return agent.home == nil ? [] : [.recheck(execution: execution)]
  }

  /// Whether a recorded task can go to its agent now: the agent is connected, and did not get it over this connection.
  mutating func isDeliverable(_ task: TaskRecord) -> Bool {
    directory.edit(task.id, of: task.agentID) { $0.isRecorded = true }
    return directory[task.agentID]?.isConnected == true && !directory.isDelivered(task: task.id, to: task.agentID)
  }

  /// Passes a task to its agent's node, or hands it to the agent, now or when it has a place for it.
  mutating func deliver(_ task: ControlPlaneMessage.Task, to id: String, due: Duration, at now: Moment) -> [Action] {
    guard let home = directory[id]?.home else { return handOver(task, to: id, due: due, at: now) }
    _ = directory.deliver(task: task.taskId, to: id)
    return [
      .recheck(execution: task.executionId), .perform(.tell(.deliver(task, agent: id, owner: settings.session), to: home)),
    ]
  }

  /// Whether an agent of another node has a task, as far as this node knows, so that its node can be asked about it.
  func isWithDistantAgent(_ task: TaskRecord) -> Bool {
    directory[task.agentID]?.home != nil && directory.isDelivered(task: task.id, to: task.agentID)
  }

  /// Whether a task has been handed to an agent that is connected here.
  func isWithAgentHere(_ task: TaskRecord) -> Bool {
    directory[task.agentID].map { $0.home == nil } ?? false && directory.isDelivered(task: task.id, to: task.agentID)
  }

  /// Lets a task go to its agent's node once more, which knows whether the agent has it.
  mutating func forgetDelivery(of task: TaskRecord) {
    directory.forgetDelivery(task: task.id, to: task.agentID)
  }

  /// How a task was lost that its agent came back without; nil: the agent gets it once more.
  func loss(of task: TaskRecord) -> TaskLoss? {
    guard let inHand = directory[task.agentID]?.tasks[task.id], inHand.losses > 1 else { return nil }
    return inHand.isLostAmongOthers ? .amongOthers : .repeated
  }

  /// A task takes up no place any more: its agent has answered, or never had it.
  mutating func free(_ task: String, from id: String, completed: Bool) {
    directory.free(task: task, from: id, completed: completed)
    backlogs.remove(task, of: id)
    clearSuspicion(of: task, at: id)
    dropOutdatedTimers()
  }

  /// A task is not wanted any more: its agent is told, and has the place free again when it says so.
  mutating func withdraw(_ message: ControlPlaneMessage.TaskCancelled, from id: String, at now: Moment) -> [Action] {
    directory.withdraw(task: message.taskId, from: id)
    backlogs.remove(message.taskId, of: id)
    clearSuspicion(of: message.taskId, at: id)
    dropOutdatedTimers()
    if let home = directory[id]?.home { return [.perform(.tell(.withdraw(message, agent: id), to: home))] }
    watchPlace(of: message.taskId, at: id, at: now)
    return [.perform(.send(.taskCancelled(message), to: id))]
  }

  /// Another node owns the task's execution now: an agent here that has the task keeps it, for the new owner.
  mutating func disown(_ task: TaskRecord) {
    if isWithAgentHere(task) {
      directory.edit(task.id, of: task.agentID) { $0.isOwn = false }
    } else {
      directory.free(task: task.id, from: task.agentID, completed: false)
    }
    dropOutdatedTimers()
  }

  private mutating func clearSuspicion(of task: String, at id: String) {
    if suspects[id] == task { suspects[id] = nil }
  }

  mutating func watchPlace(of task: String, at id: String, at now: Moment) {
    guard let agent = directory[id], agent.ending.contains(task) else { return }
    timers.add(.place(task: task, agent: id, epoch: agent.epoch), at: now.instant + Self.placePatience)
  }

  mutating func confirmTasks(of id: String, at now: Moment) {
    guard let agent = directory[id] else { return }
    for task in agent.tasks.keys.sorted() { confirm(task, with: agent, at: now) }
  }

  /// Sees to a task that was given to a connected agent before it registered: the agent may have lost it.
  private mutating func confirm(_ task: String, with agent: AgentDirectory.Agent, at now: Moment) {
    guard let inHand = directory[agent.id]?.tasks[task], inHand.isOwn, inHand.isRecorded, !directory.isDelivered(task: task, to: agent.id)
    else { return }
    switch agent.reportedTasks {
    case nil where agent.home == nil:
      timers.add(.unconfirmed(task: task, agent: agent.id, epoch: agent.epoch), at: now.instant + settings.resumeGrace)
    case let reported? where reported.contains(task): break
    case nil, .some:
      // The node of a distant agent knows whether the agent has it, and passes it on only if not.
      timers.add(.redelivery(task: task, agent: agent.id, epoch: agent.epoch), at: now.instant + settings.redeliveryDelay)
    }
  }

  /// An agent has registered without tasks that it had: of several that were lost before, none can be told to have been why.
  mutating func noteLosses(of id: String) {
    guard let agent = directory[id], let reported = agent.reportedTasks else { return }
    let lost = agent.tasks.filter { task, inHand in
      inHand.isOwn && inHand.isRecorded && !reported.contains(task) && agent.formerlyDelivered.contains(task)
    }
    let again = lost.count { $0.value.losses > 0 }
    for (task, inHand) in lost {
      directory.edit(task, of: id) {
        $0.losses += 1
        if inHand.losses > 0 { $0.isLostAmongOthers = again > 1 }
      }
    }
  }

  private mutating func dropOutdatedTimers() {
    let directory = directory
    timers.compact { timer in
      switch timer {
      case .place(let task, let id, let epoch): directory[id]?.epoch == epoch && directory[id]?.ending.contains(task) == true
      case .redelivery(let task, let id, let epoch), .unconfirmed(let task, let id, let epoch):
        directory[id]?.epoch == epoch && directory[id]?.tasks[task]?.isOwn == true
      }
    }
  }
}

// MARK: - Tasks of other nodes for agents here

extension AssignmentMachine {
  /// Another node gives a task to an agent of this one.
  mutating func deliverForOther(_ task: ControlPlaneMessage.Task, to id: String, at now: Moment) -> [Action] {
    // The store, or the sender, takes an agent for connected here that is not.
    guard let agent = directory[id] else { return [.perform(.store(.checkAgent(id)))] }
    // The sender learns of an agent's registration elsewhere by an announcement.
    guard agent.isConnected, agent.home == nil, !directory.isDelivered(task: task.taskId, to: id), !agent.ending.contains(task.taskId)
    else { return [] }
    return handOver(task, to: id, due: now.instant + task.timeout.duration, at: now)
  }

  /// Another node does not want a task any more that it gave to an agent of this one.
  mutating func withdrawForOther(_ message: ControlPlaneMessage.TaskCancelled, from id: String, at now: Moment) -> [Action] {
    backlogs.remove(message.taskId, of: id)
    guard let agent = directory[id], agent.home == nil, agent.tasks[message.taskId]?.isOwn == false,
      directory.isDelivered(task: message.taskId, to: id)
    else { return [] }
    return withdraw(message, from: id, at: now)
  }

  /// Hands out tasks that waited for a place of their agent.
  mutating func workOffBacklogs(at now: Moment) -> [Action] {
    var actions: [Action] = []
    for id in backlogs.agents {
      while let agent = directory[id], agent.isConnected, agent.home == nil, agent.hasPlace, let task = backlogs.next(of: id, at: now) {
        actions += hand(task, to: id)
      }
    }
    return actions
  }

  private mutating func handOver(_ task: ControlPlaneMessage.Task, to id: String, due: Duration, at now: Moment) -> [Action] {
    if directory[id]?.hasPlace == true { return hand(task, to: id) }
    backlogs.add(task, to: id, due: due)
    return []
  }

  private mutating func hand(_ task: ControlPlaneMessage.Task, to id: String) -> [Action] {
    if directory[id]?.tasks[task.taskId] == nil {
      directory.assign(task.taskId, TaskInHand(executionID: task.executionId, isOwn: false), to: id)
    }
    return directory.deliver(task: task.taskId, to: id) ? [.perform(.send(.task(task), to: id))] : []
  }
}
