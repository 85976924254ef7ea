public import ParallaxAPI
public import ParallaxHA

/// Where executions, agents, patterns and node sessions are kept.
///
/// A call that returns has taken effect. A call that throws `StateStoreError` may or may not have taken effect, unless its code
/// says otherwise; every call may be repeated with the same arguments, and a repeat of one that took effect is taken as done.
/// The conformance suite `StateStoreConformance` states what an implementation has to do.
public protocol StateStore: ExecutionStore, AgentStore, PatternStore, NodeSessionStore {}

/// What a creation came to.
public enum CreateOutcome: Sendable, Hashable {
  /// The store has the execution.
  case created
  /// Another execution has this id.
  case exists
  /// The execution was given up before it was created, and may not come to be.
  case barred
}

/// What a change came to.
public enum UpdateOutcome: Sendable, Hashable {
  /// The store has the change.
  case applied
  /// The execution has another owner, a later epoch or a later revision than the change names, or is terminal; nothing was changed.
  case stale
  /// What is stored is older than what the change builds on: the store has lost writes that it had acknowledged; nothing was changed.
  case behind
  /// An outcome was recorded that the change does not know of: the owner reads it, and decides again; nothing was changed.
  case unread
  /// There is no such execution.
  case missing
}

/// Who restores an execution, which decides what gives way.
public enum RestorationClaim: String, Sendable, Hashable {
  /// Its owner, who drives it.
  case owner
  /// As `owner`, of an execution so old that another owner may have ended it and the store have removed it: it is not created.
  case ownerOfOld
  /// A node that had the store's word that it ended like this: nobody can have owned it after, so all that has not ended gives way.
  case witnessOfEnd
}

/// What the restoration of an execution came to.
public enum RestoreOutcome: Sendable, Hashable {
  /// The store had all of it.
  case intact
  /// The store had less, or nothing, and holds it now.
  case restored
  /// What is stored counts more: it is another owner's, later, or terminal; nothing was changed.
  case stale
  /// The execution was given up, or may have been removed, and may not come to be; nothing was changed.
  case barred
}

/// What the recording of a task's outcome came to.
public enum RecordOutcome: Sendable, Hashable {
  /// It is in the store now; the owner of the execution is to be told.
  case recorded(owner: NodeSession)
  /// The task had ended before, or the execution had (`terminal`); nothing was changed. The owner of an execution that goes on may not
  /// know.
  case alreadyRecorded(owner: NodeSession, terminal: Bool)
  /// There is no such task, or it is another agent's.
  case unknown
}

/// Whose an idempotency key is.
public enum IdempotencyClaim: Sendable, Hashable {
  /// It is the caller's now.
  case claimed
  /// It was claimed before, for this execution and request.
  case existing(executionID: String, digest: String)
  /// It was claimed before, for this execution and request; the execution has ended and was removed since.
  case removed(executionID: String, digest: String, status: ExecutionStatus, completedAt: Timestamp)
}

/// Keeps executions and their tasks.
public protocol ExecutionStore: Sendable {
  /// Stores a new execution with its first tasks, lists it, and enters it among what its owner owns. A repeat, by the same owner
  /// with the same epoch and revision, is `created`.
  func create(_ stored: StoredExecution) async throws -> CreateOutcome

  /// Makes a change if the store holds the owner, the epoch and the revision before it; a change that is already there, by the same owner
  /// with the same revision, is `applied`. A change that does not know of all recorded outcomes is `unread`. A task that the store holds as
  /// completed stays as it is, and one that has ended is not opened again.
  func update(_ change: ExecutionChange) async throws -> UpdateOutcome

  /// Writes a whole execution into a store that may have lost what it had of it, as a Redis has after a failover to a replica.
  ///
  /// What is stored is written over if it has an earlier epoch, or the same owner and epoch and an earlier revision, or for a witness of
  /// its end, unless it is terminal. Tasks are taken over as by `update`. The execution is listed anew whatever the store had, and entered
  /// among what its owner owns unless it is terminal. Idempotent.
  func restore(_ stored: StoredExecution, as claim: RestorationClaim) async throws -> RestoreOutcome

