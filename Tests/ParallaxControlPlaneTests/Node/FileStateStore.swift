import Foundation
import ParallaxAPI
import ParallaxHA
import ParallaxState
import Synchronization

/// A state store in a file: a store in memory does the work, and each change saves its contents.
final class FileStateStore: StateStore {
  private struct Contents: Codable {
    var executions: [String: SavedExecution] = [:]
    var agents: [String: SavedAgent] = [:]
    var patterns: [PatternDefinition] = []
    var generations: [String: Int64] = [:]
  }

  private let url: URL
  private let store = InMemoryStateStore { InMemoryBackend.wallClock }
  private let contents: Mutex<Contents>

  init(_ url: URL) throws {
    self.url = url
    guard FileManager.default.fileExists(atPath: url.path) else {
      contents = Mutex(Contents())
      return
    }
    let found = try JSONDecoder().decode(Contents.self, from: Data(contentsOf: url))
    contents = Mutex(found)
    for pattern in found.patterns { _ = store.store(pattern) }
    for (text, count) in found.generations { for _ in 0..<count { if let session = NodeSession(text) { store.open(session) } } }
    for execution in found.executions.values { _ = store.create(try execution.stored) }
    for agent in found.agents.values {
      var record = try agent.record
      record.epoch -= 1
      _ = store.register(record)
    }
  }

  private func save(_ change: (inout Contents) -> Void) throws {
    try contents.withLock { contents in
      change(&contents)
      try JSONEncoder().encode(contents).write(to: url, options: .atomic)
    }
  }

  private func saveExecution(_ id: String) throws {
    let stored = store.execution(id).map(SavedExecution.init)
    try save { $0.executions[id] = stored }
  }

  private func saveAgent(_ id: String) throws {
    let record = store.agent(id).map(SavedAgent.init)
    try save { $0.agents[id] = record }
  }

  // MARK: Executions

  func create(_ stored: StoredExecution) async throws -> CreateOutcome {
    let outcome = store.create(stored)
    try saveExecution(stored.execution.id)
    return outcome
  }

  func update(_ change: ExecutionChange) async throws -> UpdateOutcome {
    let outcome = store.update(change)
    try saveExecution(change.id)
    return outcome
  }

  func restore(
    _ stored: StoredExecution, as claim: RestorationClaim, acknowledged: Set<String>
  ) async throws -> RestoreOutcome {
    let outcome = store.restore(stored, as: claim, acknowledged: acknowledged)
    try saveExecution(stored.execution.id)
    return outcome
  }

  func record(_ outcome: TaskRecord, of execution: String) async throws -> RecordOutcome {
    let result = store.record(outcome, of: execution)
    try saveExecution(execution)
    return result
  }

  func release(_ id: String, owner: NodeSession) async throws { store.release(id, owner: owner) }
  func unlist(_ id: String, from session: NodeSession) async throws { store.unlist(id, from: session) }
  func execution(_ id: String) async throws -> StoredExecution? { store.execution(id) }
  func executions(_ query: ExecutionQuery) async throws -> ExecutionPage { store.executions(query) }
  func executions(ownedBy owner: NodeSession) async throws -> [String] { store.executions(ownedBy: owner) }

  func claim(_ id: String, from previous: NodeSession, isGone: Bool, to owner: NodeSession) async throws -> StoredExecution? {
    let claimed = store.claim(id, from: previous, isGone: isGone, to: owner)
    try saveExecution(id)
    return claimed
  }

  func claimIdempotencyKey(_ key: String, executionID: String, digest: String, lifetime: Duration) async throws -> IdempotencyClaim {
    store.claimIdempotencyKey(key, executionID: executionID, digest: digest, lifetime: lifetime)
  }

  func restoreIdempotencyKey(_ key: String, executionID: String, digest: String, lifetime: Duration) async throws {
    store.restoreIdempotencyKey(key, executionID: executionID, digest: digest, lifetime: lifetime)
  }

  func removeExecutions(createdBefore instant: Timestamp, maxRetained: Int, limit: Int) async throws -> Int {
    let count = store.removeExecutions(createdBefore: instant, maxRetained: maxRetained, limit: limit)
    try save { contents in contents.executions = contents.executions.filter { store.execution($0.key) != nil } }
    return count
  }

  func currentTime() -> Timestamp { store.currentTime() }

  // MARK: Agents, patterns, sessions

  func register(_ record: AgentRecord) async throws -> Int64 {
    let epoch = store.register(record)
    try saveAgent(record.id)
    return epoch
  }

