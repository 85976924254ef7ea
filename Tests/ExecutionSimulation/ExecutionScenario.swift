import ParallaxAPI
import ParallaxState

/// One history, found in a review, that lost, repeated or stranded acknowledged work.
///
/// The run checks the promises of any simulation, and the expectation of the scenario.
package struct ExecutionScenario: Sendable, CustomStringConvertible {
  package let name: String
  private let mix: ExecutionMix
  private let script: @Sendable (ExecutionSimulation) -> Void

  init(_ name: String, _ change: (inout ExecutionMix) -> Void = { _ in }, _ script: @escaping @Sendable (ExecutionSimulation) -> Void) {
    self.name = name
    mix = ExecutionMix(name) { mix in
      mix.nodes = 2
      mix.agents = 1
      mix.errors = 0
      mix.loyalty = 1
      mix.faultTime = 150
      change(&mix)
    }
    self.script = script
  }

  package var description: String { name }

  /// Runs the scenario.
  ///
  /// - Parameters:
  ///   - seed: The seed of the delays, which are the only random part.
  ///   - isTraced: Whether the report contains a trace.
  /// - Returns: The report, with the violated promises.
  package func run(seed: UInt64 = 1, isTraced: Bool = false) -> ExecutionReport {
    ExecutionSimulation(mix, seed: seed, isTraced: isTraced, script: script).run()
  }

  package static let all: [ExecutionScenario] = [
    strandedAfterAPause, resultAtAFormerOwner, callersOfAPausedNode, recordedAndDeliveredAgain, recordedAndGivenUp, goodbyeWithoutStore,
    lostNewsOfALoad, poison, poisonForForgetful, placesOfAnAgentThatCannotStop, afterAnOutage, aNodeTenMinutesAhead,
    aNodeTenMinutesBehind,
    aStoreTenMinutesBehind, aKeyOutlivesItsExecution, callersOfABrieflyPausedNode, lostMessageAboutAResult, newsOfALoadForAPair,
    aNodeThatStops, lateWriteOfAFormerOwner, aFlushedStore, aReplicaThatLagged, fullMemory,
    aKeyRepeatedAfterALoss, aKeyWithoutItsClaimant, aSessionListedNowhere, aResultOverALaterOne,
    strandedWithoutReads, handedOverAndFlushed, memoryFilledForEver, agentThatTheStoreKeepsAway, agentsPartAway, refusedCreation,
    thousandsToRemove, recentEnd, agentThatLeavesAtOnce,
    resultThatIsTooLarge, lonelyStop, stopOfAll, hurriedStopOfAll,
  ]

  /// The scenario with a name; nil if there is none.
  package static func named(_ name: some StringProtocol) -> ExecutionScenario? { all.first { $0.name == name } }
}

extension ExecutionMix {
  /// Gives the scenario agents that do not report their tasks, and the time for the grace after each loss.
  fileprivate mutating func forget(_ agents: Int) { (self.agents, forgetful, faultTime) = (agents, 1, 300) }
}

extension ExecutionSimulation {
  func at(_ seconds: Double, _ body: @escaping () -> Void) { plan(at: .seconds(seconds), body) }

  /// Expects the status of an execution at a time.
  func expect(_ status: ExecutionStatus, of caller: @escaping @autoclosure () -> SimulatedCaller?, by seconds: Double) {
    at(seconds) {
      guard let id = caller()?.firstID else { return self.violate(.unexpected, "nobody asked for it") }
      let found = self.store.state.execution(id)?.execution.status
      if found != status {
        self.violate(.unexpected, "\(id) is \(found.map { "\($0)" } ?? "not there"), not \(status): \(self.describe(id))")
      }
    }
  }

  /// Sends a request with a key to the first node, flushes the store, and sends the request to the last node again.
  func keyIsRepeated(afterLossAt loss: Double, repeats: [Double]) {
    let change = { (request: inout SimulatedRequest) in (request.work, request.waits, request.key) = (100, false, "key") }
    at(8) { self.submit(timeout: 130, at: self.nodes[0], change) }
    at(loss) { self.flush() }
    var callers: [SimulatedCaller] = []
    for time in repeats { at(time) { callers.append(self.submit(timeout: 130, at: self.nodes.last, change)) } }
    expect({ callers.allSatisfy { $0.answer != nil } }, at: loss + 30, "a repeat has no answer")
  }

