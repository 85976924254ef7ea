package import ParallaxAPI
package import ParallaxState

/// What an execution request comes to: the finished execution, or the word that it goes on.
package enum ExecuteAnswer: Sendable {
  /// Terminal; 200, or the status of its error when it ended with NO_AGENTS or a time-out.
  case finished(ExecutionDocument)
  /// Acknowledged and going on; 202.
  case accepted(ExecutionAcceptance)
}

/// A pattern as it was posted, before it is understood.
package struct PatternSource: Sendable {
  package var bytes: [UInt8]
  /// The request's Content-Type, lower case, without parameters; nil when there was none.
  package var contentType: String?

  package init(bytes: [UInt8], contentType: String?) {
    self.bytes = bytes
    self.contentType = contentType
  }
}

/// What the routes ask of the control plane.
///
/// Every method throws `APIError` for what the caller did wrong or must know;
/// any other error becomes INTERNAL_ERROR and is logged.
///
/// Cancelling the calling task ends the wait of a synchronous execution, never the execution.
package protocol ControlPlaneService: Sendable {
  /// Executes the pattern; returns once it is acknowledged (`isAsync`) or terminal.
  func execute(pattern: String, version: String?, request: ExecuteRequest, isAsync: Bool) async throws -> ExecuteAnswer
  func execution(id: String) async throws -> ExecutionDocument
  func executions(_ query: ExecutionQuery) async throws -> ExecutionList
  func cancelExecution(id: String) async throws -> CancellationDocument
  func pattern(name: String, version: String?) async throws -> PatternDefinition
  func patterns(search: String?, limit: Int, offset: Int) async throws -> PatternList
  /// Validates and stores the pattern.
  func storePattern(_ source: PatternSource) async throws -> PatternCreated
  func agents(status: AgentStatus?, capabilities: [String]) async throws -> AgentList
  func agent(id: String) async throws -> AgentDocument
  func disconnectAgent(id: String) async throws -> AgentDisconnected
  func haStatus() async throws -> HAStatusDocument
  func stepDown(_ request: StepDownRequest) async throws -> HandoverDocument
  func elect(_ request: ElectRequest) async throws -> HandoverDocument
  func setPaused(_ paused: Bool) async throws -> PauseDocument
}
