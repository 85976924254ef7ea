import ParallaxAPI
import ParallaxControlPlane
import ParallaxState
import Testing

/// Random events of agents, callers and a store whose writes end in any order lose, duplicate and leak nothing.
@Suite struct RandomWorldTests {
  /// Some fixed seeds and a random one, which a failure names.
  @Test(arguments: [1, 2, 13_710_130_126_645_878_867, 2_863_065_401_288_632_396, UInt64.random(in: 0...(.max))])
  func theInvariantsHoldUnderRandomEvents(seed: UInt64) async {
    var walk = RandomWalk(seed: seed)
    for step in 0..<1_000 {
      // Concurrent tests have limits of real time.
      if step.isMultiple(of: 20) { await Task.yield() }
      walk.step()
      let faults = walk.faults()
      #expect(faults == [], "seed \(seed), step \(step)")
      if !faults.isEmpty { return }
    }
    walk.bringToAnEnd()
    #expect(walk.faultsAtTheEnd() == [], "seed \(seed), at the end")
  }
}

/// A random sequence of events in a world.
private struct RandomWalk {
  /// The state of an agent at its own end.
  struct Agent {
    var capabilities: [String]
    var limit: Int
    var isConnected = false
    var isDraining = false
    /// The tasks without an answer.
    var inHand: [String] = []
    /// The answers without an acknowledgement, by task: true for a result, false for an error.
    var unacknowledged: [String: Bool] = [:]
  }

  private var world = World()
  private var generator: SeededGenerator
  private var agents: [String: Agent] = [:]
  private var submitted: [String] = []
  private var waiters: Set<WaiterID> = []
  private var seen = 0
  private var stolen: [String] = []
  /// The number of tasks of each agent after the previous step.
  private var loads: [String: Int] = [:]
  private var loadMayRise = false

  init(seed: UInt64) {
    generator = SeededGenerator(seed: seed)
    for (number, capabilities) in [["text"], ["text", "fast"], ["text"], ["fast"], ["text", "fast"]].enumerated() {
      agents["agent\(number)"] = Agent(capabilities: capabilities, limit: 1 + number % 3)
    }
  }

