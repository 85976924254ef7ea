import ParallaxAPI
import ParallaxHA
import ParallaxState
import Synchronization

/// Calls the store as the dispatch machine decides, and repeats each call until the store answers.
///
/// No other place holds the content of a write, so a call ends only with an answer or the cancellation of its task.
struct StoreWorker: Sendable {
  /// The view of the dispatcher for its worker.
  protocol Owner: AnyObject, Sendable {
    /// Processes an answer of the store.
    func handle(_ event: DispatchEvent)
    /// The change to write instead of one that a full store refuses, because its execution has ended since; nil for the same again.
    func endInstead(of change: ExecutionChange) -> ExecutionChange?
    /// The epoch of an agent at this node; 0 if the agent is unknown.
    func knownEpoch(of agent: String) -> Int64
    /// Whether the store may lack executions that their owners are about to restore.
    var mayBeRestoring: Bool { get }
    /// The links of this node's agents, with the epochs of their registrations.
    var registeredLinks: [String: (epoch: Int64, link: any AgentLink)] { get }
  }

  /// The longest delay between storing a registration and the dispatcher's knowledge of it.
  private static let registrationDelay = Duration.seconds(5)
  /// The first and the longest pause between attempts.
  private static let pauses = (first: Duration.milliseconds(50), longest: Duration.seconds(2))

  let store: any StateStore
  let session: NodeSession
  /// The time after its creation for which the store surely keeps an execution.
  let retention: Duration
  let clock: NodeClock
  let reports: StoreReports
  private let checks = PendingChecks()

  init(store: any StateStore, session: NodeSession, retention: Duration, clock: NodeClock, reports: StoreReports) {
    self.store = store
    self.session = session
    self.retention = retention
    self.clock = clock
    self.reports = reports
  }

  // MARK: Calls

  /// Makes a call and reports its answer to the owner.
  func perform(_ call: StoreCall, for owner: any Owner) async {
    switch call {
    case .create(let stored): await create(stored, for: owner)
    case .update(let change): await update(change, for: owner)
    case .restore(let stored, let acknowledged): await restore(stored, acknowledged, for: owner)
    case .read(let id):
      await repeating("read of an execution") {
        owner.handle(.read(id, try await store.execution(id)))
      } onUnreadable: {
        owner.handle(.unreadable(id))
      }
    case .release(let id, let owner): await repeating("release of an execution") { try await store.release(id, owner: owner) }
    case .claim(let id, let former, let cancels):
      await repeating("claim of an execution") {
        // The owner lives, and may be about to restore an execution that the store lacks.
        let stored = try await store.claim(id, from: former, isGone: false, to: session)
        owner.handle(.claimed(id, from: former, stored, cancels: cancels))
      } onUnreadable: {
        owner.handle(.claimed(id, from: former, nil, cancels: cancels))
      }
    case .unlist(let id): await repeating("removal of an entry") { try await store.unlist(id, from: session) }
    case .record(let outcome, let id, let messageID):
      await repeating("record of an outcome") {
        let result = try await store.record(outcome, of: id)
        // A store that has lost all data knows no session either, until the nodes and the owners of executions have noticed.
        if result == .unknown, try await store.sessions()[session] == nil || owner.mayBeRestoring {
          throw StateStoreError(.unavailable, "its execution may be about to be restored")
        }
        owner.handle(.recorded(outcome, execution: id, messageID: messageID, result))
      } onUnreadable: {
        owner.handle(.unrecorded(outcome, execution: id))
      }
    case .changeAgent(let id, let change):
      await repeating("change of an agent") {
        if var record = try await store.agent(id), change.apply(to: &record) { _ = try await store.update(record) }
        owner.handle(.agent(.changeEnded(id)))
      } onUnreadable: {
        owner.handle(.agent(.changeEnded(id)))
      }
    case .removeAgent(let id, let epoch):
      await repeating("removal of an agent") { try await store.removeAgent(id, epoch: epoch, session: session) }
    case .checkAgent(let id): await checkAgent(id, for: owner)
    }
  }

  /// Stores a registration.
  ///
  /// - Returns: The epoch under which the agent is registered, or why it is not.
  func register(_ record: AgentRecord, for owner: any Owner) async -> Result<Int64, any Error> {
    do {
      return .success(try await store.register(record))
    } catch {
      reports.failed("registration of an agent", error)
      // What only an operator repairs must not keep the tasks of an agent from others.
      if let code = (error as? StateStoreError)?.code, [.unavailable, .unwritable].contains(code) {
        owner.handle(.agent(.turnedAway(record.id)))
      }
      return .failure(error)
    }
  }

