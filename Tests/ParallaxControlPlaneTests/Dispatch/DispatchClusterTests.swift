import ParallaxAPI
import ParallaxHA
import ParallaxState
import Testing

@testable import ParallaxControlPlane

/// Agents at other nodes, tasks of other nodes, executions that change their owner.
@Suite struct DispatchClusterTests {
  private static let third = NodeSession(nodeID: "node-c", incarnation: "00000000000000c1")

  private static var clustered: DispatchMachine.Settings {
    DispatchMachine.Settings(session: World.session, relocationDelay: .milliseconds(250))
  }

  // MARK: Agents at other nodes

  @Test func aTaskForARemoteAgentIsSentToItsNodeOnceItIsStored() {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: nil))
    world.begin()
    #expect(world.deliveries == [])
    world.settle()
    #expect(world.deliveries == ["task_1_0 far node-b"])
    #expect(world.sent == [] && world.load("far") == 1 && world.faults == [])
  }

  @Test func anExecutionThatHasEndedIsNotReadAgain() {
    var world = World(Self.clustered)
    world.connect("near")
    let (id, _) = world.submit()
    world.advance(by: .seconds(10))
    world.complete("task_1_0", by: "near")
    world.settle()
    #expect(world.status(id) == .completed)
    let reads = world.reads
    for _ in 1...4 {
      world.advance(by: .seconds(31))
      world.settle()
    }
    #expect(world.reads == reads && world.unlisted == [])
  }

  @Test func anotherAbsenceOfAnAgentAtTheSameNodeHasAGraceOfItsOwn() {
    var world = World(Self.clustered)
    let registered = AgentAnnouncement.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: nil)
    world.announce(registered)
    let (id, _) = world.submit(timeout: .seconds(600))
    world.handle(.agent(.memberLost(World.other)))
    world.advance(by: .seconds(5))
    world.announce(registered)
    world.advance(by: .seconds(20))
    world.handle(.agent(.memberLost(World.other)))
    world.advance(by: .seconds(29))
    world.settle()
    #expect(world.status(id) == .running)
    world.advance(by: .seconds(1))
    world.settle()
    #expect(world.status(id) == .failed)
  }

  @Test func aSuspectTaskThatChangesHandsNoLongerKeepsOthersFromItsAgent() {
    var tasks = AssignmentMachine(settings: Self.clustered)
    tasks.directory.upsert(id: "far", epoch: 1, capabilities: ["text"], limit: 2, home: World.other)
    let task = TaskRecord(id: "task_1_0", agentID: "far", slot: 0, attempt: 1)
    tasks.assign(task, of: "exec_1", isSuspect: true)
    let demand = PlacementDemand.slot(tried: [], isSuspect: true)
    #expect(tasks.choose(demand, from: PoolKey(["text"])) == [])
    tasks.disown(task)
    #expect(tasks.choose(demand, from: PoolKey(["text"])) == ["far"])
  }

  @Test func drainingAgentsAreAnnouncedWheneverLoadsAre() {
    var world = World(Self.clustered)
    let epoch = world.connect("near")
    world.connect("other")
    world.handle(.agent(.changed("near", epoch: epoch, capabilities: nil, limit: nil, isDraining: true)))
    let announcement = AgentAnnouncement.changed("near", epoch: epoch, capabilities: ["text"], limit: 1, isDraining: true)
    let before = world.news.count
    world.handle(.agent(.loadsMissed))
    #expect(Array(world.news[before...]) == [announcement])
    world.handle(.agent(.renewed("near", from: epoch, epoch: epoch + 10)))
    #expect(world.news.last == .changed("near", epoch: epoch + 10, capabilities: ["text"], limit: 1, isDraining: true))
  }

  @Test func localAgentsAreSelectedFirstUnlessTheirLoadIsMuchHigher() {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 10, activeTasks: nil))
    world.connect("near", limit: 10)
    for _ in 0..<3 { world.submit() }
    #expect(world.load("near") == 3 && world.load("far") == 0)
    for _ in 0..<7 { world.submit() }
    #expect(world.load("near") == 6 && world.load("far") == 4)
  }

  @Test func anOutcomeRecordedByAnotherNodeIsReadFromTheStore() {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: nil))
    let (id, waiter) = world.submit()
    world.recordElsewhere("task_1_0", result: "done")
    world.readOutcomes(id)
    world.settle()
    #expect(world.status(id) == .completed && world.load("far") == 0)
    guard case .finished(let stored)? = world.resolutions[waiter] else { return #expect(Bool(false), "the caller waits") }
    #expect(stored.tasks.map(\.result) == ["done"])
    // The node that recorded the outcome has acknowledged it.
    #expect(world.acknowledged == [] && world.faults == [])
  }

  @Test func anExecutionLostByTheStoreIsRestored() {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: nil))
    let (id, _) = world.submit()
    let known = world.store[id]
    world.loseWrites(of: id)
    #expect(world.store[id] == nil)
    world.readOutcomes(id)
    world.settle()
    #expect(world.store[id] == known && world.machine.execution(id) == known)
  }

  @Test func anExecutionTakenOverByAnotherNodeIsNotOverwritten() {
    var world = World()
    world.connect("near")
    let (id, waiter) = world.submit(waits: false)
    world.steal(id)
    world.resetStore()
    world.settle()
    #expect(world.machine.execution(id) == nil && world.store[id]?.execution.owner == World.other)
    #expect(world.resolutions[waiter] != nil && world.ended == [:])
  }

  @Test func aStoreResetRestoresExecutionsAndResendsTheirTasks() {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 2, activeTasks: nil))
    world.connect("near")
    let ids = (0..<3).map { _ in world.submit(World.pattern(["text"])).id }
    let known = ids.map { world.store[$0] }
    #expect(world.tasks == ["task_1_0 near"] && world.deliveries == ["task_2_0 far node-b", "task_3_0 far node-b"])
    for id in ids { world.loseWrites(of: id) }
    world.resetStore()
    world.settle()
    #expect(ids.map { world.store[$0] } == known)
    #expect(world.deliveries.count == 2)
    world.recordElsewhere("task_2_0", result: "done")
    world.readOutcomes(ids[1])
    world.advance(by: .seconds(2))
    // The messages to the agent's node may be lost with the writes; that node forwards only tasks that the agent does not have.
    #expect(world.deliveries.dropFirst(2) == ["task_3_0 far node-b"])
    #expect(world.reads == [ids[2]])
    #expect(world.tasks == ["task_1_0 near"] && world.faults == [])
  }

  @Test func anErrorRecordedByAnotherNodeIsRetriedAtAnotherAgent() {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: nil))
    let (id, _) = world.submit(World.pattern(retries: 1))
    world.connect("near")
    world.recordElsewhere("task_1_0", result: nil)
    world.readOutcomes(id)
    world.settle()
    #expect(world.tasks == ["task_1_1 near"])
  }

  @Test func anAgentOccupiedByOtherNodesGetsNoMoreTasks() {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 2, activeTasks: nil))
    world.announce(.loads(["far": 2]))
    world.submit()
    #expect(world.deliveries == [])
    world.announce(.loads(["far": 1]))
    world.settle()
    #expect(world.deliveries == ["task_1_0 far node-b"])
  }

  @Test func tasksOfALostMemberGoToOtherAgentsAfterTheGrace() {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: nil))
    let (id, _) = world.submit(World.pattern(retries: 1))
    world.handle(.agent(.memberLost(World.other)))
    world.connect("near")
    world.advance(by: .milliseconds(29_999))
    #expect(world.tasks == [])
    world.advance(by: .milliseconds(1))
    world.settle()
    #expect(world.tasks == ["task_1_1 near"])
    // The recovery of the lost node removes the registration.
    #expect(world.gone == [] && world.status(id) == .running)
  }

  @Test func anAgentThatReconnectsToAnotherNodeKeepsItsTasks() {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: nil))
    world.submit()
    world.handle(.agent(.memberLost(World.other)))
    world.announce(.registered("far", epoch: 2, capabilities: ["text"], limit: 1, activeTasks: ["task_1_0"]), from: Self.third)
    world.advance(by: .seconds(29))
    #expect(world.deliveries == ["task_1_0 far node-b"])
  }

  @Test func aTaskMissingAtReconnectionIsRedeliveredThroughTheNewNode() {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: nil))
    world.submit()
    world.announce(.registered("far", epoch: 2, capabilities: ["text"], limit: 1, activeTasks: []), from: Self.third)
    world.advance(by: .milliseconds(1_999))
    #expect(world.deliveries.count == 1)
    world.advance(by: .milliseconds(1))
    #expect(world.deliveries == ["task_1_0 far node-b", "task_1_0 far node-c"])
  }

  @Test func anAgentThatMovesToAnotherNodeIsReleased() {
    var world = World()
    world.connect("near")
    world.announce(.registered("near", epoch: 99, capabilities: ["text"], limit: 1, activeTasks: []))
    #expect(world.moved == ["near"])
    world.submit()
    #expect(world.deliveries == ["task_1_0 near node-b"] && world.tasks == [])
  }

  @Test func announcementsOfAnEarlierEpochAreIgnored() {
    var world = World()
    world.announce(.registered("far", epoch: 5, capabilities: ["text"], limit: 1, activeTasks: nil))
    world.announce(.registered("far", epoch: 4, capabilities: ["other"], limit: 9, activeTasks: nil), from: Self.third)
    world.announce(.left("far", epoch: 4, graceful: true), from: Self.third)
    world.announce(.changed("far", epoch: 4, capabilities: [], limit: 1, isDraining: true))
    world.submit()
    #expect(world.deliveries == ["task_1_0 far node-b"])
  }

  @Test func aListAddsNewAgentsAndRemovesMissingOnes() {
    var world = World()
    world.announce(.registered("gone", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: nil))
    let before = world.machine.agentEpochs(at: World.other)
    world.announce(.registered("late", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: nil))
    let record = AgentRecord(
      id: "new", capabilities: ["text"], session: World.other, epoch: 3, connectedAt: World.start, activeTasks: nil)
    world.handle(.agent(.listed([record], at: World.other, before: before)))
    #expect(Set(world.machine.agentEpochs(at: World.other).keys) == ["late", "new"])
  }

  @Test func anAgentWhoseRegistrationWasLostKeepsItsTaskDuringTheGrace() {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: nil))
    let (id, _) = world.submit()
    let before = world.machine.agentEpochs(at: World.other)
    world.handle(.agent(.listed([], at: World.other, before: before)))
    world.advance(by: .seconds(29))
    world.settle()
    #expect(world.status(id) == .running)
    world.announce(.registered("far", epoch: 2, capabilities: ["text"], limit: 1, activeTasks: ["task_1_0"]))
    world.advance(by: .seconds(29))
    world.settle()
    #expect(world.status(id) == .running && world.load("far") == 1)
  }

  @Test func agentsOfAMemberPresumedLostReturnWithIt() {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: nil))
    world.submit()
    world.handle(.agent(.memberLost(World.other)))
    let record = AgentRecord(id: "far", capabilities: ["text"], session: World.other, epoch: 1, connectedAt: World.start)
    world.handle(.agent(.listed([record], at: World.other, before: [:])))
    world.advance(by: .seconds(29))
    #expect(world.machine.agent("far")?.isConnected == true && world.load("far") == 1)
    // Messages to a member presumed lost may have been dropped; its node drops a repeated task.
    #expect(world.deliveries == ["task_1_0 far node-b", "task_1_0 far node-b"])
  }

  @Test func aLoadCountsOnlyFromTheNodeOfTheAgent() {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: nil))
    world.announce(.loads(["far": 1]), from: Self.third)
    world.submit()
    #expect(world.deliveries == ["task_1_0 far node-b"])
  }

  // MARK: Ownership

  @Test func aReturnedExecutionReplacesTheLocalCopyAndKeepsItsCallers() {
    var world = World()
    world.connect("near")
    let (id, waiter) = world.submit()
    // Another node claims the execution, and this node claims it back.
    world.steal(id)
    #expect(world.store[id]?.execution.epoch == 2)
    world.recover(id)
    #expect(world.machine.execution(id)?.execution.epoch == 3 && world.resolutions[waiter] == nil)
    world.complete("task_1_0", by: "near")
    world.settle()
    #expect(world.status(id) == .completed && world.ended == [id: 1] && world.faults == [])
    guard case .finished? = world.resolutions[waiter] else { return #expect(Bool(false), "the caller waits") }
  }

  @Test func aReadRecognizesAClaimWhoseReplyWasLost() {
    var world = World()
    world.connect("near")
    let (id, _) = world.submit()
    world.steal(id)
    world.regain(id)
    world.readOutcomes(id)
    #expect(world.machine.execution(id)?.execution.epoch == 3)
  }

  @Test func anExecutionOfAnotherOwnerIsReleasedAndClaimedAgainOnceItIsBack() {
    var world = World()
    world.connect("near")
    let (id, _) = world.submit()
    world.steal(id)
    world.readOutcomes(id)
    #expect(world.machine.execution(id) == nil && world.unlisted == [id])
    // The reply to the claim that brings it back is lost.
    world.regain(id)
    world.readOutcomes(id)
    #expect(world.machine.execution(id)?.execution.epoch == 3 && world.unlisted == [id])
  }

  @Test func anOutcomeReceivedByAFormerOwnerIsRecorded() {
    var world = World()
    world.connect("near")
    let (id, _) = world.submit()
    world.steal(id)
    world.complete("task_1_0", by: "near")
    world.settle()
    #expect(world.machine.execution(id) == nil && world.acknowledged == [])
    #expect(world.takeLookUps().map(\.task) == ["task_1_0"])
    #expect(world.unlisted == [id])
  }

  @Test func aStaleAdoptionMessageDoesNotReleaseAnExecution() {
    var world = World()
    world.connect("near")
    let (id, _) = world.submit()
    world.handle(.message(.adopted(execution: id)))
    #expect(world.machine.execution(id) != nil)
  }

  @Test func allExecutionsAreRereadAfterAPause() {
    var world = World(Self.clustered)
    world.connect("near", limit: 2)
    let (ended, waiter) = world.submit(timeout: .seconds(600))
    let (other, _) = world.submit(timeout: .seconds(600))
    world.endElsewhere(ended)
    world.advance(by: .seconds(3))
    #expect(world.reads == [])
    world.advance(by: .seconds(5))
    #expect(world.reads == [ended, other])
    guard case .finished? = world.resolutions[waiter] else { return #expect(Bool(false), "the caller waits") }
    #expect(world.machine.execution(other) != nil && world.cancelled == ["task_1_0 near ended"])
  }

  @Test func anExecutionWhoseAgentMovesToAnotherNodeIsReread() {
    var world = World()
    world.connect("near")
    let (id, _) = world.submit(timeout: .seconds(600))
    world.announce(.registered("near", epoch: 99, capabilities: ["text"], limit: 1, activeTasks: ["task_1_0"]))
    world.advance(by: .seconds(30))
    #expect(world.reads == [id])
  }

  @Test func aTaskWithARecordedOutcomeIsNotRedelivered() {
    var world = World()
    world.connect("near")
    let (id, _) = world.submit()
    world.recordElsewhere("task_1_0", result: "first")
    world.leave("near")
    world.connect("near", activeTasks: [])
    world.advance(by: .seconds(2))
    world.settle()
    #expect(world.tasks == ["task_1_0 near"] && world.status(id) == .completed)
  }

  @Test func aRecordedOutcomeOutweighsTheLossOfItsAgent() {
    var world = World()
    world.connect("near")
    let (id, _) = world.submit()
    world.recordElsewhere("task_1_0", result: "first")
    world.leave("near", graceful: true)
    world.settle()
    #expect(world.status(id) == .completed && world.store[id]?.tasks.map(\.result) == ["first"] && world.faults == [])
  }

  @Test func concurrentReadsAreLimitedAndEachExecutionIsReadOnce() {
    var queue = WorkQueue()
    for id in ["a", "b", "c", "a"] { queue.add(id) }
    #expect([queue.next(width: 2), queue.next(width: 2), queue.next(width: 2)] == ["a", "b", nil])
    queue.add("a")
    queue.finish("b")
    #expect([queue.next(width: 2), queue.next(width: 2)] == ["c", nil])
    queue.finish("c")
    #expect(queue.next(width: 2) == nil)
    queue.finish("a")
    #expect(queue.next(width: 2) == "a")
  }

  @Test func aTaskForAnUnknownAgentCausesARead() {
    var world = World()
    world.forward("task_7_0", to: "ghost")
    #expect(world.checkedAgents == ["ghost"] && world.sent == [])
  }

  @Test func anExpectedAgentGetsItsCapabilitiesOnceItsNodeReturns() {
    var world = World(Self.clustered)
    world.handle(.agent(.expected("far", epoch: 3, home: World.other)))
    let record = AgentRecord(id: "far", capabilities: ["text"], session: World.other, epoch: 3, connectedAt: World.start)
    world.handle(.agent(.listed([record], at: World.other, before: [:])))
    world.submit()
    #expect(world.deliveries == ["task_1_0 far node-b"])
  }

  @Test func aListRevealsAChangeWhoseAnnouncementWasLost() {
    var world = World()
    world.announce(.registered("far", epoch: 3, capabilities: ["image"], limit: 1, activeTasks: nil))
    let record = AgentRecord(id: "far", capabilities: ["text"], session: World.other, epoch: 3, connectedAt: World.start)
    world.handle(.agent(.listed([record], at: World.other, before: [:])))
    world.submit()
    #expect(world.deliveries == ["task_1_0 far node-b"])
  }

  // MARK: Tasks of other nodes

  @Test func aForwardedTaskIsSentOnceAndItsOutcomeIsRecorded() {
    var world = World()
    world.connect("near")
    for _ in 1...2 { world.forward("task_7_0", to: "near") }
    #expect(world.tasks == ["task_7_0 near"] && world.load("near") == 1)
    world.complete("task_7_0", by: "near")
    #expect(world.takeLookUps().map(\.task) == ["task_7_0"] && world.load("near") == 0)
  }

  @Test func aForwardedTaskWaitsForCapacityAheadOfLocalExecutions() {
    var world = World()
    world.connect("near")
    world.forward("task_7_0", to: "near")
    world.submit()
    for task in ["task_8_0", "task_9_0"] { world.forward(task, to: "near") }
    world.withdraw("task_8_0", from: "near")
    #expect(world.tasks == ["task_7_0 near"])
    world.complete("task_7_0", by: "near")
    world.settle()
    #expect(world.tasks == ["task_7_0 near", "task_9_0 near"])
    world.complete("task_9_0", by: "near")
    world.settle()
    #expect(world.tasks.last == "task_1_0 near" && world.faults == [])
  }

  @Test func aWithdrawnForwardedTaskFreesItsAgent() {
    var world = World()
    world.connect("near")
    world.forward("task_7_0", to: "near")
    world.withdraw("task_7_0", from: "near")
    #expect(world.machine.agent("near")?.load == 1)
    world.handle(.agent(.stopped(task: "task_7_0", by: "near")))
    #expect(world.machine.agent("near")?.load == 0 && world.cancelled == ["task_7_0 near cancelled"])
  }

  @Test func tasksReportedFromAnotherNodeCountAgainstTheLimit() {
    var world = World()
    world.connect("near", limit: 2, activeTasks: ["task_7_0"])
    #expect(world.load("near") == 1)
    // The owner may send the task again, which the agent already has.
    world.forward("task_7_0", to: "near")
    #expect(world.tasks == [])
    world.complete("task_7_0", by: "near")
    #expect(world.load("near") == 0)
  }

  @Test func agentsAndTheirLoadsAreAnnounced() {
    var world = World()
    let epoch = world.connect("near", limit: 2, activeTasks: ["task_7_0"])
    world.submit()
    let first = [world.takeLoads(), world.takeLoads()]
    #expect(first == [["near": 2], [:]])
    // A repeat reaches a node that missed the announcement.
    world.advance(by: .seconds(10))
    let later = world.takeLoads()
    #expect(later == ["near": 2])
    // Another node may have missed the announcement and request it.
    world.handle(.agent(.loadsMissed))
    let asked = [world.takeLoads(), world.takeLoads()]
    #expect(asked == [["near": 2], [:]])
    world.leave("near")
    #expect(
      world.news == [
        .registered("near", epoch: epoch, capabilities: ["text"], limit: 2, activeTasks: ["task_7_0"]),
        .connectionEnded("near", epoch: epoch, Cargo(sent: ["task_1_0", "task_7_0"], unsent: [])),
        .left("near", epoch: epoch, graceful: false),
      ])
  }

  // MARK: Executions between nodes

  @Test func anExecutionIsHandedToTheOnlyNodeWithCapableAgents() {
    var world = World(Self.clustered)
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: nil))
    world.announce(.loads(["far": 1]))
    let (id, _) = world.submit()
    world.advance(by: .milliseconds(249))
    #expect(world.told == [])
    world.advance(by: .milliseconds(1))
    #expect(world.told == [World.Told(message: .adopt(execution: id, owner: World.session), session: World.other)])
  }

  @Test func anExecutionWithLocalAgentsStays() {
    var world = World(Self.clustered)
    world.connect("near")
    world.submit()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: nil))
    world.announce(.loads(["far": 1]))
    world.submit()
    world.advance(by: .seconds(10))
    #expect(world.told == [])
  }

  @Test func anAdoptedExecutionIsReleasedAndItsTaskStaysAtItsAgent() {
    var world = World()
    world.connect("near")
    let (id, waiter) = world.submit()
    world.handle(.message(.watch(execution: id, watcher: Self.third)))
    world.steal(id)
    world.handle(.message(.adopted(execution: id)))
    #expect(world.machine.execution(id) == nil && world.load("near") == 1)
    #expect(world.resolutions[waiter] == .accepted(ExecutionAcceptance(executionId: id, status: .running)))
    #expect(world.told == [World.Told(message: .ended(execution: id), session: Self.third)])
    world.complete("task_1_0", by: "near")
    #expect(world.takeLookUps().map(\.task) == ["task_1_0"] && world.load("near") == 0)
  }

  @Test func remoteWatchersAreNotifiedOfTheEnd() {
    var world = World()
    world.connect("near")
    let (id, _) = world.submit()
    world.handle(.message(.watch(execution: id, watcher: World.other)))
    world.complete("task_1_0", by: "near")
    #expect(world.told == [])
    world.settle()
    #expect(world.told == [World.Told(message: .ended(execution: id), session: World.other)])
    world.handle(.message(.watch(execution: id, watcher: Self.third)))
    #expect(world.told.last == World.Told(message: .ended(execution: id), session: Self.third))
  }

  @Test func aStoppingNodeHandsOverExecutionsWithoutCallers() {
    var world = World()
    world.connect("near", limit: 9)
    for waits in [true, false, false] { world.submit(waits: waits) }
    world.handle(.handOver(to: [World.other, Self.third]))
    #expect(
      world.told == [
        World.Told(message: .adopt(execution: "exec_2", owner: World.session), session: World.other),
        World.Told(message: .adopt(execution: "exec_3", owner: World.session), session: Self.third),
      ])
  }

  @Test func executionsAtRemoteAgentsAreRereadAndTheirTasksResent() {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: nil))
    let (id, _) = world.submit(timeout: .seconds(600))
    world.advance(by: .seconds(30))
    #expect(world.reads == [id] && world.deliveries.count == 2)
    world.advance(by: .seconds(30))
    #expect(world.reads == [id, id] && Set(world.deliveries) == ["task_1_0 far node-b"])
  }

  @Test func anExecutionWithAnotherOwnerInTheStoreIsReleased() {
    var world = World()
    world.connect("near")
    let (id, _) = world.submit()
    world.steal(id)
    world.readOutcomes(id)
    #expect(world.machine.execution(id) == nil)
  }

  @Test func eachStatusIsPublishedOnce() {
    var world = World()
    let (id, _) = world.submit()
    world.connect("near")
    world.settle()
    world.complete("task_1_0", by: "near")
    world.settle()
    #expect(world.statuses == ["\(id) pending", "\(id) running", "\(id) completed"])
  }
}

