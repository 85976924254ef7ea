import ParallaxAPI
import ParallaxState
import Testing

@testable import ParallaxControlPlane

/// Agents that fail, disconnect and reconnect.
@Suite struct DispatchAgentTests {
  private let retrying = World.pattern(retries: 1)

  // MARK: Errors

  @Test func aRetryableErrorGoesToAnotherAgent() {
    var world = World()
    world.connect("a")
    world.connect("b")
    let (id, _) = world.submit(retrying)
    world.fail("task_1_0", by: "a")
    world.settle()
    #expect(world.tasks == ["task_1_0 a", "task_1_1 b"])
    #expect(world.acknowledged == ["task_1_0 a"])
    world.complete("task_1_1", by: "b")
    world.settle()
    #expect(world.status(id) == .completed)
    #expect(world.load("a") == 0 && world.load("b") == 0 && world.faults == [])
  }

  @Test func theOnlyCapableAgentMayRetry() {
    var world = World()
    world.connect("a")
    world.connect("b", ["image"])
    world.submit(retrying)
    world.fail("task_1_0", by: "a")
    world.settle()
    #expect(world.tasks == ["task_1_0 a", "task_1_1 a"])
  }

  @Test func aRetryWaitsForABusyAgentRatherThanReturningToTheSame() {
    var world = World()
    world.connect("b")
    world.submit()
    world.connect("a")
    world.submit(retrying)
    world.fail("task_2_0", by: "a")
    world.settle()
    #expect(world.tasks == ["task_1_0 b", "task_2_0 a"])
    world.complete("task_1_0", by: "b")
    world.settle()
    #expect(world.tasks.last == "task_2_1 b")
  }

  @Test(arguments: [true, false])
  func theSameAgentMayRetryOnceTheAwaitedAgentLeaves(isDraining: Bool) {
    var world = World()
    let epoch = world.connect("b")
    world.submit()
    world.connect("a")
    world.submit(retrying)
    world.fail("task_2_0", by: "a")
    world.settle()
    if isDraining {
      world.handle(.agent(.changed("b", epoch: epoch, capabilities: nil, limit: nil, isDraining: true)))
    } else {
      world.leave("b")
    }
    world.settle()
    #expect(world.tasks.last == "task_2_1 a")
  }

  @Test func slotsOfOneExecutionGoToDifferentAgents() {
    var world = World()
    world.connect("a", limit: 5)
    world.connect("b", limit: 5)
    world.connect("c", limit: 5)
    world.submit(World.pattern(min: 2, retries: 1))
    world.fail("task_1_0", by: "a")
    world.settle()
    #expect(world.tasks.last == "task_1_2 c")
  }

  // MARK: Unexpected answers

  @Test func aResultFromAnotherAgentIsLookedUpAndChangesNothing() {
    var world = World()
    world.connect("a")
    world.connect("b")
    let (id, _) = world.submit()
    world.complete("task_1_0", by: "b")
    world.complete("task_9_0", by: "b")
    world.fail("task_1_7", by: "a")
    world.settle()
    #expect(world.lookUps.map { "\($0.task) \($0.agent)" } == ["task_1_0 b", "task_9_0 b", "task_1_7 a"])
    #expect(world.status(id) == .running && world.load("a") == 1)
  }

  @Test func aLateResultIsLookedUp() {
    var world = World()
    world.connect("a")
    world.submit()
    world.complete("task_1_0", by: "a")
    world.settle()
    world.complete("task_1_0", by: "a")
    #expect(world.lookUps.map { "\($0.task) \($0.agent)" } == ["task_1_0 a"])
    #expect(world.machine.agent("a")?.tasksCompleted == 1)
  }

  @Test func confidenceIsTakenFromTheMessageOrTheResultWithinBounds() {
    var world = World()
    world.connect("a", limit: 4)
    world.submit(World.pattern(min: 1))
    world.complete("task_1_0", by: "a", result: ["confidence": 7])
    world.settle()
    #expect(world.store["exec_1"]?.tasks[0].confidence == 1)
    world.submit()
    let result = AgentMessage.TaskResult(taskId: "task_2_0", executionId: "exec_2", result: ["confidence": 0.2], confidence: 0.4)
    world.handle(.completed(result, by: "a", messageID: nil))
    world.settle()
    #expect(world.store["exec_2"]?.tasks[0].confidence == 0.4)
  }

