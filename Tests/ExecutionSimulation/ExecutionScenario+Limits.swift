import ParallaxAPI
import ParallaxHA
import ParallaxState

extension ExecutionSimulation {
  /// The number of executions in the store.
  var storedCount: Int { store.state.executions(ExecutionQuery(limit: .max)).executions.count }
}

// MARK: - Memory

extension ExecutionScenario {
  /// The memory of the store is full until the leader removes what is due, for which a node has to lead.
  static let memoryFilledForEver = ExecutionScenario(
    "memory that only retention frees", { ($0.agents, $0.retention, $0.faultTime) = (2, 40, 220) }
  ) { world in
    world.store.capacity = 24
    for index in 0..<40 { world.at(8 + Double(index)) { world.submit(timeout: 20) { ($0.work, $0.waits, $0.key) = (0.5, false, nil) } } }
    world.expect({ world.store.isFull }, at: 45, "the memory is not full")
    // All that ended has been due for several rounds of the leader.
    var caller: SimulatedCaller?
    world.at(140) { caller = world.submit(timeout: 30) { ($0.work, $0.waits, $0.key) = (0.5, true, nil) } }
    world.expect(.completed, of: caller, by: 150)
  }

  /// An agent cannot register for longer than its grace, because the store refuses writes.
  static let agentThatTheStoreKeepsAway = ExecutionScenario("an agent that the store keeps away") { world in
    var caller: SimulatedCaller?
    world.at(8) { caller = world.submit(timeout: 100, at: world.nodes[0]) { ($0.work, $0.waits, $0.pattern.retries) = (3, false, 0) } }
    world.at(9) {
      world.refuse(for: .seconds(50))
      world.agents[0].breakConnection(.plain, awayFor: .seconds(1))
    }
    world.expect(.completed, of: caller, by: 75)
  }

  /// An agent cannot register for longer than its grace, because the part of the store is away that keeps the agents.
  static let agentsPartAway = ExecutionScenario("an agent whose part of the store is away") { world in
    var caller: SimulatedCaller?
    world.at(8) { caller = world.submit(timeout: 100, at: world.nodes[0]) { ($0.work, $0.waits, $0.pattern.retries) = (3, false, 0) } }
    world.at(9) {
      world.store.refusesAgents = true
      world.agents[0].home = world.nodes[0]
      world.agents[0].breakConnection(.plain, awayFor: .seconds(1))
    }
    world.at(60) { world.store.refusesAgents = false }
    world.expect(.completed, of: caller, by: 75)
  }

  /// A creation that the store refuses is answered, with and without an idempotency key, with which its caller repeats it.
  static let refusedCreation = ExecutionScenario("a creation that the store refuses") { world in
    var callers: [SimulatedCaller] = []
    world.at(8) { world.refuse(for: .seconds(60)) }
    for key in [nil, "key"] {
      world.at(9) { callers.append(world.submit(timeout: 50, at: world.nodes[0]) { ($0.waits, $0.key) = (true, key) }) }
    }
    world.expect({ callers.count == 2 && callers.allSatisfy(\.isRefused) }, at: 15, "a caller waits for a store that refuses writes")
  }

  /// Thousands of executions beyond the number to keep are removed.
  static let thousandsToRemove = ExecutionScenario(
    "thousands of executions to remove", { ($0.retention, $0.maxRetained, $0.faultTime) = (86_400, 500, 60) }
  ) { world in
    world.at(8) {
      for index in 0..<4_000 { world.store.addEnded("old_\(index)", at: ExecutionSimulation.start) }
    }
    world.expect({ world.storedCount <= 500 }, at: 8 + 15 + 5, "the leader does not keep up")
  }

  /// An execution that ended recently is kept, although it was created before the retention.
  static let recentEnd = ExecutionScenario("an end younger than the retention", { ($0.retention, $0.loyalty) = (30, 1) }) { world in
    var caller: SimulatedCaller?
    world.at(8) { caller = world.submit(timeout: 100, at: world.nodes[0]) { ($0.work, $0.waits, $0.key) = (50, false, nil) } }
    world.expect(.completed, of: caller, by: 80)
    world.expect({ world.storedCount == 0 }, at: 8 + 50 + 30 + 20, "the execution is kept beyond the retention")
  }
}

// MARK: - Agents