  /// Sends a request whose input crashes every agent that gets it, and three healthy ones, none of which may be retried.
  func isPoisoned(timeout: Double) {
    var (bad, healthy): (SimulatedCaller?, [SimulatedCaller]) = (nil, [])
    for index in 0..<4 {
      at(8 + Double(index) / 100) {
        let caller = self.submit(timeout: timeout, at: self.nodes[0]) { request in
          (request.work, request.waits, request.key, request.pattern.retries) = (2, false, nil, 0)
          request.pattern.agents = AgentRequirement(capabilities: ["text"], min: 1, max: 1)
          if index == 0 { self.promises.poisons.insert(request.number) }
        }
        if index == 0 { bad = caller } else { healthy.append(caller) }
      }
    }
    expect(.failed, of: bad, by: timeout)
    for index in 0..<3 { expect(.completed, of: index < healthy.count ? healthy[index] : nil, by: timeout) }
  }

  func expect(_ isTrue: @escaping () -> Bool, at seconds: Double, _ text: String) {
    at(seconds) { if !isTrue() { self.violate(.unexpected, text) } }
  }
}

// MARK: - Pauses

extension ExecutionScenario {
  /// Other nodes claim the executions of a paused node for its one busy agent, and give them back when it resumes.
  static let strandedAfterAPause = ExecutionScenario("stranded after a pause") { world in
    world.agents[0].home = world.nodes[0]
    var callers: [SimulatedCaller] = []
    for index in 0..<6 {
      world.at(8 + Double(index) / 10) {
        callers.append(world.submit(timeout: 120, at: world.nodes[0]) { ($0.work, $0.waits, $0.key) = (4, true, nil) })
      }
    }
    world.at(10) { world.nodes[0].pause(for: .seconds(32)) }
    world.expect(
      { callers.allSatisfy { $0.answer.map { if case .finished = $0 { true } else { false } } ?? false } }, at: 76, "a caller waits")
  }

  /// The same, and no read tells the node of the other owner: only the claim does by which it gets the executions back.
  static let strandedWithoutReads = ExecutionScenario("stranded after a pause without reads") { world in
    world.agents[0].home = world.nodes[0]
    var callers: [SimulatedCaller] = []
    for index in 0..<6 {
      world.at(8 + Double(index) / 10) {
        callers.append(world.submit(timeout: 120, at: world.nodes[0]) { ($0.work, $0.waits, $0.key) = (4, true, nil) })
      }
    }
    world.at(10) {
      world.nodes[0].pause(for: .seconds(32))
      world.nodes[0].losesReads = true
    }
    world.at(75) { world.nodes[0].losesReads = false }
    world.expect(
      { callers.allSatisfy { $0.answer.map { if case .finished = $0 { true } else { false } } ?? false } }, at: 80, "a caller waits")
  }

  /// An agent sends its result to a node that was paused and has lost the execution meanwhile.
  static let resultAtAFormerOwner = ExecutionScenario("result at a former owner") { world in
    world.agents[0].home = world.nodes[0]
    var caller: SimulatedCaller?
    world.at(8) { caller = world.submit(timeout: 100, at: world.nodes[0]) { ($0.work, $0.waits) = (12, false) } }
    world.at(10) { world.nodes[0].pause(for: .seconds(40)) }
    world.expect(.completed, of: caller, by: 90)
  }

  /// Other nodes end the execution of a paused node, whose callers get the outcome.
  static let callersOfAPausedNode = ExecutionScenario("callers of a paused node", { $0.loyalty = 0 }) { world in
    world.agents[0].home = world.nodes[0]
    var caller: SimulatedCaller?
    world.at(8) { caller = world.submit(timeout: 140, at: world.nodes[0]) { ($0.work, $0.waits, $0.key) = (12, true, nil) } }
    world.at(10) {
      world.nodes[0].pause(for: .seconds(45))
      world.agents[0].home = world.nodes[1]
    }
    world.expect(.completed, of: caller, by: 60)
    world.expect({ caller?.answer.map { if case .finished = $0 { true } else { false } } ?? false }, at: 60, "the caller waits")
  }
}

// MARK: - Outcomes

