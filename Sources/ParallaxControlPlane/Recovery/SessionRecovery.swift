package import Logging
import ParallaxAPI
package import ParallaxHA
package import ParallaxMetrics
package import ParallaxState

/// Takes over what a node session that is gone owned: its executions, and the expectation of its agents.
///
/// Can be repeated and can be broken off anywhere: each execution is claimed by its epoch before it is touched, and the session
/// stays on the list until nothing of it is left.
package struct SessionRecovery: Sendable {
  let store: any StateStore
  let dispatcher: Dispatcher
  let session: NodeSession
  let recovered: MetricFamily<CounterSeries>
  let clock: NodeClock
  let logger: Logger

  package init(
    store: any StateStore, dispatcher: Dispatcher, session: NodeSession, registry: MetricsRegistry, clock: NodeClock, logger: Logger
  ) throws {
    self.store = store
    self.dispatcher = dispatcher
    self.session = session
    self.clock = clock
    self.logger = logger
    recovered = try registry.counter(
      "parallax_executions_recovered_total", help: "Executions taken over from lost node sessions, by what was done.",
      labels: ["action"])
  }

  /// How many claims are under way at once: enough to share round trips, few enough to leave room for live traffic.
  private static let batchSize = 128

  /// Recovers everything of `lost`; throws when the store fails, to be called again.
  package func recover(_ lost: NodeSession) async throws {
    for agent in try await store.agents(at: lost) {
      var record = agent
      record.session = session
      record.isConnected = false
      let epoch = try await store.register(record)
      dispatcher.expectAgent(agent.id, epoch: epoch)
    }
    let owned = try await store.executions(ownedBy: lost)
    var count = 0
    for start in stride(from: 0, to: owned.count, by: Self.batchSize) {
      count += try await recover(owned[start..<min(start + Self.batchSize, owned.count)], from: lost)
    }
    try await store.close(lost)
    logger.notice(
      "recovered a lost node session",
      metadata: ["session": "\(lost)", "executions": "\(count)"])
  }

  private func recover(_ ids: ArraySlice<String>, from lost: NodeSession) async throws -> Int {
    try await withThrowingTaskGroup(of: StoredExecution?.self) { group in
      for id in ids { group.addTask { try await claim(id, from: lost) } }
      var count = 0
      for try await claimed in group {
        guard let claimed else { continue }
        count += 1
        recovered.with(action(for: claimed.execution.status)).increment()
        dispatcher.recover(claimed)
      }
      return count
    }
  }

  /// What a newer version wrote is left to a node that can read it.
  private func claim(_ id: String, from lost: NodeSession) async throws -> StoredExecution? {
    do {
      return try await store.claim(id, from: lost, to: session)
    } catch let error as StateStoreError where error.code == .unreadable {
      logger.warning("an execution cannot be recovered by this version", metadata: ["execution": "\(id)", "error": "\(error)"])
      return nil
    }
  }

  private func action(for status: ExecutionStatus) -> String {
    switch status {
    case .pending: "requeued"
    case .running: "continued"
    case .aggregating: "resumed"
    case .completed, .failed, .cancelled, .timedOut: "reported"
    }
  }
}
