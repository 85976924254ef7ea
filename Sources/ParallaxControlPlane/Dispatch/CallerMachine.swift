import ParallaxAPI
import ParallaxHA
import ParallaxState

/// Tracks the callers that wait for executions of this node, here and at other nodes.
struct CallerMachine: Sendable {
  private struct Waiter: Sendable {
    var id: WaiterID
    /// Whether the caller wants the outcome, not only the acknowledgement.
    var waits: Bool
  }

  private struct Entry: Sendable {
    var waiters: [Waiter] = []
    /// The other node sessions with callers that wait for the end.
    var watchers: Set<NodeSession> = []
    var isAcknowledged = false
    /// The error for callers if the store did not accept the execution in time.
    var refusal: APIError?
    /// The last published status.
    var published: ExecutionStatus?
  }

  private var entries: [String: Entry] = [:]
  /// Whether the node stops, so that no caller waits for an outcome any longer.
  private var isStopping = false

  // MARK: Callers

  /// Adds an execution that a caller submits.
  mutating func begin(_ id: String, _ waiter: WaiterID, waits: Bool) {
    entries[id] = Entry(waiters: [Waiter(id: waiter, waits: waits)])
  }

  /// Adds an execution that the store has, or records that the store has it.
  mutating func adopt(_ id: String) {
    entries[id, default: Entry()].isAcknowledged = true
  }

  /// Adds a caller, or answers it at once if its answer is known.
  mutating func attach(_ waiter: WaiterID, to execution: Execution, waits: Bool) -> [DispatchAction] {
    guard let entry = entries[execution.id] else { return [.resolve(waiter, nil)] }
    if let refusal = entry.refusal, !entry.isAcknowledged { return [.resolve(waiter, .failed(refusal))] }
    if entry.isAcknowledged, !waits || isStopping { return [.resolve(waiter, accepted(execution))] }
    entries[execution.id]?.waiters.append(Waiter(id: waiter, waits: waits))
    return []
  }

  /// Adds a caller that waits for the end, even if other callers were refused.
  mutating func join(_ waiter: WaiterID, _ id: String) {
    entries[id]?.waiters.append(Waiter(id: waiter, waits: true))
  }

  /// Removes a caller that has gone, and answers it with the acknowledgement.
  mutating func detach(_ waiter: WaiterID, from execution: Execution) -> [DispatchAction] {
    entries[execution.id]?.waiters.removeAll { $0.id == waiter }
    return [.resolve(waiter, accepted(execution))]
  }

  /// Adds a node session with callers that wait for the end, or notifies it at once if this node does not drive the execution.
  mutating func watch(_ id: String, by watcher: NodeSession) -> [DispatchAction] {
    guard entries[id] != nil else { return [.tell(.ended(execution: id), to: watcher)] }
    entries[id]?.watchers.insert(watcher)
    return []
  }

  /// Whether a caller wants the outcome.
  func isOutcomeAwaited(_ id: String) -> Bool { entries[id]?.waiters.contains(where: \.waits) ?? false }

  /// Whether the store has the execution and no caller waits for it here.
  func isUnattended(_ id: String) -> Bool { entries[id].map { $0.isAcknowledged && $0.waiters.isEmpty } ?? false }

  /// Whether the store is known to have the execution.
  func isAcknowledged(_ id: String) -> Bool { entries[id]?.isAcknowledged ?? false }

  // MARK: Answers

  /// Records that the store has the execution, and answers the callers that wait for no more.
  mutating func accepted(_ execution: Execution) -> [DispatchAction] {
    guard let waiters = entries[execution.id]?.waiters else { return [] }
    let staying = waiters.filter { $0.waits && !isStopping }
    entries[execution.id]?.isAcknowledged = true
    entries[execution.id]?.waiters = staying
    return waiters.filter { !$0.waits || isStopping }.map { .resolve($0.id, accepted(execution)) } + publish(execution)
  }

  /// Refuses all callers, because the store did not accept the execution in time.
  mutating func refuse(_ id: String, _ error: APIError) -> [DispatchAction] {
    guard let waiters = entries[id]?.waiters else { return [] }
    entries[id]?.waiters = []
    entries[id]?.refusal = error
    return waiters.map { .resolve($0.id, .failed(error)) }
  }

  /// Publishes the status of an execution if it has changed.
  mutating func publish(_ execution: Execution) -> [DispatchAction] {
    guard let entry = entries[execution.id], entry.published != execution.status else { return [] }
    entries[execution.id]?.published = execution.status
    return [.publishStatus(execution)]
  }

  /// Answers all callers with the outcome of an execution that has ended, here or at another node.
  mutating func finish(_ stored: StoredExecution) -> [DispatchAction] {
    end(stored.execution.id, .finished(stored))
  }

  /// Answers all callers with the acknowledgement, because another node owns the execution; callers then read the outcome from the store.
  ///
  /// Callers of an execution that the store has never had and does not take (`isBarred`) are refused.
  mutating func leave(_ execution: Execution, isBarred: Bool) -> [DispatchAction] {
    guard isBarred, !isAcknowledged(execution.id) else { return end(execution.id, accepted(execution)) }
    let refusal = APIError(.notReady, "the node was cut off from its store before the execution was stored; repeat the request")
    return end(execution.id, .failed(refusal))
  }

  /// Answers all callers of stored executions with the acknowledgement, because the node stops; callers then read the outcome elsewhere.
  mutating func stop(_ executions: (String) -> Execution?) -> [DispatchAction] {
    isStopping = true
    var actions: [DispatchAction] = []
    for (id, entry) in entries.sorted(by: { $0.key < $1.key }) where entry.isAcknowledged {
      guard let execution = executions(id) else { continue }
      actions += entry.waiters.map { .resolve($0.id, accepted(execution)) }
      entries[id]?.waiters = []
    }
    return actions
  }

  private mutating func end(_ id: String, _ resolution: Resolution) -> [DispatchAction] {
    guard let entry = entries.removeValue(forKey: id) else { return [] }
    let watchers = entry.watchers.sorted { $0.description < $1.description }
    return entry.waiters.map { .resolve($0.id, resolution) } + watchers.map { .tell(.ended(execution: id), to: $0) }
  }

  private func accepted(_ execution: Execution) -> Resolution {
    .accepted(ExecutionAcceptance(executionId: execution.id, status: execution.status))
  }
}