  func update(_ record: AgentRecord) async throws -> Bool {
    let isCurrent = store.update(record)
    try saveAgent(record.id)
    return isCurrent
  }

  func removeAgent(_ id: String, epoch: Int64, session: NodeSession) async throws {
    store.removeAgent(id, epoch: epoch, session: session)
    try saveAgent(id)
  }

  func agent(_ id: String) async throws -> AgentRecord? { store.agent(id) }
  func agents(at session: NodeSession) async throws -> [AgentRecord] { store.agents(at: session) }

  func store(_ pattern: PatternDefinition) async throws -> Bool {
    let isNew = store.store(pattern)
    try save { contents in
      contents.patterns.removeAll { $0.name == pattern.name && $0.version == pattern.version }
      contents.patterns.append(pattern)
    }
    return isNew
  }

  func versions(ofPattern name: String) async throws -> [PatternDefinition] { store.versions(ofPattern: name) }
  func patternNames() async throws -> [String] { store.patternNames() }

  func open(_ session: NodeSession) async throws -> Bool {
    let isNew = store.open(session)
    try saveSessions()
    return isNew
  }

  func sessions() async throws -> [NodeSession: Int64] { store.sessions() }

  func close(_ session: NodeSession, generation: Int64) async throws {
    store.close(session, generation: generation)
    try saveSessions()
  }

  private func saveSessions() throws {
    let generations = Dictionary(uniqueKeysWithValues: store.sessions().map { ($0.key.description, $0.value) })
    try save { $0.generations = generations }
  }
}

/// The saved form of an execution.
private struct SavedExecution: Codable {
  var id: String
  var pattern: PatternDefinition
  var status: ExecutionStatus
  var priority: ExecutionPriority
  var input: JSONValue
  var result: JSONValue?
  var error: ExecutionFailure?
  var metadata: JSONValue?
  var createdAt: Int64
  var startedAt: Int64?
  var completedAt: Int64?
  var deadline: Int64
  var attempt: Int
  var owner: NodeSession
  var epoch: Int64
  var revision: Int64
  var recordings: Int64
  var tasks: [TaskRecord]

  init(_ stored: StoredExecution) {
    let execution = stored.execution
    id = execution.id
    pattern = execution.pattern
    status = execution.status
    priority = execution.priority
    input = execution.input
    result = execution.result
    error = execution.error
    metadata = execution.metadata
    createdAt = execution.createdAt.milliseconds
    startedAt = execution.startedAt?.milliseconds
    completedAt = execution.completedAt?.milliseconds
    deadline = execution.deadline.milliseconds
    attempt = execution.attempt
    owner = execution.owner
    epoch = execution.epoch
    revision = execution.revision
    recordings = execution.recordings
    tasks = stored.tasks
  }

  var stored: StoredExecution {
    get throws {
      StoredExecution(
        execution: Execution(
          id: id, pattern: pattern, status: status, priority: priority, input: input, result: result, error: error, metadata: metadata,
          createdAt: Timestamp(milliseconds: createdAt), startedAt: startedAt.map { Timestamp(milliseconds: $0) },
          completedAt: completedAt.map { Timestamp(milliseconds: $0) }, deadline: Timestamp(milliseconds: deadline), attempt: attempt,
          owner: owner, epoch: epoch, revision: revision, recordings: recordings),
        tasks: tasks)
    }
  }
}

/// The saved form of an agent.
private struct SavedAgent: Codable {
  var id: String
  var name: String?
  var capabilities: [String]
  var maxConcurrentTasks: Int
  var metadata: JSONValue?
  var session: NodeSession
  var epoch: Int64
  var connectedAt: Int64
  var isConnected: Bool
  var activeTasks: [String]?

  init(_ record: AgentRecord) {
    id = record.id
    name = record.name
    capabilities = record.capabilities
    maxConcurrentTasks = record.maxConcurrentTasks
    metadata = record.metadata
    session = record.session
    epoch = record.epoch
    connectedAt = record.connectedAt.milliseconds
    isConnected = record.isConnected
    activeTasks = record.activeTasks
  }

  var record: AgentRecord {
    get throws {
      AgentRecord(
        id: id, name: name, capabilities: capabilities, maxConcurrentTasks: maxConcurrentTasks, metadata: metadata, session: session,
        epoch: epoch, connectedAt: Timestamp(milliseconds: connectedAt), isConnected: isConnected, activeTasks: activeTasks)
    }
  }
}
