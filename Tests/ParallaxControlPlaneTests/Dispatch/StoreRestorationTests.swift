import Logging
import NIOCore
import NIOPosix
import ParallaxAPI
import ParallaxHA
import ParallaxMetrics
import ParallaxState
import Synchronization
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// The restoration after a store lost all acknowledged writes.
@Suite(.timeLimit(.minutes(1))) struct StoreRestorationTests {
  private let store = ForgetfulStore()
  private let told = Told()

  private func withDispatcher(
    retention: Duration = .seconds(86_400), partitions: StorePartitions = .whole, _ body: @Sendable (Dispatcher) async throws -> Void
  ) async throws {
    let dispatcher = Dispatcher(
      settings: DispatchMachine.Settings(session: World.session, isStoreLossy: true, maxRetained: 100, partitions: partitions),
      store: store,
      retention: retention,
      peers: Peers(tell: { [told] message, session in told.add(message, session) }),
      timerLoop: MultiThreadedEventLoopGroup.singleton.next(), clock: NodeClock(),
      metrics: try DispatchMetrics(registry: MetricsRegistry()), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await dispatcher.run() }
      try await body(dispatcher)
      group.cancelAll()
    }
  }

  /// The store loses all data and reports a reset.
  private func failOver(_ dispatcher: Dispatcher) {
    store.failOver()
    dispatcher.storeReset(connectionAge: .zero)
  }

  private func submitted(_ id: String, to dispatcher: Dispatcher, createdAt: Timestamp = NodeClock.wall) async -> Execution {
    let execution = Execution(
      id: id, pattern: World.pattern(), input: [:], createdAt: createdAt, deadline: NodeClock.wall + .seconds(600), owner: World.session)
    _ = await dispatcher.submit(execution, waits: false, isRepeatable: false)
    return execution
  }

  @Test func runningAndEndedExecutionsAreRestored() async throws {
    try await withDispatcher { dispatcher in
      for id in ["exec_1", "exec_2"] { _ = await submitted(id, to: dispatcher) }
      _ = await dispatcher.cancel("exec_2")
      failOver(dispatcher)
      try await eventually("both executions") {
        store.execution("exec_1")?.execution.status == .pending && store.execution("exec_2")?.execution.status == .cancelled
      }
      #expect(store.executions(ownedBy: World.session) == ["exec_1"])
      // The second loss is independent of the first.
      failOver(dispatcher)
      try await eventually("both executions again") { store.executions(ExecutionQuery()).executions.count == 2 }
    }
  }

  @Test func executionsThatRetentionMayHaveRemovedAreNotRestored() async throws {
    try await withDispatcher(retention: .seconds(60)) { dispatcher in
      let old = NodeClock.wall + .seconds(-61)
      for (id, createdAt) in [("exec_1", old), ("exec_2", old), ("exec_3", NodeClock.wall)] {
        _ = await submitted(id, to: dispatcher, createdAt: createdAt)
      }
      _ = await dispatcher.cancel("exec_2")
      // A mere reconnection removes nothing, however old.
      dispatcher.storeReset(connectionAge: .zero)
      try await Task.sleep(for: .milliseconds(50))
      #expect(dispatcher.counts.executions == 2)
      failOver(dispatcher)
      try await eventually("the young execution") { store.execution("exec_3") != nil }
      try await eventually("the old one is let go") { dispatcher.counts.executions == 1 }
      #expect(store.executions(ExecutionQuery()).executions.map(\.execution.id) == ["exec_3"])
    }
  }

  @Test func anAcknowledgedEndReplacesALiveCopyOfAnotherNode() async throws {
    try await withDispatcher { dispatcher in
      let execution = await submitted("exec_1", to: dispatcher)
      _ = await dispatcher.cancel("exec_1")
      store.failOver()
      // A replica with the pending execution was promoted, and a leader took it over.
      _ = store.create(StoredExecution(execution: execution, tasks: []))
      _ = store.claim("exec_1", from: World.session, isGone: true, to: World.other)
      dispatcher.storeReset(connectionAge: .zero)
      try await eventually("the end") { store.execution("exec_1")?.execution.status == .cancelled }
    }
  }

  @Test func idempotencyKeysAreClaimedAgain() async throws {
    try await withDispatcher { dispatcher in
      dispatcher.handle(.keyClaimed(RecentWrites.Claim(key: "key", executionID: "exec_1", digest: "d")))
      failOver(dispatcher)
      try await eventually("the claim") { store.claimedKeys == ["key"] }
      // The loss does not extend its lifetime.
      #expect(store.claimedLifetimes.allSatisfy { $0 < IdempotencyKey.lifetime })
      let claim = store.claimIdempotencyKey("key", executionID: "exec_2", digest: "e", lifetime: .seconds(1))
      #expect(claim == .existing(executionID: "exec_1", digest: "d"))
    }
  }

  /// A master of a Redis Cluster is away, and more executions than may be restored at a time are on it.
  @Test func theOtherPartsOfTheStoreAreRestoredWhileOneIsAway() async throws {
    let isAway: @Sendable (String) -> Bool = { !$0.hasPrefix("exec_near") }
    let partitions = StorePartitions(count: 2, execution: { isAway($0) ? 0 : 1 }, idempotencyKey: { _ in 1 })
    try await withDispatcher(partitions: partitions) { dispatcher in
      let (ended, driven) = ((0..<80).map { "exec_ended_\($0)" }, (0..<80).map { "exec_driven_\($0)" })
      // The restoration begins with the latest.
      for id in ["exec_near_ended"] + ended {
        _ = await submitted(id, to: dispatcher)
        _ = await dispatcher.cancel(id)
      }
      for id in driven + ["exec_near_driven"] { _ = await submitted(id, to: dispatcher) }
      dispatcher.handle(.keyClaimed(RecentWrites.Claim(key: "key", executionID: "exec_near_driven", digest: "d")))
      store.away.withLock { $0 = Set(ended + driven) }
      failOver(dispatcher)
      try await eventually("what is on the other part", within: .seconds(5)) {
        store.execution("exec_near_ended") != nil && store.execution("exec_near_driven") != nil && store.claimedKeys == ["key"]
      }
      #expect(store.execution(ended[0]) == nil && store.execution(driven[0]) == nil)
      store.away.withLock { $0 = [] }
      try await eventually("the rest") { (ended + driven).allSatisfy { store.execution($0) != nil } }
    }
  }

  @Test func anOutcomeIsRecordedAgainAfterItsExecutionIsRestored() async throws {
    try await withDispatcher { dispatcher in
      var foreign = StoredExecution(
        execution: World().execution("exec_7"), tasks: [TaskRecord(id: "task_7_0", agentID: "near", slot: 0)])
      foreign.execution.owner = World.other
      foreign.execution.status = .running
      _ = store.create(foreign)
      let result = AgentMessage.TaskResult(taskId: "task_7_0", executionId: "exec_7", result: "done")
      dispatcher.handle(.completed(result, by: "near", messageID: nil))
      try await eventually("the owner hears of it") { told.all.count == 1 }

      failOver(dispatcher)
      try await Task.sleep(for: .milliseconds(50))
      _ = store.create(foreign)
      try await eventually("the outcome again", within: .seconds(20)) { store.execution("exec_7")?.tasks[0].result == "done" }
      try await eventually("the owner hears of it again") { told.all.count == 2 }
      #expect(told.all.allSatisfy { $0 == World.Told(message: .recorded(execution: "exec_7", task: "task_7_0"), session: World.other) })
    }
  }

  @Test func anOutcomeWaitsForTheRestorationOfItsExecution() async throws {
    try await withDispatcher { dispatcher in
      let link = FakeLink()
      register("near", at: dispatcher, epoch: 1, link)
      failOver(dispatcher)
      let result = AgentMessage.TaskResult(taskId: "task_7_0", executionId: "exec_7", result: "done")
      dispatcher.handle(.completed(result, by: "near", messageID: nil))
      try await Task.sleep(for: .milliseconds(50))
      // An acknowledgement would make the agent drop its result.
      #expect(link.sent == [])
      var foreign = StoredExecution(
        execution: World().execution("exec_7"), tasks: [TaskRecord(id: "task_7_0", agentID: "near", slot: 0)])
      foreign.execution.owner = World.other
      _ = store.create(foreign)
      try await eventually("the acknowledgement") { link.sent == [.resultAck(ControlPlaneMessage.ResultAck(taskId: "task_7_0"))] }
    }
  }

  private func register(_ id: String, at dispatcher: Dispatcher, epoch: Int64, _ link: FakeLink) {
    let registration = AgentSessionMachine.Registration(
      agentID: id, name: nil, capabilities: ["text"], limit: 1, metadata: nil, activeTasks: [])
    dispatcher.registered(registration, epoch: epoch, link: link)
  }

  @Test func onlyLostRegistrationsAreRestored() async throws {
    try await withDispatcher { dispatcher in
      func stored(_ id: String, at session: NodeSession) -> Int64 {
        store.register(AgentRecord(id: id, capabilities: ["text"], session: session, connectedAt: World.start, activeTasks: []))
      }
      let links = (0..<4).map { _ in FakeLink() }
      register("lost", at: dispatcher, epoch: 5, links[0])
      register("behind", at: dispatcher, epoch: stored("behind", at: World.session) + 1, links[1])
      register("moved", at: dispatcher, epoch: stored("moved", at: World.other) - 1, links[2])
      register("kept", at: dispatcher, epoch: stored("kept", at: World.session), links[3])
      dispatcher.storeReset(connectionAge: .zero)
      try await eventually("the registrations that are lost") { links[0].renewals == 1 && links[1].renewals == 1 }
      #expect(links[2].renewals == 0 && links[3].renewals == 0)
    }
  }

  @Test func onlyMissingPatternsAreRestored() async throws {
    let catalog = PatternCatalog(store: store)
    func pattern(_ version: String, _ description: String) -> PatternDefinition {
      var pattern = World.pattern()
      (pattern.version, pattern.description) = (version, description)
      return pattern
    }
    for version in ["1.0.0", "2.0.0"] { _ = try await catalog.put(pattern(version, "as it was here")) }
    store.failOver()
    _ = store.store(pattern("1.0.0", "changed at another node"))
    // A read of the store does not remove lost patterns from the node.
    try await catalog.load()
    try await catalog.restore()
    let versions = store.versions(ofPattern: "pattern").sorted { $0.version < $1.version }
    #expect(versions == [pattern("1.0.0", "changed at another node"), pattern("2.0.0", "as it was here")])
  }
}

/// The messages to other nodes.
private final class Told: Sendable {
  private let messages = Mutex<[World.Told]>([])

  var all: [World.Told] { messages.withLock { $0 } }

  func add(_ message: NodeMessage, _ session: NodeSession) {
    messages.withLock { $0.append(World.Told(message: message, session: session)) }
  }
}

/// A connection to an agent that records its messages.
private final class FakeLink: AgentLink {
  private let state = Mutex<(sent: [ControlPlaneMessage], renewals: Int)>(([], 0))

  var sent: [ControlPlaneMessage] { state.withLock { $0.sent } }
  var renewals: Int { state.withLock { $0.renewals } }
  let lastSeen: Timestamp? = World.start

  func send(_ message: ControlPlaneMessage, inAnswerTo id: String?) { state.withLock { $0.sent.append(message) } }

  func ping(_ number: UInt64) {}

  func registerAnew() { state.withLock { $0.renewals += 1 } }

  func registrationEnded(_ outcome: Result<Int64, any Error>, orElse: @escaping @Sendable () -> Void) { orElse() }

  func replace() {}

  func end(_ reason: String) {}

  func restart(_ reason: String) {}
}
