package import ParallaxAPI
package import ParallaxState

/// The answer to an execution request: the finished execution, or an acknowledgement.
package enum ExecuteAnswer: Sendable {
  /// The execution is terminal: 200, or the status of its error after NO_AGENTS or a time-out.
  case finished(ExecutionDocument)
  /// The execution is acknowledged and continues: 202.
  case accepted(ExecutionAcceptance)
}

/// A pattern as posted, before parsing.
package struct PatternSource: Sendable {
  package var bytes: [UInt8]
  /// The request's Content-Type in lower case, without parameters; nil without that header.
  package var contentType: String?

  package init(bytes: [UInt8], contentType: String?) {
    self.bytes = bytes
    self.contentType = contentType
  }
}

/// The node that answers, for its callers.
package struct NodeDescription: Sendable {
  package var id: String
  package var clusterID: String
  package var version: String
  /// The node is no member of a cluster.
  package var isAlone: Bool

  package init(id: String, clusterID: String, version: String, isAlone: Bool) {
    self.id = id
    self.clusterID = clusterID
    self.version = version
    self.isAlone = isAlone
  }
}

/// The operations of the control plane that the routes call.
///
/// Every method throws `APIError` for errors that the caller made or must handle; any other error becomes INTERNAL_ERROR and is logged.
///
/// Cancelling the calling task ends the wait for a synchronous execution, never the execution.
package protocol ControlPlaneService: Sendable {
  /// Executes the pattern; returns once it is acknowledged (`isAsync`) or terminal.
  func execute(pattern: String, version: String?, request: ExecuteRequest, isAsync: Bool) async throws -> ExecuteAnswer
  func execution(id: String) async throws -> ExecutionDocument
  func executions(_ query: ExecutionQuery) async throws -> ExecutionList
  func cancelExecution(id: String) async throws -> CancellationDocument
  /// Starts a new execution with the pattern, the input and the options of one that did not complete.
  func retryExecution(id: String) async throws -> RetryAcceptance
  func pattern(name: String, version: String?) async throws -> PatternDefinition
  func patterns(search: String?, limit: Int, offset: Int) async throws -> PatternList
  func versions(ofPattern name: String) async throws -> PatternVersions
  /// Validates and stores the pattern.
  func storePattern(_ source: PatternSource, isDryRun: Bool) async throws -> PatternCreated
  func agents(status: AgentStatus?, capabilities: [String]) async throws -> AgentList
  func agent(id: String) async throws -> AgentDocument
  func disconnectAgent(id: String) async throws -> AgentDisconnected
  func haStatus() async throws -> HAStatusDocument
  /// Examines the node, its store and its cluster; takes seconds if something does not answer.
  func haDiagnosis() async throws -> DiagnosisDocument
  /// The node's configuration without its secrets, and its process.
  func debug() -> DebugDocument
  /// What the node logs at level `debug` and above from now on; ends early when the calling task is cancelled.
  func debugLog(for duration: Duration) async throws -> LogDocument
  func stepDown(_ request: StepDownRequest) async throws -> HandoverDocument
  func elect(_ request: ElectRequest) async throws -> HandoverDocument
  func setPaused(_ paused: Bool) async throws -> PauseDocument
  var node: NodeDescription { get }
  func recentActivity() -> ActivityDocument
  func queues() -> QueueList
  /// Streams the cluster's events, beginning behind the event with the id `lastID`, with `hello` ahead of all.
  func events(after lastID: String?, channels: Set<ClusterEvent.Channel>) -> AsyncStream<ServerSentEvent>
}