  private func create(_ stored: StoredExecution, for owner: any Owner) async {
    await repeating("creation of an execution") {
      let outcome: UpdateOutcome =
        switch try await store.create(stored) {
        case .created: .applied
        case .exists: .stale
        case .barred: .missing
        }
      owner.handle(.written(stored.execution, outcome))
    } onUnreadable: {
      owner.handle(.written(stored.execution, .stale))
    } onFirstFailure: { error in
      let reason = (error as? StateStoreError).flatMap { $0.code == .unwritable ? $0.message : nil }
      let refusal = APIError(
        .notReady, "\(reason ?? "the node's store did not take the execution"); repeat with an idempotencyKey", details: nil)
      owner.handle(.creationDelayed(stored.execution.id, refusal))
    }
  }

  private func update(_ change: ExecutionChange, for owner: any Owner) async {
    var change = change
    func ended(_ outcome: UpdateOutcome) {
      owner.handle(.written(change.id, epoch: change.epoch, revision: change.revision, outcome))
    }
    await repeating("change of an execution") {
      let outcome = try await update(&change, for: owner)
      if outcome == .stale { reports.hasOtherOwner(change.id) }
      ended(outcome)
    } onUnreadable: {
      ended(.stale)
    }
  }

  private func update(_ change: inout ExecutionChange, for owner: any Owner) async throws -> UpdateOutcome {
    do {
      return try await store.update(change)
    } catch let error as StateStoreError where error.code == .unwritable {
      guard let end = owner.endInstead(of: change) else { throw error }
      change = end
      return try await store.update(change)
    }
  }

  private func restore(_ stored: StoredExecution, _ acknowledged: Set<String>, for owner: any Owner) async {
    // An old execution that others have ended may have been removed since, and must not return.
    let claim: RestorationClaim = isKept(stored.execution.createdAt) ? .owner : .ownerOfOld
    await repeating("restoration of an execution") {
      let outcome: UpdateOutcome
      switch try await store.restore(stored, as: claim, acknowledged: acknowledged) {
      case .intact: outcome = .applied
      case .restored:
        reports.restored()
        outcome = .applied
      case .stale:
        reports.hasOtherOwner(stored.execution.id)
        outcome = .stale
      case .unread: outcome = .unread
      case .barred: outcome = .missing
      }
      if outcome == .applied { try await restoreKey(of: stored.execution) }
      owner.handle(.written(stored.execution, outcome))
    } onUnreadable: {
      owner.handle(.written(stored.execution, .stale))
    }
  }

  /// Restores the claim of an execution's idempotency key, unless the store is full, which must not hold up the execution.
  func restoreKey(of execution: Execution) async throws {
    do {
      try await store.restoreKey(of: execution, at: clock.now.wall)
    } catch let error as StateStoreError where error.code == .unwritable {
      reports.failed("restoration of an idempotency key", error)
    }
  }

  /// Whether the store surely keeps an execution of this age, if it ever had it.
  func isKept(_ createdAt: Timestamp) -> Bool { clock.now.wall - createdAt < retention }

  // MARK: Agents

  /// Renews the registrations of connected agents that the store lacks, and repeats changes of others that it lacks.
  ///
  /// A store may lose registrations and changes, and a leader that wrongly takes a node for lost removes them.
  ///
  /// - Throws: The store's error.
  func restoreRegistrations(of owner: any Owner) async throws {
    let records = try await store.agents(at: session)
    owner.handle(.agent(.listedHere(records)))
    let listed = Dictionary(records.map { ($0.id, $0.epoch) }) { max($0, $1) }
    for (id, registered) in owner.registeredLinks where (listed[id] ?? 0) < registered.epoch {
      // An agent that has moved to another node is registered there, under a greater epoch.
      if try await store.agent(id)?.epoch ?? 0 <= registered.epoch { registered.link.registerAnew() }
    }
  }

  /// Removes the registration of an agent at this node that is not connected here, because other nodes send it work.
  ///
  /// Each task for such an agent asks for a check; one is under way for each agent, and all that ask meanwhile lead to one more.
  private func checkAgent(_ id: String, for owner: any Owner) async {
    guard checks.begin(id) else { return }
    repeat { await checkAgentOnce(id, for: owner) } while checks.end(id)
  }

  private func checkAgentOnce(_ id: String, for owner: any Owner) async {
    var found: Int64?
    await repeating("check of an agent") { found = try await ghost(id, owner) }
    guard let found, (try? await clock.sleep(for: Self.registrationDelay)) != nil else { return }
    await repeating("removal of an agent") {
      guard try await ghost(id, owner) == found else { return }
      try await store.removeAgent(id, epoch: found, session: session)
      owner.handle(.agent(.removed(id, epoch: found)))
    }
  }

  /// The epoch of an agent that is registered at this node but unknown here; nil if there is no such registration.
  private func ghost(_ id: String, _ owner: any Owner) async throws -> Int64? {
    guard let record = try await store.agent(id), record.session == session else { return nil }
    return owner.knownEpoch(of: id) >= record.epoch ? nil : record.epoch
  }

  // MARK: Repeating

  /// Repeats an operation until it succeeds, this version cannot read the stored data, or the task is cancelled.
  func repeating(
    _ what: String, _ work: () async throws -> Void, onUnreadable: () -> Void = {}, onFirstFailure: (any Error) -> Void = { _ in }
  ) async {
    var pause = Self.pauses.first
    var isFirst = true
    while true {
      do {
        try await work()
        return reports.served()
      } catch let error as StateStoreError where error.code == .unreadable {
        // A newer version wrote the data; a node of that version continues.
        reports.unreadable(what, error)
        return onUnreadable()
      } catch {
        if isFirst {
          reports.failed(what, error)
          onFirstFailure(error)
        }
        isFirst = false
      }
      do {
        try await clock.sleep(for: pause * Double.random(in: 0.5...1))
      } catch {
        return
      }
      pause = min(pause * 2, Self.pauses.longest)
    }
  }
}

/// The agents whose registrations are being checked.
private final class PendingChecks: Sendable {
  /// The agents, each with whether another check was asked for since the present one began.
  private let state = Mutex<[String: Bool]>([:])

  /// Begins a check, unless one is under way.
  func begin(_ id: String) -> Bool {
    state.withLock { checks in
      let isFirst = checks[id] == nil
      checks[id] = !isFirst
      return isFirst
    }
  }

  /// Ends a check; returns whether another one follows.
  func end(_ id: String) -> Bool {
    state.withLock { checks in
      let isRepeated = checks[id] == true && !Task.isCancelled
      checks[id] = isRepeated ? false : nil
      return isRepeated
    }
  }
}

extension DispatchEvent {
  /// The end of the write of a whole execution.
  fileprivate static func written(_ execution: Execution, _ outcome: UpdateOutcome) -> DispatchEvent {
    .written(execution.id, epoch: execution.epoch, revision: execution.revision, outcome)
  }
}