extension ExecutionScenario {
  /// The message about a result, which another node has recorded, is lost to the owner.
  static let lostMessageAboutAResult = ExecutionScenario("a lost message about a result") { world in
    world.agents[0].home = world.nodes[1]
    var caller: SimulatedCaller?
    world.at(8) { caller = world.submit(timeout: 120, at: world.nodes[0]) { ($0.work, $0.waits, $0.key) = (4, true, nil) } }
    world.at(10) { world.losesMessages = true }
    world.at(14) { world.losesMessages = false }
    world.expect(.completed, of: caller, by: 45)
  }

  /// A node is paused for less time than a loss takes to be noticed, and the message about a result is lost meanwhile.
  static let callersOfABrieflyPausedNode = ExecutionScenario("callers of a briefly paused node", { $0.loyalty = 0 }) { world in
    world.agents[0].home = world.nodes[0]
    var caller: SimulatedCaller?
    world.at(8) { caller = world.submit(timeout: 140, at: world.nodes[0]) { ($0.work, $0.waits, $0.key) = (3, true, nil) } }
    world.at(9) {
      world.nodes[0].pause(for: .seconds(13))
      world.agents[0].home = world.nodes[1]
      world.agents[0].breakConnection(.plain, awayFor: .seconds(1))
      world.losesMessages = true
    }
    world.at(21) { world.losesMessages = false }
    world.expect({ caller?.answer.map { if case .finished = $0 { true } else { false } } ?? false }, at: 30, "the caller waits")
  }
}

extension ExecutionScenario {
  /// The node that recorded a result dies before its message reaches the owner; the agent reconnects to the owner without the task.
  static let recordedAndDeliveredAgain = ExecutionScenario("recorded, then delivered again") { world in
    world.agents[0].home = world.nodes[1]
    var caller: SimulatedCaller?
    world.at(8) { caller = world.submit(timeout: 100, at: world.nodes[0]) { ($0.work, $0.waits, $0.pattern.retries) = (3, true, 0) } }
    world.at(10) { world.losesMessages = true }
    world.at(13) {
      world.nodes[1].die(for: .seconds(3))
      world.agents[0].home = world.nodes[0]
    }
    world.at(14) { world.losesMessages = false }
    world.expect(.completed, of: caller, by: 60)
  }

  /// The same, and the agent does not reconnect.
  static let recordedAndGivenUp = ExecutionScenario("recorded, then given up") { world in
    world.agents[0].home = world.nodes[1]
    var caller: SimulatedCaller?
    world.at(8) { caller = world.submit(timeout: 100, at: world.nodes[0]) { ($0.work, $0.waits, $0.pattern.retries) = (3, true, 0) } }
    world.at(10) { world.losesMessages = true }
    world.at(13) {
      world.agents[0].die(for: .seconds(120))
      world.nodes[1].die(for: .seconds(100))
    }
    world.at(14) { world.losesMessages = false }
    world.expect(.completed, of: caller, by: 70)
  }
}

// MARK: - Agents

extension ExecutionScenario {
  /// An agent says goodbye to a node without its store, and gets no work after that.
  static let goodbyeWithoutStore = ExecutionScenario("goodbye without a store", { $0.agents = 2 }) { world in
    for agent in world.agents { agent.home = world.nodes[1] }
    world.at(8) { world.nodes[1].cut(for: .seconds(12)) }
    world.at(9) { world.agents[0].breakConnection(.goodBye, awayFor: .seconds(200)) }
    var callers: [SimulatedCaller] = []
    for index in 0..<10 {
      world.at(25 + Double(index)) {
        callers.append(world.submit(timeout: 110, at: world.nodes[0]) { ($0.work, $0.waits, $0.pattern.retries) = (0.5, false, 1) })
      }
    }
    // Nodes read each other's agents once a minute, and wait for lost agents.
    world.at(140) {
      for caller in callers where world.store.state.execution(caller.firstID)?.execution.status != .completed {
        world.violate(.unexpected, "\(caller.firstID) is not done: \(world.describe(caller.firstID))")
      }
    }
  }

  /// The announcement that an agent is idle is lost.
  static let lostNewsOfALoad = ExecutionScenario("lost news of a load") { world in
    world.agents[0].home = world.nodes[1]
    var caller: SimulatedCaller?
    world.at(8) { world.submit(timeout: 60, at: world.nodes[1]) { ($0.work, $0.waits) = (4, false) } }
    world.at(9) { world.losesEvents = true }
    world.at(13) { world.losesEvents = false }
    world.at(14) { caller = world.submit(timeout: 60, at: world.nodes[0]) { ($0.work, $0.waits) = (1, false) } }
    world.expect(.completed, of: caller, by: 30)
  }

