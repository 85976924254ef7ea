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

  /// An agent that has a task, and the execution of the task.
  private func agentWithATask(retries: Int = 0) -> (world: World, id: String) {
    var world = World()
    world.connect("a", process: "p0")
    let (id, _) = world.submit(World.pattern(retries: retries), timeout: .seconds(3_600))
    return (world, id)
  }

  /// The agent's connection breaks, and the process registers with its tasks.
  private func returnWithTasks(_ process: String?, _ tasks: [String] = ["task_1_0"], of agent: String = "a", in world: inout World) {
    world.leave(agent)
    world.connect(agent, limit: 4, activeTasks: tasks, process: process)
    world.settle()
  }

  /// However long each process lives.
  @Test(arguments: [1, 60])
  func anAgentThatReportsATaskAndDiesAgainLosesIt(life: Int) {
    var (world, id) = agentWithATask(retries: 1)
    for number in 1...3 {
      returnWithTasks("p\(number)", in: &world)
      world.wait(life)
    }
    #expect(world.tasks == ["task_1_0 a"] && world.cancelled == [])
    world.connect("b")
    returnWithTasks("p4", in: &world)
    world.wait(2)
    #expect(world.cancelled == ["task_1_0 a failed"] && world.tasks == ["task_1_0 a", "task_1_1 b"])
    #expect(world.store[id]?.tasks.first?.error?.code == "AGENT_LOST_AGAIN")
    #expect(world.machine.agent("a")?.load == 1, "the agent still has the task")
    world.complete("task_1_1", by: "b")
    world.settle()
    #expect(world.status(id) == .completed && world.faults == [])
  }

  @Test func anInputThatTakesDownAgentsThatKeepItIsSetAside() {
    var (world, id) = agentWithATask(retries: 10)
    var deaths = 0
    for agent in ["a", "b", "c", "d"] where world.status(id) == .running {
      if world.machine.agent(agent) == nil { world.connect(agent, process: "p0") }
      world.settle()
      guard let task = openTask(of: id, in: world) else { break }
      while openTask(of: id, in: world)?.id == task.id, deaths < 50 {
        deaths += 1
        returnWithTasks("p\(deaths)", [task.id], of: task.agentID, in: &world)
        world.wait(2)
      }
      world.leave(task.agentID)
    }
    #expect(world.status(id) == .failed && deaths == 12, "\(deaths) deaths")
    #expect(world.store[id]?.execution.error?.message == "not retried: 3 agents were lost with nothing but this task")
  }

  /// The last process has finished the task before it died.
  @Test func aResultThatFollowsTheRegistrationCounts() {
    var (world, id) = agentWithATask()
    for number in 1...4 { returnWithTasks("p\(number)", in: &world) }
    world.wait(1)
    world.complete("task_1_0", by: "a")
    world.wait(5)
    #expect(world.status(id) == .completed && world.faults == [])
    #expect(world.cancelled == [] && world.machine.agent("a")?.load == 0)
  }

  @Test func aRegistrationThatIsStoredAgainLeavesTheWatchOfADeadlyTask() {
    var (world, id) = agentWithATask()
    for number in 1...4 { returnWithTasks("p\(number)", in: &world) }
    let epoch = world.machine.agent("a")?.epoch ?? 0
    world.handle(.agent(.renewed("a", from: epoch, epoch: epoch + 1)))
    world.wait(2)
    #expect(world.status(id) == .failed && world.store[id]?.execution.error?.code == "AGENT_LOST_AGAIN")
  }

  @Test func processesThatDieAtOnceLoseTheirTaskToo() {
    var (world, id) = agentWithATask()
    for number in 1...4 { returnWithTasks("p\(number)", in: &world) }
    #expect(world.status(id) == .running)
    returnWithTasks("p5", in: &world)
    #expect(world.status(id) == .failed && world.store[id]?.execution.error?.code == "AGENT_LOST_AGAIN")
  }

  /// They were on one host.
  @Test func agentsThatAreGoneTogetherUseTheRetriesOfTheirSlots() {
    var world = World()
    for number in 1...4 { world.connect("a\(number)") }
    let (id, _) = world.submit(World.pattern(min: 4, retries: 3), timeout: .seconds(3_600))
    for number in 1...4 { world.leave("a\(number)") }
    world.wait(31)
    #expect(world.store[id]?.tasks.count { $0.error?.code == "AGENT_LOST" } == 4)
    for number in 1...4 { world.connect("b\(number)") }
    world.settle()
    for task in world.store[id]?.tasks ?? [] where task.state == .open { world.complete(task.id, by: task.agentID) }
    world.settle()
    #expect(world.status(id) == .completed)
  }

  /// Whatever takes them down, so many losses beside other tasks cost nothing, and not more.
  @Test func lossesAmongOthersAreFreeThreeTimes() {
    var world = World()
    world.connect("a0", limit: 2)
    let (id, _) = world.submit(World.pattern(retries: 2), timeout: .seconds(36_000))
    for number in 0..<12 {
      guard let task = openTask(of: id, in: world) else { break }
      world.forward("task_9_\(number)", to: task.agentID)
      world.leave(task.agentID)
      world.wait(31)
      world.connect("a\(number + 1)", limit: 2)
      world.settle()
    }
    #expect(world.status(id) == .failed)
    #expect(world.store[id]?.tasks.map(\.attempt) == [1, 1, 1, 1, 1, 2, 3])
  }

  /// A withdrawn task that the agent cannot stop may be the cause.
  @Test func aTaskBesideAWithdrawnOneIsNotBlamedAlone() {
    var world = World()
    world.connect("a", limit: 2)
    let (id, _) = world.submit(timeout: .seconds(3_600))
    world.submit(timeout: .seconds(2))
    world.wait(3)
    world.leave("a")
    world.wait(31)
    #expect(world.status(id) == .running && world.store[id]?.tasks.first?.error?.code == "AGENT_LOST_WITH_OTHERS")
  }

  @Test func aProcessWhoseConnectionsBreakKeepsItsTask() {
    var (world, id) = agentWithATask()
    for _ in 1...50 { returnWithTasks("p0", in: &world) }
    #expect(world.status(id) == .running && world.tasks == ["task_1_0 a"] && world.cancelled == [])
    world.complete("task_1_0", by: "a")
    world.settle()
    #expect(world.status(id) == .completed && world.faults == [])
  }

  @Test func connectionsThatBreakBetweenDeathsLeaveTheirCount() {
    var (world, id) = agentWithATask()
    for process in ["p1", "p1", "p2", "p2", "p3"] { returnWithTasks(process, in: &world) }
    #expect(world.status(id) == .running)
    returnWithTasks("p4", in: &world)
    world.wait(2)
    #expect(world.status(id) == .failed && world.store[id]?.execution.error?.code == "AGENT_LOST_AGAIN")
  }

  /// The agent's nodes announce its processes; the store does not list them.
  @Test func theProcessesOfAnAgentAtAnotherNodeCount() {
    var world = World()
    func registered(_ epoch: Int64, _ process: String, _ tasks: [String]) -> AgentAnnouncement {
      .registered("far", epoch: epoch, capabilities: ["text"], limit: 1, activeTasks: tasks, process: process)
    }
    world.announce(registered(1, "p0", []))
    let (id, _) = world.submit(timeout: .seconds(3_600))
    for epoch in Int64(2)...9 { world.announce(registered(epoch, "p0", ["task_1_0"])) }
    let record = AgentRecord(
      id: "far", capabilities: ["text"], maxConcurrentTasks: 1, session: World.other, epoch: 10, connectedAt: World.start,
      activeTasks: ["task_1_0"])
    world.handle(.agent(.listed([record], at: World.other, before: [:])))
    world.settle()
    #expect(world.status(id) == .running)
    for epoch in Int64(11)...12 { world.announce(registered(epoch, "p\(epoch)", ["task_1_0"])) }
    world.wait(2)
    #expect(world.status(id) == .running)
    world.announce(registered(13, "p13", ["task_1_0"]))
    world.wait(2)
    #expect(world.status(id) == .failed && world.store[id]?.execution.error?.code == "AGENT_LOST_AGAIN")
  }

  @Test func theProcessOfAnAgentIsAnnouncedAndStaysWhenItsRegistrationIsStoredAgain() {
    var world = World()
    let epoch = world.connect("a", process: "p0")
    #expect(world.news.last == .registered("a", epoch: epoch, capabilities: ["text"], limit: 1, activeTasks: [], process: "p0"))
    world.handle(.agent(.renewed("a", from: epoch, epoch: epoch + 1)))
    #expect(world.news.last == .registered("a", epoch: epoch + 1, capabilities: ["text"], limit: 1, activeTasks: [], process: "p0"))
  }

  @Test func whatAnAgentReportsBesideSuchATaskUsesNoRetry() {
    var (world, poison, healthy) = poisoned(retries: 0)
    let tasks = (1...4).map { "task_\($0)_0" }
    for number in 1...4 { returnWithTasks("p\(number)", tasks, in: &world) }
    world.wait(2)
    for id in healthy + [poison] {
      #expect(world.status(id) == .running && world.store[id]?.tasks.first?.error?.code == "AGENT_LOST_AMONG_OTHERS")
    }
    #expect(world.cancelled.count == 4 && world.machine.agent("a")?.load == 4)
  }

  // MARK: Agents that do not name their processes

  /// Their networks may be at fault, whether the connections are long or short.
  @Test func anUnnamedProcessKeepsTheTaskThatItReports() {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit(timeout: .seconds(3_600))
    for number in 1...50 {
      returnWithTasks(nil, in: &world)
      world.wait(number.isMultiple(of: 3) ? 10 : 1)
    }
    #expect(world.status(id) == .running && world.tasks == ["task_1_0 a"] && world.cancelled == [])
    world.complete("task_1_0", by: "a")
    world.settle()
    #expect(world.status(id) == .completed && world.faults == [])
  }
}
