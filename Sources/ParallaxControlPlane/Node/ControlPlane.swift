import Crypto
import Logging
package import ParallaxAPI
import ParallaxHA
package import ParallaxServer
package import ParallaxState
import ParallaxText

/// Implements the API with the dispatcher, the store and the patterns of this node.
package struct ControlPlane: ControlPlaneService {
  let session: NodeSession
  let clusterID: String
  let isAlone: Bool
  let dispatcher: Dispatcher
  let store: any StateStore
  let patterns: PatternCatalog
  let health: NodeHealth
  let status: NodeStatus
  let commands: ClusterCommands
  let watch: ExecutionWatch
  let messenger: NodeMessenger
  let publisher: EventPublisher
  let activity: Activity
  let relay: EventRelay
  let queueReports: QueueReports
  let gate: RestorationGate
  let diagnosis: NodeDiagnosis
  let debugging: NodeDebug
  let defaultTimeout: Duration
  let clock: NodeClock

  // MARK: Executions

  package func execute(pattern name: String, version: String?, request: ExecuteRequest, isAsync: Bool) async throws -> ExecuteAnswer {
    if let refusal = health.refusal { throw refusal }
    let options = request.options ?? ExecuteRequest.Options()
    try Self.validate(options)
    let pattern = try await pattern(name: name, version: version)
    let make = { [self] in
      let now = clock.now.wall
      var generator = SystemRandomNumberGenerator()
      return Execution(
        id: SortableID.make(prefix: "exec", at: now, using: &generator), pattern: pattern, priority: options.priority ?? .normal,
        input: request.input, metadata: options.metadata, createdAt: now,
        deadline: now + ((options.timeout ?? pattern.timeout)?.duration ?? defaultTimeout), owner: session)
    }
    guard let key = options.idempotencyKey else { return try await submit(make(), isAsync: isAsync) }
    let digest = try Self.digest(of: request, pattern: name, version: version)
    let limit = clock.now.instant + RestorationGate.patience
    while true {
      try await gate.pass(by: limit)
      var execution = make()
      (execution.idempotencyKey, execution.idempotencyDigest) = (key, digest)
      switch try await storeCall({ try await store.claimIdempotencyKey(key, executionID: execution.id, digest: digest) }) {
      case .claimed: break
      case .existing(let id, digest):
        if let answer = try await repeated(id, isAsync: isAsync) { return answer }
        execution.id = id
      case .removed(let id, digest, let status, let completedAt):
        return try Self.answer(removed: id, status, completedAt, isAsync: isAsync)
      case .existing(let id, _), .removed(let id, _, _, _):
        throw APIError(
          .conflict, "the idempotency key was used for another request", details: ["executionId": .string(id)])
      }
      // A store that has lost an earlier claim, or the execution, gets it back from its holder.
      guard try await storeCall({ try await gate.wasOpen(by: limit) }) else { continue }
      dispatcher.handle(.keyClaimed(RecentWrites.Claim(key: key, executionID: execution.id, digest: digest)))
      return try await submit(execution, isAsync: isAsync)
    }
  }

  private func submit(_ execution: Execution, isAsync: Bool) async throws -> ExecuteAnswer {
    let resolution = await dispatcher.submit(execution, waits: !isAsync, isRepeatable: execution.idempotencyKey != nil)
    if case .accepted = resolution, !isAsync, let finished = try await endElsewhere(of: execution) {
      return try Self.answer(.finished(finished), isAsync: false)
    }
    return try Self.answer(resolution, isAsync: isAsync)
  }

  /// Waits for an execution that another node has taken over; nil if the wait ended without a result.
  private func endElsewhere(of execution: Execution) async throws -> StoredExecution? {
    // The owner ends the execution at its deadline; the extra time allows for the recovery of a lost owner.
    let limit = max(.zero, execution.deadline - clock.now.wall) + .seconds(60)
    let id = execution.id
    return try await watch.end(of: id, within: limit) { await dispatcher.attach(to: id, waits: true) }
  }

  /// Answers a repeat of an acknowledged request; nil if the key was claimed but the execution was never created.
  private func repeated(_ id: String, isAsync: Bool) async throws -> ExecuteAnswer? {
    if !isAsync, let resolution = await dispatcher.attach(to: id, waits: true) {
      if case .finished = resolution { return try Self.answer(resolution, isAsync: false) }
    }
    guard var stored = try await storeCall({ try await store.execution(id) }) else { return nil }
    if !isAsync, !stored.execution.status.isTerminal, let finished = try await endElsewhere(of: stored.execution) { stored = finished }
    if isAsync || !stored.execution.status.isTerminal {
      return .accepted(ExecutionAcceptance(executionId: id, status: stored.execution.status))
    }
    return try Self.answer(.finished(stored), isAsync: false)
  }

  /// Answers a repeat of a request whose execution was removed: the execution does not run again, and its result is not available.
  private static func answer(
    removed id: String, _ status: ExecutionStatus, _ completedAt: Timestamp, isAsync: Bool
  ) throws -> ExecuteAnswer {
    if isAsync { return .accepted(ExecutionAcceptance(executionId: id, status: status)) }
    throw APIError(
      .conflict,
      "the execution of this idempotency key is \(status.rawValue), and its result is no longer kept; raise executions.retention or "
        + "executions.maxRetained to keep results for longer",
      details: [
        "executionId": .string(id), "status": .string(status.rawValue), "completedAt": .string(completedAt.description),
      ])
  }

  private static func answer(_ resolution: Resolution, isAsync: Bool) throws -> ExecuteAnswer {
    switch resolution {
    case .accepted(let acceptance): return .accepted(acceptance)
    case .failed(let error): throw error
    case .finished(let stored):
      let execution = stored.execution
      if isAsync { return .accepted(ExecutionAcceptance(executionId: execution.id, status: execution.status)) }
      let details: JSONValue = ["executionId": .string(execution.id), "statusUrl": .string("/api/executions/\(execution.id)")]
      if execution.status == .failed, let error = execution.error, error.code == APIError.Code.noAgents.rawValue {
        throw APIError(.noAgents, error.message, details: details)
      }
      if execution.status == .timedOut {
        throw APIError(.timeout, "the execution did not finish in time", details: details)
      }
      return .finished(stored.document)
    }
  }

  package func execution(id: String) async throws -> ExecutionDocument {
    guard let stored = try await storeCall({ try await store.execution(id) }) else {
      throw APIError(.notFound, "there is no execution \(id.prefix(128))")
    }
    return stored.document
  }

  package func executions(_ query: ExecutionQuery) async throws -> ExecutionList {
    let page = try await storeCall { try await store.executions(query) }
    return ExecutionList(
      executions: page.executions.map(\.document), total: page.total, limit: query.limit, offset: query.offset,
      hasMore: page.nextCursor != nil, nextCursor: page.nextCursor)
  }

  package func cancelExecution(id: String) async throws -> CancellationDocument {
    switch await dispatcher.cancel(id) {
    case .finished(let stored)?:
      guard stored.execution.status == .cancelled else { throw Self.alreadyEnded(stored.execution) }
      return CancellationDocument(
        executionId: id, status: stored.execution.status, cancelledAt: stored.execution.completedAt ?? clock.now.wall)
    case .failed(let error)?: throw error
    // The node has turned out not to own the execution, or is stopping.
    case .accepted?: return try await cancelStored(id, isRequested: true)
    case nil: return try await cancelStored(id, isRequested: false)
    }
  }

  /// Cancels an execution that the store has; `isRequested`: this node may have cancelled it.
  private func cancelStored(_ id: String, isRequested: Bool) async throws -> CancellationDocument {
    guard let execution = try await storeCall({ try await store.execution(id) })?.execution else {
      throw APIError(.notFound, "there is no execution \(id.prefix(128))")
    }
    if isRequested, execution.status == .cancelled {
      return CancellationDocument(executionId: id, status: .cancelled, cancelledAt: execution.completedAt ?? clock.now.wall)
    }
    guard !execution.status.isTerminal else { throw Self.alreadyEnded(execution) }
    return try await cancelElsewhere(id)
  }

  /// Asks the owner of an execution to cancel it.
  private func cancelElsewhere(_ id: String) async throws -> CancellationDocument {
    let ended = try await storeCall {
      try await watch.end(of: id, within: Self.cancellationLimit, asking: .cancel(execution: id)) { await dispatcher.cancel(id) }
    }
    guard let ended else { throw APIError(.timeout, "the cancellation is in progress but not confirmed") }
    guard ended.execution.status == .cancelled else { throw Self.alreadyEnded(ended.execution) }
    return CancellationDocument(executionId: id, status: .cancelled, cancelledAt: ended.execution.completedAt ?? clock.now.wall)
  }

  /// The time that the owner has to cancel an execution; it allows for the recovery of a lost owner.
  private static let cancellationLimit: Duration = .seconds(20)

  private static func alreadyEnded(_ execution: Execution) -> APIError {
    APIError(.conflict, "the execution is \(execution.status.rawValue) and can no longer be cancelled")
  }

  package func retryExecution(id: String) async throws -> RetryAcceptance {
    if let refusal = health.refusal { throw refusal }
    guard let original = try await storeCall({ try await store.execution(id) })?.execution else {
      throw APIError(.notFound, "there is no execution \(id.prefix(128))")
    }
    guard original.status.isTerminal, original.status != .completed else {
      throw APIError(
        .conflict, "the execution is \(original.status.rawValue): one that has failed, timed out or been cancelled can be retried",
        details: ["status": .string(original.status.rawValue)])
    }
    let now = clock.now.wall
    var generator = SystemRandomNumberGenerator()
    let repetition = Execution(
      id: SortableID.make(prefix: "exec", at: now, using: &generator), pattern: original.pattern, priority: original.priority,
      input: original.input, metadata: original.metadata, createdAt: now, deadline: now + (original.deadline - original.createdAt),
      owner: session)
    switch await dispatcher.submit(repetition, waits: false, isRepeatable: false) {
    case .failed(let error): throw error
    case .accepted(let acceptance):
      return RetryAcceptance(originalExecutionId: id, newExecutionId: repetition.id, status: acceptance.status)
    case .finished(let stored):
      return RetryAcceptance(originalExecutionId: id, newExecutionId: repetition.id, status: stored.execution.status)
    }
  }

  // MARK: Patterns

  package func pattern(name: String, version: String?) async throws -> PatternDefinition {
    guard let pattern = try await storeCall({ try await patterns.pattern(name, version: version) }) else {
      let wanted = version.map { "\(name.prefix(128)) in version \($0.prefix(64))" } ?? "\(name.prefix(128))"
      throw APIError(.notFound, "there is no pattern \(wanted)")
    }
    return pattern
  }

  package func patterns(search: String?, limit: Int, offset: Int) async throws -> PatternList {
    let all = try await storeCall { try await patterns.latest(search: search) }
    return PatternList(patterns: Array(all.dropFirst(offset).prefix(limit)), total: all.count, limit: limit, offset: offset)
  }

  package func versions(ofPattern name: String) async throws -> PatternVersions {
    let versions = try await storeCall { try await patterns.all(ofPattern: name) }
    guard !versions.isEmpty else { throw APIError(.notFound, "there is no pattern \(name.prefix(128))") }
    return PatternVersions(versions: versions)
  }

  package func storePattern(_ source: PatternSource, isDryRun: Bool) async throws -> PatternCreated {
    let pattern: PatternDefinition
    do throws(ConfigurationError) {
      pattern = try PatternFile.decode(String(decoding: source.bytes, as: UTF8.self), file: "pattern")
    } catch {
      throw APIError(.validation, "\(error)")
    }
    let former = try await storeCall { try await patterns.all(ofPattern: pattern.name) }.first { $0.version == pattern.version }
    var isNew = former == nil
    if !isDryRun {
      isNew = try await storeCall { try await patterns.put(pattern) }
      publisher.publish("pattern", id: pattern.name, on: .cluster)
    }
    return PatternCreated(name: pattern.name, version: pattern.version, created: isNew, changed: former != pattern)
  }

  // MARK: Agents

  package func agents(status: AgentStatus?, capabilities: [String]) async throws -> AgentList {
    let records = try await storeCall {
      var records: [AgentRecord] = []
      for session in try await store.sessions().keys { records += try await store.agents(at: session) }
      return records
    }
    let documents = records.map(document).filter { agent in
      (status == nil || agent.status == status) && capabilities.allSatisfy(agent.capabilities.contains)
    }
    return AgentList(agents: documents.sorted { $0.id < $1.id })
  }

  package func agent(id: String) async throws -> AgentDocument {
    guard let record = try await storeCall({ try await store.agent(id) }) else {
      throw APIError(.notFound, "there is no agent \(id.prefix(128))")
    }
    return document(record)
  }

  package func disconnectAgent(id: String) async throws -> AgentDisconnected {
    guard let record = try await storeCall({ try await store.agent(id) }) else {
      throw APIError(.notFound, "there is no agent \(id.prefix(128))")
    }
    if record.session != session, dispatcher.agent(id)?.isConnected == true {
      messenger.send(.disconnect(agent: id), to: record.session)
      return AgentDisconnected(id: id, disconnected: true)
    }
    return AgentDisconnected(id: id, disconnected: dispatcher.disconnectAgent(id))
  }

  private func document(_ record: AgentRecord) -> AgentDocument {
    // A registration outlives its node session: an agent that the dispatcher does not know counts as disconnected.
    let view = dispatcher.agent(record.id)
    let isConnected = view?.isConnected ?? false
    let active = view?.activeTasks ?? 0
    let status: AgentStatus =
      !isConnected ? .disconnected : view?.isDraining == true ? .draining : active < record.maxConcurrentTasks ? .idle : .busy
    return AgentDocument(
      id: record.id, name: record.name, status: status, capabilities: record.capabilities, nodeId: record.session.nodeID,
      connectedAt: record.connectedAt, lastHeartbeat: view?.lastSeen, activeTasks: active, tasksCompleted: view?.tasksCompleted ?? 0,
      maxConcurrentTasks: record.maxConcurrentTasks, metadata: record.metadata)
  }

  // MARK: High availability

  package func haStatus() async throws -> HAStatusDocument { await status.document() }

  package func haDiagnosis() async throws -> DiagnosisDocument { try await diagnosis.document() }

  package func stepDown(_ request: StepDownRequest) async throws -> HandoverDocument { try await commands.stepDown(request) }

  package func elect(_ request: ElectRequest) async throws -> HandoverDocument { try await commands.elect(request) }

  package func setPaused(_ paused: Bool) async throws -> PauseDocument { try await commands.setPaused(paused) }

  // MARK: Observation

  package var node: NodeDescription {
    NodeDescription(id: session.nodeID, clusterID: clusterID, version: ParallaxNode.version, isAlone: isAlone)
  }

  package func debug() -> DebugDocument { debugging.document() }

  package func debugLog(for duration: Duration) async throws -> LogDocument { try await debugging.log(for: duration) }

  package func recentActivity() -> ActivityDocument { activity.document }

  package func queues() -> QueueList { QueueList(queues: queueReports.queues) }

  package func events(after lastID: String?, channels: Set<ClusterEvent.Channel>) -> AsyncStream<ServerSentEvent> {
    relay.stream(after: lastID, channels: channels)
  }

  // MARK: Validation

  private static func validate(_ options: ExecuteRequest.Options) throws {
    if let timeout = options.timeout?.duration, let fault = PatternDefinition.timeoutFault(timeout) {
      throw APIError(.validation, "options.timeout: \(fault)", details: ["field": "options.timeout"])
    }
    if let key = options.idempotencyKey, !(1...256).contains(key.utf8.count) {
      throw APIError(
        .validation, "options.idempotencyKey: expected 1 to 256 bytes, found \(key.utf8.count)",
        details: ["field": "options.idempotencyKey"])
    }
  }

  /// The digest by which a repeat of a request differs from another request under the same key.
  private static func digest(of request: ExecuteRequest, pattern: String, version: String?) throws -> String {
    var request = request
    request.options?.idempotencyKey = nil
    let text = try request.jsonText
    return Hexadecimal.text(of: SHA256.hash(data: Array("\(pattern)\n\(version ?? "")\n\(text)".utf8)))
  }

  /// Turns an unavailable or refusing store into a retryable error: another node may reach the store, and so may a later attempt.
  private func storeCall<Value>(_ call: () async throws -> Value) async throws -> Value {
    do {
      return try await call()
    } catch let error as StateStoreError where error.code == .unavailable {
      throw APIError(.notReady, "the node cannot reach its store; try again or ask another node")
    } catch let error as StateStoreError where error.code == .unwritable || error.code == .refused {
      throw APIError(.notReady, error.message)
    }
  }
}
