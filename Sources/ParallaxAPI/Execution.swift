/// Where an execution stands.
public enum ExecutionStatus: String, Sendable, Hashable, Codable, CaseIterable {
  /// Waits for agents.
  case pending
  /// Its tasks are with agents.
  case running
  /// The results are recorded; the one result is being made of them.
  case aggregating
  /// Ended with a result.
  case completed
  /// Ended with an error.
  case failed
  /// Ended by a caller's request.
  case cancelled
  /// The deadline passed before there were enough results.
  case timedOut = "timed_out"

  /// Whether nothing can change any more.
  public var isTerminal: Bool {
    switch self {
    case .pending, .running, .aggregating: false
    case .completed, .failed, .cancelled, .timedOut: true
    }
  }
}

/// How urgent an execution is among those that wait for the same agents.
public enum ExecutionPriority: String, Sendable, Hashable, Codable, CaseIterable {
  /// Served when nothing else waits.
  case low
  /// The default.
  case normal
  /// Served first.
  case high
}

/// The body of `POST /api/patterns/{name}/execute`.
public struct ExecuteRequest: Sendable, Hashable, Codable {
  /// What the caller may say about one execution.
  public struct Options: Sendable, Hashable, Codable {
    /// How long it may take; nil takes the pattern's.
    public var timeout: WireDuration?
    /// How urgent it is among those that wait for the same agents; nil is `normal`.
    public var priority: ExecutionPriority?
    /// Anything that the caller wants to find in the execution again.
    public var metadata: JSONValue?
    /// A repeat with the same key and the same request returns the same execution; 1 to 256 bytes.
    public var idempotencyKey: String?

    private enum CodingKeys: String, CodingKey, CaseIterable { case timeout, priority, metadata, idempotencyKey }

    /// Makes options.
    ///
    /// - Parameters:
    ///   - timeout: How long the execution may take, 1 ms to 1 d; nil takes the pattern's.
    ///   - priority: How urgent it is; nil is `normal`.
    ///   - metadata: Anything that the caller wants to find in the execution again.
    ///   - idempotencyKey: What makes a repeat of the request the same execution, 1 to 256 bytes.
    public init(
      timeout: Duration? = nil, priority: ExecutionPriority? = nil, metadata: JSONValue? = nil, idempotencyKey: String? = nil
    ) {
      self.timeout = timeout.map { WireDuration($0) }
      self.priority = priority
      self.metadata = metadata
      self.idempotencyKey = idempotencyKey
    }
  }

  /// The input of the pattern, which every agent gets.
  public var input: JSONValue
  /// What differs from the defaults.
  public var options: Options?

  /// Makes a request.
  ///
  /// - Parameters:
  ///   - input: The input of the pattern.
  ///   - options: What differs from the defaults.
  public init(input: JSONValue, options: Options? = nil) {
    self.input = input
    self.options = options
  }

  private enum CodingKeys: String, CodingKey, CaseIterable { case input, options }

  /// Reads a request; without `input` it is null.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    input = try container.decodeIfPresent(JSONValue.self, forKey: .input) ?? .null
    options = try container.decodeIfPresent(Options.self, forKey: .options)
  }
}

/// A pattern's name and version.
public struct PatternReference: Sendable, Hashable, Codable {
  /// The pattern's name.
  public var name: String
  /// The version that was executed.
  public var version: String

  /// Makes a reference.
  public init(name: String, version: String) {
    self.name = name
    self.version = version
  }
}

/// Why an execution or a task did not succeed.
public struct ExecutionFailure: Error, Sendable, Hashable, Codable {
  /// For programs, for instance `TIMEOUT`, `NO_AGENTS`, `AGENT_LOST`, `TASK_FAILED`, or the code that an agent gave.
  public var code: String
  /// For people: what happened.
  public var message: String
  /// What else is known, in a form that depends on the code.
  public var details: JSONValue?

  /// Makes a failure.
  ///
  /// - Parameters:
  ///   - code: For programs, in capitals with underscores.
  ///   - message: For people.
  ///   - details: What else is known.
  public init(code: String, message: String, details: JSONValue? = nil) {
    self.code = code
    self.message = message
    self.details = details
  }
}

/// An execution as the API shows it.
public struct ExecutionDocument: Sendable, Hashable, Codable {
  /// One agent's part in an execution.
  public struct AgentPart: Sendable, Hashable, Codable {
    /// The agent's id.
    public var id: String
    /// `pending`, `completed`, `failed` or `cancelled`.
    public var status: String
    /// The result, once the part is completed.
    public var result: JSONValue?
    /// Why the part failed.
    public var error: ExecutionFailure?
    /// How sure the agent is of its result, 0 to 1; nil when it does not say.
    public var confidence: Double?
    /// How long the agent worked, as it says.
    public var duration: WireDuration?