  private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &generator) < percent }

  private mutating func pick<Elements: Collection>(_ elements: Elements) -> Elements.Element? {
    elements.randomElement(using: &generator)
  }

  private mutating func anyAgent(connected: Bool) -> String? {
    pick(agents.filter { $0.value.isConnected == connected }.keys.sorted())
  }

  // MARK: Events

  mutating func step() {
    switch Int.random(in: 0..<100, using: &generator) {
    case 0..<18: submit()
    case 18..<50: if !world.writes.isEmpty { world.endWrite(at: Int.random(in: 0..<world.writes.count, using: &generator)) }
    case 50..<75: answer()
    case 75..<79: answerAgain()
    case 79..<85: connect()
    case 85..<88: leave()
    case 88..<90: change()
    case 90..<92: cancel()
    case 92..<94: attach()
    case 94..<95: stealOrRecover()
    case 95..<96: delayCreation()
    case 96..<97: loseWrites()
    default: world.advance(by: .milliseconds(Int.random(in: 0..<3_000, using: &generator)))
    }
    deliver()
  }

  private mutating func submit() {
    let capabilities = pick([["text"], ["fast"], ["fast", "text"]]) ?? []
    let strategy = pick([Aggregation.Strategy.first, .all, .merge, .voting]) ?? .first
    let least = Int.random(in: 1...3, using: &generator)
    let pattern = World.pattern(
      capabilities, strategy, min: least, max: least + Int.random(in: 0...1, using: &generator),
      retries: Int.random(in: 0...2, using: &generator))
    let priority = pick(ExecutionPriority.allCases) ?? .normal
    let timeout = Duration.seconds(Int.random(in: 5...60, using: &generator))
    let (id, waiter) = world.begin(pattern, priority: priority, timeout: timeout, waits: chance(50))
    submitted.append(id)
    waiters.insert(waiter)
  }

  private mutating func answer() {
    let busy = agents.filter { $0.value.isConnected && !$0.value.inHand.isEmpty }.keys.sorted()
    guard let agent = pick(busy), let task = pick(agents[agent]?.inHand ?? []) else { return }
    let isResult = chance(70)
    agents[agent]?.inHand.removeAll { $0 == task }
    agents[agent]?.unacknowledged[task] = isResult
    say(task, by: agent, isResult: isResult)
  }

  private mutating func say(_ task: String, by agent: String, isResult: Bool) {
    if isResult {
      world.complete(task, by: agent, result: ["label": .string(agent)])
    } else {
      world.fail(task, by: agent, retryable: chance(80))
    }
  }

  private mutating func answerAgain() {
    guard let agent = anyAgent(connected: true), let known = agents[agent]?.unacknowledged.sorted(by: { $0.key < $1.key }),
      let (task, isResult) = pick(known)
    else { return }
    say(task, by: agent, isResult: isResult)
  }

  /// An agent registers, possibly while it is connected.
  private mutating func connect() {
    guard let id = chance(80) ? anyAgent(connected: false) : anyAgent(connected: true) else { return }
    register(id, tells: chance(70))
  }

  private mutating func register(_ id: String, tells: Bool) {
    guard let agent = agents[id] else { return }
    agents[id]?.isConnected = true
    agents[id]?.isDraining = false
    loadMayRise = true
    // An agent that cannot report its tasks has lost them.
    if !tells { agents[id]?.inHand = [] }
    world.connect(
      id, agent.capabilities, limit: agent.limit, activeTasks: tells ? agent.inHand + agent.unacknowledged.keys.sorted() : nil)
    for (task, isResult) in agent.unacknowledged.sorted(by: { $0.key < $1.key }) { say(task, by: id, isResult: isResult) }
  }

  private mutating func leave() {
    guard let agent = anyAgent(connected: true) else { return }
    agents[agent]?.isConnected = false
    if chance(50) { agents[agent]?.inHand = [] }
    world.leave(agent, graceful: chance(30))
  }

  private mutating func change() {
    guard let agent = anyAgent(connected: true), let epoch = world.machine.agent(agent)?.epoch else { return }
    let isDraining = chance(50)
    let limit = Int.random(in: 1...3, using: &generator)
    agents[agent]?.isDraining = isDraining
    agents[agent]?.limit = limit
    world.handle(.agent(.changed(agent, epoch: epoch, capabilities: nil, limit: limit, isDraining: isDraining)))
  }

  private mutating func cancel() {
    if let id = pick(submitted.suffix(20)), let waiter = world.cancel(id) { waiters.insert(waiter) }
  }

  private mutating func attach() {
    guard let id = pick(submitted.suffix(20)) else { return }
    let waiter = world.newWaiter()
    let isAttached = world.machine.execution(id) != nil
    world.handle(.attached(waiter, to: id, waits: chance(50)))
    if isAttached { waiters.insert(waiter) }
  }

  private mutating func stealOrRecover() {
    if let id = pick(stolen), world.machine.execution(id) == nil {
      stolen.removeAll { $0 == id }
      loadMayRise = true
      world.recover(id)
    } else if let id = pick(submitted.suffix(20)), world.status(id)?.isTerminal == false, !stolen.contains(id) {
      stolen.append(id)
      world.steal(id)
    }
  }

  private mutating func delayCreation() {
    for case .create(let stored) in world.writes.prefix(1) {
      world.handle(.creationDelayed(stored.execution.id, APIError(.notReady, "no store")))
    }
  }

  /// The store fails over and loses the last write of some executions, or the whole executions.
  private mutating func loseWrites() {
    for id in submitted.suffix(40) where chance(50) && world.machine.execution(id) != nil && !stolen.contains(id) {
      world.loseWrites(of: id)
    }
    world.resetStore()
  }

  /// Agents read their messages.
  private mutating func deliver() {
    for sent in world.sent[seen...] where agents[sent.agent]?.isConnected == true {
      switch sent.message {
      case .task(let task):
        if agents[sent.agent]?.inHand.contains(task.taskId) == false, agents[sent.agent]?.unacknowledged[task.taskId] == nil {
          agents[sent.agent]?.inHand.append(task.taskId)
        }
      case .taskCancelled(let task): agents[sent.agent]?.inHand.removeAll { $0 == task.taskId }
      case .resultAck(let ack): agents[sent.agent]?.unacknowledged[ack.taskId] = nil
      default: break
      }
    }
    seen = world.sent.count
    for lookUp in world.takeLookUps() where world.store[World.execution(of: lookUp.task)] != nil {
      agents[lookUp.agent]?.unacknowledged[lookUp.task] = nil
    }
  }

  // MARK: Rules

  mutating func faults() -> [String] {
    var faults = world.faults
    for id in agents.keys.sorted() {
      let load = world.load(id) ?? 0
      let limit = world.machine.agent(id)?.limit ?? 0
      // A recovery, the report of an agent or a lower limit may exceed the limit without an assignment.
      if load > loads[id, default: 0], load > limit, !loadMayRise { faults.append("\(id) was given \(load) tasks, its limit is \(limit)") }
      loads[id] = load
    }
    loadMayRise = false
    for id in submitted.suffix(100) where world.ended[id, default: 0] > 1 { faults.append("\(id) ended \(world.ended[id] ?? 0) times") }
    return faults + waitingInVain()
  }

  /// Stored executions that wait although enough capable agents are free.
  private func waitingInVain() -> [String] {
    let free = agents.keys.compactMap { world.machine.agent($0) }.filter { $0.isCapable && $0.load < $0.limit }
    // A restoration may stand for a creation.
    let creating = Set(world.writes.compactMap { write -> String? in if case .update = write { nil } else { write.id } })
    return submitted.suffix(100).compactMap { id in
      guard let stored = world.machine.execution(id), stored.execution.status == .pending, !creating.contains(id),
        // An execution past its deadline is not started, and ends at the next timer.
        stored.execution.deadline > world.now.wall
      else { return nil }
      let needs = stored.execution.pattern.agents
      let capable = free.filter { $0.capabilities.isSuperset(of: needs.capabilities) }
      return capable.count >= needs.min ? "\(id) waits for \(needs.min) agents though \(capable.map(\.id)) are free" : nil
    }
  }

  // MARK: The end

  mutating func bringToAnEnd() {
    for id in stolen where world.machine.execution(id) == nil && world.status(id)?.isTerminal == false { world.recover(id) }
    stolen.removeAll { world.machine.execution($0) != nil && world.store[$0]?.execution.owner == World.session }
    for id in agents.keys.sorted() { register(id, tells: true) }
    for _ in 0..<400 where world.machine.executionCount > 0 || !world.writes.isEmpty {
      world.settle()
      deliver()
      for _ in 0..<10 { answer() }
      world.settle()
      deliver()
      world.advance(by: .seconds(1))
      for id in stolen where world.machine.execution(id) == nil && world.status(id)?.isTerminal == false { world.recover(id) }
    }
    for id in agents.keys.sorted() { register(id, tells: true) }
    world.settle()
    deliver()
  }

  func faultsAtTheEnd() -> [String] {
    var faults = world.faults
    if world.machine.executionCount > 0 { faults.append("\(world.machine.executionCount) executions never ended") }
    for id in submitted {
      if world.status(id)?.isTerminal != true { faults.append("\(id) is \(world.status(id)?.rawValue ?? "not stored")") }
      if world.ended[id] != 1 { faults.append("\(id) ended \(world.ended[id, default: 0]) times") }
    }
    for waiter in waiters where world.resolutions[waiter] == nil { faults.append("waiter \(waiter) was never answered") }
    for waiter in world.resolutions.keys where !waiters.contains(waiter) { faults.append("waiter \(waiter) does not wait") }
    for (id, agent) in agents {
      if let tasks = world.machine.agent(id)?.tasks, !tasks.isEmpty { faults.append("\(id) still has \(tasks)") }
      if !agent.unacknowledged.isEmpty { faults.append("\(id) was not told that \(agent.unacknowledged.keys.sorted()) are recorded") }
    }
    return faults
  }
}
