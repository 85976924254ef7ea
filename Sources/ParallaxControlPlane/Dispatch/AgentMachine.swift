import ParallaxAPI
import ParallaxHA
import ParallaxState

/// Tracks agents, those of this node by their sessions and those of other nodes by announcements, and gives up absent agents.
struct AgentMachine: Sendable {
  /// An action for the driver of executions.
  enum Action: Sendable {
    case perform(DispatchAction)
    /// The agent has lost a task of an execution of this node.
    case lost(task: String, execution: String, TaskLoss)
    /// The agent may lack a task; it is delivered again unless the store has its outcome.
    case redeliver(task: String, execution: String)
    /// An agent of another node works on the execution, which is therefore to be read later.
    case recheck(execution: String)
  }

  /// An agent whose tasks are lost unless it reconnects, under a later epoch or at the same node.
  private struct Grace: Sendable {
    var agent: String
    var epoch: Int64
    var since: Duration
  }

  private let settings: DispatchMachine.Settings
  /// The assignments of tasks to agents.
  var tasks: AssignmentMachine
  private var announcer = LoadAnnouncer()
  private var changes = AgentChanges()
  private var unheard = UnheardAnswers()
  private var timers = TimerQueue<Grace>()
  /// When the node, which stops, has sent its agents away.
  private var sentAwayAt: Duration?
  /// The instants at which absent agents last tried to return and could not for the store's sake.
  private var turnedAway: [String: Duration] = [:]
  /// Whether the node is cut off from its store; if it was, since when it no longer is.
  private var cutOff: (isCutOff: Bool, endedAt: Duration?) = (false, nil)

  init(settings: DispatchMachine.Settings) {
    self.settings = settings
    tasks = AssignmentMachine(settings: settings)
  }

  var directory: AgentDirectory { tasks.directory }
  var timerCount: Int { timers.count + tasks.timerCount }
  var nextWake: Duration? { [timers.next, tasks.nextWake].compactMap { $0 }.min() }

  // MARK: Events

  mutating func handle(_ event: AgentEvent, at now: Moment) -> [Action] {
    switch event {
    case .expected(let id, let epoch, let home):
      guard directory[id] == nil else { return [] }
      tasks.directory.expect(id: id, epoch: epoch, home: home)
      awaitReturn(of: id, epoch: epoch, at: now)
      return []
    case .registered(let id, let epoch, let capabilities, let limit, let activeTasks, let process):
      return registered(id, epoch, capabilities, limit, activeTasks, process, at: now)
    case .renewed(let id, let former, let epoch): return renewed(id, from: former, epoch: epoch, at: now)
    case .turnedAway(let id):
      if let agent = directory[id], !agent.isConnected { turnedAway[id] = now.instant }
      return []
    case .changed(let id, let epoch, let capabilities, let limit, let isDraining):
      return changed(id, epoch, capabilities, limit, isDraining)
    case .left(let id, let epoch, let graceful): return left(id, epoch, graceful: graceful, at: now)
    case .deferred(let task, let id, let epoch): return deferred(task, at: id, epoch: epoch, at: now)
    case .dropped(let task, let id, let epoch):
      if isHere(id, epoch: epoch) { tasks.dropped(task, at: id) }
      return []
    case .sent(let task, let id, let epoch):
      guard isHere(id, epoch: epoch) else { return [] }
      tasks.directory.setDeferred(false, task: task, at: id)
      tasks.directory.sent(task: task, to: id, at: now.instant)
      return []
    case .stopped(let task, let id):
      tasks.answered(task, by: id)
      return []
    case .reported(let id, let epoch, let held):
      return isHere(id, epoch: epoch) ? tasks.listed(held, by: id, at: now) : []
    case .answered(let ping, let id, let epoch):
      if isHere(id, epoch: epoch) { tasks.directory.answered(ping: ping, by: id) }
      return []
    case .changeEnded(let id): return changes.ended(id).map { .perform($0) }
    case .listedHere(let records): return records.flatMap { listedHere($0) }
    case .removed(let id, let epoch): return [.perform(.publish(.left(id, epoch: epoch, graceful: true)))]
    case .announced(let announcement, let home): return announced(announcement, from: home, at: now)
    case .listed(let records, let home, let before): return listed(records, at: home, before: before, at: now)
    case .memberLost(let home):
      return directory.epochs(at: home).sorted { $0.key < $1.key }.flatMap { id, epoch in
        leftElsewhere(id, epoch: epoch, graceful: false, home: home, at: now)
      }
    case .cutOff(let isCutOff):
      cutOff = (isCutOff, isCutOff ? nil : now.instant)
      return []
    case .sentAway:
      sentAwayAt = now.instant
      return []
    case .loadsDue: return announcer.announcements(of: &tasks.directory, at: now).map { .perform(.publish($0)) }
    case .loadsMissed:
      tasks.directory.tellAllLoads()
      return directory.all.filter { $0.home == nil && $0.isConnected && $0.isDraining }.map(\.id).sorted().flatMap(announceDraining)
    }
  }