  // MARK: Disconnection and reconnection

  @Test func aTaskOfADisconnectedAgentGoesToAnotherAfterTheGrace() {
    var world = World()
    world.connect("a")
    world.submit(retrying)
    world.connect("b")
    world.leave("a")
    #expect(world.vanished == ["a"] && world.machine.connectedAgents == 1)
    world.advance(by: .milliseconds(29_999))
    world.settle()
    #expect(world.tasks == ["task_1_0 a"])
    world.advance(by: .milliseconds(1))
    world.settle()
    #expect(world.tasks == ["task_1_0 a", "task_1_1 b"])
    #expect(world.gone == ["a"] && world.machine.agent("a") == nil)
    #expect(world.acknowledged == [])
  }

  @Test func `The grace of an agent does not run while the store keeps it away`() {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit(retrying, timeout: .seconds(600))
    world.connect("b")
    world.leave("a")
    for _ in 0..<10 {
      world.advance(by: .seconds(20))
      world.handle(.agent(.turnedAway("a")))
    }
    // Neither unknown nor connected agents have a grace.
    for other in ["b", "unknown"] { world.handle(.agent(.turnedAway(other))) }
    world.advance(by: .milliseconds(29_999))
    returnsInTime(&world, id)
  }

  /// Has an agent end its only task after an absence, and be given up after a later one, which has its own grace only.
  private func returnsInTime(_ world: inout World, _ id: String) {
    world.settle()
    #expect(world.tasks == ["task_1_0 a"])
    world.connect("a", activeTasks: ["task_1_0"])
    world.complete("task_1_0", by: "a")
    world.settle()
    #expect(world.status(id) == .completed && world.acknowledged == ["task_1_0 a"])
    world.submit(retrying)
    world.leave("a")
    world.advance(by: .seconds(30))
    #expect(world.machine.agent("a") == nil)
  }

  @Test func `No grace runs while the node is cut off from its store`() {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit(retrying, timeout: .seconds(600))
    world.connect("b")
    world.leave("a")
    world.handle(.agent(.cutOff(true)))
    world.advance(by: .seconds(100))
    world.handle(.agent(.cutOff(false)))
    world.advance(by: .milliseconds(29_999))
    returnsInTime(&world, id)
  }

  @Test func `An agent that stops trying is given up, a grace after its last attempt`() {
    var world = World()
    world.connect("a")
    world.submit(retrying)
    world.connect("b")
    world.leave("a")
    world.advance(by: .seconds(20))
    world.handle(.agent(.turnedAway("a")))
    world.advance(by: .milliseconds(29_999))
    world.settle()
    #expect(world.tasks == ["task_1_0 a"])
    world.advance(by: .milliseconds(1))
    world.settle()
    #expect(world.tasks == ["task_1_0 a", "task_1_1 b"])
  }

  @Test func aReconnectedAgentKeepsTheTasksThatItReports() {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit(retrying)
    world.leave("a")
    world.advance(by: .seconds(20))
    world.connect("a", activeTasks: ["task_1_0"])
    world.advance(by: .seconds(39))
    world.settle()
    #expect(world.tasks == ["task_1_0 a"] && world.load("a") == 1)
    world.complete("task_1_0", by: "a")
    world.settle()
    #expect(world.status(id) == .completed)
  }

  @Test func aTaskMissingAtReconnectionIsRedeliveredUnlessItsResultArrivesFirst() {
    var world = World()
    world.connect("a", limit: 2)
    world.submit(retrying)
    world.submit(retrying)
    world.leave("a")
    world.connect("a", limit: 2, activeTasks: [])
    world.complete("task_1_0", by: "a")
    world.settle()
    world.forgetSent()
    world.advance(by: .milliseconds(1_999))
    #expect(world.tasks == [])
    world.advance(by: .milliseconds(1))
    #expect(world.tasks == ["task_2_0 a"])
    #expect(world.load("a") == 1 && world.faults == [])
  }