    package init(
      id: String, status: String, result: JSONValue? = nil, error: ExecutionFailure? = nil, confidence: Double? = nil,
      duration: Duration? = nil
    ) {
      self.id = id
      self.status = status
      self.result = result
      self.error = error
      self.confidence = confidence
      self.duration = duration.map { WireDuration($0) }
    }
  }

  /// The execution's id.
  public var executionId: String
  /// The pattern that is executed.
  public var pattern: PatternReference
  /// Where the execution stands.
  public var status: ExecutionStatus
  /// The input, as the caller gave it.
  public var input: JSONValue
  /// The aggregated result, once the status is `completed`.
  public var result: JSONValue?
  /// Why there is no result, once the status is `failed` or `timed_out`.
  public var error: ExecutionFailure?
  /// When the request was accepted.
  public var createdAt: Timestamp
  /// When the first agents got their tasks; nil before.
  public var startedAt: Timestamp?
  /// When the status became terminal; nil before.
  public var completedAt: Timestamp?
  /// From `createdAt` to `completedAt`; nil while it goes on.
  public var duration: WireDuration?
  /// The node that owns the execution, or owned it last.
  public var nodeId: String
  /// The greatest number of agents that any one part was given to, one after another; 1 at first.
  public var attempt: Int
  /// The parts, one for each selected agent.
  public var agents: [AgentPart]
  /// What the caller gave along.
  public var metadata: JSONValue?

  package init(
    executionId: String, pattern: PatternReference, status: ExecutionStatus, input: JSONValue, result: JSONValue?,
    error: ExecutionFailure?, createdAt: Timestamp, startedAt: Timestamp?, completedAt: Timestamp?, nodeId: String, attempt: Int,
    agents: [AgentPart], metadata: JSONValue?
  ) {
    self.executionId = executionId
    self.pattern = pattern
    self.status = status
    self.input = input
    self.result = result
    self.error = error
    self.createdAt = createdAt
    self.startedAt = startedAt
    self.completedAt = completedAt
    self.duration = completedAt.map { WireDuration($0 - createdAt) }
    self.nodeId = nodeId
    self.attempt = attempt
    self.agents = agents
    self.metadata = metadata
  }
}

/// The answer to an execution that goes on after the response: 202.
public struct ExecutionAcceptance: Sendable, Hashable, Codable {
  /// The execution's id.
  public var executionId: String
  /// Where the execution stood when it was acknowledged.
  public var status: ExecutionStatus
  /// The path at which the execution is found, at any node.
  public var statusUrl: String

  package init(executionId: String, status: ExecutionStatus) {
    self.executionId = executionId
    self.status = status
    self.statusUrl = "/api/executions/\(executionId)"
  }
}

/// A page of executions, newest first.
public struct ExecutionList: Sendable, Hashable, Codable {
  /// The executions of this page.
  public var executions: [ExecutionDocument]
  /// Exact without filters, else nil.
  public var total: Int?
  /// The limit that was asked for.
  public var limit: Int
  /// The offset that was asked for.
  public var offset: Int
  /// Whether there may be further pages.
  public var hasMore: Bool
  /// The `cursor` of the next page; nil on the last.
  public var nextCursor: String?

  package init(executions: [ExecutionDocument], total: Int?, limit: Int, offset: Int, hasMore: Bool, nextCursor: String?) {
    self.executions = executions
    self.total = total
    self.limit = limit
    self.offset = offset
    self.hasMore = hasMore
    self.nextCursor = nextCursor
  }
}

/// The answer to a cancellation.
public struct CancellationDocument: Sendable, Hashable, Codable {
  /// The execution's id.
  public var executionId: String
  /// Where the execution stands: `cancelled`, or another terminal status that it had reached before.
  public var status: ExecutionStatus
  /// When the status became terminal.
  public var cancelledAt: Timestamp

  package init(executionId: String, status: ExecutionStatus, cancelledAt: Timestamp) {
    self.executionId = executionId
    self.status = status
    self.cancelledAt = cancelledAt
  }
}

/// A page of patterns, the latest version of each.
public struct PatternList: Sendable, Hashable, Codable {
  /// The patterns of this page.
  public var patterns: [PatternDefinition]
  /// How many patterns match.
  public var total: Int
  /// The limit that was asked for.
  public var limit: Int
  /// The offset that was asked for.
  public var offset: Int

  package init(patterns: [PatternDefinition], total: Int, limit: Int, offset: Int) {
    self.patterns = patterns
    self.total = total
    self.limit = limit
    self.offset = offset
  }
}

/// The answer to a posted pattern: 201 when this version is new, else 200.
public struct PatternCreated: Sendable, Hashable, Codable {
  /// The pattern's name.
  public var name: String
  /// The version that was stored.
  public var version: String
  /// Whether this version is new.
  public var created: Bool

  package init(name: String, version: String, created: Bool) {
    self.name = name
    self.version = version
    self.created = created
  }
}
