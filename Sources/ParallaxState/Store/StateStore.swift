public import ParallaxAPI
public import ParallaxHA

/// Stores executions, agents, patterns and node sessions.
///
/// A call that returns has taken effect. A call that throws `StateStoreError` may have taken effect, unless its code says otherwise. Every
/// call may be repeated with the same arguments; the repeat of a call that took effect succeeds without a further change. The conformance
/// suite `StateStoreConformance` checks an implementation.
public protocol StateStore: ExecutionStore, AgentStore, PatternStore, NodeSessionStore {}

/// The outcome of a creation.
public enum CreateOutcome: Sendable, Hashable {
  /// The store has the execution.
  case created
  /// The store has another execution with this id.
  case exists
  /// A claim has barred the execution before its creation; it must not be created.
  case barred
}

/// The outcome of a change.
public enum UpdateOutcome: Sendable, Hashable {
  /// The store has the change.
  case applied
  /// The execution has another owner, a later epoch or a later revision than the change names, or is terminal; nothing was changed.
  case stale
  /// The stored execution is older than the base of the change, because the store has lost acknowledged writes; nothing was changed.
  case behind
  /// The store has a recorded outcome that the owner has not read; the owner must read it and decide again; nothing was changed.
  case unread
  /// The store does not have the execution.
  case missing
}

/// The authority of a restoration, which decides what it may overwrite.
public enum RestorationClaim: String, Sendable, Hashable {
  /// The owner of the execution.
  case owner
  /// The owner of an old execution, which another owner may have ended and the store removed; an absent execution is not created.
  case ownerOfOld
  /// A node to which the store acknowledged this end of the execution; the restoration overwrites everything but a terminal execution.
  case witnessOfEnd
}

/// The outcome of a restoration.
public enum RestoreOutcome: Sendable, Hashable {
  /// The store had the execution unchanged.
  case intact
  /// The store had an earlier state or nothing, and has the execution now.
  case restored
  /// The stored execution has another owner, is later, or is terminal; nothing was changed.
  case stale
  /// The stored execution is earlier and has tasks, or outcomes of tasks, that the owner has not read; the owner must read it and decide
  /// again; nothing was changed.
  case unread
  /// The execution is absent and must not be created, because it is barred or may have been removed; nothing was changed.
  case barred
}

/// The outcome of recording a task's outcome.
public enum RecordOutcome: Sendable, Hashable {
  /// The store has the outcome now; the caller must notify the owner of the execution.
  case recorded(owner: NodeSession)
  /// The task or the execution (`terminal`) had ended before; nothing was changed. The owner of a live execution may not know the outcome
  /// yet.
  case alreadyRecorded(owner: NodeSession, terminal: Bool)
  /// The store does not have the task, or the task belongs to another agent.
  case unknown
}

/// The outcome of claiming an idempotency key.
public enum IdempotencyClaim: Sendable, Hashable {
  /// The key belongs to the caller's execution.
  case claimed
  /// The key belongs to this earlier execution and request.
  case existing(executionID: String, digest: String)
  /// The key belongs to this earlier execution and request; the execution has ended and was removed.
  case removed(executionID: String, digest: String, status: ExecutionStatus, completedAt: Timestamp)
}

/// Stores executions and their tasks.
public protocol ExecutionStore: Sendable {
  /// Stores a new execution with its first tasks, and adds it to the listing and to its owner's list.
  ///
  /// A repeat by the same owner with the same epoch and revision is `created`.
  func create(_ stored: StoredExecution) async throws -> CreateOutcome

  /// Applies a change if the store has its owner, its epoch and the revision before it.
  ///
  /// A repeat by the same owner with the same revision is `applied`. Only an end replaces the change whose revision it has, because it
  /// stands for a change that the store had refused and that came late after all. A change whose owner has not read all recorded outcomes
  /// is `unread`. A change never replaces a completed task, and never reopens an ended one.
  func update(_ change: ExecutionChange) async throws -> UpdateOutcome

  /// Writes a whole execution into a store that may have lost acknowledged writes, as Redis may after a failover.
  ///
  /// The restoration overwrites an execution of an earlier epoch, one of the same owner and epoch with an earlier revision, and, for a
  /// witness of its end, any other; it never overwrites a terminal one. An owner's restoration that lacks a stored task, its result or its
  /// failure is `unread`, and so is one with another result of a task than the stored one. Tasks merge as in `update`. The execution
  /// returns to the listing and, unless it is terminal, to its owner's list. Idempotent.
  ///
  /// The results of the tasks in `acknowledged`, and all results of a witness, were in the store before: another result of the same task
  /// was recorded after their loss, and is replaced.
  func restore(_ stored: StoredExecution, as claim: RestorationClaim, acknowledged: Set<String>) async throws -> RestoreOutcome

  /// Records the outcome of a task at the agent `outcome.agentID`, for a node that does not own the execution; the first outcome wins.
  ///
  /// The task has the id `outcome.id`, and keeps its slot and attempt. The execution keeps its owner, epoch and revision; its `recordings`
  /// rise by one. A terminal execution does not change. A repeat is `alreadyRecorded`.
  func record(_ outcome: TaskRecord, of execution: String) async throws -> RecordOutcome

