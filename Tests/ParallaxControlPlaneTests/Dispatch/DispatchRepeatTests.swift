import ParallaxAPI
import ParallaxState
import Testing

@testable import ParallaxControlPlane

/// Agents that repeat their outcomes until they are acknowledged.
@Suite struct DispatchRepeatTests {
  // MARK: Acknowledgements at the return of an agent

  /// A world whose agent has left before its outcome was stored, so that it has not heard the acknowledgement.
  private func unheard() -> World {
    var world = World()
    world.connect("a")
    world.submit()
    world.complete("task_1_0", by: "a")
    world.leave("a")
    world.settle()
    world.forgetSent()
    return world
  }

  @Test(arguments: [["task_1_0", "task_9_0"], nil])
  func `An agent that returns with a task whose outcome is stored gets the acknowledgement`(_ activeTasks: [String]?) {
    var world = unheard()
    world.connect("a", activeTasks: activeTasks)
    #expect(world.acknowledged == ["task_1_0 a"])
    #expect(world.machine.agent("a")?.tasks["task_1_0"] == nil, "it takes no place")
    world.leave("a")
    world.connect("a", activeTasks: activeTasks)
    #expect(world.acknowledged == ["task_1_0 a"], "once")
  }

  @Test func `An agent that returns without the task gets no acknowledgement`() {
    var world = unheard()
    world.connect("a", activeTasks: [])
    world.leave("a")
    world.connect("a", activeTasks: ["task_1_0"])
    #expect(world.acknowledged == [])
  }

  @Test func `The acknowledgement of another node's task waits for its agent too`() {
    var world = World()
    world.connect("a")
    world.complete("task_7_0", by: "a")
    world.leave("a")
    let outcome = TaskRecord(id: "task_7_0", agentID: "a", slot: 0, state: .completed)
    world.handle(.recorded(outcome, execution: "exec_7", messageID: nil, .alreadyRecorded(owner: World.other, terminal: true)))
    world.forgetSent()
    world.connect("a", activeTasks: ["task_7_0"])
    #expect(world.sent.map(\.message) == [.resultAck(.init(taskId: "task_7_0"))])
  }

  @Test func `Acknowledgements for an agent that does not return are bounded, and end with its grace`() {
    var answers = UnheardAnswers()
    for number in 0...UnheardAnswers.capacity { answers.add("task_\(number)", for: "a") }
    #expect(answers.take(for: "a", among: nil).count == UnheardAnswers.capacity)
    var world = unheard()
    world.advance(by: .seconds(30))
    #expect(world.gone == ["a"])
    world.connect("a", activeTasks: ["task_1_0"])
    #expect(world.acknowledged == [])
  }

  // MARK: Outcomes of other nodes' tasks

  @Test func `An outcome that is being recorded is not recorded again, and its acknowledgement answers the latest message`() {
    var world = World()
    world.connect("a")
    for number in 1...3 { world.complete("task_7_0", by: "a", messageID: "m\(number)") }
    world.complete("task_7_1", by: "a")
    #expect(world.takeLookUps().map(\.task) == ["task_7_0", "task_7_1"])
    let outcome = TaskRecord(id: "task_7_0", agentID: "a", slot: 0, state: .completed)
    world.handle(.recorded(outcome, execution: "exec_7", messageID: "m1", .unknown))
    #expect(world.sent.map(\.messageID) == ["m3"])
    world.complete("task_7_0", by: "a")
    #expect(world.takeLookUps().map(\.task) == ["task_7_0"], "the agent has not heard the acknowledgement")
  }

  @Test func `Outcomes that wait for the store are bounded in bytes, and the agents of dropped ones send them again`() {
    var world = World()
    world.connect("a")
    world.connect("b")
    let large = JSONValue.string(String(repeating: "x", count: PendingRecords.byteLimit / 4))
    for number in 0..<5 { world.complete("task_7_\(number)", by: "a", result: large) }
    world.complete("task_7_5", by: "b")
    #expect(world.takeLookUps().map(\.task) == (0..<4).map { "task_7_\($0)" })
    for number in 0..<4 {
      #expect(world.reconnected == (number < 3 ? [] : ["a", "b"]))
      let outcome = TaskRecord(id: "task_7_\(number)", agentID: "a", slot: 0, state: .completed)
      world.handle(.recorded(outcome, execution: "exec_7", messageID: nil, .unknown))
    }
    #expect(world.reconnected == ["a", "b"], "once")
    world.complete("task_7_4", by: "a", result: large)
    #expect(world.lookUps.map(\.task) == ["task_7_4"])
  }

  @Test func `An outcome that could not be recorded is recorded when its agent repeats it`() {
    var world = World()
    world.connect("a")
    world.complete("task_7_0", by: "a")
    world.handle(.unrecorded(TaskRecord(id: "task_7_0", agentID: "a", slot: 0, state: .completed), execution: "exec_7"))
    #expect(world.sent.isEmpty)
    world.complete("task_7_0", by: "a")
    #expect(world.takeLookUps().count == 2)
  }
}
