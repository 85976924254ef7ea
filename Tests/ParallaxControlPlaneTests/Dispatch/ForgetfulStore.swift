import ParallaxAPI
import ParallaxHA
import ParallaxState
import Synchronization

/// A store that can fail over to an empty one.
final class ForgetfulStore: StateStore {
  private let current = Mutex(ForgetfulStore.empty())
  private let claims = Mutex<[String]>([])
  private let lifetimes = Mutex<[Duration]>([])

  /// The executions on a part of the store that does not answer.
  let away = Mutex<Set<String>>([])

  private static func empty() -> InMemoryStateStore { InMemoryStateStore(now: { World.start }) }

  /// The current store.
  var successor: InMemoryStateStore { current.withLock { $0 } }

  /// The idempotency keys that were claimed since the last failover.
  var claimedKeys: [String] { claims.withLock { $0 } }

  /// The lifetime of each claimed idempotency key.
  var claimedLifetimes: [Duration] { lifetimes.withLock { $0 } }

  func failOver() {
    claims.withLock { $0 = [] }
    current.withLock { $0 = Self.empty() }
  }

  func create(_ stored: StoredExecution) -> CreateOutcome { successor.create(stored) }

  func update(_ change: ExecutionChange) -> UpdateOutcome { successor.update(change) }

  func restore(_ stored: StoredExecution, as claim: RestorationClaim, acknowledged: Set<String>) throws -> RestoreOutcome {
    if away.withLock({ $0.contains(stored.execution.id) }) { throw StateStoreError(.unavailable, "its part of the store is away") }
    return successor.restore(stored, as: claim, acknowledged: acknowledged)
  }

  func record(_ outcome: TaskRecord, of execution: String) -> RecordOutcome { successor.record(outcome, of: execution) }

  func release(_ id: String, owner: NodeSession) { successor.release(id, owner: owner) }

  func unlist(_ id: String, from session: NodeSession) { successor.unlist(id, from: session) }

  func execution(_ id: String) -> StoredExecution? { successor.execution(id) }

  func executions(_ query: ExecutionQuery) -> ExecutionPage { successor.executions(query) }

  func executions(ownedBy owner: NodeSession) -> [String] { successor.executions(ownedBy: owner) }

  func claim(_ id: String, from previous: NodeSession, isGone: Bool, to owner: NodeSession) -> StoredExecution? {
    successor.claim(id, from: previous, isGone: isGone, to: owner)
  }

  func claimIdempotencyKey(_ key: String, executionID: String, digest: String, lifetime: Duration) -> IdempotencyClaim {
    claims.withLock { $0.append(key) }
    lifetimes.withLock { $0.append(lifetime) }
    return successor.claimIdempotencyKey(key, executionID: executionID, digest: digest, lifetime: lifetime)
  }

  func restoreIdempotencyKey(_ key: String, executionID: String, digest: String, lifetime: Duration) {
    claims.withLock { $0.append(key) }
    lifetimes.withLock { $0.append(lifetime) }
    successor.restoreIdempotencyKey(key, executionID: executionID, digest: digest, lifetime: lifetime)
  }

  func removeExecutions(createdBefore instant: Timestamp, maxRetained: Int, limit: Int) -> Int {
    successor.removeExecutions(createdBefore: instant, maxRetained: maxRetained, limit: limit)
  }

  func currentTime() -> Timestamp { successor.currentTime() }

  func register(_ record: AgentRecord) -> Int64 { successor.register(record) }

  func update(_ record: AgentRecord) -> Bool { successor.update(record) }

  func removeAgent(_ id: String, epoch: Int64, session: NodeSession) { successor.removeAgent(id, epoch: epoch, session: session) }

  func agent(_ id: String) -> AgentRecord? { successor.agent(id) }

  func agents(at session: NodeSession) -> [AgentRecord] { successor.agents(at: session) }

  func store(_ pattern: PatternDefinition) -> Bool { successor.store(pattern) }

  func versions(ofPattern name: String) -> [PatternDefinition] { successor.versions(ofPattern: name) }

  func patternNames() -> [String] { successor.patternNames() }

  func open(_ session: NodeSession) -> Bool { successor.open(session) }

  func sessions() -> [NodeSession: Int64] { successor.sessions() }

  func close(_ session: NodeSession, generation: Int64) { successor.close(session, generation: generation) }
}