  /// Removes a terminal execution from its owner's list; idempotent.
  func release(_ id: String, owner: NodeSession) async throws

  /// Removes an execution from a session's list, unless the session owns it and it is not terminal; idempotent.
  func unlist(_ id: String, from session: NodeSession) async throws

  /// The execution; nil if the store does not have it.
  func execution(_ id: String) async throws -> StoredExecution?

  /// A page of executions, newest first.
  func executions(_ query: ExecutionQuery) async throws -> ExecutionPage

  /// The ids in a session's list of owned executions, in no particular order.
  ///
  /// The list may contain executions that are terminal, were never stored, or have another owner by now.
  func executions(ownedBy owner: NodeSession) async throws -> [String]

  /// Makes `owner` the owner if `previous` still is and the execution is not terminal; raises the epoch, not the revision.
  ///
  /// Removes the execution from the list of `previous` when it no longer belongs there.
  ///
  /// - Parameters:
  ///   - id: The execution.
  ///   - previous: The present owner.
  ///   - isGone: Whether `previous` is lost for good; an absent execution is then barred from creation and restoration.
  ///   - owner: The new owner.
  /// - Returns: The execution of `owner`, also if a repeat finds it already claimed; nil if there is nothing to claim.
  /// - Throws: `StateStoreError`.
  func claim(_ id: String, from previous: NodeSession, isGone: Bool, to owner: NodeSession) async throws -> StoredExecution?

  /// Claims an idempotency key for an execution, or returns the earlier claim.
  ///
  /// The claim lasts for `lifetime`, also beyond the removal of its execution: the key is then `removed`, not free, provided that the
  /// execution names the key (`Execution.idempotencyKey`).
  func claimIdempotencyKey(
    _ key: String, executionID: String, digest: String, lifetime: Duration
  ) async throws -> IdempotencyClaim

  /// Claims a key in place of another execution, because the store had acknowledged this claim and has lost it since.
  ///
  /// Another claim of the key was made after the loss. The execution of that claim must not run.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - executionID: The execution to which the key belongs.
  ///   - digest: The digest of the request.
  ///   - lifetime: The remaining lifetime of the claim.
  /// - Throws: `StateStoreError`.
  func restoreIdempotencyKey(_ key: String, executionID: String, digest: String, lifetime: Duration) async throws

  /// Removes terminal executions created and ended before `instant`, and further ones while the store has more than `maxRetained`
  /// executions.
  ///
  /// The oldest executions go first, at most `limit` in one call.
  ///
  /// - Returns: The number of removed executions.
  func removeExecutions(createdBefore instant: Timestamp, maxRetained: Int, limit: Int) async throws -> Int

  /// The time on the store's clock, the base for `createdBefore`, so that no single node's wall clock decides about all executions.
  func currentTime() async throws -> Timestamp
}

/// The rules of idempotency keys.
package enum IdempotencyKey {
  /// The default lifetime of a claim: 24 hours.
  package static let lifetime = Duration.seconds(86_400)

  /// The remaining lifetime of the claim by an execution; nil if it has expired.
  package static func lifetime(of execution: Execution, at now: Timestamp) -> Duration? {
    let left = min(lifetime - (now - execution.createdAt), lifetime)
    return left > .zero ? left : nil
  }
}

extension ExecutionStore {
  /// Claims an execution of a lost owner.
  public func claim(_ id: String, from previous: NodeSession, to owner: NodeSession) async throws -> StoredExecution? {
    try await claim(id, from: previous, isGone: true, to: owner)
  }

  /// Claims an idempotency key for 24 hours.
  public func claimIdempotencyKey(_ key: String, executionID: String, digest: String) async throws -> IdempotencyClaim {
    try await claimIdempotencyKey(key, executionID: executionID, digest: digest, lifetime: IdempotencyKey.lifetime)
  }

  /// Restores the claim of an execution's idempotency key, if the key still holds.
  package func restoreKey(of execution: Execution, at now: Timestamp) async throws {
    guard let key = execution.idempotencyKey, let digest = execution.idempotencyDigest,
      let lifetime = IdempotencyKey.lifetime(of: execution, at: now)
    else { return }
    try await restoreIdempotencyKey(key, executionID: execution.id, digest: digest, lifetime: lifetime)
  }
}

/// Stores the registrations of agents.
public protocol AgentStore: Sendable {
  /// Registers an agent at `record.session`, in place of any earlier registration.
  ///
  /// - Returns: The new epoch, greater than the stored one and than `record.epoch`, so that epochs grow even if the store has lost its
  ///   data.
  func register(_ record: AgentRecord) async throws -> Int64

  /// Updates the capabilities, the limit and the connection state of an agent, if `record.epoch` is its epoch; returns whether it is.
  func update(_ record: AgentRecord) async throws -> Bool

  /// Removes an agent if `epoch` is its epoch; idempotent.
  func removeAgent(_ id: String, epoch: Int64, session: NodeSession) async throws

  /// The agent; nil if the store does not have it.
  func agent(_ id: String) async throws -> AgentRecord?

