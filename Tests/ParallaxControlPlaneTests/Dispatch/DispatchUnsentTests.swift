import ParallaxAPI
import ParallaxHA
import ParallaxState
import Testing

@testable import ParallaxControlPlane

/// Tasks that no connection carried to their agent, and the causes of losses that another node knows.
@Suite struct DispatchUnsentTests {
  private static let third = NodeSession(nodeID: "node-c", incarnation: "00000000000000c1")

  private func deferTask(_ task: String, at agent: String, in world: inout World) {
    let epoch = world.machine.agent(agent)?.epoch ?? 0
    world.handle(.agent(.deferred(task: task, at: agent, epoch: epoch)))
  }

  /// The tasks of an agent's connection, as this node has announced them last.
  private func announced(in world: World) -> Cargo? {
    for case .connectionEnded(_, _, let cargo) in world.news.reversed() { return cargo }
    return nil
  }

  // MARK: Agents of this node

  @Test(arguments: [[], nil] as [[String]?])
  func `A task that was stored in the absence of its agent is sent at its return`(activeTasks: [String]?) {
    var world = World()
    world.connect("a")
    let (id, _) = world.begin()
    world.leave("a")
    world.settle()
    #expect(world.tasks == [])
    world.connect("a", activeTasks: activeTasks)
    world.advance(by: .zero)
    #expect(world.tasks == ["task_1_0 a"])
    world.advance(by: .seconds(40))
    #expect(world.status(id) == .running && world.tasks.count == 1 && world.faults == [])
  }

  @Test func `A task that waited in the session of its agent is sent again at once, whatever the agent reports`() {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit(timeout: .seconds(600))
    for number in 2...5 {
      deferTask("task_1_0", at: "a", in: &world)
      world.leave("a")
      world.connect("a", activeTasks: nil)
      world.advance(by: .zero)
      #expect(world.tasks.count == number)
      world.advance(by: .seconds(40))
      world.settle()
    }
    #expect(world.status(id) == .running && world.store[id]?.tasks.count == 1)
  }

  /// An agent that cannot report its tasks may still work on one that it was sent.
  @Test func `A task that an earlier connection carried is not sent again at once`() {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit(timeout: .seconds(600))
    world.leave("a")
    world.connect("a", activeTasks: nil)
    world.advance(by: .seconds(29))
    #expect(world.tasks == ["task_1_0 a"])
    deferTask("task_1_0", at: "a", in: &world)
    world.leave("a")
    world.connect("a", activeTasks: nil)
    world.advance(by: .seconds(29))
    world.settle()
    #expect(world.tasks == ["task_1_0 a"] && world.status(id) == .running)
    world.advance(by: .seconds(1))
    world.settle()
    #expect(world.status(id) == .failed && world.store[id]?.execution.error?.code == "AGENT_LOST")
  }

  @Test(arguments: [true, false])
  func `A task whose agent leaves before it is sent goes elsewhere without an attempt`(saysGoodbye: Bool) {
    var world = World()
    world.connect("a")
    let (id, _) = world.submit(timeout: .seconds(600))
    deferTask("task_1_0", at: "a", in: &world)
    world.connect("b")
    world.leave("a", graceful: saysGoodbye)
    if !saysGoodbye { world.advance(by: .seconds(30)) }
    world.settle()
    #expect(world.tasks == ["task_1_0 a", "task_1_1 b"])
    #expect(world.store[id]?.tasks.map(\.attempt) == [1, 1] && world.store[id]?.execution.attempt == 1)
    #expect(world.store[id]?.tasks.first?.error?.code == "AGENT_LOST_UNSENT")
    world.complete("task_1_1", by: "b")
    world.settle()
    #expect(world.status(id) == .completed && world.faults == [])
  }

  @Test func `Agents that leave before their task is sent do not lengthen an execution without bound`() {
    var world = World()
    let (id, _) = world.submit(timeout: .seconds(600))
    for number in 0..<110 where world.status(id) != .failed {
      world.connect("a\(number)")
      world.settle()
      deferTask("task_1_\(number)", at: "a\(number)", in: &world)
      world.leave("a\(number)", graceful: true)
      world.settle()
    }
    #expect(world.status(id) == .failed && world.store[id]?.tasks.count == 101)
  }

  // MARK: Agents of other nodes

