import ParallaxAPI
import ParallaxState

@testable import ParallaxServer

/// Returns its arguments, so that a test sees the values that the routes have parsed.
struct FakeControlPlane: ControlPlaneService {
  struct Failure: Error {}

  var execute: @Sendable (ExecuteRequest) async throws -> ExecuteAnswer = { request in
    .finished(FakeControlPlane.document(status: .completed, input: request.input))
  }

  static func document(
    status: ExecutionStatus, id: String = "exec_1", pattern: String = "p", version: String = "1.0.0", input: JSONValue = .null,
    error: ExecutionFailure? = nil
  ) -> ExecutionDocument {
    ExecutionDocument(
      executionId: id, pattern: PatternReference(name: pattern, version: version), status: status, input: input, result: nil, error: error,
      createdAt: Timestamp(milliseconds: 0), startedAt: nil, completedAt: nil, nodeId: "node", attempt: 1, agents: [], metadata: nil)
  }

  func execute(pattern: String, version: String?, request: ExecuteRequest, isAsync: Bool) async throws -> ExecuteAnswer {
    if pattern == "unknown" { throw APIError(.notFound, "no pattern is named unknown") }
    if isAsync { return .accepted(ExecutionAcceptance(executionId: "exec_1", status: .pending)) }
    return try await execute(request)
  }

  func execution(id: String) async throws -> ExecutionDocument {
    if id == "broken" { throw Failure() }
    return Self.document(status: id.hasPrefix("ended") ? .completed : .running, id: id)
  }

  func executions(_ query: ExecutionQuery) async throws -> ExecutionList {
    ExecutionList(
      executions: [Self.document(status: query.status ?? .pending, pattern: query.pattern ?? "any")], total: nil, limit: query.limit,
      offset: query.offset, hasMore: false, nextCursor: query.cursor)
  }

  func cancelExecution(id: String) async throws -> CancellationDocument {
    CancellationDocument(executionId: id, status: .cancelled, cancelledAt: Timestamp(milliseconds: 0))
  }

  func pattern(name: String, version: String?) async throws -> PatternDefinition {
    PatternDefinition(name: name, version: version ?? "1.0.0", agents: AgentRequirement(capabilities: ["c"]))
  }

  func patterns(search: String?, limit: Int, offset: Int) async throws -> PatternList {
    PatternList(patterns: [], total: 0, limit: limit, offset: offset)
  }

  func versions(ofPattern name: String) async throws -> PatternVersions {
    PatternVersions(versions: [try await pattern(name: name, version: nil)])
  }

  func storePattern(_ source: PatternSource, isDryRun: Bool) async throws -> PatternCreated {
    PatternCreated(
      name: source.contentType ?? "none", version: String(decoding: source.bytes, as: UTF8.self), created: !source.bytes.isEmpty,
      changed: isDryRun)
  }

  func agents(status: AgentStatus?, capabilities: [String]) async throws -> AgentList {
    AgentList(agents: [Self.agent(id: "agent_1", status: status ?? .idle, capabilities: capabilities)])
  }

  func agent(id: String) async throws -> AgentDocument {
    Self.agent(id: id, status: .idle, capabilities: [])
  }

  func disconnectAgent(id: String) async throws -> AgentDisconnected {
    AgentDisconnected(id: id, disconnected: true)
  }

  func haStatus() async throws -> HAStatusDocument {
    let member = HAStatusDocument.Member(
      id: "node-1", address: "127.0.0.1:8080", role: .standby, status: .healthy, lastHeartbeat: Timestamp(milliseconds: 0))
    return HAStatusDocument(clusterId: "default", members: [member])
  }

  func haDiagnosis() async throws -> DiagnosisDocument {
    DiagnosisDocument(
      nodeId: "node-1", incarnation: "abc", clusterId: "default", version: "1.2.3", at: Timestamp(milliseconds: 0), duration: .seconds(1),
      checks: [DiagnosisFinding(id: "redis.reachable", status: .ok, summary: "it answers", page: "page.md#redisreachable")])
  }

  func debug() -> DebugDocument {
    DebugDocument(
      nodeId: "node-1", version: "1.2.3", commit: "0123456789ab", at: Timestamp(milliseconds: 0), configuration: "node: {}\n",
      memory: ["VmRSS": 1_024], threads: [DebugDocument.Thread(id: 1, name: "main", state: "S", processorTime: .seconds(1))],
      files: ["socket": 2])
  }

  func debugLog(for duration: Duration) async throws -> LogDocument {
    LogDocument(nodeId: "node-1", duration: duration, lines: ["a line\n"], omitted: 0)
  }

  func stepDown(_ request: StepDownRequest) async throws -> HandoverDocument {
    HandoverDocument(old: "node-1", new: request.to, term: 2, took: .milliseconds(3))
  }

  func elect(_ request: ElectRequest) async throws -> HandoverDocument {
    HandoverDocument(old: nil, new: "node-1", term: 3, took: .milliseconds(request.force ? 4 : 5))
  }

  func setPaused(_ paused: Bool) async throws -> PauseDocument { PauseDocument(paused: paused) }

  func retryExecution(id: String) async throws -> RetryAcceptance {
    RetryAcceptance(originalExecutionId: id, newExecutionId: "exec_2", status: .pending)
  }

  let node = NodeDescription(id: "node-1", clusterID: "default", version: "1.2.3", isAlone: true)

  func recentActivity() -> ActivityDocument {
    ActivityDocument(interval: .seconds(5), nodes: ["node-1": [ActivitySample(at: Timestamp(milliseconds: 0), completed: 3, p50: 1.5)]])
  }

  func queues() -> QueueList {
    QueueList(queues: [
      QueueDocument(
        capabilities: ["text"], waiting: 1, running: 2, oldestSince: Timestamp(milliseconds: 0), reason: .noAgent, nodeId: "node-1")
    ])
  }

  var source: (@Sendable () -> AsyncStream<ServerSentEvent>)?

  func events(after lastID: String?, channels: Set<ClusterEvent.Channel>) -> AsyncStream<ServerSentEvent> {
    if let source { return source() }
    return AsyncStream { continuation in
      continuation.yield(.event(name: "hello", id: nil, data: Array("{\"nodeId\":\"node-1\"}".utf8)))
      for channel in channels.map(\.rawValue).sorted() {
        continuation.yield(.event(name: channel, id: lastID ?? "none", data: Array("{}".utf8)))
      }
      continuation.yield(.comment)
      continuation.finish()
    }
  }

  private static func agent(id: String, status: AgentStatus, capabilities: [String]) -> AgentDocument {
    AgentDocument(
      id: id, name: nil, status: status, capabilities: capabilities, nodeId: "node", connectedAt: Timestamp(milliseconds: 0),
      lastHeartbeat: nil, activeTasks: 0, tasksCompleted: 0, maxConcurrentTasks: 1, metadata: nil)
  }
}
