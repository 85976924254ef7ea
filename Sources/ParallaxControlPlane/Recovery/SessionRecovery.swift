package import Logging
import ParallaxAPI
package import ParallaxHA
package import ParallaxMetrics
package import ParallaxState
import Synchronization

/// Takes over what node sessions that are gone owned: their executions, and the expectation of their agents.
///
/// Can be repeated and can be broken off anywhere: each execution is claimed by its epoch before it is touched. A session stays on the list
/// until its agents had the time to come back; until then it is looked at again in each round, as a process that was only paused may have
/// put something on its list when nobody expected it.
package final class SessionRecovery: Sendable {
  private let store: any StateStore
  private let inboxes: any InboxStore
  private let dispatcher: Dispatcher
  private let session: NodeSession
  private let resumeGrace: Duration
  private let recovered: MetricFamily<CounterSeries>
  private let clock: NodeClock
  private let logger: Logger
  /// The sessions that were recovered, each with when that was first done.
  private let underWay = Mutex<[NodeSession: Duration]>([:])

  package init(
    store: any StateStore, inboxes: any InboxStore, dispatcher: Dispatcher, session: NodeSession, resumeGrace: Duration,
    registry: MetricsRegistry, clock: NodeClock, logger: Logger
  ) throws {
    self.store = store
    self.inboxes = inboxes
    self.dispatcher = dispatcher
    self.session = session
    self.resumeGrace = resumeGrace
    self.clock = clock
    self.logger = logger
    recovered = try registry.makeCounter(
      "parallax_executions_recovered_total", help: "Executions taken over from lost node sessions, by what was done.",
      labels: ["action"])
  }

  /// How many claims are under way at once: enough to share round trips, few enough to leave room for live traffic.
  private static let batchSize = 128

  /// Recovers sessions that are gone, as far as that is due; throws when the store fails, to be called again.
  ///
  /// Each comes with how often it had been opened when it was listed, which is before it was found to be gone.
  package func run(_ lost: [NodeSession: Int64]) async throws {
    underWay.withLock { sessions in sessions = sessions.filter { lost[$0.key] != nil } }
    for (session, openings) in lost { try await recover(session, openings: openings) }
  }

  private func recover(_ lost: NodeSession, openings: Int64) async throws {
    let now = clock.now.instant
    let since = underWay.withLock { $0[lost] }
    for agent in try await store.agents(at: lost) { dispatcher.expectAgent(agent.id, epoch: agent.epoch, home: lost) }
    let count = try await takeOverExecutions(of: lost)
    guard let since else {
      underWay.withLock { $0[lost] = now }
      return logger.notice("recovered a lost node session", metadata: ["session": "\(lost)", "executions": "\(count)"])
    }
    if now - since >= resumeGrace { try await conclude(lost, openings: openings) }
  }

  private func takeOverExecutions(of lost: NodeSession) async throws -> Int {
    let owned = try await store.executions(ownedBy: lost)
    var count = 0
    for start in stride(from: 0, to: owned.count, by: Self.batchSize) {
      count += try await takeOver(owned[start..<min(start + Self.batchSize, owned.count)], from: lost)
    }
    return count
  }

  private func takeOver(_ ids: ArraySlice<String>, from lost: NodeSession) async throws -> Int {
    try await withThrowingTaskGroup(of: StoredExecution?.self) { group in
      for id in ids { group.addTask { try await self.claim(id, from: lost) } }
      var count = 0
      for try await claimed in group {
        guard let claimed else { continue }
        count += 1
        recovered.withLabels(action(for: claimed.execution.status)).increment()
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

  /// Removes what is left of a session: the agents that have not come back, and its inbox, whose messages were for it alone.
  private func conclude(_ lost: NodeSession, openings: Int64) async throws {
    for agent in try await store.agents(at: lost) { try await store.removeAgent(agent.id, epoch: agent.epoch, session: lost) }
    try await inboxes.removeInbox(of: lost)
    guard try await store.executions(ownedBy: lost).isEmpty else { return }
    try await store.close(lost, openings: openings)
    underWay.withLock { $0[lost] = nil }
  }
}
