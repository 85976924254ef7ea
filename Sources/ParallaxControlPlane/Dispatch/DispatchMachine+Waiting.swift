import ParallaxAPI
import ParallaxState

// MARK: - Waiting for agents

extension DispatchMachine {
  /// How many slots that no free agent suits are passed over, per round, for later ones.
  private static let lookAhead = 32

  mutating func wait(_ id: String, need: WaitingQueue.Need, at now: Moment) {
    guard let running = executions[id] else { return }
    let priority = running.machine.stored.execution.priority
    arrivals += 1
    waiting[running.key, default: WaitingQueue()].add(id, need: need, priority: priority, order: arrivals)
    waiting[running.key]?.compact { executions[$0.executionID].map { !$0.machine.isDecided } ?? false }
    if case .start = need {
      if running.waiters.contains(where: \.waits) { timers.add(.agentWait(id), at: now.instant + settings.agentWait) }
      if let delay = settings.relocationDelay { timers.add(.relocation(id), at: now.instant + delay) }
    }
    // Agents may have become free between the decision to wait and the write that made it known.
    unserved.insert(running.key)
  }

  /// Serves the queues of all pools whose agents changed, the one with the most urgent and oldest entry first: an agent may
  /// belong to several.
  mutating func giveWork(at now: Moment) -> [DispatchAction] {
    // What other nodes have given to an agent stands before what waits here for any agent.
    var actions = workOffBacklogs(at: now)
    let keys = agents.takeRefreshed().union(unserved)
    unserved = []
    let turns = keys.compactMap { key in waiting[key]?.first.map { (key: key, first: $0) } }.sorted { $0.first < $1.first }
    for turn in turns { actions += serve(turn.key, at: now) }
    return actions
  }

  private mutating func serve(_ key: PoolKey, at now: Moment) -> [DispatchAction] {
    // Taken out, so that changing it does not copy it.
    guard var queue = waiting.removeValue(forKey: key) else { return [] }
    var actions: [DispatchAction] = []
    var passed: [WaitingQueue.Entry] = []
    var passedRetries = 0
    var skipped: Set<WaitingQueue.Line> = []
    while agents.hasRoom(key), let entry = queue.pop(skipping: skipped) {
      // What is due is not started any more: its deadline ends it.
      guard let running = executions[entry.executionID], !running.machine.isDecided, running.due > now.instant else { continue }
      var machine = running.machine
      let chosen = choose(for: entry.need, of: machine, from: key)
      if chosen.isEmpty {
        passed.append(entry)
        if entry.line == .retries { passedRetries += 1 }
        if entry.line != .retries || passedRetries == Self.lookAhead { skipped.insert(entry.line) }
        continue
      }
      let before = machine.stored.tasks.count
      let isSuspect = if case .slot(let slot) = entry.need { machine.isSuspect(slot: slot) } else { false }
      let started =
        switch entry.need {
        case .start: machine.start(agents: chosen, at: now.wall)
        case .slot(let slot): machine.retry(slot: slot, agent: chosen[0])
        }
      executions[entry.executionID]?.machine = machine
      for task in machine.stored.tasks.dropFirst(before) {
        agents.assign(task: task.id, execution: entry.executionID, to: task.agentID)
        if isSuspect { suspects[task.agentID] = task.id }
      }
      actions += perform(started, of: entry.executionID, at: now)
    }
    queue.putBack(passed)
    if !queue.isEmpty { waiting[key] = queue }
    return actions
  }

  private mutating func choose(for need: WaitingQueue.Need, of machine: ExecutionMachine, from key: PoolKey) -> [String] {
    switch need {
    case .start(let needed):
      return agents.select(key, min: needed, max: machine.stored.execution.pattern.agents.max)
    case .slot(let slot):
      let tried = machine.agentsTried(slot: slot)
      if machine.isSuspect(slot: slot) {
        let taken = Set(suspects.keys)
        let others = agents.select(key, min: 1, max: 1, excluding: tried.union(taken))
        return others.isEmpty ? agents.select(key, min: 1, max: 1, excluding: taken) : others
      }
      let others = agents.select(key, min: 1, max: 1, excluding: tried)
      // The only capable agent may try again; while there are others, a busy one is waited for.
      return others.isEmpty && !agents.hasCapable(key, besides: tried) ? agents.select(key, min: 1, max: 1) : others
    }
  }
}