  /// Gives up agents that did not reconnect, and processes the timers of their tasks.
  ///
  /// A node that has sent its agents away gives up none that leaves from then on, here or elsewhere: perhaps no node takes them, as when
  /// all stop at once, and their work goes on where their executions are recovered.
  mutating func timePassed(at now: Moment) -> [Action] {
    var actions = tasks.timePassed(at: now)
    while let grace = timers.popDue(at: now.instant) {
      guard let agent = directory[grace.agent], agent.epoch == grace.epoch, agent.absentSince == grace.since else { continue }
      if let sentAwayAt, grace.since >= sentAwayAt { continue }
      if let end = returnTime(of: grace.agent, at: now), end > now.instant {
        timers.add(grace, at: end)
      } else {
        actions += forget(grace.agent, saidGoodbye: false)
      }
    }
    return actions
  }

  /// The time until which an agent that the store has kept away may return: a grace after its last attempt, or after the store has let the
  /// node register agents again; nil if the store keeps nobody away.
  private func returnTime(of id: String, at now: Moment) -> Duration? {
    let since = cutOff.isCutOff ? now.instant : [turnedAway[id], cutOff.endedAt].compactMap { $0 }.max()
    return since.map { $0 + settings.resumeGrace }
  }

  /// Assigns a task, if it is open, to the agent that a former owner of the execution chose.
  mutating func expect(_ task: TaskRecord, of execution: String, at now: Moment) -> [Action] {
    let actions = tasks.expect(task, of: execution, at: now)
    if task.state == .open, let agent = directory[task.agentID], !agent.isConnected {
      awaitReturn(of: agent.id, epoch: agent.epoch, at: now)
    }
    return actions
  }

  /// Records the acknowledgement of an outcome; an agent that is not connected here gets it at its return.
  mutating func acknowledged(_ task: String, to id: String) {
    guard let agent = directory[id], !agent.isConnected || agent.home != nil else { return }
    unheard.add(task, for: id)
  }

  private mutating func awaitReturn(of id: String, epoch: Int64, at now: Moment) {
    let since = tasks.directory.absent(id: id, at: now.instant)
    let directory = directory
    timers.compact { directory[$0.agent]?.epoch == $0.epoch }
    timers.add(Grace(agent: id, epoch: epoch, since: since), at: since + settings.resumeGrace)
  }

  private func isHere(_ id: String, epoch: Int64) -> Bool {
    directory[id].map { $0.epoch == epoch && $0.isConnected && $0.home == nil } ?? false
  }

  /// Gives up an agent: its tasks are lost, and its registration is removed.
  private mutating func forget(_ id: String, saidGoodbye: Bool) -> [Action] {
    guard let agent = directory[id] else { return [] }
    turnedAway[id] = nil
    let losses = tasks.remove(id, saidGoodbye: saidGoodbye)
    unheard.forget(id)
    // The registration of an agent elsewhere is removed by its node, or by the node that recovers that session.
    return losses + (agent.home == nil ? [.perform(.store(.removeAgent(id, epoch: agent.epoch)))] : [])
  }
}

