import ParallaxAPI
import ParallaxControlPlane
import ParallaxState
import Testing

/// The recovery of executions of a lost node.
@Suite struct DispatchRecoveryTests {
  private let pattern = World.pattern(min: 2, retries: 1)

  private func task(_ slot: Int, _ agent: String, _ state: TaskRecord.State = .open, attempt: Int = 1) -> TaskRecord {
    TaskRecord(
      id: "task_1_\(slot)", agentID: agent, slot: slot, attempt: attempt, state: state,
      result: state == .completed ? .integer(Int64(slot)) : nil,
      retryable: state == .failed ? true : nil)
  }

  private func recovered(_ status: ExecutionStatus, _ tasks: [TaskRecord], in world: inout World) {
    var execution = world.execution("exec_1", pattern)
    execution.owner = World.other
    execution.status = status
    execution.revision = 4
    world.plant(StoredExecution(execution: execution, tasks: tasks))
    world.recover("exec_1")
  }

  @Test func aPendingExecutionIsQueuedAgain() {
    var world = World()
    recovered(.pending, [], in: &world)
    world.connect("a")
    world.connect("b")
    world.settle()
    #expect(world.tasks == ["task_1_2_0 a", "task_1_2_1 b"])
    #expect(world.faults == [])
  }

  @Test func aRunningExecutionContinuesAtItsAgents() {
    var world = World()
    world.handle(.agent(.expected("a", epoch: 0, home: World.other)))
    recovered(.running, [task(0, "a"), task(1, "b")], in: &world)
    world.connect("a", activeTasks: ["task_1_0"])
    world.connect("b", activeTasks: ["task_1_1"])
    world.advance(by: .seconds(40))
    #expect(world.tasks == [])
    world.complete("task_1_0", by: "a")
    world.complete("task_1_1", by: "b")
    world.settle()
    #expect(world.status("exec_1") == .completed)
    #expect(world.load("a") == 0 && world.load("b") == 0 && world.faults == [])
  }

  @Test func anAgentThatDoesNotReconnectIsReplacedAfterTheGrace() {
    var world = World()
    recovered(.running, [task(0, "a"), task(1, "b", .completed)], in: &world)
    world.connect("c")
    world.advance(by: .milliseconds(29_999))
    #expect(world.tasks == [] && world.writes.isEmpty)
    world.advance(by: .milliseconds(1))
    world.settle()
    #expect(world.tasks == ["task_1_2_2 c"])
    #expect(world.machine.agent("a") == nil)
  }

  @Test func aSlotWithoutAnAgentGetsOne() {
    var world = World()
    world.connect("a")
    world.connect("c")
    recovered(.running, [task(0, "a", .failed), task(1, "b", .completed)], in: &world)
    world.settle()
    #expect(world.tasks == ["task_1_2_2 c"])
  }

  @Test func anAgentBackBeforeItsExecutionGetsOnlyTasksItDidNotReport() {
    var world = World()
    world.connect("a", activeTasks: [])
    world.connect("b", activeTasks: ["task_1_1"])
    recovered(.running, [task(0, "a"), task(1, "b")], in: &world)
    world.advance(by: .seconds(2))
    world.settle()
    #expect(world.tasks == ["task_1_0 a"])
    #expect(world.load("a") == 1 && world.load("b") == 1)
  }

  @Test func anAgentBackWithoutAReportHasTheGrace() {
    var world = World()
    world.connect("a", activeTasks: nil)
    recovered(.running, [task(0, "a"), task(1, "b", .completed)], in: &world)
    world.connect("c")
    world.advance(by: .milliseconds(29_999))
    #expect(world.writes.isEmpty)
    world.advance(by: .milliseconds(1))
    world.settle()
    #expect(world.tasks == ["task_1_2_2 c"])
  }

  @Test func anAggregatingExecutionEndsWithTheRecordedResults() {
    var world = World()
    recovered(.aggregating, [task(0, "a", .completed), task(1, "b", .completed)], in: &world)
    world.settle()
    #expect(world.store["exec_1"]?.execution.result == ["results": [0, 1]])
    #expect(world.ended == ["exec_1": 1] && world.released == ["exec_1"])
  }

  @Test func anExpiredExecutionTimesOutAtOnce() {
    var world = World()
    var execution = world.execution("exec_1", pattern, timeout: .seconds(1))
    execution.owner = World.other
    world.plant(StoredExecution(execution: execution, tasks: []))
    world.now.wall = world.now.wall + .seconds(5)
    world.recover("exec_1")
    world.advance(by: .zero)
    world.settle()
    #expect(world.status("exec_1") == .timedOut)
  }

  /// The clock of the former owner was ten minutes ahead of this node's.
  @Test func noExecutionGetsMoreTimeThanItsTimeout() {
    var world = World()
    world.now.wall = World.start + .seconds(600)
    var execution = world.execution("exec_1", pattern, timeout: .seconds(60))
    execution.owner = World.other
    world.plant(StoredExecution(execution: execution, tasks: []))
    world.now.wall = World.start
    world.recover("exec_1")
    world.advance(by: .milliseconds(59_999))
    world.settle()
    #expect(world.status("exec_1") == .pending)
    world.advance(by: .milliseconds(1))
    world.settle()
    #expect(world.status("exec_1") == .timedOut)
  }

  @Test func theRecoveryOfALocalExecutionChangesNothing() {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit()
    let before = world.machine.execution(id)
    if let before { world.handle(.recovered(before)) }
    #expect(world.machine.execution(id) == before && world.load("a") == 1)
    world.complete("task_1_0", by: "a")
    world.settle()
    #expect(world.ended == [id: 1])
  }

  @Test func aRecoveredExecutionCountsAgainstTheLimitsOfItsAgents() {
    var world = World()
    recovered(.running, [task(0, "a"), task(1, "b")], in: &world)
    world.connect("a", activeTasks: ["task_1_0"])
    world.submit()
    #expect(world.tasks == [])
  }
}
