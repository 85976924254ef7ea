import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxState
import ParallaxTesting
import Synchronization
import Testing

@testable import ParallaxControlPlane

@Suite(.timeLimit(.minutes(1))) struct OverdueExecutionsTests {
  private let store = ObservedStore()
  private let owner = NodeSession(nodeID: "owner", incarnation: "1")
  private let reminders = Reminders()

  private var duty: OverdueExecutions {
    OverdueExecutions(
      store: store, clock: NodeClock(ManualClock()) { World.start + .seconds(100) },
      remind: { [reminders] in reminders.add("\($0) \($1.nodeID)") }, logger: Logger(label: "test"))
  }

  private func create(_ id: String, timeout: Int, _ status: ExecutionStatus) {
    let execution = Execution(
      id: id, pattern: World.pattern(), status: status, input: [:], createdAt: World.start,
      deadline: World.start + .seconds(timeout), owner: owner)
    _ = store.inner.create(StoredExecution(execution: execution, tasks: []))
  }

  @Test func ownersAreRemindedOfOverdueExecutionsOnly() async throws {
    _ = try store.open(owner)
    create("exec_late", timeout: 10, .running)
    create("exec_due", timeout: 95, .running)
    create("exec_young", timeout: 600, .pending)
    try await duty.run()
    #expect(reminders.all == ["exec_late owner"])
    #expect(store.released.isEmpty)
  }

  @Test func endedExecutionsAreReleased() async throws {
    _ = try store.open(owner)
    create("exec_done", timeout: 10, .completed)
    #expect(store.executions(ownedBy: owner) == ["exec_done"])
    try await duty.run()
    #expect(reminders.all.isEmpty)
    #expect(store.executions(ownedBy: owner).isEmpty)
  }

  @Test func theEntryOfAnExecutionWithAnotherOwnerIsRemovedInTheSecondRound() async throws {
    _ = try store.open(owner)
    create("exec_1", timeout: 600, .running)
    var stored = try #require(store.inner.execution("exec_1"))
    (stored.execution.owner, stored.execution.epoch) = (World.other, 2)
    #expect(store.restore(stored, as: .owner, acknowledged: []) == .restored)
    #expect(store.executions(ownedBy: owner) == ["exec_1"])
    let duty = duty
    try await duty.run()
    #expect(store.executions(ownedBy: owner) == ["exec_1"])
    try await duty.run()
    #expect(store.executions(ownedBy: owner).isEmpty)
    #expect(store.executions(ownedBy: World.other) == ["exec_1"])
  }

  /// An entry may belong to a takeover in progress: only one that persists is stale.
  @Test func aStaleEntryIsRemovedInTheSecondRound() {
    var entries = ForeignEntries()
    let execution = Execution(
      id: "exec_1", pattern: World.pattern(), input: [:], createdAt: World.start, deadline: World.start, owner: World.other)
    var found: [Bool] = []
    for _ in 0..<2 {
      entries.beginRound()
      found.append(entries.found(execution, listedFor: owner))
    }
    #expect(found == [false, true])
  }

  @Test func anEntryStaysIfTheOwnerChangedBetweenTheRounds() {
    var entries = ForeignEntries()
    var execution = Execution(
      id: "exec_1", pattern: World.pattern(), input: [:], createdAt: World.start, deadline: World.start, owner: World.other)
    var found: [Bool] = []
    for round in 1...4 {
      entries.beginRound()
      // In the third round the execution belongs to the listed session.
      if round == 3 { continue }
      execution.epoch = round == 1 ? 1 : 2
      found.append(entries.found(execution, listedFor: owner))
    }
    #expect(found == [false, false, false])
  }

  @Test func youngExecutionsAreNotRead() {
    var generator = SystemRandomNumberGenerator()
    let id = SortableID.make(prefix: "exec", at: World.start, using: &generator)
    #expect(!OverdueExecutions.canBeOverdue(id, at: World.start + OverdueExecutions.patience))
    #expect(OverdueExecutions.canBeOverdue(id, at: World.start + OverdueExecutions.patience + .milliseconds(1)))
    #expect(OverdueExecutions.canBeOverdue("no id of ours", at: World.start))
  }
}

private final class Reminders: Sendable {
  private let texts = Mutex<[String]>([])
  var all: [String] { texts.withLock { $0 } }
  func add(_ text: String) { texts.withLock { $0.append(text) } }
}