  @Test func aTaskOfAnAgentWithoutReportGoesToAnotherAfterTheGrace() {
    var world = World()
    world.connect("a", limit: 2)
    world.submit(retrying)
    world.leave("a")
    world.connect("a", limit: 2, activeTasks: nil)
    world.connect("b")
    world.advance(by: .milliseconds(29_999))
    world.settle()
    #expect(world.tasks == ["task_1_0 a"])
    world.advance(by: .milliseconds(1))
    world.settle()
    #expect(world.tasks == ["task_1_0 a", "task_1_1 b"])
  }

  @Test func theLatestReportOfAnAgentCounts() {
    var world = World()
    world.connect("a")
    world.submit(retrying)
    world.leave("a")
    world.connect("a", activeTasks: nil)
    world.advance(by: .seconds(20))
    world.leave("a")
    world.connect("a", activeTasks: ["task_1_0"])
    world.connect("b")
    world.advance(by: .seconds(35))
    world.settle()
    #expect(world.tasks == ["task_1_0 a"])
  }

  @Test(arguments: [[], nil] as [[String]?])
  func anUnsentTaskIsSentOnceAfterItIsStored(activeTasks: [String]?) {
    var world = World()
    world.connect("a")
    world.begin(retrying)
    world.leave("a")
    world.connect("a", activeTasks: activeTasks)
    world.advance(by: .seconds(31))
    #expect(world.tasks == [])
    world.settle()
    world.advance(by: .seconds(20))
    #expect(world.tasks == ["task_1_0 a"])
    #expect(world.faults == [])
  }

  @Test func anAgentThatSaysGoodbyeGetsNoGrace() {
    var world = World()
    world.connect("a")
    world.submit(retrying)
    world.connect("b")
    world.leave("a", graceful: true)
    world.settle()
    #expect(world.tasks.last == "task_1_1 b")
    #expect(world.gone == ["a"] && world.vanished == [])
  }

  @Test func messagesOfAFormerConnectionAreIgnored() {
    var world = World()
    let former = world.connect("a")
    world.submit()
    world.connect("a", limit: 3, activeTasks: ["task_1_0"])
    world.handle(.agent(.left("a", epoch: former, graceful: true)))
    world.handle(.agent(.changed("a", epoch: former, capabilities: ["other"], limit: 9, isDraining: true)))
    world.handle(.agent(.registered("a", epoch: former, capabilities: ["other"], limit: 9, activeTasks: [])))
    #expect(world.machine.agent("a")?.isConnected == true && world.load("a") == 1)
    #expect(world.machine.agent("a")?.limit == 3 && world.machine.agent("a")?.capabilities == ["text"])
  }

  @Test func aRegistrationThatEndedBeforeItWasStoredIsRemoved() {
    var world = World()
    world.handle(.agent(.left("a", epoch: 7, graceful: false)))
    #expect(world.gone == ["a"])
  }

  // MARK: Tasks that crash their agents

  /// The agent's process restarts without its tasks.
  private func crash(_ agent: String, in world: inout World, limit: Int = 1) {
    world.leave(agent)
    world.connect(agent, limit: limit, activeTasks: [])
    world.advance(by: .seconds(2))
    world.settle()
  }

  @Test func aTaskMissingAtReconnectionIsRedeliveredOnceThenFails() {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit()
    crash("a", in: &world)
    #expect(world.tasks == ["task_1_0 a", "task_1_0 a"] && world.status(id) == .running)
    crash("a", in: &world)
    #expect(world.status(id) == .failed && world.store[id]?.execution.error?.code == "AGENT_LOST_AGAIN")
  }

  /// All nodes may stop at the same time, so that no other node takes the agent.
  @Test func aStoppingNodeGivesUpNoAgent() {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit(timeout: .seconds(300))
    world.handle(.agent(.sentAway))
    world.leave("a")
    world.advance(by: .seconds(60))
    world.settle()
    #expect(world.status(id) == .running && world.store[id]?.tasks.first?.state == .open)
  }

