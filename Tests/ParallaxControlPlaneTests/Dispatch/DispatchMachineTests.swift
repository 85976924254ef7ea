import ParallaxAPI
import ParallaxState
import Testing

@testable import ParallaxControlPlane

/// Callers, queues and the life cycle of executions.
@Suite struct DispatchMachineTests {
  // MARK: Submitting

  @Test func aFreeAgentExecutesAndTheCallerGetsTheResult() {
    var world = World()
    world.connect("a")
    let (id, waiter) = world.begin()
    #expect(world.tasks == [])
    world.settle()
    #expect(world.tasks == ["task_1_0 a"])
    world.complete("task_1_0", by: "a", result: 7, messageID: "m1")
    #expect(world.acknowledged == [] && world.load("a") == 0)
    world.settle()
    #expect(
      world.sent.last == World.Sent(agent: "a", message: .resultAck(ControlPlaneMessage.ResultAck(taskId: "task_1_0")), messageID: "m1"))
    guard case .finished(let stored)? = world.resolutions[waiter] else { Issue.record("no outcome"); return }
    #expect(stored == world.store[id])
    #expect(stored.execution.status == .completed && stored.execution.result == ["results": [7]])
    #expect(world.ended == [id: 1] && world.released == [id])
    #expect(world.machine.executionCount == 0)
    #expect(world.machine.agent("a")?.tasksCompleted == 1)
    #expect(world.faults == [])
  }

  @Test func aTaskContainsItsExecutionAndTheRemainingTime() {
    var world = World()
    world.connect("a", ["text", "fast"])
    world.begin(World.pattern(["text", "fast"]), priority: .high, timeout: .seconds(30))
    world.advance(by: .seconds(10))
    // The remaining time does not depend on the wall clock.
    world.now.wall = world.now.wall + .seconds(600)
    world.settle()
    guard case .task(let task)? = world.sent.first?.message else { Issue.record("no task"); return }
    #expect(task.executionId == "exec_1" && task.patternName == "pattern" && task.patternVersion == "1.0.0")
    #expect(task.timeout.duration == .seconds(20))
    #expect(task.priority == .high && task.capability == "text")
  }

  @Test func anAsynchronousCallerIsAnsweredOnceTheExecutionIsStored() {
    var world = World()
    let (id, waiter) = world.begin(waits: false)
    #expect(world.resolutions[waiter] == nil)
    world.settle()
    #expect(world.resolutions[waiter] == .accepted(ExecutionAcceptance(executionId: id, status: .pending)))
    world.connect("a")
    world.settle()
    #expect(world.tasks == ["task_1_0 a"])
  }

  @Test func aRepeatDuringTheCreationJoinsIt() {
    var world = World()
    world.connect("a")
    let (id, first) = world.begin()
    let repeated = world.execution(id)
    let second = world.newWaiter()
    world.handle(.submitted(repeated, second, waits: false, isRepeatable: false))
    world.settle()
    #expect(world.tasks == ["task_1_0 a"])
    #expect(world.load("a") == 1)
    #expect(world.resolutions[second] == .accepted(ExecutionAcceptance(executionId: id, status: .running)))
    world.complete("task_1_0", by: "a")
    world.settle()
    #expect(world.resolutions[first] != nil && world.load("a") == 0)
    #expect(world.faults == [])
  }

  @Test func attachedCallersGetTheOutcome() {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit()
    let waiting = world.newWaiter()
    let asking = world.newWaiter()
    let left = world.newWaiter()
    for (waiter, waits) in [(waiting, true), (asking, false), (left, true)] {
      world.handle(.attached(waiter, to: id, waits: waits))
    }
    #expect(world.resolutions[asking] == .accepted(ExecutionAcceptance(executionId: id, status: .running)))
    world.handle(.detached(left, from: id))
    world.complete("task_1_0", by: "a")
    world.settle()
    guard case .finished? = world.resolutions[waiting] else { Issue.record("no outcome"); return }
    #expect(world.resolutions[left] == .accepted(ExecutionAcceptance(executionId: id, status: .running)))
    world.handle(.attached(99, to: id, waits: true))
    #expect(world.refused == [99])
  }

  @Test func anExecutionIDOwnedByAnotherNodeIsNotTakenOver() {
    var world = World()
    world.connect("a")
    var other = world.execution("exec_1")
    other.owner = World.other
    world.plant(StoredExecution(execution: other, tasks: []))
    let (id, waiter) = world.submit()
    #expect(world.resolutions[waiter] == .accepted(ExecutionAcceptance(executionId: id, status: .running)))
    #expect(world.machine.executionCount == 0 && world.load("a") == 0 && world.tasks == [])
  }

  // MARK: Outages of the store

  @Test func anExecutionThatTheStoreRefusesFailsItsCallersAndEndsOnceStored() {
    var world = World()
    world.connect("a")
    let (id, waiter) = world.begin()
    let refusal = APIError(.notReady, "no store")
    world.handle(.creationDelayed(id, refusal))
    #expect(world.resolutions[waiter] == .failed(refusal))
    #expect(world.load("a") == 0)
    let later = world.newWaiter()
    world.handle(.attached(later, to: id, waits: true))
    #expect(world.resolutions[later] == .failed(refusal))
    world.settle()
    #expect(world.tasks == [] && world.cancelled == [])
    #expect(world.store[id]?.execution.error?.code == "STORE_UNAVAILABLE")
    #expect(world.machine.executionCount == 0 && world.faults == [])
  }

  @Test func aRepeatableExecutionContinuesAfterAnOutageOfTheStore() {
    var world = World()
    world.connect("a")
    let (id, waiter) = world.begin(isRepeatable: true)
    let refusal = APIError(.notReady, "no store")
    world.handle(.creationDelayed(id, refusal))
    #expect(world.resolutions[waiter] == .failed(refusal))
    world.settle()
    #expect(world.tasks.count == 1 && world.store[id]?.execution.status == .running)
    let later = world.newWaiter()
    world.handle(.attached(later, to: id, waits: true))
    #expect(world.resolutions[later] == nil)
  }

  @Test func anExecutionClaimedByAnotherNodeIsReleased() {
    var world = World()
    world.connect("a")
    let (id, waiter) = world.submit()
    world.steal(id)
    world.handle(.cancelled(id, by: 99))
    world.settle()
    #expect(world.resolutions[waiter] == .accepted(ExecutionAcceptance(executionId: id, status: .cancelled)))
    #expect(world.resolutions[99] != nil)
    #expect(world.machine.executionCount == 0 && world.load("a") == 0 && world.ended == [:])
  }

  // MARK: Waiting

  @Test func executionsStartByPriorityThenByAge() {
    var world = World()
    world.submit(priority: .low)
    world.submit()
    world.submit(priority: .high)
    world.submit()
    world.connect("a", limit: 4)
    world.settle()
    #expect(world.tasks == ["task_3_0 a", "task_2_0 a", "task_4_0 a", "task_1_0 a"])
  }

  @Test func aLaterExecutionDoesNotOvertakeWaitingOnes() {
    var world = World()
    world.connect("a")
    world.submit()
    world.submit()
    world.begin()
    world.complete("task_1_0", by: "a")
    world.settle()
    #expect(world.tasks == ["task_1_0 a", "task_2_0 a"])
    world.complete("task_2_0", by: "a")
    world.settle()
    #expect(world.tasks.last == "task_3_0 a")
  }

  @Test func executionsThatNeedTooManyAgentsDoNotBlockOthers() {
    var world = World()
    for _ in 0..<100 { world.submit(World.pattern(min: 3), waits: false) }
    world.submit(waits: false)
    world.connect("a")
    world.settle()
    #expect(world.tasks == ["task_101_0 a"])
    world.connect("b")
    world.connect("c")
    world.complete("task_101_0", by: "a")
    world.settle()
    #expect(Set(world.tasks.dropFirst()) == ["task_1_0 b", "task_1_1 c", "task_1_2 a"])
  }

  @Test func anAgentOfSeveralPoolsServesTheOldestExecutionOfAnyPool() {
    var world = World()
    world.submit(World.pattern(["b"]))
    world.submit(World.pattern(["a"]))
    world.submit(World.pattern(["a", "b"]))
    world.submit(World.pattern(["a"]), priority: .high)
    world.connect("x", ["a", "b"])
    for task in ["task_4_0", "task_1_0", "task_2_0", "task_3_0"] {
      world.settle()
      #expect(world.tasks.last == "\(task) x")
      world.complete(task, by: "x")
    }
    #expect(world.tasks.count == 4)
  }

  @Test func agentsThatBecomeFreeDuringTheCreationAreAssigned() {
    var world = World()
    world.begin()
    world.connect("a")
    world.settle()
    #expect(world.tasks == ["task_1_0 a"])
  }

  @Test func allFreeAgentsUpToTheMaximumAreAssigned() {
    var world = World()
    for agent in ["a", "b", "c", "d"] { world.connect(agent) }
    world.submit(World.pattern(min: 2, max: 3))
    #expect(world.tasks.count == 3)
    world.submit(World.pattern(min: 2, max: 3))
    #expect(world.tasks.count == 3)
  }

  @Test func aSynchronousCallerLearnsOfTooFewAgentsAfterTheWait() {
    var world = World()
    world.connect("a")
    let (id, waiter) = world.submit(World.pattern(min: 2))
    world.advance(by: .milliseconds(4_999))
    world.settle()
    #expect(world.resolutions[waiter] == nil)
    world.advance(by: .milliseconds(1))
    world.settle()
    guard case .finished(let stored)? = world.resolutions[waiter] else { Issue.record("no outcome"); return }
    #expect(stored.execution.status == .failed)
    #expect(
      stored.execution.error == ExecutionFailure(code: "NO_AGENTS", message: "2 connected agents with text are needed, 1 are there"))
    #expect(world.ended == [id: 1])
  }

  @Test func anExecutionWaitsForBusyAgents() {
    var world = World()
    world.connect("a")
    world.submit()
    let (id, waiter) = world.submit()
    world.advance(by: .seconds(6))
    world.settle()
    #expect(world.resolutions[waiter] == nil && world.status(id) == .pending)
  }

  @Test func anAsynchronousCallersExecutionWaitsUntilItsDeadline() {
    var world = World()
    let (id, _) = world.submit(timeout: .seconds(30), waits: false)
    world.advance(by: .milliseconds(29_999))
    world.settle()
    #expect(world.status(id) == .pending)
    world.advance(by: .milliseconds(1))
    world.settle()
    #expect(world.status(id) == .timedOut)
  }

  // MARK: Places

  @Test func anAgentThatContinuesACancelledTaskGetsNoMoreTasks() {
    var world = World()
    world.connect("a")
    let (first, _) = world.submit(timeout: .seconds(2))
    world.submit()
    world.advance(by: .seconds(2))
    world.settle()
    #expect(world.status(first) == .timedOut && world.machine.agent("a")?.load == 1)
    for _ in 1...5 {
      world.report(["task_1_0"], by: "a")
      world.wait(10)
    }
    #expect(world.tasks == ["task_1_0 a"])
    world.report([], by: "a")
    #expect(world.tasks == ["task_1_0 a", "task_2_0 a"])
  }

  /// The owner of the first task has withdrawn it in vain, and the agent does not have it any more.
  @Test func aTaskOfAnotherNodeThatTwoHeartbeatsInARowDoNotListFreesItsPlace() {
    var world = World(DispatchMachine.Settings(session: World.session, relocationDelay: .milliseconds(250)))
    let epoch = world.connect("a")
    world.forward("task_8_0", to: "a")
    world.forward("task_9_0", to: "a")
    let report = { (tasks: [String]) in world.report(tasks, by: "a") }
    // The task was on its way to the agent, then its result was.
    for tasks in [[], [], ["task_8_0"], []] { report(tasks) }
    #expect(world.tasks == ["task_8_0 a"])
    report([])
    #expect(world.tasks == ["task_8_0 a", "task_9_0 a"] && world.machine.agent("a")?.load == 1)
    // A task that waits in the session of its agent is no more on its way than before.
    world.handle(.agent(.deferred(task: "task_9_0", at: "a", epoch: epoch)))
    for _ in 1...3 { report([]) }
    #expect(world.machine.agent("a")?.load == 1)
    world.handle(.agent(.sent(task: "task_9_0", to: "a", epoch: epoch)))
    report([])
    world.answerPings()
    for _ in 1...2 { report([]) }
    #expect(world.machine.agent("a")?.load == 0 && world.faults == [])
  }

  @Test func aTaskOfThisNodeThatNoHeartbeatListsKeepsItsPlace() {
    var world = World()
    let epoch = world.connect("a")
    world.submit()
    world.submit()
    for _ in 1...3 { world.handle(.agent(.reported("a", epoch: epoch, tasks: []))) }
    world.settle()
    #expect(world.tasks == ["task_1_0 a"])
  }

  @Test func theResultOfACancelledTaskFreesItsPlace() {
    var world = World()
    world.connect("a")
    let (first, _) = world.submit()
    world.submit()
    _ = world.cancel(first)
    world.settle()
    #expect(world.tasks == ["task_1_0 a"])
    world.complete("task_1_0", by: "a")
    world.settle()
    #expect(world.tasks == ["task_1_0 a", "task_2_0 a"])
  }

  @Test func aResultDuringTheWriteOfACancellationFreesItsPlace() {
    var world = World()
    let epoch = world.connect("a")
    let (first, _) = world.submit()
    _ = world.cancel(first)
    #expect(world.machine.agent("a")?.ending == ["task_1_0"])
    world.complete("task_1_0", by: "a")
    #expect(world.machine.agent("a")?.load == 0)
    world.settle()
    // A renewed registration keeps the wait for the place.
    let (second, _) = world.submit(timeout: .seconds(600))
    _ = world.cancel(second)
    world.handle(.agent(.renewed("a", from: epoch, epoch: epoch + 1)))
    world.wait(30)
    #expect(world.machine.agent("a")?.load == 0)
  }

  @Test func aRepeatedResultFreesThePlaceThatItsAgentReported() {
    var world = World()
    world.connect("a")
    world.submit()
    world.complete("task_1_0", by: "a")
    // The agent reconnects before the acknowledgement, and reports the task.
    world.connect("a", activeTasks: ["task_1_0"])
    #expect(world.machine.agent("a")?.load == 1)
    world.complete("task_1_0", by: "a")
    world.settle()
    #expect(world.machine.agent("a")?.load == 0)
  }

  @Test func thePlaceOfACancelledTaskIsFreedAfter30SecondsOfSilence() {
    var world = World()
    world.connect("a")
    let (first, _) = world.submit(timeout: .seconds(600))
    world.submit(timeout: .seconds(600))
    _ = world.cancel(first)
    world.settle()
    world.wait(29)
    world.advance(by: .milliseconds(999))
    world.settle()
    #expect(world.tasks == ["task_1_0 a"])
    world.advance(by: .milliseconds(1))
    world.settle()
    #expect(world.tasks == ["task_1_0 a", "task_2_0 a"])
  }

  @Test func anExecutionPastItsDeadlineIsNotStarted() {
    var world = World()
    world.connect("a")
    world.submit()
    let (late, _) = world.submit(timeout: .seconds(5))
    world.now.instant += .seconds(5)
    world.complete("task_1_0", by: "a")
    world.settle()
    #expect(world.tasks == ["task_1_0 a"])
    world.advance(by: .zero)
    world.settle()
    #expect(world.status(late) == .timedOut)
  }

  // MARK: Ends

  @Test func aStoppedTaskOfACancelledExecutionFreesItsAgent() {
    var world = World()
    world.connect("a")
    let (id, waiter) = world.submit()
    world.submit()
    let canceller = world.cancel(id)
    world.settle()
    #expect(world.cancelled == ["task_1_0 a cancelled"])
    // The report of the agent frees the place.
    #expect(world.tasks == ["task_1_0 a"])
    world.handle(.agent(.stopped(task: "task_1_0", by: "a")))
    world.settle()
    #expect(world.tasks == ["task_1_0 a", "task_2_0 a"])
    #expect(world.resolutions[waiter] == canceller.flatMap { world.resolutions[$0] })
    #expect(world.status(id) == .cancelled)
    #expect(world.cancel(id) == nil)
    #expect(world.cancel("exec_none") == nil)
  }

  @Test func anExecutionCancelledBeforeItIsStoredReachesNoAgent() {
    var world = World()
    world.connect("a")
    let (id, waiter) = world.begin(waits: false)
    let canceller = world.cancel(id)
    world.settle()
    #expect(world.sent == [])
    #expect(world.resolutions[waiter] == .accepted(ExecutionAcceptance(executionId: id, status: .cancelled)))
    guard let canceller, case .finished? = world.resolutions[canceller] else { Issue.record("not cancelled"); return }
    #expect(world.load("a") == 0 && world.faults == [])
  }

  @Test func aStoppingNodeAnswersAllCallers() {
    var world = World()
    world.connect("a")
    let (first, waiting) = world.submit()
    let (second, creating) = world.begin()
    world.handle(.stopping)
    #expect(world.resolutions[waiting] == .accepted(ExecutionAcceptance(executionId: first, status: .running)))
    #expect(world.resolutions[creating] == nil)
    world.settle()
    #expect(world.resolutions[creating] == .accepted(ExecutionAcceptance(executionId: second, status: .pending)))
    let late = world.newWaiter()
    world.handle(.attached(late, to: first, waits: true))
    #expect(world.resolutions[late] != nil)
    #expect(world.machine.executionCount == 2)
  }

  @Test func timersOfEndedExecutionsAreDropped() {
    var world = World()
    world.connect("a")
    for number in 1...2_000 {
      world.submit(timeout: .seconds(86_400))
      world.complete("task_\(number)_0", by: "a")
      world.settle()
    }
    #expect(world.machine.sizes.timers <= 1_025)
  }

  @Test func queueEntriesOfEndedExecutionsAreDropped() {
    var world = World()
    let (first, _) = world.submit(timeout: .seconds(86_400), waits: false)
    for _ in 1...2_000 {
      let (id, _) = world.submit(timeout: .seconds(86_400), waits: false)
      _ = world.cancel(id)
      world.settle()
    }
    #expect(world.machine.sizes.waiting <= 1_025)
    world.connect("a")
    world.settle()
    #expect(world.tasks == ["task_1_0 a"] && world.status(first) == .running)
    world.complete("task_1_0", by: "a")
    #expect(world.machine.sizes.waiting == 0)
  }
}
