import ParallaxAPI
import ParallaxState
import Testing

@testable import ParallaxControlPlane

/// An input that takes down its agents, which return under another id, cannot report their tasks, or report them and die again.
@Suite struct DispatchPoisonTests {
  /// A node whose only agent has a deadly task and three healthy ones without retries.
  private func poisoned(retries: Int) -> (world: World, poison: String, healthy: [String]) {
    var world = World()
    world.connect("a", limit: 4)
    let (poison, _) = world.submit(World.pattern(retries: retries), timeout: .seconds(3_600))
    let healthy = (1...3).map { _ in world.submit(timeout: .seconds(3_600)).id }
    #expect(world.tasks.count == 4)
    return (world, poison, healthy)
  }

  private func openTask(of id: String, in world: World) -> TaskRecord? { world.store[id]?.tasks.first { $0.state == .open } }

  /// The agents without the deadly task do their work.
  private func work(on healthy: [String], besides poison: String, in world: inout World) {
    let deadly = openTask(of: poison, in: world)?.agentID
    for id in healthy {
      guard let task = openTask(of: id, in: world), task.agentID != deadly, world.machine.agent(task.agentID)?.isConnected == true else {
        continue
      }
      world.complete(task.id, by: task.agentID)
      world.settle()
    }
  }

  @Test(arguments: [0, 10])
  func anInputThatTakesDownProcessesWithIDsOfTheirOwnIsSetAside(retries: Int) {
    var (world, poison, healthy) = poisoned(retries: retries)
    var deaths = 0
    for number in 1...12 {
      guard let agent = openTask(of: poison, in: world)?.agentID else { break }
      deaths += 1
      world.leave(agent)
      world.connect("a\(number)", limit: 4)
      world.settle()
      for _ in 1...30 {
        work(on: healthy, besides: poison, in: &world)
        world.wait(1)
      }
    }
    work(on: healthy, besides: poison, in: &world)
    #expect(world.status(poison) == .failed && deaths <= 6, "\(deaths) deaths")
    for id in healthy { #expect(world.status(id) == .completed && world.store[id]?.execution.attempt == 1) }
    let message = world.store[poison]?.execution.error?.message
    #expect((message == "not retried: 3 agents were lost with nothing but this task") == (retries > 0), "\(message ?? "")")
    #expect(world.faults == [])
  }

  @Test func anInputThatTakesDownAgentsThatCannotReportTasksIsSetAside() {
    var (world, poison, healthy) = poisoned(retries: 10)
    world.connect("b", limit: 4)
    var deaths = 0
    for _ in 1...12 {
      guard let agent = openTask(of: poison, in: world)?.agentID else { break }
      deaths += 1
      world.leave(agent)
      world.connect(agent, limit: 4, activeTasks: nil)
      for _ in 1...31 {
        world.wait(1)
        work(on: healthy, besides: poison, in: &world)
      }
    }
    #expect(world.status(poison) == .failed && deaths <= 6, "\(deaths) deaths")
    for id in healthy { #expect(world.status(id) == .completed && world.store[id]?.execution.attempt == 1) }
  }

  /// The tasks of other nodes are as suspect.
  @Test func aTaskThatIsGoneBesideOneOfAnotherNodeUsesNoRetry() {
    var world = World()
    world.connect("a", limit: 2)
    let (id, _) = world.submit(timeout: .seconds(3_600))
    world.forward("task_9_0", to: "a")
    world.leave("a")
    world.wait(30)
    #expect(world.status(id) == .running && world.store[id]?.tasks.first?.error?.code == "AGENT_LOST_WITH_OTHERS")
  }

  @Test func theFirstLossOfAnAgentWithItsTasksSeparatesNone() {
    var (world, _, _) = poisoned(retries: 0)
    world.connect("b", limit: 4)
    world.leave("a")
    world.wait(30)
    #expect(Set(world.tasks.suffix(4)) == ["task_1_1 b", "task_2_1 b", "task_3_1 b", "task_4_1 b"])
    world.leave("b")
    world.connect("c", limit: 4)
    world.wait(30)
    #expect(world.tasks.count == 9 && world.tasks.last?.hasSuffix(" c") == true, "\(world.tasks)")
  }

  @Test func anAgentThatSaysGoodbyeIsNotTakenDown() {
    var world = World()
    world.connect("a0")
    let (id, _) = world.submit(World.pattern(retries: 9), timeout: .seconds(3_600))
    for number in 1...5 {
      world.connect("a\(number)")
      world.leave("a\(number - 1)", graceful: true)
      world.settle()
    }
    #expect(world.status(id) == .running && world.store[id]?.tasks.map(\.attempt) == [1, 2, 3, 4, 5, 6])
    #expect(world.store[id]?.tasks.first?.error?.code == "AGENT_LEFT")
  }

  // MARK: Agents that keep their tasks

  @Test func anAgentThatReportsATaskAndDiesAgainLosesIt() {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit(World.pattern(retries: 1), timeout: .seconds(3_600))
    for _ in 1...3 {
      world.leave("a")
      world.connect("a", activeTasks: ["task_1_0"])
      world.wait(1)
    }
    #expect(world.tasks == ["task_1_0 a"] && world.cancelled == [])
    world.leave("a")
    world.connect("a", activeTasks: ["task_1_0"])
    world.connect("b")
    world.settle()
    #expect(world.cancelled == ["task_1_0 a failed"] && world.tasks == ["task_1_0 a", "task_1_1 b"])
    #expect(world.store[id]?.tasks.first?.error?.code == "AGENT_LOST_AGAIN")
    #expect(world.machine.agent("a")?.load == 1, "the agent still has the task")
    world.complete("task_1_1", by: "b")
    world.settle()
    #expect(world.status(id) == .completed && world.faults == [])
  }

  @Test func whatAnAgentReportsBesideSuchATaskUsesNoRetry() {
    var (world, poison, healthy) = poisoned(retries: 0)
    let tasks = (1...4).map { "task_\($0)_0" }
    for _ in 1...4 {
      world.leave("a")
      world.connect("a", limit: 4, activeTasks: tasks)
      world.settle()
    }
    for id in healthy + [poison] {
      #expect(world.status(id) == .running && world.store[id]?.tasks.first?.error?.code == "AGENT_LOST_AMONG_OTHERS")
    }
    #expect(world.cancelled.count == 4 && world.machine.agent("a")?.load == 4)
  }

  /// Networks break connections too.
  @Test func aConnectionThatLastsEndsTheCount() {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit(timeout: .seconds(3_600))
    for number in 1...12 {
      world.leave("a")
      world.connect("a", activeTasks: ["task_1_0"])
      world.wait(number.isMultiple(of: 3) ? 10 : 9)
    }
    #expect(world.status(id) == .running && world.tasks == ["task_1_0 a"] && world.cancelled == [])
  }
}