// MARK: - Agents of this node

extension AgentMachine {
  private mutating func registered(
    _ id: String, _ epoch: Int64, _ capabilities: [String], _ limit: Int, _ activeTasks: [String]?, _ process: String?, at now: Moment
  ) -> [Action] {
    if let known = directory[id], known.epoch >= epoch { return [] }
    let cargo = connectionEnds(id)
    enter(id, epoch, capabilities, limit, activeTasks)
    let acknowledged = unheard.take(for: id, among: activeTasks)
    let reported = (directory[id]?.reportedTasks ?? []).subtracting(acknowledged)
    // A task of another node that the agent lacks occupies no place, because its owner delivers it again; a task that only the agent knows
    // does.
    tasks.releaseTasksOfOthers(of: id) { !reported.contains($0) }
    for task in reported.sorted() {
      if directory[id]?.tasks[task] == nil { tasks.directory.assign(task, TaskInHand(executionID: "", isOwn: false), to: id) }
      _ = tasks.directory.deliver(task: task, to: id)
    }
    tasks.directory.noteLosses(of: id)
    tasks.confirmTasks(of: id, at: now)
    let announcement = AgentAnnouncement.registered(
      id, epoch: epoch, capabilities: capabilities, limit: limit, activeTasks: activeTasks, process: process)
    return cargo + [.perform(.publish(announcement))]
      + acknowledged.map { .perform(.send(.resultAck(ControlPlaneMessage.ResultAck(taskId: $0)), to: id)) }
      + tasks.noteDeath(of: id, process: process, at: now)
  }

  /// Announces the tasks of other nodes at an agent whose connection here ends: only this node knows which of them it has sent.
  private mutating func connectionEnds(_ id: String) -> [Action] {
    guard let agent = directory[id], agent.isConnected, agent.home == nil else { return [] }
    let cargo = tasks.cargo(of: agent)
    tasks.directory.ended(cargo, of: id, epoch: agent.epoch)
    let concernsOthers = cargo.concernsOthers { agent.tasks[$0]?.isOwn == true }
    return concernsOthers ? [.perform(.publish(.connectionEnded(id, epoch: agent.epoch, cargo)))] : []
  }

  /// Records that a task waits unsent in the session of its agent, or did so when the connection ended.
  private mutating func deferred(_ task: String, at id: String, epoch: Int64, at now: Moment) -> [Action] {
    guard let agent = directory[id] else { return [] }
    let cargo = Cargo(sent: [], unsent: [task])
    if agent.epoch == epoch, agent.home == nil {
      tasks.directory.setDeferred(true, task: task, at: id)
      guard !agent.isConnected, agent.tasks[task]?.isOwn != true else { return [] }
    } else {
      // The agent has registered again before the end of its connection was noticed.
      tasks.directory.ended(cargo, of: id, epoch: epoch)
      if agent.formerEpoch == epoch { tasks.confirmUnsent(task, of: id, at: now) }
    }
    return [.perform(.publish(.connectionEnded(id, epoch: epoch, cargo)))]
  }

  private mutating func renewed(_ id: String, from former: Int64, epoch: Int64, at now: Moment) -> [Action] {
    guard let agent = directory[id], isHere(id, epoch: former) else { return [] }
    tasks.directory.renew(epoch: epoch, id: id)
    tasks.renewed(id, from: former, at: now)
    let announcement = AgentAnnouncement.registered(
      id, epoch: epoch, capabilities: agent.capabilities.sorted(), limit: agent.limit, activeTasks: tasks.held(by: agent),
      process: agent.process)
    return [.perform(.publish(announcement))] + announceDraining(of: id)
  }

