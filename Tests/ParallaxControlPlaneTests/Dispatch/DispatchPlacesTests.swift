import ParallaxAPI
import ParallaxState
import Testing

@testable import ParallaxControlPlane

/// The places of withdrawn and missing tasks, by the lists in heartbeats.
@Suite struct DispatchPlacesTests {
  /// A node with an agent of one place, a withdrawn task, and another that waits for the place.
  private func withWithdrawnTask() -> World {
    var world = World()
    world.connect("a")
    world.submit(timeout: .seconds(2))
    world.submit(timeout: .seconds(600))
    world.advance(by: .seconds(2))
    world.settle()
    return world
  }

  // MARK: Lists from before a task

  /// The list waited at the node, which was paused.
  @Test func aListThatTheAgentMayHaveWrittenBeforeATaskDoesNotFreeThePlaceOfItsWithdrawal() {
    var world = withWithdrawnTask()
    for _ in 1...3 { world.report([], by: "a") }
    #expect(world.tasks == ["task_1_0 a"] && world.machine.agent("a")?.load == 1)
    world.answerPings()
    #expect(world.tasks == ["task_1_0 a"], "the answer alone frees nothing")
    world.report([], by: "a")
    #expect(world.tasks == ["task_1_0 a", "task_2_0 a"] && world.faults == [])
  }

  @Test func aTaskThatWasListedBeforeItsWithdrawalWasRead() {
    var world = World()
    world.connect("a")
    world.submit(timeout: .seconds(2))
    world.submit(timeout: .seconds(600))
    world.report(["task_1_0"], by: "a")
    world.answerPings()
    world.advance(by: .seconds(2))
    world.settle()
    #expect(world.pings == [])
    world.report([], by: "a")
    #expect(world.tasks == ["task_1_0 a", "task_2_0 a"])
  }

  @Test func aWithdrawalAsksAnAgentThatSendsListsForAProof() {
    var world = World()
    world.connect("a", limit: 2)
    world.report([], by: "a")
    #expect(world.pings.count == 1, "the first list asks whether the agent answers pings")
    world.answerPings()
    world.submit(timeout: .seconds(2))
    world.submit(timeout: .seconds(2))
    world.submit(timeout: .seconds(600))
    #expect(world.pings == [])
    world.advance(by: .seconds(2))
    world.settle()
    #expect(world.pings.count == 1, "one ping proves both")
    world.answerPings()
    world.report([], by: "a")
    #expect(world.tasks.last == "task_3_0 a")
  }

  @Test func listsFromBeforeATaskOfAnotherNodeDoNotFreeItsPlace() {
    var world = World(DispatchMachine.Settings(session: World.session, relocationDelay: .milliseconds(250)))
    world.connect("a")
    world.forward("task_8_0", to: "a")
    world.forward("task_9_0", to: "a")
    for _ in 1...4 { world.report([], by: "a") }
    #expect(world.tasks == ["task_8_0 a"])
    world.answerPings()
    world.report([], by: "a")
    #expect(world.tasks == ["task_8_0 a"])
    world.report([], by: "a")
    #expect(world.tasks == ["task_8_0 a", "task_9_0 a"])
  }

  @Test func aTaskThatIsListedAgainInBetweenKeepsItsPlace() {
    var world = World(DispatchMachine.Settings(session: World.session, relocationDelay: .milliseconds(250)))
    world.connect("a")
    world.forward("task_8_0", to: "a")
    world.forward("task_9_0", to: "a")
    world.report([], by: "a")
    world.answerPings()
    for _ in 1...3 {
      world.report([], by: "a")
      world.report(["task_8_0"], by: "a")
    }
    #expect(world.tasks == ["task_8_0 a"])
    for _ in 1...2 { world.report([], by: "a") }
    #expect(world.tasks == ["task_8_0 a", "task_9_0 a"])
  }

  /// The ping went out while the task waited in the session of an agent that did not read.
  @Test func theAnswerToAPingFromBeforeATaskProvesNothing() {
    var world = World(DispatchMachine.Settings(session: World.session, relocationDelay: .milliseconds(250)))
    let epoch = world.connect("a", limit: 2)
    world.forward("task_8_0", to: "a")
    world.forward("task_9_0", to: "a")
    world.handle(.agent(.deferred(task: "task_9_0", at: "a", epoch: epoch)))
    world.report([], by: "a")
    #expect(world.pings.count == 1)
    world.handle(.agent(.sent(task: "task_9_0", to: "a", epoch: epoch)))
    world.answerPings()
    for _ in 1...3 { world.report([], by: "a") }
    #expect(world.machine.agent("a")?.tasks.keys.sorted() == ["task_9_0"])
  }

