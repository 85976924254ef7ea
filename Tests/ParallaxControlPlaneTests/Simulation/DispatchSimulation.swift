import ParallaxAPI
import ParallaxControlPlane
import ParallaxHA
import ParallaxState
import ParallaxTesting

/// Several nodes' dispatch machines, one store, agents and callers in one thread on a virtual clock, with faults by a seed.
///
/// For a while nodes are paused and killed, messages are lost, late and doubled, agents die, hang and return elsewhere; then all is well.
/// The promises of docs/ownership.md are checked at every write, every message to an agent, and at the end.
final class DispatchSimulation {
  /// What goes wrong, and how often.
  struct Mix: Sendable, CustomStringConvertible {
    var name: String
    var nodes = 3
    var agents = 4
    /// How long things go wrong.
    var faultTime = Duration.seconds(120)
    var submissionInterval = Duration.milliseconds(800)
    var timeouts = (least: Duration.seconds(20), greatest: Duration.seconds(60))
    var longestWork = Duration.seconds(8)
    /// Mean times between faults; nil: never.
    var pauses: Duration?
    var deaths: Duration?
    var agentBreaks: Duration?
    var agentDeaths: Duration?
    var cancellations: Duration?
    /// Probabilities, per message.
    var lostMessages = 0.0
    var doubledMessages = 0.0
    var lostEvents = 0.0
    var failedCalls = 0.0
    /// Of a task that an agent never answers.
    var hangs = 0.0
    /// Of an agent that goes on with what is cancelled.
    var stubborn = 0.0
    /// Of an agent that stays with a node which is silent.
    var loyalty = 0.3
    /// Of an agent that says good-bye rather than that its connection breaks.
    var goodByes = 0.0

    var description: String { name }

    /// One busy agent, and nodes that are paused for longer than others watch.
    static let paused = Mix(
      name: "paused", nodes: 2, agents: 1, submissionInterval: .milliseconds(700), longestWork: .seconds(4), pauses: .seconds(20),
      loyalty: 1)
    /// Nodes that are paused while others end what they drove.
    static let overtaken = Mix(
      name: "overtaken", nodes: 2, agents: 2, submissionInterval: .milliseconds(1_500),
      timeouts: (least: .seconds(120), greatest: .seconds(200)), longestWork: .seconds(12), pauses: .seconds(30), loyalty: 0)
    /// Agents that say good-bye behind their results, and messages that tell of those and are lost.
    static let hasty = Mix(
      name: "hasty", agents: 3, agentBreaks: .seconds(2), lostMessages: 0.3, lostEvents: 0.3, goodByes: 0.9)
    static let dying = Mix(name: "dying", deaths: .seconds(20), agentBreaks: .seconds(20))
    static let everything = Mix(
      name: "everything", pauses: .seconds(40), deaths: .seconds(40), agentBreaks: .seconds(15), agentDeaths: .seconds(20),
      cancellations: .seconds(10), lostMessages: 0.02, doubledMessages: 0.02, lostEvents: 0.1, failedCalls: 0.02, hangs: 0.01,
      stubborn: 0.3, goodByes: 0.2)
  }

  /// How long after its deadline an acknowledged execution may end: a loss is noticed in 20 s, recovered within 5 s more, and read again 30
  /// s later at most.
  static let overrun = Duration.seconds(90)
  /// How long after an execution's end its callers at nodes that run have heard of it: each is read every 30 s.
  static let answerDelay = Duration.seconds(40)

  private struct Planned {
    var time: Duration
    var order: UInt64
    var work: () -> Void
  }

