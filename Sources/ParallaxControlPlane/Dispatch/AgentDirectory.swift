import HeapModule
package import ParallaxHA

/// A task that an agent has in hand.
package struct TaskInHand: Sendable, Hashable {
  /// The number of deaths after which a task counts as lost although its agent reports it.
  static let mostDeaths = 3

  /// The id of the execution; empty if only the agent itself reported the task.
  package var executionID: String
  /// Whether this node drives the execution.
  package var isOwn: Bool
  /// Whether the store has the task, so that the agent may have it.
  package var isRecorded = false
  /// The number of times that the agent reconnected without the task.
  package var losses = 0
  /// The epoch of the last ended connection over which the task may have been sent; nil for none.
  package fileprivate(set) var carrier: Int64?
  /// Whether the task may have been sent over an earlier connection, or by another owner.
  package var wasCarried = false
  /// The epoch of the connection that was counted as lost last.
  package var countedLoss: Int64?
  /// Whether the agent lost the task together with others, any of which may have been the cause.
  package var isLostAmongOthers = false

  /// The epoch of the last registration at which the agent reported the task; nil for none.
  var reportedAt: Int64?
  /// The number of the agent's deaths before and after each of which it reported the task.
  fileprivate(set) var deaths = 0
  /// Whether the agent still has the task that it has lost often enough, and is to be told to stop.
  package internal(set) var isGivenUp = false

  /// Whether the task may have been sent over a connection that has ended.
  package var mayBeKnown: Bool { carrier != nil || wasCarried }

  fileprivate mutating func carried(over epoch: Int64) {
    wasCarried = mayBeKnown
    carrier = epoch
  }

  /// Records that the task was not sent over a connection that has ended.
  fileprivate mutating func notCarried(over epoch: Int64) {
    guard carrier == epoch else { return }
    carrier = nil
    guard countedLoss == epoch else { return }
    losses -= 1
    countedLoss = nil
  }
}

/// The dispatcher's view of an agent.
package struct KnownAgent: Sendable {
  package let id: String
  package var epoch: Int64
  /// The other node session to which the agent is or was last connected; nil for this one.
  package fileprivate(set) var home: NodeSession?
  package var capabilities: Set<String>
  package var limit: Int
  package fileprivate(set) var isConnected: Bool
  /// The begin of the wait for the return of an absent agent.
  package fileprivate(set) var absentSince: Duration?
  /// Whether the agent finishes its tasks and takes no new ones.
  package var isDraining: Bool
  /// The tasks that the agent reported at its registration; nil if it cannot report them.
  package var reportedTasks: Set<String>?
  /// The known tasks in hand: those of this node and, if the agent is connected here, those of other nodes.
  package fileprivate(set) var tasks: [String: TaskInHand] = [:]
  /// The tasks delivered to the present connection.
  fileprivate var delivered: Set<String> = []
  /// The delivered tasks that wait in the agent's session, because the agent does not read.
  fileprivate var deferred: Set<String> = []
  /// The epoch of the previous connection; nil for none.
  package fileprivate(set) var formerEpoch: Int64?
  fileprivate(set) var othersLosses = OthersLosses()
  /// The process that the agent has named last; nil for none.
  package fileprivate(set) var process: String?
  /// The withdrawn tasks that the agent may still work on; each occupies its place until the agent reports otherwise.
  package fileprivate(set) var ending: Set<String> = []
  /// The time of the last heartbeat that listed the agent's tasks; nil if none has.
  package fileprivate(set) var listedAt: Duration?
  /// What the agent has read over the present connection, as far as its answers prove.
  fileprivate var proofs = ReadProofs()
  /// The sent tasks of other nodes that the last heartbeat did not list.
  fileprivate var unlisted: Set<String> = []
  /// The number of further tasks, as announced by the agent's node.
  package fileprivate(set) var tasksOfOthers = 0
  package fileprivate(set) var tasksCompleted = 0
  /// The pools of the agent, whether it is available or not.
  fileprivate var pools: [PoolKey] = []
  fileprivate var stamp: UInt64 = 0
  fileprivate var lastUsed: UInt64 = 0

  /// Whether the agent is connected and not draining; it may be busy.
  package var isCapable: Bool { isConnected && !isDraining }
  /// The number of tasks in hand, from all nodes.
  package var load: Int { tasks.count + ending.count + tasksOfOthers }
  /// Whether the agent has a free place for an assigned task that is not delivered yet.
  package var hasPlace: Bool { delivered.count + ending.count < limit }
  fileprivate var isAvailable: Bool { isCapable && load < limit }
  /// The tasks that lose their places if the agent's lists lack them.
  fileprivate var unlistable: Set<String> { Set(tasks.lazy.filter { !$0.value.isOwn }.map(\.key)) }
  /// The tasks that were sent over the present connection, and those that wait in the agent's session.
  package var cargo: Cargo { Cargo(sent: delivered.subtracting(deferred), unsent: deferred) }
  /// The tasks that may have taken down an agent that is gone, or has returned and cannot report its tasks.
  var tasksAtRisk: Set<String> {
    let own = tasks.filter { $0.value.isOwn && mayKnow($0.key) && !(isConnected && delivered.contains($0.key)) }
    return othersLosses.carried(over: isConnected ? formerEpoch ?? 0 : epoch).union(own.keys).union(isConnected ? [] : ending)
  }
  /// Whether the agent may have received a task.
  func mayKnow(_ task: String) -> Bool {
    tasks[task]?.mayBeKnown == true || delivered.contains(task) && !deferred.contains(task)
  }
}