  /// Both nodes stop, so neither takes the agents of the other.
  @Test func aStoppingNodeGivesUpNoAgentOfANodeThatStopsToo() {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: []))
    let (id, _) = world.submit(timeout: .seconds(300))
    world.handle(.agent(.sentAway))
    world.announce(.left("far", epoch: 1, graceful: false))
    world.wait(60)
    #expect(world.status(id) == .running && world.store[id]?.tasks.map(\.agentID) == ["far"])
  }

  /// Its task ends, or goes to another, while callers are still awaited.
  @Test func aStoppingNodeGivesUpAnAgentThatWasGoneBefore() {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit(timeout: .seconds(300))
    world.leave("a")
    world.advance(by: .seconds(1))
    world.handle(.agent(.sentAway))
    world.advance(by: .seconds(60))
    world.settle()
    #expect(world.status(id) == .failed && world.store[id]?.execution.error?.code == "AGENT_LOST")
  }

  /// The agent returned before the end of its connection was noticed.
  @Test func aTaskThatTurnsOutUnsentAfterTheReturnOfItsAgentIsNotALoss() {
    var world = World()
    let former = world.connect("a")
    let (id, _) = world.submit(timeout: .seconds(300))
    world.connect("a")
    world.handle(.agent(.deferred(task: "task_1_0", at: "a", epoch: former)))
    world.wait(3)
    world.connect("a")
    world.wait(3)
    #expect(world.status(id) == .running && world.tasks == ["task_1_0 a", "task_1_0 a", "task_1_0 a"])
  }

  @Test func aTaskThatWaitedUnsentWhenTheConnectionEndedIsNotALoss() throws {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit()
    for _ in 1...4 {
      let epoch = try #require(world.machine.agent("a")?.epoch)
      world.handle(.agent(.deferred(task: "task_1_0", at: "a", epoch: epoch)))
      crash("a", in: &world)
    }
    #expect(world.tasks == Array(repeating: "task_1_0 a", count: 5) && world.status(id) == .running)
  }

  @Test func aTaskThatWaitedUnsentBeforeAnEarlierConnectionEndedIsNotALoss() throws {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit()
    for _ in 1...4 {
      let epoch = try #require(world.machine.agent("a")?.epoch)
      world.handle(.agent(.deferred(task: "task_1_0", at: "a", epoch: epoch)))
      // The new connection registers while the former one is half open.
      world.connect("a", activeTasks: [])
      world.handle(.agent(.left("a", epoch: epoch, graceful: false)))
      for _ in 1...3 {
        world.advance(by: .seconds(1))
        world.settle()
      }
    }
    #expect(world.status(id) == .running && world.faults == [])
  }

  @Test func aTaskThatWaitedAndWasThenSentCanBeLost() throws {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit()
    for _ in 1...2 {
      let epoch = try #require(world.machine.agent("a")?.epoch)
      world.handle(.agent(.deferred(task: "task_1_0", at: "a", epoch: epoch)))
      world.handle(.agent(.sent(task: "task_1_0", to: "a", epoch: epoch)))
      crash("a", in: &world)
    }
    #expect(world.status(id) == .failed && world.store[id]?.execution.error?.code == "AGENT_LOST_AGAIN")
  }

  @Test func tasksLostTogetherGoToSeparateAgentsWithoutUsingARetry() {
    var world = World()
    world.connect("a", limit: 2)
    let (poison, _) = world.submit(timeout: .seconds(600))
    let (healthy, _) = world.submit(timeout: .seconds(600))
    world.connect("b", limit: 2)
    for _ in 1...2 { crash("a", in: &world, limit: 2) }
    // Either task may have caused the crash: both continue, at separate agents.
    #expect(world.status(poison) == .running && world.status(healthy) == .running)
    let places = Set(world.tasks.suffix(2))
    #expect(places == ["task_1_1 b", "task_2_1 a"] || places == ["task_1_1 a", "task_2_1 b"], "\(places)")
    guard let place = world.tasks.last(where: { $0.hasPrefix("task_1_1") })?.split(separator: " ").last.map(String.init) else {
      return #expect(Bool(false), "not sent")
    }
    for _ in 1...2 { crash(place, in: &world, limit: 2) }
    #expect(world.status(poison) == .failed && world.status(healthy) == .running)
    world.complete("task_2_1", by: place == "a" ? "b" : "a")
    world.settle()
    #expect(world.status(healthy) == .completed && world.faults == [])
  }

  @Test func anInputThatCrashedThreeAgentsIsNotRetried() {
    var world = World()
    for agent in ["a", "b", "c", "d"] { world.connect(agent) }
    let (id, _) = world.submit(World.pattern(retries: 9), timeout: .seconds(3_600))
    for _ in 1...3 {
      guard let agent = world.tasks.last?.split(separator: " ").last.map(String.init) else { return #expect(Bool(false), "not sent") }
      for _ in 1...2 { crash(agent, in: &world) }
    }
    #expect(world.status(id) == .failed)
    #expect(world.store[id]?.execution.error?.message == "not retried: 3 agents were lost with nothing but this task")
    #expect(Set(world.tasks).count == 3)
  }

  @Test func crashedAgentsCountAcrossAllSlotsOfAnInput() {
    var world = World()
    for agent in ["a", "b", "c", "d", "e"] { world.connect(agent) }
    let (id, _) = world.submit(World.pattern(min: 2, retries: 9), timeout: .seconds(3_600))
    #expect(world.tasks.count == 2)
    for index in 0..<3 {
      guard world.tasks.indices.contains(index), world.status(id) == .running else { break }
      let open = world.store[id]?.tasks.filter { $0.state == .open } ?? []
      guard let agent = open.min(by: { $0.id < $1.id })?.agentID else { return #expect(Bool(false), "no task is open") }
      for _ in 1...2 { crash(agent, in: &world) }
    }
    #expect(world.status(id) == .failed && Set(world.tasks).count == 4)
    let losses = world.store[id]?.tasks.count { $0.error?.code == "AGENT_LOST_AGAIN" }
    #expect(losses == 3)
  }

  @Test func theTimerOfAnEarlierGraceDoesNotEndALaterGrace() {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit(timeout: .seconds(600))
    world.leave("a")
    world.advance(by: .seconds(20))
    world.connect("a", activeTasks: ["task_1_0"])
    world.leave("a")
    world.advance(by: .seconds(29))
    world.settle()
    #expect(world.status(id) == .running)
    world.advance(by: .seconds(1))
    world.settle()
    #expect(world.status(id) == .failed)
  }

  // MARK: Changes

  @Test func aDrainingAgentFinishesItsTasksAndGetsNoMore() {
    var world = World()
    let epoch = world.connect("a", limit: 2)
    world.submit()
    world.handle(.agent(.changed("a", epoch: epoch, capabilities: nil, limit: nil, isDraining: true)))
    world.submit()
    #expect(world.tasks == ["task_1_0 a"])
    world.complete("task_1_0", by: "a")
    world.settle()
    #expect(world.status("exec_1") == .completed)
    world.handle(.agent(.changed("a", epoch: epoch, capabilities: nil, limit: nil, isDraining: false)))
    world.settle()
    #expect(world.tasks.last == "task_2_0 a")
  }

  @Test func aDrainingAgentKeepsDrainingWhenItsLimitChanges() {
    var world = World()
    let epoch = world.connect("a")
    world.handle(.agent(.changed("a", epoch: epoch, capabilities: nil, limit: nil, isDraining: true)))
    world.handle(.agent(.changed("a", epoch: epoch, capabilities: ["text"], limit: 5, isDraining: nil)))
    world.submit()
    #expect(world.tasks == [])
  }

  @Test func aChangedLimitOrCapabilityStartsWaitingExecutions() {
    var world = World()
    let epoch = world.connect("a", ["other"])
    world.submit()
    world.submit()
    world.handle(.agent(.changed("a", epoch: epoch, capabilities: ["text"], limit: nil, isDraining: nil)))
    world.settle()
    #expect(world.tasks == ["task_1_0 a"])
    world.handle(.agent(.changed("a", epoch: epoch, capabilities: nil, limit: 2, isDraining: nil)))
    world.settle()
    #expect(world.tasks == ["task_1_0 a", "task_2_0 a"])
  }
}