  let mix: Mix
  let seed: UInt64
  var random: SimulationRandom
  private(set) var now = Duration.zero
  private var queue: [Planned] = []
  private var lastOrder: UInt64 = 0
  let store = InMemoryStateStore(now: { World.start })
  var members: [NodeSession: UInt64] = [:]
  var lease: (holder: NodeSession, renewed: Duration)?
  var nodes: [SimulatedNode] = []
  var agents: [SimulatedAgent] = []
  var hasFaults = true
  private(set) var faults: [String] = []
  private(set) var deaths = 0
  private(set) var executionsEnded = 0
  private(set) var events = 0
  private var acknowledged: [String: Execution] = [:]
  private var ends: [String: Duration] = [:]
  private var seenStates: [String: StoredExecution] = [:]
  private var lastExecution = 0
  var trace: [String] = []
  let isTraced: Bool

  init(_ mix: Mix, seed: UInt64, isTraced: Bool = false) {
    self.mix = mix
    self.seed = seed
    self.isTraced = isTraced
    random = SimulationRandom(seed: seed)
  }

  // MARK: Time and chance

  func chance(_ probability: Double) -> Bool { probability > 0 && Double.random(in: 0..<1, using: &random) < probability }

  func between(_ low: Duration, _ high: Duration) -> Duration { low + (high - low) * Double.random(in: 0..<1, using: &random) }

  /// How long a message travels: most are quick, some are not.
  func travel() -> Duration {
    chance(0.02) && hasFaults ? between(.milliseconds(50), .seconds(1)) : between(.microseconds(200), .milliseconds(5))
  }