  @Test func anAnswerOverAnotherConnectionOrToNoPingProvesNothing() {
    var world = withWithdrawnTask()
    world.report([], by: "a")
    world.handle(.agent(.answered(ping: 1, by: "a", epoch: 99)))
    world.handle(.agent(.answered(ping: 2, by: "a", epoch: 1)))
    world.report([], by: "a")
    #expect(world.tasks == ["task_1_0 a"])
  }

  @Test func atAnAgentThatAnswersNoPingATaskCountsAsReadAfterATime() {
    var world = withWithdrawnTask()
    for second in 2..<30 {
      if second.isMultiple(of: 5) { world.report([], by: "a") }
      world.advance(by: .seconds(1))
    }
    #expect(world.tasks == ["task_1_0 a"])
    world.report([], by: "a")
    #expect(world.tasks == ["task_1_0 a", "task_2_0 a"])
  }

  /// The node was paused before the task was written, and the lists of that time wait.
  @Test func atAnAgentThatAnswersPingsNoTimeCountsAsAProof() {
    var world = World()
    world.connect("a")
    world.report([], by: "a")
    world.answerPings()
    world.submit(timeout: .seconds(2))
    world.submit(timeout: .seconds(600))
    world.advance(by: .seconds(40))
    world.settle()
    for _ in 1...3 { world.report([], by: "a") }
    #expect(world.tasks == ["task_1_0 a"])
    world.answerPings()
    world.report([], by: "a")
    #expect(world.tasks == ["task_1_0 a", "task_2_0 a"])
  }

  /// Its agent was never told of it, so it acknowledges no withdrawal either.
  @Test func aTaskThatIsDroppedInItsSessionKeepsNoPlace() {
    var world = World()
    let epoch = world.connect("a")
    world.submit(timeout: .seconds(2))
    world.submit(timeout: .seconds(600))
    world.handle(.agent(.deferred(task: "task_1_0", at: "a", epoch: epoch)))
    world.handle(.agent(.dropped(task: "task_1_0", at: "a", epoch: epoch)))
    world.advance(by: .seconds(2))
    world.settle()
    #expect(world.tasks == ["task_1_0 a", "task_2_0 a"] && world.faults == [])
  }

  // MARK: Agents without lists

  @Test func aPlaceStaysTakenBetweenTheListsOfAgentsThatAreAskedRarely() {
    var world = World(DispatchMachine.Settings(session: World.session, heartbeatInterval: .seconds(60)))
    world.connect("a")
    world.submit(timeout: .seconds(2))
    world.submit(timeout: .seconds(600))
    world.advance(by: .seconds(2))
    world.settle()
    for _ in 1...5 {
      world.report(["task_1_0"], by: "a")
      world.wait(60)
    }
    #expect(world.tasks == ["task_1_0 a"])
  }

  @Test func anAgentThatStopsSendingListsLosesNoPlaceForGood() {
    var world = withWithdrawnTask()
    world.wait(10)
    world.report(["task_1_0"], by: "a")
    world.wait(29)
    world.advance(by: .milliseconds(999))
    world.settle()
    #expect(world.tasks == ["task_1_0 a"])
    world.advance(by: .milliseconds(1))
    world.settle()
    #expect(world.tasks == ["task_1_0 a", "task_2_0 a"])
  }

  /// The agent's lists wait at the node.
  @Test(arguments: [27, 29, 60])
  func aPauseOfTheNodeIsNoTimeWithoutLists(seconds: Int) {
    var world = withWithdrawnTask()
    world.report(["task_1_0"], by: "a")
    world.wait(4)
    world.advance(by: .seconds(seconds))
    world.settle()
    world.report(["task_1_0"], by: "a")
    world.wait(29)
    #expect(world.tasks == ["task_1_0 a"])
    world.wait(1)
    #expect(world.tasks == ["task_1_0 a", "task_2_0 a"])
  }
}
