package import Logging
import ParallaxAPI
package import ParallaxHA
package import ParallaxMetrics
package import ParallaxState
import Synchronization

/// Takes over the executions of lost node sessions, and expects their agents to reconnect.
///
/// A recovery can be repeated, and interrupted at any point: the store claims each execution by its epoch before the dispatcher continues
/// it. ``RecoveryLedger`` decides when a session is closed.
package final class SessionRecovery: Sendable {
  private let store: any StateStore
  private let inboxes: any InboxStore
  private let dispatcher: Dispatcher
  private let session: NodeSession
  private let recovered: MetricFamily<CounterSeries>
  private let clock: NodeClock
  private let logger: Logger
  private let ledger: Mutex<RecoveryLedger>

  /// Makes the recovery.
  ///
  /// - Parameters:
  ///   - store: The store of sessions, executions and agents.
  ///   - inboxes: The inboxes of all sessions.
  ///   - dispatcher: The dispatcher that continues the executions.
  ///   - session: This node.
  ///   - resumeGrace: The time that the agents of a lost session have to reconnect.
  ///   - registry: The registry for the counter of recovered executions.
  ///   - clock: The node's clock.
  ///   - logger: Logs each recovered session.
  /// - Throws: The registry's error if the counter exists already.
  package init(
    store: any StateStore, inboxes: any InboxStore, dispatcher: Dispatcher, session: NodeSession, resumeGrace: Duration,
    registry: MetricsRegistry, clock: NodeClock, logger: Logger
  ) throws {
    self.store = store
    self.inboxes = inboxes
    self.dispatcher = dispatcher
    self.session = session
    ledger = Mutex(RecoveryLedger(resumeGrace: resumeGrace))
    self.clock = clock
    self.logger = logger
    recovered = try registry.makeCounter(
      "parallax_executions_recovered_total", help: "Executions taken over from lost node sessions, by action.",
      labels: ["action"])
  }

  /// The number of concurrent claims: enough to share round trips, few enough to leave room for live traffic.
  private static let batchSize = 128

  /// Runs one round of recovery.
  ///
  /// - Parameter lost: The lost sessions, each with the generation that it had before it was found to be lost.
  /// - Throws: The store's error; the next round continues.
  package func run(_ lost: [NodeSession: Int64]) async throws {
    ledger.withLock { $0.beginRound(lost.keys) }
    var failure: (any Error)?
    for (session, generation) in lost {
      do { try await recover(session, generation: generation) } catch { failure = failure ?? error }
    }
    if let failure { throw failure }
  }

  private func recover(_ lost: NodeSession, generation: Int64) async throws {
    let now = clock.now.instant
    for agent in try await store.agents(at: lost) { dispatcher.handle(.agent(.expected(agent.id, epoch: agent.epoch, home: lost))) }
    let (count, unreadable) = try await takeOver(try await store.executions(ownedBy: lost), from: lost)
    let isFirst = ledger.withLock { $0.recovered(lost, since: now) }
    if let example = unreadable.first {
      logger.log(
        level: isFirst ? .warning : .debug, "this version cannot recover executions of a newer one; start a node of the newer version",
        metadata: ["session": "\(lost)", "count": "\(unreadable.count)", "example": "\(example)"])
    }
    if isFirst || count > 0 {
      logger.notice(
        isFirst ? "recovered a lost node session" : "recovered more executions of a lost node session",
        metadata: ["session": "\(lost)", "executions": "\(count)"])
    }
    if !isFirst, ledger.withLock({ $0.mayClose(lost, at: now) }) { try await close(lost, generation: generation) }
  }

  /// Takes over executions of a lost session that is listed nowhere.
  ///
  /// - Parameters:
  ///   - ids: The executions.
  ///   - lost: Their owner.
  /// - Throws: The store's error; the claims that it leaves out can be repeated.
  package func takeOver(_ ids: [String], of lost: NodeSession) async throws {
    let (count, _) = try await takeOver(ids, from: lost)
    guard count > 0 else { return }
    logger.warning(
      "took over executions of a node session that is listed nowhere", metadata: ["session": "\(lost)", "executions": "\(count)"])
  }

  private func takeOver(_ owned: [String], from lost: NodeSession) async throws -> (claimed: Int, unreadable: [String]) {
    var claimed = 0
    var unreadable: [String] = []
    var failure: (any Error)?
    for start in stride(from: 0, to: owned.count, by: Self.batchSize) {
      let batch = await takeOver(owned[start..<min(start + Self.batchSize, owned.count)], from: lost)
      claimed += batch.claimed
      unreadable += batch.unreadable
      failure = failure ?? batch.failures.first
      // A store that answers no claim of a whole batch is away.
      if batch.failures.count == min(Self.batchSize, owned.count - start) { break }
    }
    if let failure { throw failure }
    return (claimed, unreadable)
  }

  private func takeOver(
    _ ids: ArraySlice<String>, from lost: NodeSession
  ) async -> (claimed: Int, unreadable: [String], failures: [any Error]) {
    await withTaskGroup(of: Claim.self) { group in
      for id in ids { group.addTask { await self.claim(id, from: lost) } }
      var claimed = 0
      var unreadable: [String] = []
      var failures: [any Error] = []
      for await claim in group {
        switch claim {
        case .nothing: break
        case .failed(let error): failures.append(error)
        case .unreadable(let id): unreadable.append(id)
        case .claimed(let stored):
          claimed += 1
          recovered.withLabels(action(for: stored.execution.status)).increment()
        }
      }
      return (claimed, unreadable, failures)
    }
  }

  private enum Claim: Sendable {
    case claimed(StoredExecution)
    /// The execution has ended, has another owner, or was never stored.
    case nothing
    /// A newer version wrote the execution; only a node of that version can recover it.
    case unreadable(String)
    /// The claim, which concerns only this execution, is repeated in the next round.
    case failed(any Error)
  }

  private func claim(_ id: String, from lost: NodeSession) async -> Claim {
    dispatcher.handle(.recovering(id))
    do {
      let stored = try await store.claim(id, from: lost, to: session)
      dispatcher.handle(stored.map { .recovered($0) } ?? .notRecovered(id))
      return stored.map { .claimed($0) } ?? .nothing
    } catch let error as StateStoreError where error.code == .unreadable {
      dispatcher.handle(.notRecovered(id))
      return .unreadable(id)
    } catch {
      dispatcher.handle(.notRecovered(id))
      // The claim may have taken effect; then only this node's list has the execution, so the dispatcher repeats the claim until it is
      // answered.
      dispatcher.received(.adopt(execution: id, owner: lost))
      return .failed(error)
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

  /// Removes the rest of a session: the agents that did not reconnect, and the inbox.
  private func close(_ lost: NodeSession, generation: Int64) async throws {
    for agent in try await store.agents(at: lost) { try await store.removeAgent(agent.id, epoch: agent.epoch, session: lost) }
    try await inboxes.removeInbox(of: lost)
    guard try await store.executions(ownedBy: lost).isEmpty else { return }
    try await store.close(lost, generation: generation)
    ledger.withLock { $0.closed(lost) }
  }
}
