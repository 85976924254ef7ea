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