  /// Announces that an agent drains, which neither its registration nor the store tells.
  private func announceDraining(of id: String) -> [Action] {
    guard let agent = directory[id], agent.isDraining else { return [] }
    let announcement = AgentAnnouncement.changed(
      id, epoch: agent.epoch, capabilities: agent.capabilities.sorted(), limit: agent.limit, isDraining: true)
    return [.perform(.publish(announcement))]
  }

  private mutating func changed(
    _ id: String, _ epoch: Int64, _ capabilities: [String]?, _ limit: Int?, _ isDraining: Bool?
  ) -> [Action] {
    guard let agent = directory[id], isHere(id, epoch: epoch) else { return [] }
    let (known, most) = (capabilities.map { Set($0) } ?? agent.capabilities, limit ?? agent.limit)
    let isDraining = isDraining ?? agent.isDraining
    tasks.directory.upsert(id: id, epoch: epoch, capabilities: known, limit: most)
    tasks.directory.setDraining(isDraining, id: id)
    let announcement = AgentAnnouncement.changed(
      id, epoch: epoch, capabilities: known.sorted(), limit: most, isDraining: isDraining)
    guard capabilities != nil || limit != nil else { return [.perform(.publish(announcement))] }
    return change(id, AgentChange(epoch: epoch, capabilities: capabilities, limit: limit)) + [.perform(.publish(announcement))]
  }

  private mutating func change(_ id: String, _ change: AgentChange) -> [Action] {
    changes.add(change, of: id).map { .perform($0) }
  }

  /// Repeats the changes of a connected agent that the store lacks: an earlier one may have reached it last.
  private mutating func listedHere(_ record: AgentRecord) -> [Action] {
    guard let agent = directory[record.id], isHere(record.id, epoch: record.epoch) else { return [] }
    let isCurrent = Set(record.capabilities) == agent.capabilities && record.maxConcurrentTasks == agent.limit && record.isConnected
    if isCurrent { return [] }
    let capabilities = agent.capabilities.sorted()
    return change(agent.id, AgentChange(epoch: agent.epoch, capabilities: capabilities, limit: agent.limit, isConnected: true))
  }

  /// Records that an agent has left; an agent that said goodbye gets no grace.
  private mutating func left(_ id: String, _ epoch: Int64, graceful: Bool, at now: Moment) -> [Action] {
    guard isHere(id, epoch: epoch) else {
      // The agent left before its registration was known here, so no other node removes that from the store.
      return (directory[id]?.epoch ?? 0) < epoch ? [.perform(.store(.removeAgent(id, epoch: epoch)))] : []
    }
    let cargo = connectionEnds(id)
    tasks.directory.disconnect(id: id)
    tasks.disconnected(id)
    let announcements = cargo + [.perform(.publish(.left(id, epoch: epoch, graceful: graceful)))]
    if graceful { return announcements + forget(id, saidGoodbye: true) }
    awaitReturn(of: id, epoch: epoch, at: now)
    return announcements + change(id, AgentChange(epoch: epoch, isConnected: false))
  }

  private mutating func enter(
    _ id: String, _ epoch: Int64, _ capabilities: [String], _ limit: Int, _ activeTasks: [String]?, home: NodeSession? = nil
  ) {
    turnedAway[id] = nil
    if home != nil { unheard.forget(id) }
    tasks.directory.upsert(id: id, epoch: epoch, capabilities: Set(capabilities), limit: limit, home: home)
    tasks.directory.setReportedTasks(activeTasks.map { Set($0) }, id: id)
    tasks.disconnected(id)
  }

}

// MARK: - Agents of other nodes

