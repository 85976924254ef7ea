import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxMetrics
import ParallaxState
import ServiceLifecycle

@testable import ParallaxControlPlane

/// The parts of a node with stores in memory; only the dispatcher and the messenger run.
struct NodeParts {
  static let other = NodeSession(nodeID: "node-b", incarnation: "1")

  let backend = InMemoryBackend()
  let assembly: NodeAssembly
  let logger: Logger

  init() throws {
    logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    assembly = try NodeAssembly(
      configuration: NodeConfiguration(nodeID: "node-a"), backend: backend, registry: MetricsRegistry(), onStuckDuty: {}, logger: logger)
    _ = assembly.health.started()
  }

  /// Runs the dispatcher and the messenger while the body runs.
  func running(_ body: () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await assembly.dispatcher.run() }
      group.addTask { try await assembly.messenger.run() }
      defer { group.cancelAll() }
      try await body()
    }
  }

  /// Submits an execution that waits for an agent, and returns its id.
  func submit() async -> String {
    let execution = Execution(
      id: "exec_1", pattern: World.pattern(), input: [:], createdAt: assembly.clock.now.wall,
      deadline: assembly.clock.now.wall + .seconds(60), owner: assembly.session)
    _ = await assembly.dispatcher.submit(execution, waits: false, isRepeatable: false)
    return execution.id
  }
}

/// Runs services until the body ends; the error of a service ends the body.
func running(_ services: [any Service], _ body: @escaping @Sendable () async throws -> Void) async throws {
  try await withThrowingTaskGroup(of: Bool.self) { group in
    for service in services {
      group.addTask {
        try await service.run()
        return false
      }
    }
    group.addTask {
      try await body()
      return true
    }
    while let isOver = try await group.next(), !isOver {}
    group.cancelAll()
    try await group.waitForAll()
  }
}