  /// All agents registered at a session, in no particular order.
  func agents(at session: NodeSession) async throws -> [AgentRecord]
}

/// Stores pattern definitions by name and version.
public protocol PatternStore: Sendable {
  /// Stores a definition, which replaces one with the same name and version; returns whether the version is new.
  func store(_ pattern: PatternDefinition) async throws -> Bool

  /// All versions of a pattern, in no particular order; empty if there is none.
  func versions(ofPattern name: String) async throws -> [PatternDefinition]

  /// The names of all patterns, sorted.
  func patternNames() async throws -> [String]
}

/// Stores the open node sessions, which may own executions and agents.
public protocol NodeSessionStore: Sendable {
  /// Opens a session, before it owns anything and then periodically while it is alive; each call, repeats included, raises its generation
  /// by one.
  ///
  /// - Returns: Whether the session was not open. For a session that had been opened before this means that others have closed it, or that
  ///   the store has lost its data.
  @discardableResult
  func open(_ session: NodeSession) async throws -> Bool

  /// All open sessions, each with its generation: the number of times that it was opened.
  func sessions() async throws -> [NodeSession: Int64]

  /// Closes a session whose executions are all released or claimed, unless its generation has changed: it is then alive after all, and may
  /// own executions again; idempotent.
  func close(_ session: NodeSession, generation: Int64) async throws
}

/// A query for executions.
public struct ExecutionQuery: Sendable, Hashable {
  /// The name of the pattern; nil for all patterns.
  public var pattern: String?
  /// The status; nil for all statuses.
  public var status: ExecutionStatus?
  /// The earliest time of creation, inclusive; nil for no bound.
  public var since: Timestamp?
  /// The latest time of creation, exclusive; nil for no bound.
  public var until: Timestamp?
  /// The size of the page, 1 to 100; 20 by default.
  public var limit: Int
  /// The `nextCursor` of the previous page; wins over `offset`.
  public var cursor: String?
  /// The number of matching executions to skip, 0 to 10,000; 0 by default.
  public var offset: Int

  /// Makes a query; without filters it matches all executions.
  public init(
    pattern: String? = nil, status: ExecutionStatus? = nil, since: Timestamp? = nil, until: Timestamp? = nil, limit: Int = 20,
    cursor: String? = nil, offset: Int = 0
  ) {
    self.pattern = pattern
    self.status = status
    self.since = since
    self.until = until
    self.limit = limit
    self.cursor = cursor
    self.offset = offset
  }

  /// Whether the query has any filter.
  public var hasFilters: Bool { pattern != nil || status != nil || since != nil || until != nil }

  /// Whether an execution matches the filters.
  public func matches(_ execution: Execution) -> Bool {
    if let pattern, execution.pattern.name != pattern { return false }
    if let status, execution.status != status { return false }
    if let since, execution.createdAt < since { return false }
    if let until, execution.createdAt >= until { return false }
    return true
  }
}

/// A page of executions, newest first; executions of the same millisecond by descending id.
public struct ExecutionPage: Sendable, Hashable {
  /// The executions of the page, at most `limit`.
  public var executions: [StoredExecution]
  /// The number of all matching executions; nil if counting would need a scan, as with filters.
  public var total: Int?
  /// The cursor of the next page; nil on the last page.
  ///
  /// A page before the last may be short or empty, because one call examines a bounded number of executions.
  public var nextCursor: String?

  /// Makes a page.
  public init(executions: [StoredExecution], total: Int?, nextCursor: String?) {
    self.executions = executions
    self.total = total
    self.nextCursor = nextCursor
  }
}

/// An error of a state store.
public struct StateStoreError: Error, Sendable, CustomStringConvertible {
  /// The kinds of errors.
  public struct Code: Sendable, Hashable {
    private let name: String

    private init(_ name: String) { self.name = name }

    /// The store was unreachable or did not answer in time; the outcome is unknown.
    public static let unavailable = Code("unavailable")
    /// The store answers but refuses writes, because its memory or disk is full or it is a replica; nothing was changed, and a later repeat
    /// may succeed.
    public static let unwritable = Code("unwritable")
    /// The store refused the call; nothing was changed, and a repeat fails too until an operator repairs the store.
    public static let refused = Code("refused")
    /// This version cannot read the stored data; nothing was changed.
    public static let unreadable = Code("unreadable")
  }

  /// The kind of error.
  public var code: Code
  /// A description of the failure and its remedy, for people.
  public var message: String
  /// The underlying error of the client or driver; nil without one.
  public var cause: (any Error)?

  /// Makes an error.
  ///
  /// - Parameters:
  ///   - code: The kind of error.
  ///   - message: A description of the failure and its remedy, for people.
  ///   - cause: The underlying error; nil, the default, without one.
  public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  /// The message, followed by the cause if there is one.
  public var description: String { cause.map { "\(message): \($0)" } ?? message }
}

extension ExecutionStore {
  /// Writes a whole execution of which the store had acknowledged no result.
  public func restore(_ stored: StoredExecution, as claim: RestorationClaim) async throws -> RestoreOutcome {
    try await restore(stored, as: claim, acknowledged: [])
  }
}
