import Foundation
import Logging
import ParallaxAPI
import ParallaxConcurrency
import ParallaxHA
import ParallaxState
import ParallaxTesting
import ServiceLifecycle
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// The conformance of a backend outside the product, and a node on it.
@Suite(.timeLimit(.minutes(2))) struct FileBackendTests {
  @Test("State in a file keeps the rules", arguments: StateStoreConformance.checks)
  func state(check: StateStoreConformance.Check) async throws {
    try await withDirectory { directory in try await check.run { try FileBackend(directory: directory).state } }
  }

  @Test("An election in a file keeps the rules", arguments: ElectionStoreConformance.checks)
  func election(check: ElectionStoreConformance.Check) async throws {
    try await withDirectory { directory in try await check.run { try FileBackend(directory: directory).election } }
  }

  @Test("Members in a file keep the rules", arguments: MembershipStoreConformance.checks)
  func membership(check: MembershipStoreConformance.Check) async throws {
    try await withDirectory { directory in try await check.run { try FileBackend(directory: directory).membership } }
  }

  @Test("Inboxes in a file keep the rules", arguments: InboxConformance.checks)
  func inboxes(check: InboxConformance.Check) async throws {
    try await withDirectory { directory in
      try await check.run { try FileBackend(directory: directory, inboxCapacity: $0).inboxes }
    }
  }

  @Test("Its events keep the rules", arguments: EventBusConformance.checks)
  func events(check: EventBusConformance.Check) async throws {
    try await withDirectory { directory in try await check.run { try FileBackend(directory: directory).events } }
  }

  @Test func aRestartedNodeFindsItsState() async throws {
    try await withDirectory { directory in
      let first = try RunningNode("node-a", backend: FileBackend(directory: directory))
      let (id, term) = try await first.running { api in
        try await eventually("a leader") { try await Self.status(api).leader == "node-a" }
        #expect(try await api.post("/api/patterns", pattern).status == 201)
        let accepted: ExecutionAcceptance = try await api.post(
          "/api/patterns/analyze/execute?async=true", ExecuteRequest(input: ["text": "one"])
        ).decode()
        return (accepted.executionId, try await Self.status(api).term)
      }
      let second = try RunningNode("node-a", backend: FileBackend(directory: directory))
      try await second.running { api in
        let execution: ExecutionDocument = try await api.get("/api/executions/\(id)").decode()
        #expect(execution.status == .pending && execution.input == ["text": "one"])
        try await eventually("a leader") { try await Self.status(api).leader == "node-a" }
        let later = try #require(try await Self.status(api).term)
        #expect(try later > #require(term))
      }
    }
  }

  private var pattern: PatternDefinition {
    PatternDefinition(
      name: "analyze", agents: AgentRequirement(capabilities: ["analysis"], min: 1), aggregation: Aggregation(strategy: .first))
  }

  @Test func aServiceGroupNamesTheNodeAndLogsNothingElseOfIt() throws {
    var configuration = NodeConfiguration(nodeID: "node-a")
    configuration.redis.url = RedisURL("redis://:hidden@127.0.0.1:1")
    let node = try ParallaxNode(configuration: configuration)
    #expect(ServiceGroupConfiguration.ServiceConfiguration(service: node).serviceName == "ParallaxNode(node-a)")
  }

  private static func status(_ api: APIClient) async throws -> HAStatusDocument { try await api.get("/ha/status").decode() }
}

@Suite(.timeLimit(.minutes(2))) struct ParallaxNodeTests {
  @Test func twoNodesOfAProcessAreOneClusterOnOneBackend() async throws {
    let backend = InMemoryBackend()
    let first = try RunningNode("node-a", backend: backend, isClustered: true)
    let second = try RunningNode("node-b", backend: backend, isClustered: true)
    try await second.running { other in
      let leader = try await first.running { api in
        try await eventually("two members") { try await Self.status(api).members.count == 2 }
        return try await eventualValue("a leader") { try await Self.status(other).leader }
      }
      // The first node has left, so that the second one leads.
      try await eventually("the second node's leadership") { try await Self.status(other).leader == "node-b" }
      #expect(["node-a", "node-b"].contains(leader))
      try await eventually("the second node is the only member") { try await Self.status(other).members.map(\.id) == ["node-b"] }
    }
  }

  @Test func aNodeAloneDoesNotStartOnTheStoresOfARunningNode() async throws {
    let backend = InMemoryBackend()
    let first = try RunningNode("node-a", backend: backend)
    try await first.running { _ in
      let second = try RunningNode("node-b", backend: backend)
      let error = await #expect(throws: MembershipError.self) { try await second.running { _ in } }
      #expect(error?.code == .storeInUse && error?.message.contains("node-a") == true)
    }
  }

  private static func status(_ api: APIClient) async throws -> HAStatusDocument { try await api.get("/ha/status").decode() }
}

/// A node in this process, on a free port.
private struct RunningNode {
  private let node: ParallaxNode
  private let url = Deferred<String>()
  private let ready = Deferred<Void>()

  init(_ id: String, backend: any Backend, isClustered: Bool = false) throws {
    var configuration = NodeConfiguration(nodeID: id)
    configuration.server.port = 0
    configuration.server.drainTimeout = .zero
    configuration.highAvailability.enabled = isClustered
    configuration.highAvailability.memberHealth.checkInterval = .milliseconds(200)
    var hooks = ParallaxNode.Hooks()
    hooks.onListening = { [url] in url.set($0) }
    hooks.onReady = { [ready] in ready.set(()) }
    var logger = Logger(label: id)
    logger.logLevel = .critical
    node = try ParallaxNode(configuration: configuration, backend: backend, hooks: hooks, logger: logger)
  }

  /// Runs the node during the body, then stops it gracefully; throws an error that ends the node before.
  func running<Result: Sendable>(_ body: @escaping @Sendable (APIClient) async throws -> Result) async throws -> Result {
    var logger = Logger(label: "group")
    logger.logLevel = .critical
    let group = ServiceGroup(services: [node], logger: logger)
    return try await withThrowingTaskGroup(of: Result?.self) { tasks in
      tasks.addTask {
        try await group.run()
        return nil
      }
      tasks.addTask {
        let base = try await url.value()
        try await ready.value()
        return try await body(APIClient(base: base))
      }
      defer { tasks.cancelAll() }
      guard let result = try await tasks.next() ?? nil else { throw CancellationError() }
      await group.triggerGracefulShutdown()
      _ = try await tasks.next()
      return result
    }
  }
}

private func withDirectory<Result>(_ body: (URL) async throws -> Result) async throws -> Result {
  let directory = FileManager.default.temporaryDirectory.appending(path: "parallax-\(UUID().uuidString)")
  defer { try? FileManager.default.removeItem(at: directory) }
  return try await body(directory)
}
