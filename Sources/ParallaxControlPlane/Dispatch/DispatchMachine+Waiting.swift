import ParallaxAPI
import ParallaxState

// MARK: - Waiting for agents

extension DispatchMachine {
  /// How many executions that cannot start yet are passed over, per round, for later ones that can.
  private static let lookAhead = 32

  mutating func wait(_ id: String, need: WaitingQueue.Need, at now: Moment) {
    guard let running = executions[id] else { return }
    let priority = running.machine.stored.execution.priority
    waiting[running.key, default: WaitingQueue()].add(id, need: need, priority: priority)
    if need == .start, running.waiters.contains(where: \.waits) {
      timers.add(.agentWait(id), at: now.instant + settings.agentWait)
    }
    // Agents may have become free between the decision to wait and the write that made it known.
    unserved.insert(running.key)
  }

  /// Serves the queues of all pools in which an agent became available.
  mutating func giveWork(at now: Moment) -> [DispatchAction] {
    var actions: [DispatchAction] = []
    let keys = agents.takeRefreshed().union(unserved)
    unserved = []
    for key in keys { actions += serve(key, at: now) }
    return actions
  }

  private mutating func serve(_ key: PoolKey, at now: Moment) -> [DispatchAction] {
    guard var queue = waiting[key], !queue.isEmpty else { return [] }
    var actions: [DispatchAction] = []
    var passed: [WaitingQueue.Entry] = []
    while passed.count < Self.lookAhead, let entry = queue.pop() {
      guard var machine = executions[entry.executionID]?.machine, !machine.isDecided else { continue }
      let chosen = choose(for: entry.need, of: machine, from: key)
      if chosen.isEmpty {
        passed.append(entry)
        continue
      }
      let before = machine.stored.tasks.count
      let started =
        switch entry.need {
        case .start: machine.start(agents: chosen, at: now.wall)
        case .slot(let slot): machine.retry(slot: slot, agent: chosen[0])
        }
      executions[entry.executionID]?.machine = machine
      for task in machine.stored.tasks.dropFirst(before) {
        agents.assign(task: task.id, execution: entry.executionID, to: task.agentID)
      }
      actions += perform(started, of: entry.executionID, at: now)
    }
    queue.putBack(passed)
    waiting[key] = queue.isEmpty ? nil : queue
    return actions
  }

  private mutating func choose(for need: WaitingQueue.Need, of machine: ExecutionMachine, from key: PoolKey) -> [String] {
    switch need {
    case .start:
      let needs = machine.stored.execution.pattern.agents
      return agents.select(key, min: needs.min, max: needs.max)
    case .slot(let slot):
      let tried = machine.agentsTried(slot: slot)
      let others = agents.select(key, min: 1, max: 1, excluding: tried)
      // The only capable agent may try again; while there are others, a busy one is waited for.
      return others.isEmpty && !agents.hasCapable(key, besides: tried) ? agents.select(key, min: 1, max: 1) : others
    }
  }
}
