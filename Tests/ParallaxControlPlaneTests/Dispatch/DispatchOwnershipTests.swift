import ParallaxAPI
import ParallaxHA
import ParallaxState
import Testing

@testable import ParallaxControlPlane

/// Late replies of the store, and lost lives of executions.
@Suite struct DispatchOwnershipTests {
  private static var clustered: DispatchMachine.Settings {
    DispatchMachine.Settings(session: World.session, relocationDelay: .milliseconds(250))
  }

  /// An execution of another node that waits for agents.
  private func plantPending(in world: inout World) {
    var execution = world.execution("exec_1")
    execution.owner = World.other
    world.plant(StoredExecution(execution: execution, tasks: []))
  }

  // MARK: Claims

  @Test(arguments: [true, false])
  func aClaimAnsweredAfterTheEndStartsNothing(isRecovery: Bool) {
    var world = World(Self.clustered)
    plantPending(in: &world)
    world.holdsClaims = true
    world.handle(.message(.adopt(execution: "exec_1", owner: World.other)))
    if isRecovery {
      world.handle(.recovering("exec_1"))
    } else {
      world.handle(.message(.cancel(execution: "exec_1")))
    }
    let claimed = world.claimInStore("exec_1")
    world.handle(.claimed("exec_1", from: World.other, claimed, cancels: true))
    world.settle()
    #expect(world.status("exec_1") == .cancelled && world.machine.execution("exec_1") == nil)

    world.connect("near")
    world.handle(isRecovery ? .recovered(claimed!) : .claimed("exec_1", from: World.session, claimed, cancels: false))
    world.settle()
    #expect(world.tasks == [] && world.machine.execution("exec_1") == nil && world.faults == [])
  }

  @Test func `An outage of the store gathers no claims, and what was asked meanwhile is done`() {
    var world = World(Self.clustered)
    plantPending(in: &world)
    world.holdsClaims = true
    for _ in 1...20 { world.handle(.message(.adopt(execution: "exec_1", owner: World.other))) }
    for _ in 1...20 { world.handle(.message(.cancel(execution: "exec_1"))) }
    #expect(world.claims.map(\.owner) == [World.other, World.session])
    // Nothing to claim yet.
    world.handle(.claimed("exec_1", from: World.session, nil, cancels: true))
    #expect(world.claims.map(\.owner) == [World.other, World.session, World.session])
    let claimed = world.claimInStore("exec_1")
    world.handle(.claimed("exec_1", from: World.other, claimed, cancels: false))
    #expect(world.claims.count == 3 && world.reads == ["exec_1"])
    world.handle(.claimed("exec_1", from: World.session, claimed, cancels: true))
    world.settle()
    #expect(world.status("exec_1") == .cancelled)
    world.handle(.message(.adopt(execution: "exec_1", owner: World.other)))
    #expect(world.claims.count == 4, "no claim is under way")
  }