  /// Records how a task ended at the agent `outcome.agentID`, for a node that does not own the execution: the first outcome wins.
  ///
  /// The task is the one with the id `outcome.id`; its slot and attempt stay what they are. Owner, epoch and revision of the execution stay
  /// too, its `recordings` rise by one, and nothing is recorded in one that is terminal. A repeat is `alreadyRecorded`.
  func record(_ outcome: TaskRecord, of execution: String) async throws -> RecordOutcome

  /// Takes a terminal execution off what its owner owns. Idempotent.
  func release(_ id: String, owner: NodeSession) async throws

  /// Takes an execution off what a session owns unless it is that session's and live. Idempotent.
  func unlist(_ id: String, from session: NodeSession) async throws

  /// The execution, or nil.
  func execution(_ id: String) async throws -> StoredExecution?

  /// A page of executions, newest first.
  func executions(_ query: ExecutionQuery) async throws -> ExecutionPage

  /// The ids of what a session owns, in no order; may name executions that are terminal, were never stored, or are another's by now.
  func executions(ownedBy owner: NodeSession) async throws -> [String]

  /// Makes `owner` the owner and raises the epoch, not the revision, if `previous` still is the owner and the execution is not
  /// terminal. Returns it as it then stands, also when `owner` had it already; nil when there is nothing to take over. An id that
  /// `previous` need no longer list is taken off its list.
  ///
  /// `isGone`: `previous` will not come back. What is not there then, it must not create any more, nor restore; else it may be about to.
  func claim(_ id: String, from previous: NodeSession, isGone: Bool, to owner: NodeSession) async throws -> StoredExecution?

  /// Claims an idempotency key for an execution, or tells whose it is. The key lives for `lifetime`, whatever becomes of its execution: one
  /// that is removed after its end is `removed` until then, not free, provided that it names the key (`Execution.idempotencyKey`).
  func claimIdempotencyKey(
    _ key: String, executionID: String, digest: String, lifetime: Duration
  ) async throws -> IdempotencyClaim

  /// Removes terminal executions that were created before `instant`, oldest first; then, while there are more than `maxRetained`
  /// executions, further terminal ones; at most `limit` in all. Returns how many went.
  func removeExecutions(createdBefore instant: Timestamp, maxRetained: Int, limit: Int) async throws -> Int

  /// The store's own clock: what `createdBefore` is reckoned by, so that no node's wall clock decides about the executions of all.
  func currentTime() async throws -> Timestamp
}

/// What identifies a repeated request.
package enum IdempotencyKey {
  /// How long a key stands for its execution.
  package static let lifetime = Duration.seconds(86_400)
}

extension ExecutionStore {
  /// Claims an execution whose owner is gone.
  public func claim(_ id: String, from previous: NodeSession, to owner: NodeSession) async throws -> StoredExecution? {
    try await claim(id, from: previous, isGone: true, to: owner)
  }

  /// Claims an idempotency key for as long as one lasts.
  public func claimIdempotencyKey(_ key: String, executionID: String, digest: String) async throws -> IdempotencyClaim {
    try await claimIdempotencyKey(key, executionID: executionID, digest: digest, lifetime: IdempotencyKey.lifetime)
  }
}

/// Keeps the registrations of agents.
public protocol AgentStore: Sendable {
  /// Registers the agent at `record.session`, whatever an earlier registration says, and returns its new epoch, which is greater than
  /// the stored one and greater than `record.epoch`: what a node remembers of epochs outlives a store that lost its data.
  func register(_ record: AgentRecord) async throws -> Int64

  /// Writes capabilities, limits and whether it is connected, if `record.epoch` still is the agent's; false if not.
  func update(_ record: AgentRecord) async throws -> Bool

  /// Removes the agent if `epoch` still is its epoch. Idempotent.
  func removeAgent(_ id: String, epoch: Int64, session: NodeSession) async throws

  /// The agent, or nil.
  func agent(_ id: String) async throws -> AgentRecord?

  /// All agents registered at a session, in no order.
  func agents(at session: NodeSession) async throws -> [AgentRecord]
}

/// Keeps pattern definitions by name and version.
public protocol PatternStore: Sendable {
  /// Stores a definition over one with the same name and version; true if that version is new.
  func store(_ pattern: PatternDefinition) async throws -> Bool