private struct Candidate: Comparable, Sendable {
  var load: Double
  var lastUsed: UInt64
  var id: String
  var stamp: UInt64

  static func < (left: Candidate, right: Candidate) -> Bool {
    (left.load, left.lastUsed, left.id) < (right.load, right.lastUsed, right.id)
  }
}

private struct Pool: Sendable {
  var capabilities: Set<String>
  var capable: Set<String> = []
  var candidates = Heap<Candidate>()
}

/// The agents to which this node can give tasks, with their capabilities, loads and tasks in hand.
///
/// An agent is connected to this node, or to another node that announces it. Selection prefers the lowest load, then the least recent use,
/// from one heap for each requested set of capabilities; an agent at another node counts as fuller than it is, because the way there costs
/// time. Heap entries are outdated rather than updated: each change of an agent adds a new entry, and an entry whose stamp is not the
/// agent's is dropped when it comes up. Selecting k agents costs O(k log n).
package struct AgentDirectory: Sendable {
  package typealias Agent = KnownAgent

  /// The load added to an agent at another node, as a fraction of its limit.
  private static let distance = 0.25

  private var agents: [String: Agent] = [:]
  private var pools: [PoolKey: Pool] = [:]
  private var clock: UInt64 = 0
  /// The pools in which, since the last ``takeRefreshed()``, a change of agents may let a waiting execution start.
  private var refreshed: Set<PoolKey> = []
  /// The agents of this node whose load has changed since its last announcement.
  private var untoldLoads: Set<String> = []

  package init() {}

  package subscript(id: String) -> Agent? { agents[id] }

  package var all: some Collection<Agent> { agents.values }

  /// The number of agents connected to this node.
  package var connectedCount: Int { agents.values.count { $0.isConnected && $0.home == nil } }

  /// The other node sessions to which, as far as this node knows, agents are connected.
  package var homes: Set<NodeSession> { Set(agents.values.lazy.filter(\.isConnected).compactMap(\.home)) }

  /// The epochs of the agents that, as far as this node knows, are connected to another node session.
  package func epochs(at home: NodeSession) -> [String: Int64] {
    agents.values.reduce(into: [:]) { epochs, agent in
      if agent.home == home, agent.isConnected { epochs[agent.id] = agent.epoch }
    }
  }

  /// Returns the loads of this node's connected agents that have changed since the last call, or all of their loads.
  package mutating func takeLoads(all: Bool = false) -> [String: Int] {
    defer { untoldLoads = [] }
    if all { untoldLoads.formUnion(agents.keys) }
    return Dictionary(
      uniqueKeysWithValues: untoldLoads.compactMap { id in
        agents[id].flatMap { $0.home == nil && $0.isConnected ? (id, $0.load) : nil }
      })
  }

  /// Makes the next `takeLoads` return the loads of all connected agents of this node.
  package mutating func tellAllLoads() {
    untoldLoads = Set(agents.values.lazy.filter { $0.home == nil && $0.isConnected }.map(\.id))
  }

  /// Returns the pools in which, since the last call, an agent became available, or left and so leaves its work to others.
  package mutating func takeRefreshed() -> Set<PoolKey> {
    defer { refreshed = [] }
    return refreshed
  }

  /// The number of entries in a pool's heap, including outdated ones.
  func candidateCount(_ key: PoolKey) -> Int { pools[key]?.candidates.count ?? 0 }

  // MARK: Changes

  /// Adds an agent or updates it; its tasks in hand stay.
  ///
  /// - Parameters:
  ///   - id: The agent.
  ///   - epoch: The epoch of its registration; another one than before makes its tasks undelivered.
  ///   - capabilities: Its capabilities.
  ///   - limit: The largest number of its tasks.
  ///   - home: The other node session to which the agent is connected; nil, the default, for this one.
  package mutating func upsert(id: String, epoch: Int64, capabilities: Set<String>, limit: Int, home: NodeSession? = nil) {
    var agent =
      agents[id] ?? Agent(id: id, epoch: epoch, capabilities: [], limit: limit, isConnected: true, isDraining: false)
    let formerPools = agent.pools
    if agent.epoch != epoch || agent.home != home {
      for task in agent.cargo.sent { agent.tasks[task]?.carried(over: agent.epoch) }
      agent.formerEpoch = agent.epoch
      (agent.delivered, agent.deferred) = ([], [])
      (agent.ending, agent.unlisted) = ([], [])
      (agent.proofs, agent.listedAt) = (ReadProofs(), nil)
      agent.tasksOfOthers = 0
    }
    agent.epoch = epoch
    agent.home = home
    agent.capabilities = capabilities
    agent.limit = limit
    agent.isConnected = true
    agent.absentSince = nil
    agent.isDraining = false
    if agents[id]?.capabilities != capabilities {
      agent.pools = pools.filter { $0.value.capabilities.isSubset(of: capabilities) }.map(\.key)
      for key in formerPools where !agent.pools.contains(key) { leave(key, id) }
    }
    agents[id] = agent
    refresh(id)
  }

  /// Adds an agent that is known only from its tasks in hand, or from a lost node session.
  package mutating func expect(id: String, epoch: Int64 = 0, home: NodeSession? = nil) {
    guard agents[id] == nil else { return }
    agents[id] = Agent(id: id, epoch: epoch, home: home, capabilities: [], limit: 1, isConnected: false, isDraining: false)
  }

  /// Sets the total load of an agent at another node, as announced by that node.
  package mutating func setLoad(_ load: Int, id: String) {
    guard let agent = agents[id], agent.home != nil else { return }
    agents[id]?.ending = []
    agents[id]?.tasksOfOthers = max(0, load - agent.tasks.count)
    refresh(id)
  }

  /// Changes the epoch of an agent, and nothing else.
  package mutating func renew(epoch: Int64, id: String) {
    agents[id]?.epoch = epoch
  }

  package mutating func setReportedTasks(_ tasks: Set<String>?, id: String) {
    agents[id]?.reportedTasks = tasks
  }

  package mutating func disconnect(id: String) {
    agents[id]?.isConnected = false
    refresh(id)
  }

  /// Records that the return of an absent agent is awaited.
  ///
  /// - Returns: The begin of the wait.
  package mutating func absent(id: String, at now: Duration) -> Duration {
    let since = agents[id]?.absentSince ?? now
    agents[id]?.absentSince = since
    return since
  }

  package mutating func setDraining(_ isDraining: Bool, id: String) {
    agents[id]?.isDraining = isDraining
    refresh(id)
  }

  package mutating func remove(id: String) {
    untoldLoads.remove(id)
    guard let agent = agents.removeValue(forKey: id) else { return }
    for key in agent.pools { leave(key, id) }
  }

  /// Assigns a task to an agent.
  package mutating func assign(_ task: String, _ inHand: TaskInHand, to id: String) {
    clock += 1
    agents[id]?.tasks[task] = inHand
    agents[id]?.lastUsed = clock
    refresh(id)
  }

  /// Changes the entry of an agent's task, if there is one.
  package mutating func edit(_ task: String, of id: String, _ change: (inout TaskInHand) -> Void) {
    guard var inHand = agents[id]?.tasks[task] else { return }
    change(&inHand)
    agents[id]?.tasks[task] = inHand
  }

  /// Records the delivery of a task to its agent's present connection; returns false for a repeat.
  package mutating func deliver(task: String, to id: String) -> Bool {
    agents[id]?.delivered.insert(task).inserted ?? false
  }

  /// Records that a task goes out to its agent of this node, after what was sent before.
  mutating func sent(task: String, to id: String, at now: Duration) {
    agents[id]?.proofs.sent(task, at: now)
  }

  /// Records that an agent has answered a ping.
  mutating func answered(ping: UInt64, by id: String) {
    agents[id]?.proofs.answered(ping)
  }

  /// Returns the number of a ping that makes the agent's next list tell of a withdrawn task, or of all tasks (nil) that the last list may
  /// have lacked because the agent had not read them; nil for none.
  mutating func ping(_ id: String, for task: String? = nil) -> UInt64? {
    guard let agent = agents[id], agent.listedAt != nil else { return nil }
    if let task { return agents[id]?.proofs.ping(for: task) }
    return agents[id]?.proofs.firstPing() ?? agents[id]?.proofs.pingAgain(for: agent.ending.union(agent.unlistable))
  }

  /// Whether a task was delivered to its agent's present connection.
  package func isDelivered(task: String, to id: String) -> Bool {
    agents[id]?.delivered.contains(task) ?? false
  }

  /// Allows a further delivery of a task to its agent's present connection.
  package mutating func forgetDelivery(task: String, to id: String) {
    if agents[id]?.mayKnow(task) == true { edit(task, of: id) { $0.wasCarried = true } }
    agents[id]?.delivered.remove(task)
  }

  /// Forgets the delivery of a task that waited in the agent's session and is not sent.
  mutating func forgetUnsent(task: String, to id: String) {
    agents[id]?.delivered.remove(task)
    agents[id]?.deferred.remove(task)
    agents[id]?.proofs.forget(task)
  }

  /// Records the tasks of an agent at the end of its connection of an epoch, before or after its next registration.
  mutating func ended(_ cargo: Cargo, of id: String, epoch: Int64) {
    guard let agent = agents[id] else { return }
    let ofOthers = cargo.sent.filter { agent.tasks[$0]?.isOwn != true }
    if agent.epoch == epoch {
      for task in cargo.unsent { setDeferred(true, task: task, at: id) }
      // Further unsent tasks of the connection, which are told later, say nothing of those that were sent.
      if !cargo.sent.isEmpty { agents[id]?.othersLosses.ended(ofOthers, epoch: epoch) }
    } else if agent.formerEpoch == epoch {
      for task in cargo.unsent { edit(task, of: id) { $0.notCarried(over: epoch) } }
      if !cargo.sent.isEmpty, let reported = agent.reportedTasks { agents[id]?.othersLosses.note(ofOthers, reported) }
    }
  }

  /// Counts the losses of an agent that registered without tasks that it had; of several repeated losses, any may have been the cause.
  mutating func noteLosses(of id: String) {
    guard let agent = agents[id], let former = agent.formerEpoch else { return }
    agents[id]?.othersLosses.registered(after: former, reported: agent.reportedTasks)
    guard let reported = agent.reportedTasks else { return }
    let lost = agent.tasks.filter { task, inHand in
      inHand.isOwn && inHand.isRecorded && !reported.contains(task) && inHand.carrier == former
    }
    let again = lost.count { $0.value.losses > 0 }
    for (task, inHand) in lost {
      edit(task, of: id) {
        $0.losses += 1
        $0.countedLoss = former
        if inHand.losses > 0 { $0.isLostAmongOthers = again > 1 }
      }
    }
  }

  /// Counts the death of an agent that has registered under another name of its process, for the tasks that it reported before and reports
  /// again.
  ///
  /// A connection that breaks between registrations of one process is no death, nor is any of an agent that does not name its processes:
  /// their networks may be at fault. The store does not tell the process of a registration whose announcement was lost, so an agent that
  /// has named its process before is then taken for alive.
  ///
  /// - Returns: The tasks that may take down their agent, which does not lose them, with the numbers of its deaths.
  mutating func noteDeath(of id: String, process: String?) -> [(task: String, execution: String, deaths: Int)] {
    guard let agent = agents[id] else { return [] }
    var hasDied = false
    if let former = agent.process, let process { hasDied = process != former }
    agents[id]?.process = process ?? agent.process
    var lost: [(task: String, execution: String, deaths: Int)] = []
    for task in agent.reportedTasks?.sorted() ?? [] {
      guard let inHand = agent.tasks[task], inHand.isOwn, inHand.isRecorded else { continue }
      let wasReported = inHand.reportedAt != nil && inHand.reportedAt == agent.formerEpoch
      let deaths = wasReported ? inHand.deaths + (hasDied ? 1 : 0) : 0
      edit(task, of: id) { ($0.reportedAt, $0.deaths, $0.isGivenUp) = (agent.epoch, deaths, false) }
      if deaths >= TaskInHand.mostDeaths { lost.append((task, inHand.executionID, deaths)) }
    }
    return lost
  }

  /// Records whether a delivered task waits in the agent's session.
  package mutating func setDeferred(_ isDeferred: Bool, task: String, at id: String) {
    if isDeferred, isDelivered(task: task, to: id) { agents[id]?.deferred.insert(task) } else { agents[id]?.deferred.remove(task) }
    if isDeferred { agents[id]?.proofs.waits(task) }
  }

  /// Frees the place of an agent's task.
  package mutating func free(task: String, from id: String, completed: Bool) {
    agents[id]?.proofs.forget(task)
    release(task, from: id, completed: completed)
  }

  private mutating func release(_ task: String, from id: String, completed: Bool) {
    agents[id]?.delivered.remove(task)
    agents[id]?.deferred.remove(task)
    let wasEnding = agents[id]?.ending.remove(task) != nil
    guard agents[id]?.tasks.removeValue(forKey: task) != nil else { return wasEnding ? refresh(id) : () }
    if completed { agents[id]?.tasksCompleted += 1 }
    refresh(id)
  }

  /// Withdraws a task, possibly again; the place of a delivered task stays occupied until a report of the agent or its node.
  package mutating func withdraw(task: String, from id: String) {
    let takesPlace = isDelivered(task: task, to: id) || agents[id]?.ending.contains(task) == true
    release(task, from: id, completed: false)
    guard takesPlace else { return }
    agents[id]?.ending.insert(task)
    refresh(id)
  }

  /// Frees the place of a withdrawn task; the task itself may have been assigned to the agent again since.
  package mutating func endWithdrawal(of task: String, from id: String) {
    guard agents[id]?.ending.remove(task) != nil else { return }
    if agents[id]?.tasks[task] == nil { agents[id]?.proofs.forget(task) }
    refresh(id)
  }

  /// Lets the executions that wait for an agent be considered again.
  package mutating func reconsider(id: String) { refresh(id) }

  /// Frees the places of tasks that an agent's heartbeat does not list: withdrawn ones, and ones known only from the agent.
  ///
  /// A list that the agent may have written before it read a task says nothing of it. A task of another node that the agent has read may
  /// have been answered just before, so its place is free after two lists in a row without it: its owner may have withdrawn it in vain. A
  /// task of this node keeps its place to its end.
  package mutating func keepPlaces(of tasks: Set<String>, id: String, at now: Duration) {
    guard let agent = agents[id] else { return }
    agents[id]?.listedAt = now
    let candidates = agent.ending.union(agent.unlistable)
    let unread = agents[id]?.proofs.listed(tasks, others: candidates.subtracting(tasks), at: now) ?? []
    let held = tasks.union(unread)
    for task in agent.ending where !held.contains(task) { endWithdrawal(of: task, from: id) }
    for (task, inHand) in agent.tasks where inHand.executionID.isEmpty && !held.contains(task) {
      free(task: task, from: id, completed: false)
    }
    let unlisted = agent.unlistable.intersection(agent.delivered).subtracting(held)
    for task in unlisted.intersection(agent.unlisted) { free(task: task, from: id, completed: false) }
    agents[id]?.unlisted = unlisted.subtracting(agent.unlisted)
  }

  // MARK: Selection

  /// The number of agents with these capabilities that are connected and not draining, busy or not.
  package mutating func capableCount(_ key: PoolKey) -> Int {
    ensurePool(key)
    return pools[key]?.capable.count ?? 0
  }

  /// The number of agents with these capabilities that are connected and not draining, busy or not, by the other node session to which they
  /// are connected; nil for this one.
  package mutating func capableByHome(_ key: PoolKey) -> [NodeSession?: Int] {
    ensurePool(key)
    return (pools[key]?.capable ?? []).reduce(into: [:]) { $0[agents[$1]?.home, default: 0] += 1 }
  }

  /// Whether an agent with these capabilities, other than the excluded ones, is connected and not draining.
  package mutating func hasCapable(_ key: PoolKey, besides excluded: Set<String>) -> Bool {
    ensurePool(key)
    guard let capable = pools[key]?.capable else { return false }
    return capable.count > excluded.count || capable.contains { !excluded.contains($0) }
  }

  /// Whether an agent with these capabilities can take a task now.
  package mutating func hasRoom(_ key: PoolKey) -> Bool {
    !select(key, min: 1, max: 1).isEmpty
  }

  /// Selects up to `max` agents with room, least loaded first; none if fewer than `min` have room.
  package mutating func select(_ key: PoolKey, min: Int, max: Int, excluding excluded: Set<String> = []) -> [String] {
    ensurePool(key)
    var chosen: [Candidate] = []
    var passed: [Candidate] = []
    while chosen.count < max, let candidate = pools[key]?.candidates.popMin() {
      guard let agent = agents[candidate.id], agent.stamp == candidate.stamp, agent.isAvailable else { continue }
      if excluded.contains(candidate.id) { passed.append(candidate) } else { chosen.append(candidate) }
    }
    pools[key]?.candidates.insert(contentsOf: chosen + passed)
    return chosen.count >= min ? chosen.map(\.id) : []
  }

  private mutating func refresh(_ id: String) {
    guard var agent = agents[id] else { return }
    clock += 1
    agent.stamp = clock
    agents[id] = agent
    if agent.home == nil { untoldLoads.insert(id) }
    for key in agent.pools { enter(agent, into: key) }
  }

  private mutating func leave(_ key: PoolKey, _ id: String) {
    if pools[key]?.capable.remove(id) != nil { refreshed.insert(key) }
  }

  private mutating func enter(_ agent: Agent, into key: PoolKey) {
    guard agent.isCapable else { return leave(key, agent.id) }
    pools[key]?.capable.insert(agent.id)
    guard agent.isAvailable else { return }
    refreshed.insert(key)
    let candidate = candidate(agent)
    pools[key]?.candidates.insert(candidate)
    if let pool = pools[key], pool.candidates.count > 2 * pool.capable.count + 64 { compact(key) }
  }

  private func candidate(_ agent: Agent) -> Candidate {
    let load = Double(agent.load) / Double(agent.limit) + (agent.home == nil ? 0 : Self.distance)
    return Candidate(load: load, lastUsed: agent.lastUsed, id: agent.id, stamp: agent.stamp)
  }

  private mutating func compact(_ key: PoolKey) {
    guard let pool = pools[key] else { return }
    let candidates = Heap(pool.capable.compactMap { agents[$0] }.filter(\.isAvailable).map(candidate))
    pools[key]?.candidates = candidates
  }

  private mutating func ensurePool(_ key: PoolKey) {
    guard pools[key] == nil else { return }
    let pool = Pool(capabilities: Set(key.capabilities))
    pools[key] = pool
    for id in agents.filter({ pool.capabilities.isSubset(of: $0.value.capabilities) }).keys {
      agents[id]?.pools.append(key)
      if let agent = agents[id] { enter(agent, into: key) }
    }
  }
}

/// The capabilities that a pattern requires, in canonical order, so that executions with equal requirements share a queue.
package struct PoolKey: Sendable, Hashable {
  package let capabilities: [String]

  package init(_ capabilities: [String]) {
    self.capabilities = Set(capabilities).sorted()
  }
}