  /// The news precedes the agent's next registration, or comes after it.
  @Test(arguments: [true, false])
  func `A task that waited unsent at the agent's node is not a loss for its owner`(isEarly: Bool) {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 1, activeTasks: []))
    let (id, _) = world.submit(timeout: .seconds(600))
    for epoch in Int64(1)...4 {
      let ended = AgentAnnouncement.connectionEnded("far", epoch: epoch, Cargo(sent: [], unsent: ["task_1_0"]))
      let registered = AgentAnnouncement.registered("far", epoch: epoch + 1, capabilities: ["text"], limit: 1, activeTasks: [])
      if isEarly { world.announce(ended) }
      world.announce(registered, from: epoch.isMultiple(of: 2) ? World.other : Self.third)
      if !isEarly { for _ in 1...2 { world.announce(ended) } }
      world.advance(by: .seconds(2))
      world.settle()
    }
    #expect(world.status(id) == .running && world.deliveries.count == 5 && world.faults == [])
  }

  @Test func `A node announces the unsent tasks of other nodes at the end of a connection`() {
    var world = World()
    world.connect("near", limit: 2)
    world.submit()
    world.forward("task_7_0", to: "near")
    for task in ["task_8_0", "task_9_0"] { world.forward(task, to: "near") }
    #expect(world.tasks == ["task_1_0 near", "task_7_0 near"])
    for task in ["task_1_0", "task_7_0"] { deferTask(task, at: "near", in: &world) }
    world.leave("near")
    #expect(announced(in: world) == Cargo(sent: [], unsent: ["task_1_0", "task_7_0", "task_8_0", "task_9_0"]))
  }

  @Test func `Unsent tasks are announced when a connection replaces another, and when its agent moves`() {
    var world = World()
    world.connect("near")
    world.forward("task_7_0", to: "near")
    deferTask("task_7_0", at: "near", in: &world)
    let epoch = world.connect("near")
    #expect(world.news.contains(.connectionEnded("near", epoch: epoch - 1, Cargo(sent: [], unsent: ["task_7_0"]))))
    world.forward("task_7_0", to: "near")
    deferTask("task_7_0", at: "near", in: &world)
    world.announce(.registered("near", epoch: 99, capabilities: ["text"], limit: 1, activeTasks: []))
    #expect(world.news.last == .connectionEnded("near", epoch: epoch, Cargo(sent: [], unsent: ["task_7_0"])))
  }

  @Test func `A task that a closed session did not send is announced`() {
    var world = World()
    world.connect("near")
    world.forward("task_7_0", to: "near")
    world.leave("near")
    #expect(announced(in: world) == nil)
    deferTask("task_7_0", at: "near", in: &world)
    #expect(announced(in: world) == Cargo(sent: [], unsent: ["task_7_0"]))
  }

  @Test func `The renewal of a registration reports the tasks that wait for a place`() {
    var world = World()
    let epoch = world.connect("near")
    world.forward("task_7_0", to: "near")
    world.forward("task_8_0", to: "near")
    world.handle(.agent(.renewed("near", from: epoch, epoch: 9)))
    let tasks = ["task_7_0", "task_8_0"]
    #expect(world.news.last == .registered("near", epoch: 9, capabilities: ["text"], limit: 1, activeTasks: tasks))
    #expect(world.machine.held(by: "near") == tasks)
  }

  // MARK: Losses among tasks of other nodes

  /// An agent of another node crashes with a task of this node and one of a third node; a further one reached its session too late.
  @Test(arguments: [true, false], [true, false])
  func `A task that is lost twice beside a task of another owner uses no retry`(isEarly: Bool, hasFurther: Bool) {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 2, activeTasks: []))
    let (id, _) = world.submit(timeout: .seconds(600))
    for epoch in Int64(1)...2 {
      let ended = AgentAnnouncement.connectionEnded("far", epoch: epoch, Cargo(sent: ["task_1_0", "task_7_0"], unsent: []))
      let further = AgentAnnouncement.connectionEnded("far", epoch: epoch, Cargo(sent: [], unsent: ["task_9_0"]))
      let told = hasFurther ? [ended, further] : [ended]
      if isEarly { for announcement in told { world.announce(announcement) } }
      world.announce(.registered("far", epoch: epoch + 1, capabilities: ["text"], limit: 2, activeTasks: []))
      if !isEarly { for announcement in told { world.announce(announcement) } }
      world.advance(by: .seconds(2))
      world.settle()
    }
    #expect(world.status(id) == .running && world.store[id]?.tasks.map(\.attempt) == [1, 1])
    #expect(world.store[id]?.tasks.first?.error?.code == "AGENT_LOST_AMONG_OTHERS")
  }

  @Test func `A node tells a task of another owner from the cause, whichever of them it drives itself`() {
    var world = World()
    world.connect("near", limit: 2)
    let (id, _) = world.submit(timeout: .seconds(600))
    for _ in 1...2 {
      world.forward("task_7_0", to: "near")
      world.leave("near")
      #expect(announced(in: world) == Cargo(sent: ["task_1_0", "task_7_0"], unsent: []))
      world.connect("near", limit: 2)
      world.advance(by: .seconds(2))
      world.settle()
    }
    #expect(world.status(id) == .running && world.store[id]?.tasks.first?.error?.code == "AGENT_LOST_AMONG_OTHERS")
  }

  /// The task of the other owner is lost once, or survives the crash.
  @Test(arguments: [[Cargo(sent: ["task_1_0"], unsent: []), Cargo(sent: ["task_1_0", "task_7_0"], unsent: [])]], [[], ["task_7_0"]])
  func `A task that is lost twice is the cause if no other task was lost twice`(cargoes: [Cargo], reported: [String]) {
    var world = World()
    world.announce(.registered("far", epoch: 1, capabilities: ["text"], limit: 2, activeTasks: []))
    let (id, _) = world.submit(timeout: .seconds(600))
    for (index, cargo) in cargoes.enumerated() {
      let epoch = Int64(index + 1)
      world.announce(.connectionEnded("far", epoch: epoch, cargo))
      world.announce(.registered("far", epoch: epoch + 1, capabilities: ["text"], limit: 2, activeTasks: reported))
      world.advance(by: .seconds(2))
      world.settle()
    }
    #expect(world.status(id) == .failed && world.store[id]?.execution.error?.code == "AGENT_LOST_AGAIN")
  }
}