  /// The announcement that one of two agents is idle is lost to the node of the other, whose execution needs both.
  static let newsOfALoadForAPair = ExecutionScenario("lost news of a load, for a pair", { $0.agents = 2 }) { world in
    // The second agent has two places, and the first one, which is busy, has one.
    for (agent, node) in zip(world.agents.reversed(), world.nodes) { agent.home = node }
    var caller: SimulatedCaller?
    world.at(8) { world.submit(timeout: 60, at: world.nodes[1]) { ($0.work, $0.waits) = (4, false) } }
    world.at(9) { world.losesEvents = true }
    world.at(13) { world.losesEvents = false }
    world.at(14) {
      caller = world.submit(timeout: 60, at: world.nodes[0]) { request in
        (request.work, request.waits) = (1, false)
        request.pattern.agents = AgentRequirement(capabilities: ["text"], min: 2, max: 2)
      }
    }
    world.expect(.completed, of: caller, by: 25)
  }

  /// One input crashes every agent that gets it, beside healthy executions.
  static let poison = ExecutionScenario("an input that takes down its agents", { $0.agents = 3 }) { $0.isPoisoned(timeout: 60) }

  /// The same with agents that do not report their tasks, which therefore count as lost after the grace.
  static let poisonForForgetful = ExecutionScenario("an input that takes down forgetful agents", { $0.forget(3) }) {
    $0.isPoisoned(timeout: 290)
  }

  /// An agent with one place continues tasks that have timed out.
  static let placesOfAnAgentThatCannotStop = ExecutionScenario("places of an agent that cannot stop", { $0.stubborn = 1 }) { world in
    world.agents[0].home = world.nodes[0]
    for index in 0..<10 {
      world.at(8 + Double(index) / 10) { world.submit(timeout: 2, at: world.nodes[0]) { ($0.work, $0.waits, $0.key) = (6, false, nil) } }
    }
  }
}

// MARK: - The store

extension ExecutionScenario {
  /// A node with much work at other nodes accumulates no queue during a long outage of its store.
  static let afterAnOutage = ExecutionScenario("after an outage", { ($0.agents, $0.nodes, $0.faultTime) = (20, 3, 300) }) { world in
    for agent in world.agents { agent.home = world.nodes[1] }
    for index in 0..<30 {
      world.at(8 + Double(index) / 50) {
        world.submit(timeout: 250, at: world.nodes[0]) { ($0.work, $0.waits, $0.key) = (100, false, nil) }
      }
    }
    world.at(12) { for node in world.nodes { node.cut(for: .seconds(180)) } }
    var calls = 0
    world.at(191) { calls = world.report.storeCalls }
    world.expect({ world.report.storeCalls - calls < 1_000 }, at: 220, "the nodes ask the store as much as if all had gathered")
  }

  /// The write of a former owner reaches the store after one of the next owner.
  static let lateWriteOfAFormerOwner = ExecutionScenario("a late write of a former owner", { $0.loyalty = 0 }) { world in
    world.agents[0].home = world.nodes[0]
    var caller: SimulatedCaller?
    world.at(8) { caller = world.submit(timeout: 120, at: world.nodes[0]) { ($0.work, $0.waits) = (3, true) } }
    // Just before the write of the result.
    world.at(10.9) { world.nodes[0].cut(for: .seconds(30)) }
    world.at(20) { world.agents[0].home = world.nodes[1] }
    world.expect(.completed, of: caller, by: 100)
  }

  static let aFlushedStore = ExecutionScenario("a flushed store", { $0.agents = 2 }) { world in
    var callers: [SimulatedCaller] = []
    for index in 0..<6 {
      world.at(8 + Double(index) / 2) { callers.append(world.submit(timeout: 60) { ($0.work, $0.waits) = (4, true) }) }
    }
    world.at(13) { world.flush() }
    for index in 0..<6 { world.expect(.completed, of: index < callers.count ? callers[index] : nil, by: 100) }
  }

