import Logging
import NIOPosix
import ParallaxAPI
import ParallaxHA
import ParallaxMetrics
import ParallaxState
import ParallaxTesting
import Synchronization
import Testing

@testable import ParallaxControlPlane

@Suite(.timeLimit(.minutes(1))) struct RecoveryLedgerTests {
  private let lost = NodeSession(nodeID: "lost", incarnation: "1")

  @Test func aSessionMayBeClosedAfterTheGraceOfItsAgents() {
    var ledger = RecoveryLedger(resumeGrace: .seconds(30))
    #expect(!ledger.mayClose(lost, at: .seconds(1_000)))
    let isFirst = [10, 15].map { ledger.recovered(lost, since: .seconds($0)) }
    #expect(isFirst == [true, false])
    #expect(!ledger.mayClose(lost, at: .milliseconds(39_999)))
    #expect(ledger.mayClose(lost, at: .seconds(40)))
    ledger.closed(lost)
    #expect(!ledger.mayClose(lost, at: .seconds(41)))
  }

  @Test func aSessionThatReturnedAndIsLostAgainBeginsANewGrace() {
    var ledger = RecoveryLedger(resumeGrace: .seconds(30))
    _ = ledger.recovered(lost, since: .zero)
    ledger.beginRound([])
    let isFirst = ledger.recovered(lost, since: .seconds(60))
    #expect(isFirst)
    #expect(!ledger.mayClose(lost, at: .seconds(60)))
  }
}

