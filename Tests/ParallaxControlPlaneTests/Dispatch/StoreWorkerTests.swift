import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxMetrics
import ParallaxState
import ParallaxTesting
import Synchronization
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// Calls of a store that does not take them at once.
@Suite(.timeLimit(.minutes(1))) struct StoreWorkerTests {
  private let store = ObservedStore()
  private let clock = ManualClock()
  private let owner = RecordedOwner()

  private func makeWorker() throws -> StoreWorker {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let reports = StoreReports(metrics: try DispatchMetrics(registry: MetricsRegistry()), logger: logger) { _ in }
    return StoreWorker(store: store, session: World.session, retention: .seconds(60), clock: NodeClock(clock), reports: reports)
  }

  private func perform(_ call: StoreCall) async throws {
    let worker = try makeWorker()
    await clock.advance { await worker.perform(call, for: owner) }
  }

  /// An agent says goodbye during an outage of the store.
  @Test func `The removal of an agent is repeated until the store answers`() async throws {
    let agent = AgentRecord(id: "a", capabilities: ["text"], session: World.session, connectedAt: World.start, activeTasks: [])
    let epoch = store.inner.register(agent)
    store.failWrites(Array(repeating: StateStoreError(.unavailable, "no answer"), count: 10))
    try await perform(.removeAgent("a", epoch: epoch))
    #expect(store.agent("a") == nil)
  }

  /// Tasks for an agent that the store lists here and this node does not know; each asks for a check.
  @Test func `One check of an agent is under way, and a later request leads to one more`() async throws {
    let worker = try makeWorker()
    let ghost = AgentRecord(id: "a", capabilities: ["text"], session: World.session, connectedAt: World.start, activeTasks: [])
    let (first, ended) = (store.inner.register(ghost), Recorder<Int>())
    try await withThrowingTaskGroup(of: Void.self) { group in
      defer { group.cancelAll() }
      group.addTask { await worker.perform(.checkAgent("a"), for: owner) }
      try await clock.sleepers(atLeast: 1)
      for number in 0..<100 {
        group.addTask {
          await worker.perform(.checkAgent("a"), for: owner)
          ended.add(number)
        }
      }
      try await eventually("the end of the others", within: .seconds(5)) { ended.count == 100 }
      // The agent registers once more, which no check has seen.
      let second = store.inner.register(ghost)
      #expect(second > first && store.agent("a") != nil)
      clock.advance(by: .seconds(5))
      try await clock.sleepers(atLeast: 1)
      #expect(store.agent("a")?.epoch == second)
      clock.advance(by: .seconds(5))
      try await eventually("the removal of the ghost", within: .seconds(5)) { store.agent("a") == nil }
    }
  }

  @Test func `The end of an agent's change is reported when the store has it`() async throws {
    let agent = AgentRecord(id: "a", capabilities: ["text"], session: World.session, connectedAt: World.start, activeTasks: [])
    let epoch = store.inner.register(agent)
    store.failWrites(Array(repeating: StateStoreError(.unavailable, "no answer"), count: 3))
    try await perform(.changeAgent("a", AgentChange(epoch: epoch, capabilities: ["image"], limit: 4)))
    #expect(store.agent("a")?.capabilities == ["image"] && store.agent("a")?.maxConcurrentTasks == 4)
    let ends = owner.events.all.count { if case .agent(.changeEnded("a")) = $0 { true } else { false } }
    #expect(ends == 1)
    try await perform(.changeAgent("a", AgentChange(epoch: epoch - 1, limit: 9)))
    #expect(store.agent("a")?.maxConcurrentTasks == 4 && owner.events.all.count == 2)
  }

  @Test func `An agent whose registration the store refuses or does not answer counts as turned away`() async throws {
    let agent = AgentRecord(id: "a", capabilities: ["text"], session: World.session, connectedAt: World.start, activeTasks: [])
    for (code, isTurnedAway) in [(StateStoreError.Code.unavailable, true), (.unwritable, true), (.refused, false), (.unreadable, false)] {
      store.failWrites([StateStoreError(code, "no")])
      let before = owner.events.all.count
      guard case .failure = await (try makeWorker()).register(agent, for: owner) else { throw ProcessFailure("the registration is stored") }
      let news = owner.events.all.dropFirst(before).filter { if case .agent(.turnedAway("a")) = $0 { true } else { false } }
      #expect(news.count == (isTurnedAway ? 1 : 0), "\(code)")
    }
  }

  @Test func `A full store is offered the end of an execution instead of what precedes it`() async throws {
    var stored = StoredExecution(
      execution: Execution(
        id: "exec_1", pattern: World.pattern(), input: [:], createdAt: World.start, deadline: World.start + .seconds(60),
        owner: World.session), tasks: [])
    _ = store.inner.create(stored)
    store.failWrites([StateStoreError(.unwritable, "OOM"), StateStoreError(.unavailable, "no answer")])
    var change = ExecutionChange(id: "exec_1", owner: World.session, epoch: 1, revision: 2)
    change.status = .running
    owner.end.withLock { [change] in
      var end = change
      end.status = .cancelled
      $0 = end
    }
    try await perform(.update(change))
    stored.apply(change)
    #expect(store.inner.execution("exec_1")?.execution.status == .cancelled)
    #expect(store.inner.execution("exec_1")?.execution.revision == 2)
  }

  @Test func `A caller learns at once why the store takes no execution, which is created later`() async throws {
    let refusal = StateStoreError(.unwritable, "the store refuses writes: OOM command not allowed")
    store.failWrites([refusal, refusal, StateStoreError(.unavailable, "no answer")])
    let execution = Execution(
      id: "exec_1", pattern: World.pattern(), input: [:], createdAt: World.start, deadline: World.start + .seconds(60),
      owner: World.session)
    try await perform(.create(StoredExecution(execution: execution, tasks: [])))
    let errors = owner.events.all.compactMap { event -> APIError? in
      if case .creationDelayed("exec_1", let error) = event { error } else { nil }
    }
    #expect(errors.map(\.code) == [.notReady])
    #expect(errors.first?.message == "the store refuses writes: OOM command not allowed; repeat with an idempotencyKey")
    #expect(store.inner.execution("exec_1") != nil)
  }
}

/// A dispatcher that records the answers of the store.
private final class RecordedOwner: StoreWorker.Owner {
  let events = Recorder<DispatchEvent>()
  let mayBeRestoring = false
  /// The end that an execution has come to since its change.
  let end = Mutex<ExecutionChange?>(nil)
  let registeredLinks: [String: (epoch: Int64, link: any AgentLink)] = [:]

  func handle(_ event: DispatchEvent) { events.add(event) }
  func knownEpoch(of agent: String) -> Int64 { 0 }

  func endInstead(of change: ExecutionChange) -> ExecutionChange? { end.withLock { $0 } }
}
