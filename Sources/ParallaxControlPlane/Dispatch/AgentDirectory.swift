import HeapModule
package import ParallaxHA

/// A task that an agent has in hand.
package struct TaskInHand: Sendable, Hashable {
  /// Empty where only the agent itself told of the task.
  package var executionID: String
  /// Whether this node drives its execution.
  package var isOwn: Bool
  /// Whether the task is in the store, so that the agent may have it.
  package var isRecorded = false
  /// How often the agent came back without it.
  package var losses = 0
  /// Whether the agent lost it with others which may have been why.
  package var isLostAmongOthers = false
}

/// The agents that this node can give tasks to: what they can do, how loaded they are, what they have in hand.
///
/// An agent is connected to this node, or to another one that tells of it. Selection is by least load, then by who was used least recently,
/// from a heap per set of capabilities that was ever asked for; an agent at another node counts as fuller than it is, since the way there
/// costs time.
/// A heap's entries are not updated but outdated: each change of an agent enters it anew, and an entry whose stamp is not the
/// agent's is dropped when it comes up. Selecting k agents costs O(k log n).
package struct AgentDirectory: Sendable {
  /// An agent as the dispatcher knows it.
  package struct Agent: Sendable {
    package let id: String
    package var epoch: Int64
    /// The other node session that it is connected to, or was last; nil: this one.
    package fileprivate(set) var home: NodeSession?
    package var capabilities: Set<String>
    package var limit: Int
    package var isConnected: Bool
    /// It finishes what it has and takes nothing new.
    package var isDraining: Bool
    /// What it said, when it registered, that it still had; nil: it cannot tell.
    package var reportedTasks: Set<String>?
    /// The tasks in hand that this node knows of: those that this node gave it and, if it is connected here, those of other nodes too.
    package fileprivate(set) var tasks: [String: TaskInHand] = [:]
    /// Which of them were handed over to the connection that it has now.
    fileprivate var delivered: Set<String> = []
    /// Which were handed over to the connection before.
    package fileprivate(set) var formerlyDelivered: Set<String> = []
    /// Tasks that are not wanted any more and that it may still work on: their places are free when it says so.
    package fileprivate(set) var ending: Set<String> = []
    /// Whether its heartbeats tell which tasks it has.
    package fileprivate(set) var tellsTasks = false
    /// How many further tasks it has, as the other node says.
    package fileprivate(set) var tasksOfOthers = 0
    package fileprivate(set) var tasksCompleted = 0
    /// The pools that it belongs to, there for work or not.
    fileprivate var pools: [PoolKey] = []
    fileprivate var stamp: UInt64 = 0
    fileprivate var lastUsed: UInt64 = 0

    /// Whether it is there for work, now or when it has finished something.
    package var isCapable: Bool { isConnected && !isDraining }
    /// How many tasks it has in hand, whoever gave them.
    package var load: Int { tasks.count + ending.count + tasksOfOthers }
    /// Whether it has a place for a task that is in its hands already, and waits here to be handed over.
    package var hasPlace: Bool { delivered.count + ending.count < limit }
    fileprivate var isAvailable: Bool { isCapable && load < limit }
  }

  /// By how much an agent at another node counts as fuller.
  private static let distance = 0.25

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

  private var agents: [String: Agent] = [:]
  private var pools: [PoolKey: Pool] = [:]
  private var clock: UInt64 = 0
  /// Pools whose agents changed, since this was last taken, such that somebody who waits may be served.
  private var refreshed: Set<PoolKey> = []
  /// Agents of this node whose load changed since it was last told to others.
  private var untoldLoads: Set<String> = []

  package init() {}

  package subscript(id: String) -> Agent? { agents[id] }

  package var all: some Collection<Agent> { agents.values }

  /// How many are connected to this node.
  package var connectedCount: Int { agents.values.count { $0.isConnected && $0.home == nil } }

  /// The epochs of the agents that are connected to another node session, as far as this node knows.
  package func epochs(at home: NodeSession) -> [String: Int64] {
    agents.values.reduce(into: [:]) { epochs, agent in
      if agent.home == home, agent.isConnected { epochs[agent.id] = agent.epoch }
    }
  }

  /// The loads of this node's agents that changed since the last call, or of all.
  package mutating func takeLoads(all: Bool = false) -> [String: Int] {
    defer { untoldLoads = [] }
    if all { untoldLoads.formUnion(agents.keys) }
    return Dictionary(
      uniqueKeysWithValues: untoldLoads.compactMap { id in
        agents[id].flatMap { $0.home == nil && $0.isConnected ? (id, $0.load) : nil }
      })
  }

  /// Makes the next `takeLoads` tell the loads of all agents of this node that are connected.
  package mutating func tellAllLoads() {
    untoldLoads = Set(agents.values.lazy.filter { $0.home == nil && $0.isConnected }.map(\.id))
  }

  /// The pools in which an agent became available, or went and so left its part to others, since the last call.
  package mutating func takeRefreshed() -> Set<PoolKey> {
    defer { refreshed = [] }
    return refreshed
  }

  /// How many entries the heap of a pool has, outdated ones too.
  func candidateCount(_ key: PoolKey) -> Int { pools[key]?.candidates.count ?? 0 }

  // MARK: Changes

  /// Enters an agent or what changed about it; tasks in hand stay.
  ///
  /// `home`: the other node session that it is connected to; nil: this one.
  package mutating func upsert(id: String, epoch: Int64, capabilities: Set<String>, limit: Int, home: NodeSession? = nil) {
    var agent =
      agents[id] ?? Agent(id: id, epoch: epoch, capabilities: [], limit: limit, isConnected: true, isDraining: false)
    let formerPools = agent.pools
    if agent.epoch != epoch || agent.home != home {
      agent.formerlyDelivered = agent.delivered
      agent.delivered = []
      agent.ending = []
      agent.tasksOfOthers = 0
    }
    agent.epoch = epoch
    agent.home = home
    agent.capabilities = capabilities
    agent.limit = limit
    agent.isConnected = true
    agent.isDraining = false
    if agents[id]?.capabilities != capabilities {
      agent.pools = pools.filter { $0.value.capabilities.isSubset(of: capabilities) }.map(\.key)
      for key in formerPools where !agent.pools.contains(key) { leave(key, id) }
    }
    agents[id] = agent
    refresh(id)
  }

  /// Enters an agent that is known only from the tasks that it has in hand, or from a node session that is gone.
  package mutating func expect(id: String, epoch: Int64 = 0, home: NodeSession? = nil) {
    guard agents[id] == nil else { return }
    agents[id] = Agent(id: id, epoch: epoch, home: home, capabilities: [], limit: 1, isConnected: false, isDraining: false)
  }

  /// How many tasks an agent at another node has in all, as that node says.
  package mutating func setLoad(_ load: Int, id: String) {
    guard let agent = agents[id], agent.home != nil else { return }
    agents[id]?.ending = []
    agents[id]?.tasksOfOthers = max(0, load - agent.tasks.count)
    refresh(id)
  }

  /// Gives an agent another epoch, and changes nothing else.
  package mutating func renew(epoch: Int64, id: String) {
    agents[id]?.epoch = epoch
  }

  package mutating func setReportedTasks(_ tasks: Set<String>?, id: String) {
    agents[id]?.reportedTasks = tasks
  }

  package mutating func setConnected(_ isConnected: Bool, id: String) {
    agents[id]?.isConnected = isConnected
    refresh(id)
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

  /// Puts a task into an agent's hands.
  package mutating func assign(_ task: String, _ inHand: TaskInHand, to id: String) {
    clock += 1
    agents[id]?.tasks[task] = inHand
    agents[id]?.lastUsed = clock
    refresh(id)
  }

  /// Changes what is known of a task in an agent's hands, if it is there.
  package mutating func edit(_ task: String, of id: String, _ change: (inout TaskInHand) -> Void) {
    guard var inHand = agents[id]?.tasks[task] else { return }
    change(&inHand)
    agents[id]?.tasks[task] = inHand
  }

  /// Notes that a task goes out to the connection that its agent has now; false if it went before.
  package mutating func deliver(task: String, to id: String) -> Bool {
    agents[id]?.delivered.insert(task).inserted ?? false
  }

  /// Whether a task went out to the connection that its agent has now.
  package func isDelivered(task: String, to id: String) -> Bool {
    agents[id]?.delivered.contains(task) ?? false
  }

  /// Lets a task go out once more to the connection that its agent has now.
  package mutating func forgetDelivery(task: String, to id: String) {
    agents[id]?.delivered.remove(task)
  }

  /// Takes a task out of an agent's hands.
  package mutating func free(task: String, from id: String, completed: Bool) {
    agents[id]?.delivered.remove(task)
    let wasEnding = agents[id]?.ending.remove(task) != nil
    guard agents[id]?.tasks.removeValue(forKey: task) != nil else { return wasEnding ? refresh(id) : () }
    if completed { agents[id]?.tasksCompleted += 1 }
    refresh(id)
  }

  /// A task is not wanted any more; if its agent got it, its place stays taken until the agent, or its node, says otherwise.
  package mutating func withdraw(task: String, from id: String) {
    let wasDelivered = isDelivered(task: task, to: id)
    free(task: task, from: id, completed: false)
    guard wasDelivered else { return }
    agents[id]?.ending.insert(task)
    refresh(id)
  }

  /// An agent of this node tells which tasks it has: what it does not have takes up no place, unless it may be on its way there.
  package mutating func keepPlaces(of tasks: Set<String>, id: String) {
    guard let agent = agents[id] else { return }
    agents[id]?.tellsTasks = true
    for task in agent.ending where !tasks.contains(task) { free(task: task, from: id, completed: false) }
    for (task, inHand) in agent.tasks where inHand.executionID.isEmpty && !tasks.contains(task) {
      free(task: task, from: id, completed: false)
    }
  }

  // MARK: Selection

  /// How many agents have these capabilities and are there for work, busy or not.
  package mutating func capableCount(_ key: PoolKey) -> Int {
    ensurePool(key)
    return pools[key]?.capable.count ?? 0
  }

  /// How many agents have these capabilities and are there for work, busy or not, by the other node that they are connected to; nil: this
  /// one.
  package mutating func capableByHome(_ key: PoolKey) -> [NodeSession?: Int] {
    ensurePool(key)
    return (pools[key]?.capable ?? []).reduce(into: [:]) { $0[agents[$1]?.home, default: 0] += 1 }
  }

  /// The agents that have these capabilities and are there for work, apart from some.
  package mutating func hasCapable(_ key: PoolKey, besides excluded: Set<String>) -> Bool {
    ensurePool(key)
    guard let capable = pools[key]?.capable else { return false }
    return capable.count > excluded.count || capable.contains { !excluded.contains($0) }
  }

  /// Whether any agent that has these capabilities could take a task now.
  package mutating func hasRoom(_ key: PoolKey) -> Bool {
    !select(key, min: 1, max: 1).isEmpty
  }

  /// The `max` least loaded agents with room, or as many as there are from `min` on; empty if there are fewer than `min`.
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

/// The capabilities that a pattern asks for, in one order: executions that ask for the same wait in one queue.
package struct PoolKey: Sendable, Hashable {
  package let capabilities: [String]

  package init(_ capabilities: [String]) {
    self.capabilities = Set(capabilities).sorted()
  }
}
