import ParallaxAPI
import ParallaxHA
import ParallaxState

/// The callers that wait for executions which this node drives, here and at other nodes.
struct CallerMachine: Sendable {
  private struct Waiter: Sendable {
    var id: WaiterID
    /// Wants the outcome, not only the acknowledgement.
    var waits: Bool
  }

  private struct Entry: Sendable {
    var waiters: [Waiter] = []
    /// The other node sessions where callers wait for the end.
    var watchers: Set<NodeSession> = []
    var isAcknowledged = false
    /// What callers are told when the store does not take the execution in time.
    var refusal: APIError?
    /// The status that was published last.
    var published: ExecutionStatus?
  }

  private var entries: [String: Entry] = [:]
  /// The node stops: nobody is kept waiting for an outcome.
  private var isStopping = false

  // MARK: Callers

  /// Enters an execution that a caller submits.
  mutating func begin(_ id: String, _ waiter: WaiterID, waits: Bool) {
    entries[id] = Entry(waiters: [Waiter(id: waiter, waits: waits)])
  }

  /// Enters an execution that is in the store, or notes that one is.
  mutating func adopt(_ id: String) {
    entries[id, default: Entry()].isAcknowledged = true
  }

  /// Adds a caller.
  mutating func attach(_ waiter: WaiterID, to execution: Execution, waits: Bool) -> [DispatchAction] {
    guard let entry = entries[execution.id] else { return [.resolve(waiter, nil)] }
    if let refusal = entry.refusal, !entry.isAcknowledged { return [.resolve(waiter, .failed(refusal))] }
    if entry.isAcknowledged, !waits || isStopping { return [.resolve(waiter, accepted(execution))] }
    entries[execution.id]?.waiters.append(Waiter(id: waiter, waits: waits))
    return []
  }

  /// Adds a caller that waits for the end, whatever else callers are told.
  mutating func join(_ waiter: WaiterID, _ id: String) {
    entries[id]?.waiters.append(Waiter(id: waiter, waits: true))
  }

  /// Takes off a caller that has gone, and answers it.
  mutating func detach(_ waiter: WaiterID, from execution: Execution) -> [DispatchAction] {
    entries[execution.id]?.waiters.removeAll { $0.id == waiter }
    return [.resolve(waiter, accepted(execution))]
  }

  /// Adds a node session where callers wait for the end.
  mutating func watch(_ id: String, by watcher: NodeSession) -> [DispatchAction] {
    guard entries[id] != nil else { return [.tell(.ended(execution: id), to: watcher)] }
    entries[id]?.watchers.insert(watcher)
    return []
  }

  /// Whether a caller wants the outcome.
  func isOutcomeAwaited(_ id: String) -> Bool { entries[id]?.waiters.contains(where: \.waits) ?? false }

  /// Whether the execution is in the store and no caller waits for it here.
  func isUnattended(_ id: String) -> Bool { entries[id].map { $0.isAcknowledged && $0.waiters.isEmpty } ?? false }

  /// Whether the execution is known to be in the store.
  func isAcknowledged(_ id: String) -> Bool { entries[id]?.isAcknowledged ?? false }

  // MARK: Answers

  /// The execution is in the store.
  mutating func accepted(_ execution: Execution) -> [DispatchAction] {
    guard let waiters = entries[execution.id]?.waiters else { return [] }
    let staying = waiters.filter { $0.waits && !isStopping }
    entries[execution.id]?.isAcknowledged = true
    entries[execution.id]?.waiters = staying
    return waiters.filter { !$0.waits || isStopping }.map { .resolve($0.id, accepted(execution)) } + publish(execution)
  }

  /// The store does not take the execution in time.
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

  /// The execution has ended, here or at another node.
  mutating func finish(_ stored: StoredExecution) -> [DispatchAction] {
    end(stored.execution.id, .finished(stored))
  }

  /// Another node owns the execution: callers look for the outcome in the store.
  mutating func leave(_ execution: Execution) -> [DispatchAction] {
    end(execution.id, accepted(execution))
  }

  /// The node stops: every caller of an execution that is in the store is told where to look for the outcome.
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