/// Rounds of recovery on a store in memory and a manual clock.
@Suite(.timeLimit(.minutes(1))) struct SessionRecoveryTests {
  private static let grace: Duration = .seconds(30)

  private let lost = NodeSession(nodeID: "lost", incarnation: "1")
  private let clock = ManualClock()
  private let store = ObservedStore()
  private let inboxes = RemovedInboxes()
  private let dispatcher: Dispatcher
  private let recovery: SessionRecovery

  init() throws {
    let registry = MetricsRegistry()
    let nodeClock = NodeClock(clock) { World.start }
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    dispatcher = Dispatcher(
      settings: DispatchMachine.Settings(session: World.session), store: store, retention: .seconds(60),
      timerLoop: MultiThreadedEventLoopGroup.singleton.next(), clock: nodeClock, metrics: try DispatchMetrics(registry: registry),
      logger: logger)
    recovery = try SessionRecovery(
      store: store, inboxes: inboxes, dispatcher: dispatcher, session: World.session, resumeGrace: Self.grace, registry: registry,
      clock: nodeClock, logger: logger)
    _ = try store.open(World.session)
    _ = try store.open(lost)
  }

  private func create(_ id: String, _ status: ExecutionStatus = .pending) {
    let execution = Execution(
      id: id, pattern: World.pattern(), status: status, input: [:], createdAt: World.start, deadline: World.start + .seconds(60),
      owner: lost)
    _ = store.inner.create(StoredExecution(execution: execution, tasks: []))
  }

  private func round() async throws {
    try await recovery.run(store.sessions().filter { $0.key == lost })
  }

  @Test func executionsAreTakenOverAtOnce() async throws {
    for number in 0..<300 { create("exec_\(number)") }
    try await round()
    #expect(store.executions(ownedBy: lost).isEmpty)
    #expect(store.executions(ownedBy: World.session).count == 300)
    #expect(dispatcher.counts.executions == 300)
  }

  /// A store lost the entry of a session, whose node has failed.
  @Test func `Executions of a session that is listed nowhere are taken over once its node had the time to return`() async throws {
    for (number, status) in StrayExecutions.statuses.enumerated() { create("exec_\(number)", status) }
    create("exec_ended", .failed)
    for number in 10..<250 { create("exec_\(number)") }
    let duty = StrayExecutions(store: store, recovery: recovery, clock: NodeClock(clock) { World.start })
    try await duty.run()
    #expect(dispatcher.counts.executions == 0, "their session is listed")

    store.close(lost, generation: try #require(store.sessions()[lost]))
    for isBack in [true, false] {
      let run = Task { try await duty.run() }
      try await clock.sleepers(atLeast: 1)
      #expect(dispatcher.counts.executions == 0)
      if isBack { _ = try store.open(lost) }
      clock.advance(by: StrayExecutions.patience)
      try await run.value
      #expect(dispatcher.counts.executions == (isBack ? 0 : 243))
      if isBack { store.close(lost, generation: try #require(store.sessions()[lost])) }
    }
    #expect(store.executions(ownedBy: World.session).count == 243)
    #expect(store.inner.execution("exec_ended")?.execution.owner == lost)
  }

  @Test func `An execution that cannot be claimed does not keep others from their recovery`() async throws {
    for number in 0..<300 { create("exec_\(number)") }
    let broken = Set((0..<300).filter { $0.isMultiple(of: 50) }.map { "exec_\($0)" })
    store.refuseClaims(of: broken)
    await #expect(throws: StateStoreError.self) { try await round() }
    #expect(Set(store.executions(ownedBy: lost)) == broken && dispatcher.counts.executions == 294)
  }

  @Test func `A store that answers no claim of a batch is not asked for the next ones`() async throws {
    let all = (0..<300).map { "exec_\($0)" }
    for id in all { create(id) }
    let (first, refused) = (Set(store.executions(ownedBy: lost).prefix(128)), Set(all))
    store.refuseClaims(of: refused)
    await #expect(throws: StateStoreError.self) { try await round() }
    #expect(store.claimed.count == first.count)
  }

  @Test func aSessionIsClosedWithItsAgentsAndInboxAfterTheirGrace() async throws {
    _ = store.inner.register(
      AgentRecord(
        id: "a", name: "a", capabilities: [], maxConcurrentTasks: 1, metadata: [:], session: lost, epoch: 0, connectedAt: World.start,
        activeTasks: nil))
    try await round()
    // The tasks of the agent wait for its return.
    #expect(dispatcher.agent("a")?.isConnected == false)
    clock.advance(by: Self.grace - .milliseconds(1))
    try await round()
    #expect(store.sessions()[lost] != nil)
    #expect(store.agents(at: lost).count == 1)
    #expect(inboxes.removed.isEmpty)
    clock.advance(by: .milliseconds(1))
    try await round()
    #expect(store.sessions()[lost] == nil)
    #expect(store.agents(at: lost).isEmpty)
    #expect(inboxes.removed == [lost])
  }

  /// An execution that only a newer version can read keeps its session open.
  @Test func aSessionThatOwnsSomethingIsNotClosed() async throws {
    create("exec_new")
    store.makeUnreadable("exec_new")
    try await round()
    clock.advance(by: Self.grace)
    try await round()
    #expect(store.sessions()[lost] != nil)
    #expect(store.executions(ownedBy: lost) == ["exec_new"])
    store.makeReadable()
    try await round()
    #expect(store.sessions()[lost] == nil)
    #expect(store.executions(ownedBy: World.session) == ["exec_new"])
  }

  /// A process that was only paused may own executions again.
  @Test func aReopenedSessionIsNotClosed() async throws {
    let listed = store.sessions().filter { $0.key == lost }
    try await recovery.run(listed)
    _ = try store.open(lost)
    clock.advance(by: Self.grace)
    try await recovery.run(listed)
    #expect(store.sessions()[lost] != nil)
  }

  @Test func executionsAcceptedLaterByAPausedProcessAreTakenOver() async throws {
    try await round()
    create("exec_late")
    clock.advance(by: .seconds(5))
    try await round()
    #expect(store.executions(ownedBy: World.session) == ["exec_late"])
  }
}

/// Records the removed inboxes.
private final class RemovedInboxes: InboxStore {
  private let sessions = Mutex<[NodeSession]>([])

  var removed: [NodeSession] { sessions.withLock { $0 } }

  func send(_ messages: [NodeMessage], to session: NodeSession) -> Bool { true }

  func receive(
    at session: NodeSession, limit: Int, _ handle: @Sendable ([ReceivedNodeMessage]) async throws -> Void
  ) async throws {}

  func removeInbox(of session: NodeSession) { sessions.withLock { $0.append(session) } }
}