extension AgentMachine {
  private mutating func announced(_ announcement: AgentAnnouncement, from home: NodeSession, at now: Moment) -> [Action] {
    switch announcement {
    case .registered(let id, let epoch, let capabilities, let limit, let activeTasks, let process):
      return registeredElsewhere(id, epoch, capabilities, limit, activeTasks, process, home: home, at: now)
    case .changed(let id, let epoch, let capabilities, let limit, let isDraining):
      guard let agent = directory[id], agent.epoch == epoch, agent.home == home, agent.isConnected else { return [] }
      tasks.directory.upsert(id: id, epoch: epoch, capabilities: Set(capabilities), limit: limit, home: home)
      tasks.directory.setDraining(isDraining, id: id)
    case .left(let id, let epoch, let graceful): return leftElsewhere(id, epoch: epoch, graceful: graceful, home: home, at: now)
    case .connectionEnded(let id, let epoch, let cargo): tasks.directory.ended(cargo, of: id, epoch: epoch)
    case .loads(let loads): for (id, load) in loads where directory[id]?.home == home { tasks.directory.setLoad(load, id: id) }
    }
    return []
  }

  private mutating func listed(_ records: [AgentRecord], at home: NodeSession, before: [String: Int64], at now: Moment) -> [Action] {
    var actions: [Action] = []
    for record in records {
      actions +=
        record.isConnected
        ? registeredElsewhere(
          record.id, record.epoch, record.capabilities, record.maxConcurrentTasks, record.activeTasks, nil, home: home, at: now)
        : leftElsewhere(record.id, epoch: record.epoch, graceful: false, home: home, at: now)
    }
    let listed = Set(records.map(\.id))
    for (id, epoch) in before.sorted(by: { $0.key < $1.key }) where !listed.contains(id) {
      // A goodbye would have been announced; the store may only have lost this registration, which its node then stores again.
      actions += leftElsewhere(id, epoch: epoch, graceful: false, home: home, at: now)
    }
    return actions
  }

  private mutating func registeredElsewhere(
    _ id: String, _ epoch: Int64, _ capabilities: [String], _ limit: Int, _ activeTasks: [String]?, _ process: String?,
    home: NodeSession, at now: Moment
  ) -> [Action] {
    if let known = directory[id], known.epoch >= epoch {
      guard known.epoch == epoch, known.home == home else { return [] }
      if known.isConnected {
        // The announcement of a change may have been lost.
        guard known.capabilities != Set(capabilities) || known.limit != limit else { return [] }
        tasks.directory.upsert(id: id, epoch: epoch, capabilities: Set(capabilities), limit: limit, home: home)
        tasks.directory.setDraining(known.isDraining, id: id)
      } else {
        // The agent's node had counted as lost, so messages to it may have been dropped; or the agent was only expected.
        tasks.directory.upsert(id: id, epoch: epoch, capabilities: Set(capabilities), limit: limit, home: home)
        tasks.directory.setDraining(known.isDraining, id: id)
        for task in known.tasks.keys { tasks.directory.forgetDelivery(task: task, to: id) }
        tasks.confirmTasks(of: id, at: now)
      }
      return []
    }
    let wasHere = directory[id].map { $0.home == nil && $0.isConnected } ?? false
    let cargo = connectionEnds(id)
    enter(id, epoch, capabilities, limit, activeTasks, home: home)
    tasks.releaseTasksOfOthers(of: id)
    tasks.directory.noteLosses(of: id)
    tasks.confirmTasks(of: id, at: now)
    let executions = Set((directory[id]?.tasks ?? [:]).values.map(\.executionID))
    let losses = tasks.noteDeath(of: id, process: process, at: now)
    return losses + cargo + (wasHere ? [.perform(.agentMoved(id))] : []) + executions.sorted().map { .recheck(execution: $0) }
  }

  private mutating func leftElsewhere(_ id: String, epoch: Int64, graceful: Bool, home: NodeSession, at now: Moment) -> [Action] {
    guard let agent = directory[id], agent.epoch == epoch, agent.home == home, agent.isConnected else { return [] }
    tasks.directory.disconnect(id: id)
    if graceful { return forget(id, saidGoodbye: true) }
    awaitReturn(of: id, epoch: epoch, at: now)
    return []
  }
}