extension ExecutionScenario {
  /// An agent leaves while its registration is on its way to the store.
  static let agentThatLeavesAtOnce = ExecutionScenario("an agent that leaves before it is registered", { $0.agents = 2 }) { world in
    for agent in world.agents { agent.home = world.nodes[1] }
    let agent = world.agents[0]
    world.at(5) { agent.breakConnection(.goodBye, awayFor: .seconds(200)) }
    for index in 0..<20 {
      world.at(8 + Double(index)) { agent.connect() }
      world.at(8 + Double(index) + 0.006) { agent.breakConnection(.goodBye, awayFor: .seconds(200)) }
    }
    world.expect({ world.store.state.agent(agent.id) == nil }, at: 32, "an agent that has left is still registered")
  }

  /// A result that is larger than nodes accept ends the connection of its agent.
  static let resultThatIsTooLarge = ExecutionScenario("a result that is too large", { $0.agents = 2 }) { world in
    let agent = world.agents[1]
    agent.home = world.nodes[1]
    world.agents[0].home = world.nodes[0]
    world.at(5) { world.agents[0].die(for: .seconds(140)) }
    var (large, healthy): (SimulatedCaller?, SimulatedCaller?) = (nil, nil)
    var connections = 0
    world.at(8) {
      connections = agent.connection
      large = world.submit(timeout: 90, at: world.nodes[1]) { request in
        (request.work, request.waits, request.key, request.pattern.retries) = (2, false, nil, 0)
        world.promises.tooLarge.insert(request.number)
      }
      healthy = world.submit(timeout: 90, at: world.nodes[1]) { ($0.work, $0.waits, $0.key, $0.pattern.retries) = (8, false, nil, 0) }
    }
    world.expect(.failed, of: large, by: 15)
    world.expect(.completed, of: healthy, by: 40)
    world.expect({ agent.connection - connections <= 6 }, at: 60, "the agent's connection ends again and again")
    world.expect({ agent.unacknowledged.isEmpty }, at: 60, "the agent keeps an outcome that is not wanted")
  }
}

// MARK: - Stops

extension ExecutionScenario {
  /// A node without another one gets SIGTERM while its agent works.
  static let lonelyStop = ExecutionScenario("a node alone that stops", { $0.nodes = 1 }) { world in
    var caller: SimulatedCaller?
    world.at(8) { caller = world.submit(timeout: 60, at: world.nodes[0]) { ($0.work, $0.waits, $0.key) = (10, false, nil) } }
    world.at(10) { world.nodes[0].stop(within: .seconds(30), thenDownFor: .seconds(100)) }
    // The agent has to reconnect to a node that stops.
    world.at(11) { world.agents[0].breakConnection(.plain, awayFor: .seconds(1)) }
    world.expect(.completed, of: caller, by: 30)
  }

  /// All nodes get SIGTERM at the same time.
  static let stopOfAll = ExecutionScenario("all nodes stop", { $0.agents = 2 }) { world in
    var callers: [SimulatedCaller] = []
    for (index, agent) in world.agents.enumerated() {
      agent.home = world.nodes[index]
      // Of nodes that ask their agents to leave, the last keeps them.
      world.at(10) { agent.home = nil }
      world.at(8) { callers.append(world.submit(timeout: 60, at: world.nodes[index]) { ($0.work, $0.waits, $0.key) = (10, false, nil) }) }
    }
    for node in world.nodes { world.at(10) { node.stop(within: .seconds(30), thenDownFor: .seconds(100)) } }
    for index in 0..<2 { world.expect(.completed, of: index < callers.count ? callers[index] : nil, by: 40) }
  }

  /// All nodes have to end within less time than their agents need, and longer than their grace.
  static let hurriedStopOfAll = ExecutionScenario("all nodes stop before their work has ended", { $0.agents = 1 }) { world in
    world.agents[0].home = world.nodes[0]
    var caller: SimulatedCaller?
    world.at(8) {
      caller = world.submit(timeout: 140, at: world.nodes[0]) { request in
        (request.work, request.waits, request.key, request.pattern.retries) = (60, true, nil, 0)
      }
    }
    for node in world.nodes { world.at(10) { node.stop(within: .seconds(40), thenDownFor: .seconds(10)) } }
    world.expect(.completed, of: caller, by: 110)
  }
}