  @Test func aTimelyClaimStartsTheExecution() {
    var world = World(Self.clustered)
    plantPending(in: &world)
    world.connect("near")
    world.handle(.recovering("exec_1"))
    world.handle(.notRecovered("exec_1"))
    world.handle(.recovering("exec_1"))
    guard let claimed = world.claimInStore("exec_1") else { return #expect(Bool(false), "nothing is stored") }
    world.handle(.recovered(claimed))
    world.settle()
    // A task of a later epoch has another id.
    #expect(world.tasks == ["task_1_2_0 near"] && world.faults == [])
  }

  @Test func theLoserOfTwoCreationsAdoptsTheDeadlineOfTheWinner() {
    var world = World(Self.clustered)
    // Another node created a repeat of the request later.
    var winner = world.execution("exec_1", timeout: .seconds(90))
    winner.owner = World.other
    let (id, _) = world.begin(timeout: .seconds(20), isRepeatable: true)
    world.plant(StoredExecution(execution: winner, tasks: []))
    world.now.instant += .seconds(30)
    world.now.wall = world.now.wall + .seconds(30)
    world.handle(.timePassed)
    // The takeover of the other execution precedes the reply to its own creation.
    guard let claimed = world.claimInStore(id) else { return #expect(Bool(false), "nothing is stored") }
    world.handle(.claimed(id, from: World.other, claimed, cancels: false))
    #expect(world.machine.execution(id)?.execution.status == .pending)
    world.settle()
    world.advance(by: .milliseconds(59_999))
    world.settle()
    #expect(world.status(id) == .pending)
    world.advance(by: .milliseconds(1))
    world.settle()
    #expect(world.status(id) == .timedOut && world.faults == [])
  }

  // MARK: Two lives of an execution

  @Test func tasksMissingInALaterLifeAreWithdrawn() {
    var world = World(Self.clustered)
    world.connect("near")
    let (id, _) = world.submit()
    #expect(world.tasks == ["task_1_0 near"])
    var other = world.store[id]!
    other.tasks = [TaskRecord(id: "task_1_0", agentID: "far", slot: 0)]
    other.execution.epoch += 1
    world.plant(other)
    world.readOutcomes(id)
    #expect(world.cancelled == ["task_1_0 near superseded"])
    #expect(world.machine.agent("near")?.tasks.isEmpty == true && world.machine.agent("near")?.ending == ["task_1_0"])
  }

  @Test func outcomesOfAnEarlierLifeAreRecordedInTheStore() {
    var world = World(Self.clustered)
    world.connect("near")
    let (id, _) = world.submit()
    world.complete("task_1_0", by: "near", messageID: "7")
    var other = world.store[id]!
    (other.tasks, other.execution.status) = ([], .pending)
    other.execution.epoch += 1
    world.plant(other)
    world.readOutcomes(id)
    #expect(world.takeLookUps() == [World.LookUp(task: "task_1_0", agent: "near")])
  }

  @Test func aRestorationAddsTheTasksOfAnEarlierLife() {
    var world = World(Self.clustered)
    var execution = world.execution("exec_1", World.pattern(min: 2))
    execution.owner = World.other
    world.plant(StoredExecution(execution: execution, tasks: []))
    world.recover("exec_1")
    // The store lost the claim, and the former owner started the execution.
    (execution.status, execution.revision) = (.running, 2)
    var tasks = [TaskRecord(id: "task_1_0", agentID: "a", slot: 0), TaskRecord(id: "task_1_1", agentID: "b", slot: 1)]
    (tasks[0].state, tasks[0].result) = (.completed, "kept")
    world.plant(StoredExecution(execution: execution, tasks: tasks))
    for agent in ["c", "d"] { world.connect(agent) }
    world.connect("b", activeTasks: ["task_1_1"])
    world.settle()
    #expect(world.tasks == [] && world.store["exec_1"]?.execution.epoch == 2)
    world.complete("task_1_1", by: "b")
    world.settle()
    #expect(world.status("exec_1") == .completed)
    #expect(world.store["exec_1"]?.execution.result == ["results": ["kept", "done"]] && world.faults == [])
  }

  @Test func anEndWithoutAResultIsNotRestoredOverIt() {
    var world = World(Self.clustered)
    world.connect("near")
    let (id, waiter) = world.submit(timeout: .seconds(20))
    let known = world.store[id]!
    world.advance(by: .seconds(20))
    #expect(world.writes.count == 1)
    // A lagging replica is promoted; another node records the result there before the end is restored.
    var found = known
    (found.execution.revision, found.execution.recordings) = (known.execution.revision - 1, 1)
    (found.tasks[0].state, found.tasks[0].result) = (.completed, "kept")
    world.plant(found)
    world.settle()
    #expect(world.status(id) == .completed && world.store[id]?.execution.result == ["results": ["kept"]])
    guard case .finished? = world.resolutions[waiter] else { return #expect(Bool(false), "the caller waits") }
  }

  @Test func aLostEndIsNotDecidedAgainDuringItsRestoration() {
    var world = World(DispatchMachine.Settings(session: World.session, relocationDelay: .milliseconds(250), isStoreLossy: true))
    world.connect("near")
    let (id, _) = world.submit()
    let running = world.store[id]!
    _ = world.cancel(id)
    world.settle()
    #expect(world.status(id) == .cancelled)
    world.plant(running)
    world.resetStore()
    world.handle(.outcomeRecorded(of: id))
    #expect(world.machine.execution(id) == nil && world.unlisted == [id])
    // After the restoration this node drives the executions that it owns.
    world.handle(.restorationEnded(number: 1))
    world.handle(.outcomeRecorded(of: id))
    #expect(world.machine.execution(id) != nil)
  }

  @Test func aTaskPastItsDeadlineOnceStoredIsNotSent() {
    var world = World()
    world.connect("near")
    let (id, _) = world.begin(timeout: .seconds(20))
    world.now.instant += .seconds(20)
    world.now.wall = world.now.wall + .seconds(20)
    world.settle()
    #expect(world.tasks == [])
    world.handle(.timePassed)
    world.settle()
    #expect(world.status(id) == .timedOut && world.machine.agent("near")?.load == 0)
  }

  @Test func theFailureOfAnInputStopsTheRedeliveryOfItsOtherTasks() {
    var world = World()
    for agent in ["a", "b"] { world.connect(agent) }
    let (id, _) = world.submit(World.pattern(min: 2))
    for _ in 1...2 {
      for agent in ["a", "b"] {
        world.leave(agent)
        world.connect(agent)
      }
      world.forgetSent()
      // One read redelivers both tasks, or ends them.
      world.advance(by: .seconds(2))
      world.settle()
    }
    #expect(world.status(id) == .failed && world.tasks == [] && world.load("a") == 0 && world.load("b") == 0)
  }

  // MARK: Tasks of other nodes

  @Test func aForwardedTaskPastItsDeadlineIsNotStarted() {
    var world = World()
    world.connect("near", limit: 2)
    let message = ControlPlaneMessage.Task(
      taskId: "task_7_0", executionId: "exec_7", patternName: "pattern", patternVersion: "1.0.0", capability: "text", input: [:],
      timeout: .seconds(60), priority: .normal, context: .init(stepIndex: 0, totalSteps: 1))
    // The message took a minute, the whole remaining time of the task.
    world.handle(.message(.deliver(message, agent: "near", owner: World.other, deadline: world.now.wall)))
    #expect(world.tasks == [] && world.machine.agent("near")?.load == 0)
    world.handle(.message(.deliver(message, agent: "near", owner: World.other, deadline: world.now.wall + .seconds(2))))
    let timeouts = world.sent.compactMap { if case .task(let task) = $0.message { task.timeout.duration } else { nil } }
    #expect(timeouts == [.seconds(2)])
  }

  @Test func anOutcomeFreesThePlaceThatTheNewOwnerTookAgain() {
    var world = World()
    world.connect("near")
    let (id, _) = world.submit()
    world.complete("task_1_0", by: "near")
    // The write has no reply, and another node owns the execution.
    world.forward("task_1_0", to: "near")
    #expect(world.load("near") == 1)
    world.complete("task_1_0", by: "near")
    #expect(world.load("near") == 0 && world.machine.execution(id) != nil)
  }

  @Test func aTaskWithdrawnTwiceKeepsItsPlaceUntilItsAgentReports() {
    var world = World()
    world.connect("near")
    let (id, _) = world.submit()
    _ = world.cancel(id)
    // The store has an outcome of another task, so the cancellation is decided again.
    guard var found = world.store[id] else { return #expect(Bool(false), "nothing is stored") }
    found.execution.recordings += 1
    world.plant(found)
    world.settle()
    #expect(world.status(id) == .cancelled && world.cancelled.count == 2)
    #expect(world.machine.agent("near")?.ending == ["task_1_0"])
    world.handle(.agent(.stopped(task: "task_1_0", by: "near")))
    #expect(world.machine.agent("near")?.load == 0)
  }
}

// MARK: Tasks given again

extension DispatchOwnershipTests {
  /// A task whose withdrawal was decided again as open, because another node had recorded an outcome, and that its agent got again.
  private func withTaskGivenAgain(limit: Int, _ body: (inout World, _ id: String, _ agent: String) throws -> Void) throws {
    var world = World(Self.clustered)
    for agent in ["a", "b", "c"] { world.connect(agent, limit: limit) }
    let (id, _) = world.submit(World.pattern(min: 2, max: 3), timeout: .seconds(600))
    let agents = Dictionary(uniqueKeysWithValues: (world.store[id]?.tasks ?? []).map { ($0.id, $0.agentID) })
    let (first, second, third) = (try #require(agents["task_1_0"]), try #require(agents["task_1_1"]), try #require(agents["task_1_2"]))
    world.fail("task_1_2", by: third, retryable: false)
    world.settle()
    world.recordElsewhere("task_1_1", result: "kept")
    world.leave(second, graceful: true)
    #expect(world.cancelled.contains { $0.hasPrefix("task_1_0") })
    world.settle()
    try body(&world, id, first)
  }

  @Test(arguments: [1, 2])
  func theLateAnswerToAWithdrawalLeavesATaskThatWasGivenAgain(limit: Int) throws {
    try withTaskGivenAgain(limit: limit) { world, id, agent in
      world.handle(.agent(.stopped(task: "task_1_0", by: agent)))
      #expect(world.machine.agent(agent)?.tasks["task_1_0"]?.isOwn == true && world.machine.agent(agent)?.load == 1)
      // The agent fails and returns without the task, which it therefore gets once more.
      let before = world.tasks.count
      world.leave(agent)
      world.connect(agent, limit: limit, activeTasks: [])
      for _ in 1...5 {
        world.advance(by: .seconds(1))
        world.settle()
      }
      #expect(world.tasks.count == before + 1)
      world.complete("task_1_0", by: agent)
      world.settle()
      #expect(world.status(id) == .completed && world.faults == [])
    }
  }

  @Test func aHeartbeatWithoutAWithdrawnTaskLeavesTheTaskThatWasGivenAgain() throws {
    try withTaskGivenAgain(limit: 2) { world, _, agent in
      world.report([], by: agent)
      world.answerPings()
      world.report([], by: agent)
      #expect(world.machine.agent(agent)?.tasks["task_1_0"]?.isOwn == true && world.machine.agent(agent)?.ending == [])
    }
  }

  @Test func aTaskOfAFormerOwnerThatReachesItsAgentLateIsNotGivenUp() {
    var world = World(Self.clustered)
    world.connect("a", activeTasks: nil)
    var execution = world.execution("exec_9", timeout: .seconds(600))
    (execution.owner, execution.status, execution.startedAt) = (World.other, .running, execution.createdAt)
    world.plant(StoredExecution(execution: execution, tasks: [TaskRecord(id: "task_9_0", agentID: "a", slot: 0)]))
    world.recover("exec_9")
    world.advance(by: .seconds(1))
    world.forward("task_9_0", to: "a")
    #expect(world.tasks == ["task_9_0 a"])
    for _ in 1...60 { world.advance(by: .seconds(1)) }
    world.settle()
    #expect(world.status("exec_9") == .running)
  }
}

// MARK: Tasks that were not sent

extension DispatchOwnershipTests {
  @Test func aTaskOfAnotherNodeThatIsNotSentFreesItsPlaceAndOneOfThisNodeKeepsIt() {
    var world = World(Self.clustered)
    let epoch = world.connect("near", limit: 2)
    let (id, _) = world.submit(timeout: .seconds(60), waits: false)
    world.forward("task_9_0", to: "near")
    #expect(world.machine.agent("near")?.load == 2)
    for task in ["task_1_0", "task_9_0"] { world.handle(.agent(.dropped(task: task, at: "near", epoch: epoch))) }
    #expect(world.machine.agent("near")?.tasks.keys.sorted() == ["task_1_0"])
    world.advance(by: .seconds(60))
    world.settle()
    #expect(world.status(id) == .timedOut)
  }
}

@Suite struct WaitingTasksTests {
  @Test func aWaitingTaskHasTheRemainingTimeAndNoneAfterItsDeadline() {
    var waiting = WaitingTasks()
    for id in ["task_1", "task_2"] {
      let task = ControlPlaneMessage.Task(
        taskId: id, executionId: "exec_1", patternName: "pattern", patternVersion: "1.0.0", capability: "text", input: [:],
        timeout: .seconds(10), priority: .normal, context: .init(stepIndex: 0, totalSteps: 1))
      waiting.add(task, at: .seconds(5))
    }
    #expect(waiting.next(at: .seconds(8))?.timeout.duration == .seconds(7))
    #expect(waiting.next(at: .seconds(15))?.timeout.duration == .zero)
    #expect(waiting.next(at: .seconds(15)) == nil)
  }
}

@Suite struct BacklogsTests {
  private func task(_ id: String) -> ControlPlaneMessage.Task {
    ControlPlaneMessage.Task(
      taskId: id, executionId: "exec_1", patternName: "pattern", patternVersion: "1.0.0", capability: "text", input: [:],
      timeout: .seconds(60), priority: .normal, context: .init(stepIndex: 0, totalSteps: 1))
  }

  @Test func expiredTasksAreSkippedAndOthersHaveTheRemainingTime() {
    var backlogs = Backlogs()
    for (id, due) in [("a", 5), ("b", 20), ("c", 10)] { backlogs.add(task(id), to: "agent", due: .seconds(due)) }
    let now = Moment(instant: .seconds(10), wall: World.start)
    let next = backlogs.next(of: "agent", at: now)
    #expect(next?.taskId == "b" && next?.timeout.duration == .seconds(10))
    let last = backlogs.next(of: "agent", at: now)
    #expect(last == nil && backlogs.agents == [])
  }
}
