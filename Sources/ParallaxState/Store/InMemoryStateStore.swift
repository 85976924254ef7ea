public import ParallaxAPI
public import ParallaxHA
import Synchronization

/// A state store in the memory of this process, for an embedded node, for tests and for simulations.
///
/// The state ends with the process. The store keeps ended executions until `removeExecutions` removes them; beyond `maximumEndedBytes` it
/// evicts those that ended first. Idempotency keys expire by the store's clock.
public final class InMemoryStateStore: StateStore {
  fileprivate struct State {
    var executions: InMemoryExecutions
    var agents = InMemoryAgents()
    var idempotencyKeys = InMemoryIdempotencyKeys()
    var patterns: [String: [String: PatternDefinition]] = [:]
    var sessions: [NodeSession: Int64] = [:]

    /// Changes executions, and records the end of evicted ones at their idempotency keys.
    mutating func change<Outcome>(_ body: (inout InMemoryExecutions) -> Outcome) -> Outcome {
      defer { for execution in executions.takeEvicted() { idempotencyKeys.recordEnd(of: execution) } }
      return body(&executions)
    }
  }

  /// The default memory bound of ended executions: 256 MiB, in bytes.
  public static let defaultMaximumEndedBytes = 256 << 20

  private let state: Mutex<State>
  private let now: @Sendable () -> Timestamp

  /// Makes an empty store.
  ///
  /// - Parameters:
  ///   - now: The wall clock, for the expiry of idempotency keys and the age of executions; the system's by default.
  ///   - maximumEndedBytes: The approximate memory bound of ended executions, in bytes; 256 MiB by default.
  public init(now: @escaping @Sendable () -> Timestamp = { .now }, maximumEndedBytes: Int = defaultMaximumEndedBytes) {
    self.now = now
    state = Mutex(State(executions: InMemoryExecutions(maximumEndedBytes: maximumEndedBytes)))
  }

  /// The contents of a store at one instant; in a simulation, those of a replica that lags.
  package struct Contents {
    fileprivate var state: State

    /// The contents of an empty store.
    package init() {
      state = State(executions: InMemoryExecutions(maximumEndedBytes: InMemoryStateStore.defaultMaximumEndedBytes))
    }

    fileprivate init(state: State) {
      self.state = state
    }
  }

  /// The present contents of the store; setting them discards the former ones.
  package var contents: Contents {
    get { state.withLock { Contents(state: $0) } }
    set { state.withLock { $0 = newValue.state } }
  }

  /// Stores a new execution; see ``ExecutionStore/create(_:)``.
  public func create(_ stored: StoredExecution) -> CreateOutcome {
    state.withLock { state in state.change { $0.create(stored) } }
  }

  /// Applies a change; see ``ExecutionStore/update(_:)``.
  public func update(_ change: ExecutionChange) -> UpdateOutcome {
    state.withLock { state in state.change { $0.update(change) } }
  }

  /// Writes a whole execution; see ``ExecutionStore/restore(_:as:acknowledged:)``.
  public func restore(_ stored: StoredExecution, as claim: RestorationClaim, acknowledged: Set<String> = []) -> RestoreOutcome {
    state.withLock { state in state.change { $0.restore(stored, as: claim, acknowledged: acknowledged) } }
  }

  /// Records a task's outcome; see ``ExecutionStore/record(_:of:)``.
  public func record(_ outcome: TaskRecord, of execution: String) -> RecordOutcome {
    state.withLock { $0.executions.record(outcome, of: execution) }
  }

  /// Removes an execution from its owner's list; see ``ExecutionStore/release(_:owner:)``.
  public func release(_ id: String, owner: NodeSession) {
    state.withLock { $0.executions.disown(id, by: owner) }
  }

  /// Removes a stale entry from a session's list; see ``ExecutionStore/unlist(_:from:)``.
  public func unlist(_ id: String, from session: NodeSession) {
    state.withLock { $0.executions.unlist(id, from: session) }
  }

  /// The execution; nil if the store does not have it.
  public func execution(_ id: String) -> StoredExecution? {
    state.withLock { $0.executions[id] }
  }