  /// All versions of a pattern, in no order; empty if there is none.
  func versions(ofPattern name: String) async throws -> [PatternDefinition]

  /// The names of all patterns, sorted.
  func patternNames() async throws -> [String]
}

/// Keeps the list of node sessions that own or may own something.
public protocol NodeSessionStore: Sendable {
  /// Enters a session, before it owns anything and again and again while it lives; true if it was not there, which tells a session that
  /// had been opened before that it was closed by others, or that the store has lost its data.
  ///
  /// Each call raises the generation of the session by one, a repeat of a call once more.
  @discardableResult
  func open(_ session: NodeSession) async throws -> Bool

  /// All sessions that were opened and not closed, each with its generation: how often it was opened.
  func sessions() async throws -> [NodeSession: Int64]

  /// Takes a session off the list, after all it owned is released or claimed, unless it has been opened more often since: a process that
  /// was only paused has come back then, and may own something again. Idempotent.
  func close(_ session: NodeSession, generation: Int64) async throws
}

/// Which executions to list.
public struct ExecutionQuery: Sendable, Hashable {
  /// Of the pattern of this name.
  public var pattern: String?
  /// With this status.
  public var status: ExecutionStatus?
  /// Created at or after.
  public var since: Timestamp?
  /// Created before.
  public var until: Timestamp?
  /// 1 to 100.
  public var limit: Int
  /// The `nextCursor` of the page before, the id of an execution that may be gone by now; wins over `offset`.
  public var cursor: String?
  /// How many of the matching executions to pass over; 0 to 10,000.
  public var offset: Int

  /// Makes a query; without filters it asks for all executions.
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

  /// Whether the query asks for all executions.
  public var hasFilters: Bool { pattern != nil || status != nil || since != nil || until != nil }

  /// Whether an execution is one of those asked for, apart from paging.
  public func matches(_ execution: Execution) -> Bool {
    if let pattern, execution.pattern.name != pattern { return false }
    if let status, execution.status != status { return false }
    if let since, execution.createdAt < since { return false }
    if let until, execution.createdAt >= until { return false }
    return true
  }
}

/// A page of executions, newest first; of those created in one millisecond, the greatest id first.
public struct ExecutionPage: Sendable, Hashable {
  /// The executions, at most `limit`.
  public var executions: [StoredExecution]
  /// How many there are in all; nil where counting would cost a scan.
  public var total: Int?
  /// Where the next page begins; nil on the last.
  ///
  /// A page may be short, or empty, and not be the last: one call looks at a bounded number of executions.
  public var nextCursor: String?

  /// Makes a page.
  public init(executions: [StoredExecution], total: Int?, nextCursor: String?) {
    self.executions = executions
    self.total = total
    self.nextCursor = nextCursor
  }
}

/// Why a store could not do as it was asked.
public struct StateStoreError: Error, Sendable, CustomStringConvertible {
  /// What kind of failure it was.
  public struct Code: Sendable, Hashable {
    private let name: String

    private init(_ name: String) { self.name = name }

    /// The store could not be reached, or did not answer in time: the outcome is unknown.
    public static let unavailable = Code("unavailable")
    /// The store answers and takes no writes, as its memory or disk is full or it is a replica: nothing was changed, and a repeat may
    /// succeed later.
    public static let unwritable = Code("unwritable")
    /// The store refused; nothing was changed, and a repeat will be refused too until somebody mends it.
    public static let refused = Code("refused")
    /// What is stored cannot be read by this version; nothing was changed.
    public static let unreadable = Code("unreadable")
  }

  /// What kind of failure it was.
  public var code: Code
  /// For people: what failed and what to do.
  public var message: String
  /// The error of the client or driver underneath; nil without one.
  public var cause: (any Error)?

  /// Makes an error.
  ///
  /// - Parameters:
  ///   - code: What kind of failure it was.
  ///   - message: For people: what failed and what to do.
  ///   - cause: The error underneath.
  public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  /// The message, and the cause if there is one.
  public var description: String { cause.map { "\(message): \($0)" } ?? message }
}
