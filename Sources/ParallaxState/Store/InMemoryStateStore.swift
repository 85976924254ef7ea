package import ParallaxAPI
package import ParallaxHA
import Synchronization

/// Keeps everything in this process: the store of an embedded node, of tests and of simulations.
///
/// What it holds lives as long as the process. Executions stay until `removeExecutions` takes them; idempotency keys for
/// 24 hours by the clock that it is given.
package final class InMemoryStateStore: StateStore {
  private struct State: ~Copyable {
    var executions = InMemoryExecutions()
    var agents = InMemoryAgents()
    var idempotencyKeys = InMemoryIdempotencyKeys()
    var patterns: [String: [String: PatternDefinition]] = [:]
    var sessions: [NodeSession: Int64] = [:]
  }

  private let state = Mutex(State())
  private let now: @Sendable () -> Timestamp

  /// Makes an empty store.
  ///
  /// - Parameter now: The wall clock, for the expiry of idempotency keys; called at each claim of one.
  package init(now: @escaping @Sendable () -> Timestamp) {
    self.now = now
  }

  package func create(_ stored: StoredExecution) -> CreateOutcome {
    state.withLock { $0.executions.create(stored) }
  }

  package func update(_ change: ExecutionChange) -> UpdateOutcome {
    state.withLock { $0.executions.update(change) }
  }

  package func restore(_ stored: StoredExecution, as claim: RestorationClaim) -> RestoreOutcome {
    state.withLock { $0.executions.restore(stored, as: claim) }
  }

  package func record(_ outcome: TaskRecord, of execution: String) -> RecordOutcome {
    state.withLock { $0.executions.record(outcome, of: execution) }
  }

  package func release(_ id: String, owner: NodeSession) {
    state.withLock { $0.executions.disown(id, by: owner) }
  }

  package func execution(_ id: String) -> StoredExecution? {
    state.withLock { $0.executions[id] }
  }

  package func executions(_ query: ExecutionQuery) -> ExecutionPage {
    state.withLock { $0.executions.page(query) }
  }

  package func executions(ownedBy owner: NodeSession) -> [String] {
    state.withLock { $0.executions.owned(by: owner) }
  }

  package func claim(_ id: String, from previous: NodeSession, isGone: Bool, to owner: NodeSession) -> StoredExecution? {
    state.withLock { $0.executions.claim(id, from: previous, isGone: isGone, to: owner) }
  }

  package func claimIdempotencyKey(_ key: String, executionID: String, digest: String, lifetime: Duration) -> IdempotencyClaim {
    let now = now()
    return state.withLock { $0.idempotencyKeys.claim(key, executionID: executionID, digest: digest, at: now, lifetime: lifetime) }
  }

  package func removeExecutions(createdBefore instant: Timestamp, maxRetained: Int, limit: Int) -> Int {
    state.withLock { $0.executions.remove(createdBefore: instant, maxRetained: maxRetained, limit: limit) }
  }

  package func register(_ record: AgentRecord) -> Int64 {
    state.withLock { $0.agents.register(record) }
  }

  package func update(_ record: AgentRecord) -> Bool {
    state.withLock { $0.agents.update(record) }
  }

  package func removeAgent(_ id: String, epoch: Int64, session: NodeSession) {
    state.withLock { $0.agents.remove(id, epoch: epoch) }
  }

  package func agent(_ id: String) -> AgentRecord? {
    state.withLock { $0.agents[id] }
  }

  package func agents(at session: NodeSession) -> [AgentRecord] {
    state.withLock { $0.agents.records(at: session) }
  }

  package func store(_ pattern: PatternDefinition) -> Bool {
    state.withLock { $0.patterns[pattern.name, default: [:]].updateValue(pattern, forKey: pattern.version) == nil }
  }

  package func versions(ofPattern name: String) -> [PatternDefinition] {
    state.withLock { $0.patterns[name].map { Array($0.values) } ?? [] }
  }

  package func patternNames() -> [String] {
    state.withLock { $0.patterns.keys.sorted() }
  }

  @discardableResult
  package func open(_ session: NodeSession) -> Bool {
    state.withLock { state in
      state.sessions[session, default: 0] += 1
      return state.sessions[session] == 1
    }
  }

  package func sessions() -> [NodeSession: Int64] {
    state.withLock { $0.sessions }
  }

  package func close(_ session: NodeSession, openings: Int64) {
    state.withLock { if $0.sessions[session] == openings { $0.sessions[session] = nil } }
  }
}
