import ParallaxAPI
import ParallaxHA
import ParallaxState
import Testing

@testable import ParallaxControlPlane

/// Executions that pass from one node to another while the store loses writes or replies.
@Suite struct DispatchHandoverTests {
  private static var lossy: DispatchMachine.Settings {
    DispatchMachine.Settings(session: World.session, relocationDelay: .milliseconds(250), isStoreLossy: true)
  }

  private static var clustered: DispatchMachine.Settings {
    DispatchMachine.Settings(session: World.session, relocationDelay: .milliseconds(250))
  }

  // MARK: A lost claim

  @Test func aNodeThatFindsNothingToClaimTellsTheFormerOwner() {
    var world = World(Self.clustered)
    world.handle(.message(.adopt(execution: "exec_1", owner: World.other)))
    #expect(world.told.map(\.message) == [.declined(execution: "exec_1")] && world.told.map(\.session) == [World.other])
  }

  @Test func anExecutionThatTheStoreLostBeforeItsNewOwnerKnewItIsTakenBack() {
    var world = World(Self.lossy)
    let (id, _) = world.submit(waits: false)
    world.steal(id)
    world.handle(.message(.adopted(execution: id)))
    #expect(world.machine.execution(id) == nil)
    world.lose(id)
    world.handle(.message(.declined(execution: id)))
    // Another owner has time to restore it.
    world.advance(by: .seconds(9))
    #expect(world.machine.execution(id) == nil)
    world.advance(by: .seconds(3))
    world.settle()
    #expect(world.store[id]?.execution.owner == World.session && world.store[id]?.execution.epoch == 4)
    world.connect("a")
    world.settle()
    world.complete("task_1_4_0", by: "a")
    world.settle()
    #expect(world.status(id) == .completed && world.faults == [])
  }