  /// The store loses an execution that its new owner has claimed and does not know.
  static let handedOverAndFlushed = ExecutionScenario("handed over and flushed", { $0.flushes = 1 }) { world in
    world.agents[0].home = world.nodes[1]
    world.nodes[1].losesClaims = true
    var caller: SimulatedCaller?
    // An execution that waits for a busy agent of another node moves there.
    world.at(7) { world.submit(timeout: 130, at: world.nodes[1]) { ($0.work, $0.waits, $0.key) = (45, false, nil) } }
    world.at(8) { caller = world.submit(timeout: 130, at: world.nodes[0]) { ($0.work, $0.waits, $0.key) = (2, false, nil) } }
    // The former owner has read by then that it is one.
    world.at(45) {
      world.flush()
      world.nodes[1].losesClaims = false
    }
    world.expect(.completed, of: caller, by: 90)
  }

  static let aReplicaThatLagged = ExecutionScenario("a replica that lagged", { $0.agents = 2 }) { world in
    var callers: [SimulatedCaller] = []
    for index in 0..<6 {
      world.at(8 + Double(index) / 2) { callers.append(world.submit(timeout: 60) { ($0.work, $0.waits) = (4, true) }) }
    }
    world.at(11) { world.failOver(lag: .seconds(2), away: .seconds(1)) }
    for index in 0..<6 { world.expect(.completed, of: index < callers.count ? callers[index] : nil, by: 100) }
  }

  /// The store has lost the entry of a session, whose node is gone.
  static let aSessionListedNowhere = ExecutionScenario("a session that is listed nowhere") { world in
    world.agents[0].home = world.nodes[1]
    var caller: SimulatedCaller?
    world.at(8) { caller = world.submit(timeout: 130, at: world.nodes[0]) { ($0.work, $0.waits, $0.key) = (4, false, nil) } }
    world.at(9) {
      let lost = world.nodes[0].session
      world.nodes[0].die(for: .seconds(135))
      world.store.state.close(lost, generation: world.store.state.sessions()[lost] ?? 0)
    }
    world.expect(.completed, of: caller, by: 9 + 60 + 12 + 5)
  }

  /// The store has lost a result, records another one of the same task, and gets the first one back from the owner.
  static let aResultOverALaterOne = ExecutionScenario("a result over a later one", { ($0.agents, $0.failovers) = (2, 1) }) { world in
    for agent in world.agents { agent.home = world.nodes[0] }
    var caller: SimulatedCaller?
    world.at(8) {
      caller = world.submit(timeout: 100, at: world.nodes[0]) { request in
        (request.work, request.waits, request.key) = (2, false, nil)
        request.pattern.agents = AgentRequirement(capabilities: ["text"], min: 2, max: 2)
      }
    }
    world.at(9) { world.agents[1].breakConnection(.plain, awayFor: .seconds(20)) }
    world.at(9.5) { world.failOver(lag: .seconds(2), away: .seconds(3)) }
    var first: JSONValue?
    let task = { world.store.state.execution(caller?.firstID ?? "")?.tasks.first { $0.agentID == world.agents[0].id } }
    world.at(11.4) { first = task()?.result }
    world.at(12) {
      guard var other = task(), let id = caller?.firstID, first != nil else { return world.violate(.unexpected, "there is no result") }
      (other.state, other.result) = (.completed, "another")
      _ = world.store.state.record(other, of: id)
      world.check(id)
    }
    world.expect({ first != nil && task()?.result == first }, at: 20, "the first result is not back")
  }

  /// The store refuses writes for longer than a session counts as alive.
  static let fullMemory = ExecutionScenario("full memory", { $0.agents = 2 }) { world in
    var callers: [SimulatedCaller] = []
    for index in 0..<4 {
      world.at(8 + Double(index) / 2) { callers.append(world.submit(timeout: 100) { ($0.work, $0.waits, $0.key) = (5, true, nil) }) }
    }
    world.at(11) { world.refuse(for: .seconds(40)) }
    for index in 0..<4 { world.expect(.completed, of: index < callers.count ? callers[index] : nil, by: 110) }
  }
}

// MARK: - Clocks, keys, stops

extension ExecutionScenario {
  /// A node whose wall clock is ahead claims an execution that has time left.
  static let aNodeTenMinutesAhead = ExecutionScenario("a node ten minutes ahead", { $0.loyalty = 0 }) { world in
    world.nodes[1].jump(by: 600_000)
    var caller: SimulatedCaller?
    world.agents[0].home = world.nodes[1]
    world.at(8) { caller = world.submit(timeout: 100, at: world.nodes[0]) { ($0.work, $0.waits, $0.key) = (50, false, nil) } }
    world.at(12) { world.nodes[0].die(for: .seconds(100)) }
    world.expect(.completed, of: caller, by: 70)
  }

