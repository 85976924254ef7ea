import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxMetrics
import ParallaxServer
import ParallaxState
import ParallaxTesting
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// Requests under an idempotency key while a store has lost the key, which another node is about to restore.
@Suite(.timeLimit(.minutes(1))) struct RestorationGateTests {
  private struct LossyBackend: Backend {
    let store = ForgetfulStore()
    let election: any ElectionStore = InMemoryElectionStore()
    let membership: any MembershipStore = InMemoryMembershipStore()
    let inboxes: any InboxStore = InMemoryInboxStore()
    let events: any EventBus = InMemoryEventBus()

    var state: any StateStore { store }
    var traits: BackendTraits { BackendTraits(isShared: false, losesAcknowledgedWrites: true) }
  }

  private static let pattern = PatternDefinition(name: "one", agents: AgentRequirement(capabilities: ["nobody-has-it"]))

  private let clock = ManualClock()
  private let backend = LossyBackend()
  private let assembly: NodeAssembly
  private let controlPlane: ControlPlane

  init() throws {
    assembly = try NodeAssembly(
      configuration: NodeConfiguration(nodeID: "node-a"), backend: backend, registry: MetricsRegistry(), onStuckDuty: {},
      clock: NodeClock(clock, wall: { World.start }), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    controlPlane = try assembly.makeControlPlane()
    _ = assembly.health.started()
    _ = backend.store.open(assembly.session)
    _ = backend.store.store(Self.pattern)
  }

  private func running(_ body: @escaping @Sendable () async throws -> Void) async throws {
    try await ParallaxControlPlaneTests.running([assembly.dispatcher], body)
  }

  /// Sends the request of each test under a key, and returns the id of its execution.
  private func execute(_ key: String) async throws -> String? {
    let request = ExecuteRequest(input: 1, options: ExecuteRequest.Options(idempotencyKey: key))
    let answer = try await controlPlane.execute(pattern: "one", version: nil, request: request, isAsync: true)
    guard case .accepted(let acceptance) = answer else { return nil }
    return acceptance.executionId
  }

  /// The code of the error that answers the request.
  private func refusal(_ key: String) async -> APIError.Code? {
    do {
      _ = try await execute(key)
      return nil
    } catch {
      return (error as? APIError)?.code
    }
  }

  /// The digest of the request.
  private func digest() async throws -> String {
    _ = try await execute("another")
    guard case .existing(_, let digest) = backend.store.claimIdempotencyKey("another", executionID: "", digest: "", lifetime: .seconds(1))
    else { return "" }
    return digest
  }

  /// The store loses everything; `isNoticed` by this node.
  private func flush(isNoticed: Bool) {
    backend.store.failOver()
    _ = backend.store.store(Self.pattern)
    guard isNoticed else { return }
    _ = backend.store.open(assembly.session)
    assembly.dispatcher.storeReset(connectionAge: .zero)
  }

  /// Another node restores its execution of a key.
  private func restore(_ key: String, digest: String) async throws {
    var execution = World().execution("exec_other")
    (execution.owner, execution.idempotencyKey, execution.idempotencyDigest) = (NodeParts.other, key, digest)
    execution.createdAt = World.start
    let stored = StoredExecution(execution: execution, tasks: [])
    #expect(try backend.store.restore(stored, as: .owner, acknowledged: []) == .restored)
    try await backend.store.restoreKey(of: execution, at: World.start)
  }

  @Test func `A repeat after a loss waits until every node has restored its keys`() async throws {
    try await running {
      let digest = try await digest()
      flush(isNoticed: true)
      async let repeated = execute("key")
      // The restoration of this node's own writes sleeps too, before its report.
      try await clock.sleepers(atLeast: 2)
      #expect(!backend.store.claimedKeys.contains("key"))
      try await restore("key", digest: digest)
      clock.advance(by: RestorationMachine.window)
      #expect(try await repeated == "exec_other")
    }
  }

  @Test func `A repeat after a loss that its node has not noticed does not run`() async throws {
    try await running {
      let digest = try await digest()
      flush(isNoticed: false)
      async let repeated = execute("key")
      try await clock.sleepers(atLeast: 1)
      // It has claimed the key, which returns to its holder all the same.
      #expect(backend.store.claimedKeys.contains("key"))
      try await restore("key", digest: digest)
      _ = backend.store.open(assembly.session)
      clock.advance(by: .seconds(1))
      #expect(try await repeated == "exec_other")
      #expect(assembly.dispatcher.counts.executions == 1, "the one of the other request")
    }
  }

  @Test func `A repeat whose execution the store has lost does not create it beside its owner`() async throws {
    try await running {
      let digest = try await digest()
      flush(isNoticed: false)
      // The key is on a server that has lost nothing.
      _ = backend.store.claimIdempotencyKey("key", executionID: "exec_other", digest: digest, lifetime: .seconds(60))
      async let repeated = execute("key")
      try await clock.sleepers(atLeast: 1)
      try await restore("key", digest: digest)
      _ = backend.store.open(assembly.session)
      clock.advance(by: .seconds(1))
      #expect(try await repeated == "exec_other")
      #expect(backend.store.execution("exec_other")?.execution.owner == NodeParts.other)
    }
  }

  @Test func `A request that has waited too long is to be repeated`() async throws {
    try await running {
      flush(isNoticed: false)
      async let refused = refusal("key")
      try await clock.sleepers(atLeast: 1)
      clock.advance(by: RestorationGate.patience)
      #expect(await refused == .notReady)
      #expect(backend.store.executions(ExecutionQuery()).executions == [])
    }
  }

  @Test func `A node waits for nobody at its first start`() async throws {
    try await running {
      let id = try await execute("key")
      #expect(id != nil && backend.store.execution(id ?? "") != nil)
      #expect(clock.now.sinceStart == .zero)
    }
  }

  /// The claimant may be gone; the store keeps the digest with the execution.
  @Test func `An owner restores the key of its execution while the key holds`() async throws {
    try await running {
      var stored = try #require(backend.store.execution(try await execute("key") ?? ""))
      let digest = try #require(stored.execution.idempotencyDigest)
      let worker = StoreWorker(
        store: backend.store, session: assembly.session, retention: .seconds(200_000), clock: assembly.clock,
        reports: StoreReports(metrics: try DispatchMetrics(registry: MetricsRegistry()), logger: assembly.logger) { _ in })
      for (age, claim) in [
        (Duration.seconds(86_399), IdempotencyClaim.existing(executionID: stored.execution.id, digest: digest)),
        (.seconds(86_400), .claimed),
      ] {
        backend.store.failOver()
        stored.execution.createdAt = World.start + (.zero - age)
        await worker.perform(.restore(stored, acknowledged: []), for: assembly.dispatcher)
        #expect(backend.store.claimIdempotencyKey("key", executionID: "exec_2", digest: "", lifetime: .seconds(1)) == claim)
      }
    }
  }
}