  func plan(after delay: Duration, _ work: @escaping () -> Void) {
    lastOrder += 1
    queue.append(Planned(time: now + delay, order: lastOrder, work: work))
    var child = queue.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard isBefore(child, parent) else { break }
      queue.swapAt(child, parent)
      child = parent
    }
  }

  private func isBefore(_ left: Int, _ right: Int) -> Bool {
    (queue[left].time, queue[left].order) < (queue[right].time, queue[right].order)
  }

  private func next() -> Planned? {
    guard let first = queue.first else { return nil }
    let last = queue.removeLast()
    guard !queue.isEmpty else { return first }
    queue[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < queue.count && isBefore(child, least) { least = child }
      if least == parent { return first }
      queue.swapAt(parent, least)
      parent = least
    }
  }

  func note(_ line: @autoclosure () -> String) {
    if isTraced { trace.append("\(now.milliseconds) \(line())") }
  }

  func fault(_ what: String) {
    if faults.count < 20 { faults.append("at \(now.milliseconds) ms: \(what)") }
    note("FAULT \(what)")
  }

  // MARK: The run

  /// Runs to the end, or until a promise is broken.
  func run() {
    for index in 0..<mix.nodes { nodes.append(SimulatedNode(index, in: self)) }
    for index in 0..<mix.agents { agents.append(SimulatedAgent(index, in: self)) }
    for node in nodes { node.start() }
    for agent in agents { plan(after: between(.zero, .seconds(1))) { agent.connect() } }
    plan(after: .seconds(2)) { self.submitAgain() }
    repeatedly(mix.pauses) { self.liveNode()?.pause(for: self.between(.seconds(1), .seconds(70))) }
    repeatedly(mix.deaths) {
      guard let node = self.liveNode(), self.nodes.count(where: { $0.isUp }) > 1 else { return }
      self.deaths += 1
      node.die(until: self.between(.milliseconds(100), .seconds(40)))
    }
    repeatedly(mix.agentBreaks) { self.agents.randomElement(using: &self.random)?.breakConnection() }
    repeatedly(mix.agentDeaths) { self.agents.randomElement(using: &self.random)?.die() }
    repeatedly(mix.cancellations) { self.cancelOne() }
    plan(after: mix.faultTime) { self.heal() }
    // What was submitted last, the overrun, and the probes that follow.
    advance(to: mix.faultTime + mix.timeouts.greatest + .seconds(60) + Self.overrun)
    probe()
    advance(to: now + .seconds(60))
    checkTheEnd()
  }

  private func advance(to end: Duration) {
    while faults.isEmpty, let first = queue.first, first.time <= end, let entry = next() {
      now = max(now, entry.time)
      events += 1
      entry.work()
    }
    now = max(now, end)
  }

  private func repeatedly(_ mean: Duration?, _ work: @escaping () -> Void) {
    guard let mean else { return }
    plan(after: between(.zero, mean * 2)) {
      guard self.hasFaults else { return }
      work()
      self.repeatedly(mean, work)
    }
  }

  private func heal() {
    hasFaults = false
    note("all is well from here")
    for node in nodes { node.heal() }
    for agent in agents { agent.heal() }
  }

  private func liveNode() -> SimulatedNode? { nodes.filter { $0.isUp && !$0.isPaused }.randomElement(using: &random) }

  /// A node that an agent or a caller reaches.
  func reachableNode() -> SimulatedNode? { nodes.filter { $0.isUp && !$0.isPaused && !$0.isCutOff }.randomElement(using: &random) }

  // MARK: Callers

  private func submitAgain() {
    guard hasFaults else { return }
    submit(timeout: between(mix.timeouts.least, mix.timeouts.greatest))
    plan(after: between(.zero, mix.submissionInterval * 2)) { self.submitAgain() }
  }

  @discardableResult
  private func submit(timeout: Duration) -> String? {
    guard let node = reachableNode() else { return nil }
    lastExecution += 1
    let least = mix.agents > 2 && chance(0.2) ? 2 : 1
    let pattern = PatternDefinition(
      name: "p", agents: AgentRequirement(capabilities: ["text"], min: least, max: least),
      aggregation: Aggregation(strategy: chance(0.5) ? .all : .first), retries: Int.random(in: 0...2, using: &random))
    let wall = node.moment.wall
    let execution = Execution(
      id: "exec_\(lastExecution)", pattern: pattern, input: .integer(Int64(lastExecution)), createdAt: wall, deadline: wall + timeout,
      owner: node.session)
    let due = now + timeout
    node.submit(execution) { answer in
      switch answer {
      case .accepted, .finished:
        self.acknowledged[execution.id] = execution
        self.watch(execution.id, until: due)
      case .failed: break
      }
    }
    return execution.id
  }

  /// Looks whether an acknowledged execution ends in time.
  private func watch(_ id: String, until due: Duration) {
    plan(after: max(.zero, due + Self.overrun - now)) {
      if self.store.execution(id)?.execution.status.isTerminal != true {
        self.fault("\(id) has not ended \(Self.overrun) after its deadline: \(self.describe(id))")
      }
    }
  }

  private func cancelOne() {
    guard let id = acknowledged.keys.sorted().randomElement(using: &random), let owner = store.execution(id)?.execution.owner else {
      return
    }
    nodes.first { $0.session == owner && $0.isUp }?.receive(.cancel(execution: id))
  }

  private var probes: [String] = []

  /// When all has been well for long, whatever is asked for is done at once.
  private func probe() {
    guard faults.isEmpty else { return }
    for _ in 0..<(2 * mix.agents) { if let id = submit(timeout: .seconds(50)) { probes.append(id) } }
  }

  func describe(_ id: String) -> String {
    let drivers = nodes.compactMap { node in node.machine.execution(id).map { "\(node.session) drives epoch \($0.execution.epoch)" } }
    guard let stored = store.execution(id) else { return "not stored; \(drivers)" }
    let tasks = stored.tasks.map { "\($0.id) \($0.agentID) \($0.state)" }
    let views = nodes.flatMap { node in
      agents.compactMap { agent in
        node.machine.agent(agent.id).map {
          "\(node.session.nodeID) sees \(agent.id) \($0.isConnected) at \($0.home?.nodeID ?? "itself") load \($0.load) \($0.tasks) \($0.ending)"
        }
      }
    }
    return "\(views) \(stored.execution.status) epoch \(stored.execution.epoch) of \(stored.execution.owner), \(tasks); \(drivers)"
  }

  // MARK: Promises

  /// Called after every call of the store that may have changed an execution.
  func check(_ id: String) {
    guard let stored = store.execution(id) else { return }
    defer { seenStates[id] = stored }
    guard let former = seenStates[id] else { return }
    let (was, now) = (former.execution, stored.execution)
    if was.status.isTerminal, was != now { fault("\(id) changed after its end: \(was.status) to \(now.status)") }
    if now.epoch < was.epoch || now.revision < was.revision { fault("\(id) went back") }
    if !was.status.isTerminal, now.status.isTerminal {
      executionsEnded += 1
      plan(after: Self.answerDelay) { self.checkCallers(of: id) }
      checkResults(of: stored)
    }
    for (before, after) in zip(former.tasks, stored.tasks) {
      if before.state == .completed, before.result != after.result { fault("the result of \(after.id) was replaced") }
    }
    var attempts: [Int: Int] = [:]
    for task in stored.tasks { attempts[task.slot] = max(attempts[task.slot, default: 0], task.attempt) }
    if attempts.values.contains(where: { $0 > now.pattern.retries + 1 }) { fault("\(id) had more attempts than its pattern allows") }
  }

  /// What is kept of results counts in the end.
  private func checkResults(of stored: StoredExecution) {
    let execution = stored.execution
    let kept = Set(stored.tasks.filter { $0.state == .completed }.map(\.slot))
    if execution.status == .failed || execution.status == .timedOut, kept.count >= execution.pattern.agents.min {
      fault("\(execution.id) is \(execution.status) though its results are kept: \(describe(execution.id))")
    }
    if execution.status == .completed, execution.pattern.aggregation.strategy == .all {
      let results = stored.lastAttempts.filter { $0.state == .completed }.map { $0.result ?? .null }
      if execution.result != ["results": .array(results)] { fault("\(execution.id) ended with other results than are kept") }
    }
  }

  /// Whoever waits for an execution hears of its end, wherever that came about.
  private func checkCallers(of id: String) {
    for node in nodes where node.isUp && !node.isPaused && now - node.runsSince >= Self.answerDelay && node.isWaited(for: id) {
      fault("a caller at \(node.session) still waits for \(id): \(describe(id))")
    }
  }

  /// An agent is told that it may forget a task's outcome.
  func checkAcknowledgement(of task: String) {
    let id = World.execution(of: task)
    guard let stored = store.execution(id) else { return fault("\(task) was acknowledged and its execution is not there") }
    let isOpen = stored.tasks.contains { $0.id == task && $0.state == .open }
    if isOpen, !stored.execution.status.isTerminal { fault("\(task) was acknowledged and is not kept") }
  }

  private func checkTheEnd() {
    guard faults.isEmpty else { return }
    for id in acknowledged.keys.sorted() where store.execution(id)?.execution.status.isTerminal != true {
      fault("\(id) was acknowledged and has not ended: \(describe(id))")
    }
    for id in probes where store.execution(id)?.execution.status != .completed {
      fault("\(id), asked for when all was well, has not completed: \(describe(id))")
    }
    for node in nodes {
      if node.machine.executionCount > 0 { fault("\(node.session) still drives \(node.machine.executionCount) executions") }
      let owned = store.executions(ownedBy: node.session)
      if !owned.isEmpty { fault("\(node.session) still lists \(owned.prefix(5).map { "\($0) \(describe($0))" })") }
      for waiter in node.unanswered { fault("a caller at \(node.session) was never answered about \(waiter)") }
    }
    for session in store.sessions().keys where !nodes.contains(where: { $0.session == session }) {
      if !store.executions(ownedBy: session).isEmpty { fault("\(session), which is gone, still owns something") }
    }
    for node in nodes {
      for agent in agents {
        guard let view = node.machine.agent(agent.id), view.isConnected, view.load == 0 else {
          fault("\(node.session) sees \(agent.id) otherwise than idle: \(describe("exec_1"))")
          continue
        }
      }
    }
    for agent in agents {
      if !agent.unacknowledged.isEmpty { fault("\(agent.id) was not told that \(agent.unacknowledged.keys.sorted()) are kept") }
    }
  }
}

extension Duration {
  var milliseconds: Int64 { components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000 }
}
