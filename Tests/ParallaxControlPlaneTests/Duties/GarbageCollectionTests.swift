import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxState
import ParallaxTesting
import Synchronization
import Testing

@testable import ParallaxControlPlane

/// The executions that the leader removes, the clock that decides, and the end of a round.
@Suite(.timeLimit(.minutes(1))) struct GarbageCollectionTests {
  private static let start = Timestamp(milliseconds: 1_768_473_000_000)
  private static let session = NodeSession(nodeID: "node", incarnation: "1")

  private func execution(_ number: Int, _ status: ExecutionStatus, createdAt: Timestamp) -> StoredExecution {
    let pattern = PatternDefinition(name: "p", agents: AgentRequirement(capabilities: ["c"]))
    return StoredExecution(
      execution: Execution(
        id: "exec_\(number)", pattern: pattern, status: status, input: .null, createdAt: createdAt, deadline: createdAt + .seconds(30),
        owner: Self.session), tasks: [])
  }

  private func collection(
    _ store: any StateStore, retention: Duration, maxRetained: Int = 1_000_000, clock: NodeClock = NodeClock()
  ) -> GarbageCollection {
    var settings = NodeConfiguration.Executions()
    settings.retention = retention
    settings.maxRetained = maxRetained
    return GarbageCollection(
      store: store, settings: settings, clock: clock, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  @Test func `Executions older than the retention are removed, by the store's clock`() async throws {
    // The node's own clock is years ahead.
    let store = InMemoryStateStore { Self.start }
    for number in 0..<10 { _ = store.create(execution(number, .completed, createdAt: Self.start - .seconds(60 * number))) }
    try await collection(store, retention: .seconds(300)).run()
    #expect(store.executions(ExecutionQuery(limit: 100)).executions.map(\.execution.id) == (0...5).map { "exec_\($0)" })
  }

  @Test func `One round continues until nothing is left to remove`() async throws {
    let store = InMemoryStateStore { Self.start }
    for number in 0..<12_000 { _ = store.create(execution(number, .completed, createdAt: Self.start + .milliseconds(number))) }
    try await collection(store, retention: .seconds(86_400), maxRetained: 500).run()
    #expect(store.executions(ExecutionQuery()).total == 500)
    try await collection(store, retention: .seconds(-60)).run()
    #expect(store.executions(ExecutionQuery()).total == 0)
  }

  @Test func `Executions that have not ended stay`() async throws {
    let store = InMemoryStateStore { Self.start }
    for (number, status) in [ExecutionStatus.pending, .running, .aggregating, .completed].enumerated() {
      _ = store.create(execution(number, status, createdAt: Self.start - .seconds(3_600)))
    }
    try await collection(store, retention: .seconds(1), maxRetained: 0).run()
    #expect(store.executions(ExecutionQuery()).total == 3)
  }

  /// One run removes all due executions, with a pause between two calls.
  @Test func `A round removes in batches with pauses between them`() async throws {
    let clock = ManualClock()
    let store = ObservedStore { Self.start }
    let count = CollectionRound.batchSize * 2 + 7
    for number in 0..<count { _ = store.inner.create(execution(number, .completed, createdAt: Self.start - .seconds(900))) }
    let collection = collection(store, retention: .seconds(600), clock: NodeClock(clock) { Self.start })
    try await clock.advance { try await collection.run() }
    #expect(store.removals == [CollectionRound.batchSize, CollectionRound.batchSize, 7])
    #expect(clock.now.sinceStart > .zero)
  }
}