  /// A page of executions, newest first.
  public func executions(_ query: ExecutionQuery) -> ExecutionPage {
    state.withLock { $0.executions.page(query) }
  }

  /// The ids in a session's list of owned executions, in no particular order.
  public func executions(ownedBy owner: NodeSession) -> [String] {
    state.withLock { $0.executions.owned(by: owner) }
  }

  /// Changes the owner; see ``ExecutionStore/claim(_:from:isGone:to:)``.
  public func claim(_ id: String, from previous: NodeSession, isGone: Bool, to owner: NodeSession) -> StoredExecution? {
    state.withLock { $0.executions.claim(id, from: previous, isGone: isGone, to: owner) }
  }

  /// Claims a key; see ``ExecutionStore/claimIdempotencyKey(_:executionID:digest:lifetime:)``.
  public func claimIdempotencyKey(_ key: String, executionID: String, digest: String, lifetime: Duration) -> IdempotencyClaim {
    let now = now()
    return state.withLock { $0.idempotencyKeys.claim(key, executionID: executionID, digest: digest, at: now, lifetime: lifetime) }
  }

  /// Restores a claim; see ``ExecutionStore/restoreIdempotencyKey(_:executionID:digest:lifetime:)``.
  public func restoreIdempotencyKey(_ key: String, executionID: String, digest: String, lifetime: Duration) {
    let now = now()
    state.withLock { $0.idempotencyKeys.restore(key, executionID: executionID, digest: digest, at: now, lifetime: lifetime) }
  }

  /// Removes old executions; see ``ExecutionStore/removeExecutions(createdBefore:maxRetained:limit:)``.
  public func removeExecutions(createdBefore instant: Timestamp, maxRetained: Int, limit: Int) -> Int {
    state.withLock { state in
      let removed = state.executions.remove(createdBefore: instant, maxRetained: maxRetained, limit: limit)
      for execution in removed { state.idempotencyKeys.recordEnd(of: execution) }
      return removed.count
    }
  }

  /// The time on the store's clock.
  public func currentTime() -> Timestamp { now() }

  /// Registers an agent; see ``AgentStore/register(_:)``.
  public func register(_ record: AgentRecord) -> Int64 {
    state.withLock { $0.agents.register(record) }
  }

  /// Updates an agent; see ``AgentStore/update(_:)``.
  public func update(_ record: AgentRecord) -> Bool {
    state.withLock { $0.agents.update(record) }
  }

  /// Removes an agent; see ``AgentStore/removeAgent(_:epoch:session:)``.
  public func removeAgent(_ id: String, epoch: Int64, session: NodeSession) {
    state.withLock { $0.agents.remove(id, epoch: epoch) }
  }

  /// The agent; nil if the store does not have it.
  public func agent(_ id: String) -> AgentRecord? {
    state.withLock { $0.agents[id] }
  }

  /// All agents registered at a session.
  public func agents(at session: NodeSession) -> [AgentRecord] {
    state.withLock { $0.agents.records(at: session) }
  }

  /// Stores a pattern; returns whether its version is new.
  public func store(_ pattern: PatternDefinition) -> Bool {
    state.withLock { $0.patterns[pattern.name, default: [:]].updateValue(pattern, forKey: pattern.version) == nil }
  }

  /// All versions of a pattern.
  public func versions(ofPattern name: String) -> [PatternDefinition] {
    state.withLock { $0.patterns[name].map { Array($0.values) } ?? [] }
  }

  /// The names of all patterns, sorted.
  public func patternNames() -> [String] {
    state.withLock { $0.patterns.keys.sorted() }
  }

  /// Opens a session; see ``NodeSessionStore/open(_:)``.
  @discardableResult
  public func open(_ session: NodeSession) -> Bool {
    state.withLock { state in
      state.sessions[session, default: 0] += 1
      return state.sessions[session] == 1
    }
  }

  /// All open sessions, each with its generation.
  public func sessions() -> [NodeSession: Int64] {
    state.withLock { $0.sessions }
  }

  /// Closes a session; see ``NodeSessionStore/close(_:generation:)``.
  public func close(_ session: NodeSession, generation: Int64) {
    state.withLock { if $0.sessions[session] == generation { $0.sessions[session] = nil } }
  }
}