extension World {
  mutating func announce(_ news: AgentAnnouncement, from home: NodeSession = World.other) {
    handle(.agent(.announced(news, from: home)))
  }

  /// The tasks sent to other nodes, as "task agent node", in order.
  var deliveries: [String] {
    told.compactMap { told in
      guard case .deliver(let task, let agent, _, _) = told.message else { return nil }
      return "\(task.taskId) \(agent) \(told.session.nodeID)"
    }
  }

  /// Another node sends a task to a local agent.
  mutating func forward(_ task: String, to agent: String) {
    let message = ControlPlaneMessage.Task(
      taskId: task, executionId: Self.execution(of: task), patternName: "pattern", patternVersion: "1.0.0", capability: "text", input: [:],
      timeout: .seconds(60), priority: .normal, context: .init(stepIndex: 0, totalSteps: 1))
    handle(.message(.deliver(message, agent: agent, owner: World.other)))
  }

  mutating func withdraw(_ task: String, from agent: String) {
    let message = ControlPlaneMessage.TaskCancelled(taskId: task, executionId: Self.execution(of: task), reason: "cancelled")
    handle(.message(.withdraw(message, agent: agent)))
  }

  mutating func readOutcomes(_ id: String) {
    let stored = store[id]
    handle(.read(id, stored))
  }
}
