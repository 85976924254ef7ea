import ParallaxAPI
import ParallaxHA
import ParallaxState
import Synchronization

@testable import ParallaxControlPlane

/// A store in memory that records calls and fails on request.
final class ObservedStore: StateStore {
  private struct Observations {
    var reads = 0
    var failingReads: Set<Int> = []
    var unreadable: Set<String> = []
    var refusedClaims: Set<String> = []
    var claimed: [String] = []
    var removals: [Int] = []
    var released: [String] = []
    var openings = 0
    var refusesOpening = false
    var failures: [StateStoreError] = []
    var forgottenPatterns: Set<String> = []
  }

  let inner: InMemoryStateStore
  private let observations = Mutex(Observations())

  init(now: @escaping @Sendable () -> Timestamp = { World.start }) {
    inner = InMemoryStateStore(now: now)
  }

  /// The number of reads of executions.
  var reads: Int { observations.withLock { $0.reads } }
  /// The number of executions that each call of `removeExecutions` removed.
  var removals: [Int] { observations.withLock { $0.removals } }
  /// The executions removed from their owners' lists.
  var released: [String] { observations.withLock { $0.released } }

  /// The number of attempts to open a session.
  var openings: Int { observations.withLock { $0.openings } }

  /// Refuses to open sessions, as a store does that does not answer.
  func refuseOpening(_ refuses: Bool) { observations.withLock { $0.refusesOpening = refuses } }

  /// Makes the next creations and changes of executions, and registrations, changes and removals of agents, fail, one per error.
  func failWrites(_ errors: [StateStoreError]) { observations.withLock { $0.failures = errors } }

  private func failIfPlanned() throws {
    let error = observations.withLock { $0.failures.isEmpty ? nil : $0.failures.removeFirst() }
    if let error { throw error }
  }

  /// Removes all patterns.
  func forgetPatterns() { observations.withLock { $0.forgottenPatterns = Set(inner.patternNames()) } }

  /// The executions that callers tried to claim, in order.
  var claimed: [String] { observations.withLock { $0.claimed } }

  /// Makes the claims of these executions fail.
  func refuseClaims(of ids: Set<String>) { observations.withLock { $0.refusedClaims = ids } }

  /// Makes the reads with these numbers fail, from 1 on.
  func failReads(_ numbers: Int...) { observations.withLock { $0.failingReads = Set(numbers) } }

  /// Makes claims of an execution fail as if a newer version had written it.
  func makeUnreadable(_ id: String) { observations.withLock { _ = $0.unreadable.insert(id) } }

  /// Makes executions readable again.
  func makeReadable() { observations.withLock { $0.unreadable = [] } }

  func unlist(_ id: String, from session: NodeSession) { inner.unlist(id, from: session) }

  func execution(_ id: String) throws -> StoredExecution? {
    let fails = observations.withLock { observations in
      observations.reads += 1
      return observations.failingReads.contains(observations.reads)
    }
    if fails { throw StateStoreError(.unavailable, "no answer") }
    return inner.execution(id)
  }

  func claim(_ id: String, from previous: NodeSession, isGone: Bool, to owner: NodeSession) throws -> StoredExecution? {
    observations.withLock { $0.claimed.append(id) }
    if observations.withLock({ $0.unreadable.contains(id) }) { throw StateStoreError(.unreadable, "too new") }
    if observations.withLock({ $0.refusedClaims.contains(id) }) { throw StateStoreError(.refused, "corrupt") }
    return inner.claim(id, from: previous, isGone: isGone, to: owner)
  }

  func release(_ id: String, owner: NodeSession) {
    observations.withLock { $0.released.append(id) }
    inner.release(id, owner: owner)
  }

  func removeExecutions(createdBefore instant: Timestamp, maxRetained: Int, limit: Int) -> Int {
    let count = inner.removeExecutions(createdBefore: instant, maxRetained: maxRetained, limit: limit)
    observations.withLock { $0.removals.append(count) }
    return count
  }

  func create(_ stored: StoredExecution) throws -> CreateOutcome {
    try failIfPlanned()
    return inner.create(stored)
  }

  func update(_ change: ExecutionChange) throws -> UpdateOutcome {
    try failIfPlanned()
    return inner.update(change)
  }

  func restore(_ stored: StoredExecution, as claim: RestorationClaim, acknowledged: Set<String>) -> RestoreOutcome {
    inner.restore(stored, as: claim, acknowledged: acknowledged)
  }
  func record(_ outcome: TaskRecord, of execution: String) -> RecordOutcome { inner.record(outcome, of: execution) }
  func executions(_ query: ExecutionQuery) -> ExecutionPage { inner.executions(query) }
  func executions(ownedBy owner: NodeSession) -> [String] { inner.executions(ownedBy: owner) }

  func claimIdempotencyKey(_ key: String, executionID: String, digest: String, lifetime: Duration) -> IdempotencyClaim {
    inner.claimIdempotencyKey(key, executionID: executionID, digest: digest, lifetime: lifetime)
  }
  func restoreIdempotencyKey(_ key: String, executionID: String, digest: String, lifetime: Duration) {
    inner.restoreIdempotencyKey(key, executionID: executionID, digest: digest, lifetime: lifetime)
  }

  func register(_ record: AgentRecord) throws -> Int64 {
    try failIfPlanned()
    return inner.register(record)
  }

  func update(_ record: AgentRecord) throws -> Bool {
    try failIfPlanned()
    return inner.update(record)
  }

  func removeAgent(_ id: String, epoch: Int64, session: NodeSession) throws {
    try failIfPlanned()
    inner.removeAgent(id, epoch: epoch, session: session)
  }

  func agent(_ id: String) -> AgentRecord? { inner.agent(id) }
  func agents(at session: NodeSession) -> [AgentRecord] { inner.agents(at: session) }

  func store(_ pattern: PatternDefinition) -> Bool {
    let wasForgotten = observations.withLock { $0.forgottenPatterns.remove(pattern.name) != nil }
    return inner.store(pattern) || wasForgotten
  }

  func versions(ofPattern name: String) -> [PatternDefinition] {
    observations.withLock { $0.forgottenPatterns.contains(name) } ? [] : inner.versions(ofPattern: name)
  }

  func patternNames() -> [String] {
    let forgotten = observations.withLock { $0.forgottenPatterns }
    return inner.patternNames().filter { !forgotten.contains($0) }
  }

  func currentTime() -> Timestamp { inner.currentTime() }
  func open(_ session: NodeSession) throws -> Bool {
    let refuses = observations.withLock { observations in
      observations.openings += 1
      return observations.refusesOpening
    }
    if refuses { throw StateStoreError(.unavailable, "no answer") }
    return inner.open(session)
  }

  func sessions() -> [NodeSession: Int64] { inner.sessions() }
  func close(_ session: NodeSession, generation: Int64) { inner.close(session, generation: generation) }
}