  @Test func anExecutionThatTheStoreLostBeforeTheFormerOwnerReadItIsTakenBack() {
    var world = World(Self.lossy)
    let (id, _) = world.submit(waits: false)
    world.steal(id)
    world.connect("a")
    // The refusal of the write is on its way.
    guard case .update(let change)? = world.writes.first else { return #expect(Bool(false), "\(world.writes)") }
    world.lose(id)
    world.handle(.written(id, epoch: change.epoch, revision: change.revision, .stale))
    #expect(world.machine.execution(id) == nil)
    world.handle(.message(.declined(execution: id)))
    world.advance(by: .seconds(12))
    #expect(world.machine.execution(id)?.execution.epoch == 3)
  }

  @Test(arguments: [Duration.zero, .seconds(90)])
  func anExecutionThatItsNewOwnerHasStaysThere(pause: Duration) {
    var world = World(Self.lossy)
    let (id, _) = world.submit(timeout: .seconds(600), waits: false)
    world.steal(id)
    world.handle(.message(.adopted(execution: id)))
    if pause > .zero { world.lose(id) }
    // A refusal of a much later offer says nothing about that claim.
    world.advance(by: pause)
    world.handle(.message(.declined(execution: id)))
    world.advance(by: .seconds(12))
    #expect(world.machine.execution(id) == nil && world.store[id]?.execution.owner != World.session)
  }

  @Test func anOfferOfAnExecutionThatThisNodeHasEndedIsNotDeclined() {
    var world = World(Self.lossy)
    world.connect("a")
    let (id, _) = world.submit(waits: false)
    world.complete("task_1_0", by: "a")
    world.settle()
    #expect(world.status(id) == .completed)
    world.lose(id)
    world.handle(.message(.adopt(execution: id, owner: World.other)))
    #expect(world.told.isEmpty)
  }

  @Test func aFailedRecoveryRemovesTheEntryThatPrecededItsClaim() {
    var world = World(Self.clustered)
    world.handle(.recovering("exec_9"))
    world.handle(.notRecovered("exec_9"))
    #expect(world.unlisted == ["exec_9"])
    let (id, _) = world.submit(waits: false)
    world.handle(.recovering(id))
    world.handle(.notRecovered(id))
    #expect(world.unlisted == ["exec_9"])
  }

  // MARK: Reported outcomes

  @Test(arguments: ["restoration", "read"])
  func anAcknowledgedResultThatTheStoreLostIsRecordedForTheNewOwner(by way: String) throws {
    var world = World(Self.lossy)
    for agent in ["a", "b"] { world.connect(agent) }
    let (id, _) = world.submit(World.pattern(min: 2), timeout: .seconds(600), waits: false)
    let agent = try #require(world.store[id]?.tasks.first?.agentID)
    world.complete("task_1_0", by: agent)
    world.settle()
    #expect(world.acknowledged == ["task_1_0 \(agent)"])
    world.loseWrites(of: id)
    world.steal(id)
    if way == "read" {
      world.handle(.message(.adopted(execution: id)))
    } else {
      world.resetStore()
      world.settle()
    }
    #expect(world.machine.execution(id) == nil)
    #expect(world.takeLookUps() == [World.LookUp(task: "task_1_0", agent: agent)])
  }

  @Test(arguments: [true, false])
  func anAcknowledgedResultThatTheStoreLostCountsIfTheExecutionReturns(stillDrives: Bool) throws {
    var world = World(Self.lossy)
    for agent in ["a", "b"] { world.connect(agent) }
    let (id, _) = world.submit(World.pattern(min: 2), timeout: .seconds(600), waits: false)
    let tasks = try #require(world.store[id]?.tasks)
    world.complete("task_1_0", by: tasks[0].agentID, result: "first")
    world.settle()
    world.loseWrites(of: id)
    world.steal(id)
    if !stillDrives {
      world.holdsReads = true
      world.resetStore()
      world.settle()
      #expect(world.machine.execution(id) == nil)
    }
    world.handle(.claimed(id, from: World.other, world.claimInStore(id), cancels: false))
    world.settle()
    world.complete("task_1_1", by: tasks[1].agentID, result: "second")
    world.settle()
    #expect(world.status(id) == .completed && world.store[id]?.execution.result == ["results": ["first", "second"]])
  }

  @Test func aLossOfAnAgentIsNotRecordedForTheNewOwner() throws {
    var world = World(Self.lossy)
    for agent in ["a", "b"] { world.connect(agent) }
    let (id, _) = world.submit(World.pattern(min: 2, retries: 1), timeout: .seconds(600), waits: false)
    let agent = try #require(world.store[id]?.tasks.first?.agentID)
    world.leave(agent, graceful: true)
    world.settle()
    world.loseWrites(of: id)
    world.steal(id)
    world.handle(.message(.adopted(execution: id)))
    #expect(world.machine.execution(id) == nil && world.takeLookUps() == [])
  }

  /// The store may have another life of the execution, or have removed it.
  @Test func onlyAnOutcomeThatNoLifeOfTheExecutionCanHaveIsRefused() {
    var world = World(Self.lossy)
    world.connect("a")
    for id in ["task_1_0", "task_1_7_0", "task_10_0", "task_forged"] {
      let outcome = TaskRecord(id: id, agentID: "a", slot: 0, state: .completed, result: 1)
      world.handle(.recorded(outcome, execution: "exec_1", messageID: "m", .unknown))
    }
    #expect(world.acknowledged == ["task_1_0 a", "task_1_7_0 a"])
    let refused = world.sent.count { if case .error(let error) = $0.message { error.code == "UNKNOWN_TASK" } else { false } }
    #expect(refused == 2)
  }

  @Test func anExecutionDoesNotStartAfterItsDeadlineEvenIfItsTimerIsLate() {
    var world = World(Self.clustered)
    let (id, _) = world.submit(timeout: .seconds(60), waits: false)
    world.pass(.seconds(61))
    world.connect("a")
    #expect(world.writes.isEmpty && world.machine.execution(id)?.tasks == [])
  }

  @Test func anExecutionEndsAtADeadlineThatPassedBesideADecisionThatDidNotHold() throws {
    var world = World(Self.clustered)
    for agent in ["a", "b"] { world.connect(agent) }
    let (id, _) = world.submit(World.pattern(min: 2), timeout: .seconds(60), waits: false)
    let tasks = try #require(world.store[id]?.tasks)
    world.leave(tasks[0].agentID, graceful: true)
    world.recordElsewhere(tasks[1].id, result: "kept")
    // The failure is decided, and its write takes until after the deadline.
    world.advance(by: .seconds(61))
    world.settle()
    #expect(world.status(id) == .timedOut && world.machine.execution(id) == nil && world.faults == [])
  }

  // MARK: Callers

  @Test func aCallerOfAnExecutionThatTheStoreBarredIsRefused() {
    var world = World(Self.clustered)
    let (id, waiter) = world.begin(waits: false)
    // The store refuses the creation, then the restoration.
    for _ in 1...2 { world.handle(.written(id, epoch: 1, revision: 1, .missing)) }
    guard case .failed(let error)? = world.resolutions[waiter] else { return #expect(Bool(false), "\(world.resolutions)") }
    #expect(error.code == .notReady && world.machine.execution(id) == nil)
  }

  @Test func aCallerOfAnExecutionThatWasRemovedAfterItsAcknowledgementIsNotRefused() throws {
    var world = World(Self.clustered)
    let (id, waiter) = world.submit(waits: true)
    world.connect("a")
    for _ in 1...2 {
      let written = try #require(world.machine.execution(id)?.execution)
      world.handle(.written(id, epoch: written.epoch, revision: written.revision, .missing))
    }
    guard case .accepted? = world.resolutions[waiter] else { return #expect(Bool(false), "\(world.resolutions)") }
  }

  @Test func aCallerIsAnsweredWhenAClaimRevealsThatTheStoreHasItsExecution() throws {
    var world = World(Self.clustered)
    let (id, waiter) = world.begin(timeout: .seconds(600), waits: false)
    guard case .create(let stored)? = world.writes.first else { return #expect(Bool(false), "\(world.writes)") }
    world.plant(stored)
    world.handle(.claimed(id, from: World.other, world.claimInStore(id), cancels: false))
    guard case .accepted? = world.resolutions[waiter] else { return #expect(Bool(false), "\(world.resolutions)") }
  }

  // MARK: Timers

  @Test func anExecutionThatReturnsManyTimesIsReadAndOfferedAtTheUsualPace() {
    var world = World(Self.clustered)
    let (id, _) = world.submit(World.pattern(["none"]), timeout: .seconds(6_000), waits: false)
    for _ in 1...20 {
      world.steal(id)
      world.handle(.message(.adopted(execution: id)))
      world.handle(.claimed(id, from: World.other, world.claimInStore(id), cancels: false))
      world.advance(by: .seconds(1))
    }
    let before = world.reads.count
    for _ in 1...300 { world.advance(by: .seconds(1)) }
    #expect((9...11).contains(world.reads.count - before), "\(world.reads.count - before) reads")
  }

  // MARK: Two runs of one task

  @Test func theStoredResultOfATaskThatRanTwiceCounts() throws {
    var world = World(Self.clustered)
    for agent in ["a", "b"] { world.connect(agent) }
    let (id, _) = world.submit(World.pattern(min: 2))
    let tasks = try #require(world.store[id]?.tasks)
    world.complete("task_1_0", by: tasks[0].agentID)
    world.complete("task_1_1", by: tasks[1].agentID, result: "second")
    // The first write takes effect, then another node records the second task, and only then the reply to the write arrives.
    guard case .update(let change)? = world.writes.first else { return #expect(Bool(false), "\(world.writes)") }
    var stored = try #require(world.store[id])
    stored.apply(change)
    world.plant(stored)
    world.recordElsewhere("task_1_1", result: "first")
    world.handle(.message(.recorded(execution: id, task: "task_1_1")))
    world.handle(.written(id, epoch: change.epoch, revision: change.revision, .applied))
    while world.writes.count > 1 { world.endWrite(at: 1) }
    #expect(world.store[id]?.execution.result == ["results": ["done", "first"]])
  }
}