  /// A node whose wall clock is behind claims an execution, and gives its agent no more than the remaining time.
  static let aNodeTenMinutesBehind = ExecutionScenario("a node ten minutes behind", { $0.loyalty = 0 }) { world in
    world.nodes[1].jump(by: -600_000)
    var caller: SimulatedCaller?
    world.agents[0].home = world.nodes[1]
    world.at(8) { caller = world.submit(timeout: 60, at: world.nodes[0]) { ($0.work, $0.waits, $0.key) = (200, false, nil) } }
    world.at(30) { world.nodes[0].die(for: .seconds(110)) }
    world.expect(.timedOut, of: caller, by: 8 + 60 + 30)
  }

  /// The store's clock falls back, as at a failover to a server with another clock, and a node claims an execution afterward.
  ///
  /// The execution gets no more than its whole time-out.
  static let aStoreTenMinutesBehind = ExecutionScenario("a store ten minutes behind", { ($0.loyalty, $0.faultTime) = (0, 200) }) { world in
    var caller: SimulatedCaller?
    world.agents[0].home = world.nodes[1]
    world.at(8) { caller = world.submit(timeout: 60, at: world.nodes[0]) { ($0.work, $0.waits, $0.key) = (300, false, nil) } }
    world.at(12) { world.jumpStoreClock(by: -600_000) }
    world.at(30) { world.nodes[0].die(for: .seconds(110)) }
    world.expect(.timedOut, of: caller, by: 30 + 25 + 60 + 10)
  }

  /// The repeat of a request whose execution was removed does not run again.
  static let aKeyOutlivesItsExecution = ExecutionScenario("a key outlives its execution") { world in
    var (first, second): (SimulatedCaller?, SimulatedCaller?) = (nil, nil)
    world.at(8) { first = world.submit(timeout: 20) { ($0.work, $0.waits, $0.key) = (1, true, "key") } }
    world.at(20) {
      world.promises.collected(first?.firstID ?? "")
      _ = world.store.state.removeExecutions(createdBefore: ExecutionSimulation.start + .seconds(100), maxRetained: 1, limit: 10)
    }
    world.at(22) { second = world.submit(timeout: 20) { ($0.work, $0.waits, $0.key) = (1, true, "key") } }
    // A repeat that is not recognized runs under the id of the first request.
    let isRemoved = { (caller: SimulatedCaller?) in world.store.state.execution(caller?.firstID ?? "") == nil }
    world.expect({ second?.answer != nil && isRemoved(first) && isRemoved(second) }, at: 40, "the repeat ran again")
  }

  /// A request is repeated at another node right after the store has lost the claim of its key.
  static let aKeyRepeatedAfterALoss = ExecutionScenario("a key repeated after a loss", { $0.agents = 2 }) { world in
    world.keyIsRepeated(afterLossAt: 20, repeats: [20.05, 21, 23, 24.5, 26, 28, 31])
  }

  /// The node that claimed a key is gone when the store loses all data; another node drives the execution.
  static let aKeyWithoutItsClaimant = ExecutionScenario("a key without its claimant", { $0.agents = 2 }) { world in
    for agent in world.agents { agent.home = world.nodes[1] }
    world.at(9) { world.nodes[0].die(for: .seconds(140)) }
    world.keyIsRepeated(afterLossAt: 70, repeats: [70.05, 74, 85])
  }

  /// A node gets SIGTERM while executions run.
  static let aNodeThatStops = ExecutionScenario("a node that stops", { $0.agents = 2 }) { world in
    for agent in world.agents { agent.home = nil }
    var callers: [SimulatedCaller] = []
    for index in 0..<3 {
      world.at(8 + Double(index) / 4) {
        callers.append(world.submit(timeout: 80, at: world.nodes[0]) { ($0.work, $0.waits, $0.key) = (5, index % 2 == 0, nil) })
      }
    }
    world.at(12) { world.nodes[0].stop(within: .seconds(15), thenDownFor: .seconds(60)) }
    for index in 0..<3 { world.expect(.completed, of: index < callers.count ? callers[index] : nil, by: 80) }
  }
}