/// The changes of agents' registrations in the store.
@Suite struct AgentChangesTests {
  /// Performs a read-and-write change on a registration.
  private func apply(_ change: AgentChange, to record: inout AgentRecord) {
    _ = change.apply(to: &record)
  }

  @Test func `One change of an agent is under way at a time, and all later ones become one`() {
    var world = World()
    world.holdsChanges = true
    let epoch = world.connect("a")
    world.connect("b")
    for limit in 2...50 {
      world.handle(.agent(.changed("a", epoch: epoch, capabilities: nil, limit: limit, isDraining: nil)))
    }
    world.handle(.agent(.changed("a", epoch: epoch, capabilities: ["image"], limit: nil, isDraining: nil)))
    world.leave("b")
    #expect(world.changes.map(\.change) == [AgentChange(epoch: epoch, limit: 2), AgentChange(epoch: epoch + 1, isConnected: false)])
    world.leave("a")
    world.handle(.agent(.changeEnded("a")))
    #expect(world.changes.last?.change == AgentChange(epoch: epoch, capabilities: ["image"], limit: 50, isConnected: false))
    world.handle(.agent(.changeEnded("a")))
    #expect(world.changes.count == 3)
    world.connect("a")
    world.leave("a")
    #expect(world.changes.count == 4, "none is under way")
  }

  @Test func `A change of an earlier registration does not replace one of a later registration`() {
    let (early, late) = (AgentChange(epoch: 1, limit: 7), AgentChange(epoch: 2, isConnected: false))
    #expect(early.followed(by: late) == late && late.followed(by: early) == late)
    var record = AgentRecord(id: "a", capabilities: [], session: World.session, epoch: 2, connectedAt: World.start)
    apply(early, to: &record)
    #expect(record.maxConcurrentTasks == 1)
  }

  /// A change that the store took up late has overwritten a later one.
  @Test func `The regular reading of registrations repairs a lost change of a connected agent`() {
    var world = World()
    world.holdsChanges = true
    let epoch = world.connect("a", limit: 3)
    var record = AgentRecord(
      id: "a", capabilities: ["text"], maxConcurrentTasks: 3, session: World.session, epoch: epoch, connectedAt: World.start)
    world.handle(.agent(.listedHere([record])))
    #expect(world.changes.isEmpty)
    record.maxConcurrentTasks = 1
    world.handle(.agent(.listedHere([record])))
    #expect(world.changes.map(\.change) == [AgentChange(epoch: epoch, capabilities: ["text"], limit: 3, isConnected: true)])
    record.epoch = epoch - 1
    world.handle(.agent(.changeEnded("a")))
    world.handle(.agent(.listedHere([record])))
    #expect(world.changes.count == 1, "another registration")
  }
}
