/// The status of an execution.
public enum ExecutionStatus: String, Sendable, Hashable, Codable, CaseIterable {
  /// Waiting for agents.
  case pending
  /// Assigned to agents.
  case running
  /// Aggregating the stored results of its tasks.
  case aggregating
  /// Ended with a result.
  case completed
  /// Ended with an error.
  case failed
  /// Ended by a cancellation.
  case cancelled
  /// Ended by its deadline, without enough results.
  case timedOut = "timed_out"

  /// Whether the status is final.
  public var isTerminal: Bool {
    switch self {
    case .pending, .running, .aggregating: false
    case .completed, .failed, .cancelled, .timedOut: true
    }
  }
}

/// The priority of an execution among those that wait for the same agents.
public enum ExecutionPriority: String, Sendable, Hashable, Codable, CaseIterable {
  /// Served after all others.
  case low
  /// The default priority.
  case normal
  /// Served before all others.
  case high
}

/// The body of `POST /api/patterns/{name}/execute`.
public struct ExecuteRequest: Sendable, Hashable, Codable {
  /// Options of one execution.
  public struct Options: Sendable, Hashable, Codable {
    /// The time-out, 1 ms to 1 d; nil uses that of the pattern.
    public var timeout: WireDuration?
    /// The priority among executions that wait for the same agents; nil is `normal`.
    public var priority: ExecutionPriority?
    /// Arbitrary metadata, which the execution's document repeats.
    public var metadata: JSONValue?
    /// The idempotency key, 1 to 256 bytes: a repeat of the request with the same key returns the same execution.
    public var idempotencyKey: String?

    private enum CodingKeys: String, CodingKey, CaseIterable { case timeout, priority, metadata, idempotencyKey }

    /// Makes options.
    ///
    /// - Parameters:
    ///   - timeout: The time-out, 1 ms to 1 d; nil uses that of the pattern.
    ///   - priority: The priority; nil is `normal`.
    ///   - metadata: Arbitrary metadata, which the execution's document repeats.
    ///   - idempotencyKey: The key that identifies repeats of the request, 1 to 256 bytes; nil makes every request a new execution.
    public init(
      timeout: Duration? = nil, priority: ExecutionPriority? = nil, metadata: JSONValue? = nil, idempotencyKey: String? = nil
    ) {
      self.timeout = timeout.map { WireDuration($0) }
      self.priority = priority
      self.metadata = metadata
      self.idempotencyKey = idempotencyKey
    }
  }

  /// The input for all agents of the pattern.
  public var input: JSONValue
  /// The options; nil uses the defaults.
  public var options: Options?

  /// Makes a request.
  ///
  /// - Parameters:
  ///   - input: The input for all agents of the pattern.
  ///   - options: The options; nil uses the defaults.
  public init(input: JSONValue, options: Options? = nil) {
    self.input = input
    self.options = options
  }

  private enum CodingKeys: String, CodingKey, CaseIterable { case input, options }

  /// Decodes a request; a missing `input` is null.
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
  /// The pattern's version.
  public var version: String

  /// Makes a reference.
  public init(name: String, version: String) {
    self.name = name
    self.version = version
  }
}

/// The reason of an execution's or a task's failure.
public struct ExecutionFailure: Error, Sendable, Hashable, Codable {
  /// The code, for programs: for instance `TIMEOUT`, `NO_AGENTS`, `AGENT_LOST`, `TASK_FAILED`, or a code of the agent.
  public var code: String
  /// A description of the failure, for people.
  public var message: String
  /// Further details, in a form that depends on the code.
  public var details: JSONValue?

  /// Makes a failure.
  ///
  /// - Parameters:
  ///   - code: The code, for programs, in capitals with underscores.
  ///   - message: A description of the failure, for people.
  ///   - details: Further details; nil, the default, without any.
  public init(code: String, message: String, details: JSONValue? = nil) {
    self.code = code
    self.message = message
    self.details = details
  }
}

/// The API's document of an execution.
public struct ExecutionDocument: Sendable, Hashable, Codable {
  /// One agent's part in an execution.
  public struct AgentPart: Sendable, Hashable, Codable {
    /// The agent's id.
    public var id: String
    /// The status of the part: `pending`, `completed`, `failed` or `cancelled`.
    public var status: String
    /// The agent's result; nil unless the part is completed.
    public var result: JSONValue?
    /// The reason of the failure; nil unless the part failed.
    public var error: ExecutionFailure?
    /// The agent's confidence in its result, 0 to 1; nil if the agent reported none.
    public var confidence: Double?
    /// The working time that the agent reported; nil if it reported none.
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
  /// The pattern.
  public var pattern: PatternReference
  /// The status.
  public var status: ExecutionStatus
  /// The caller's input.
  public var input: JSONValue
  /// The aggregated result; nil unless the status is `completed`.
  public var result: JSONValue?
  /// The reason of the failure; nil unless the status is `failed` or `timed_out`.
  public var error: ExecutionFailure?
  /// The time at which the request was accepted.
  public var createdAt: Timestamp
  /// The time of the first tasks; nil before.
  public var startedAt: Timestamp?
  /// The time at which the status became terminal; nil before.
  public var completedAt: Timestamp?
  /// The time from `createdAt` to `completedAt`; nil before the end.
  public var duration: WireDuration?
  /// The node that owns the execution, or owned it at its end.
  public var nodeId: String
  /// The greatest attempt number of any part, starting at 1.
  public var attempt: Int
  /// The parts, one for each selected agent.
  public var agents: [AgentPart]
  /// The caller's metadata.
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

/// The answer, with status 202, to a request whose execution continues after the response.
public struct ExecutionAcceptance: Sendable, Hashable, Codable {
  /// The execution's id.
  public var executionId: String
  /// The status at the time of the answer.
  public var status: ExecutionStatus
  /// The path of the execution's document at any node.
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
  /// The number of all executions; nil for a query with filters.
  public var total: Int?
  /// The requested limit.
  public var limit: Int
  /// The requested offset.
  public var offset: Int
  /// Whether further pages may follow.
  public var hasMore: Bool
  /// The `cursor` of the next page; nil on the last page.
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
  /// The status of the execution: `cancelled`, or another terminal status that it had reached before.
  public var status: ExecutionStatus
  /// The time at which the status became terminal.
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
  /// The number of matching patterns.
  public var total: Int
  /// The requested limit.
  public var limit: Int
  /// The requested offset.
  public var offset: Int

  package init(patterns: [PatternDefinition], total: Int, limit: Int, offset: Int) {
    self.patterns = patterns
    self.total = total
    self.limit = limit
    self.offset = offset
  }
}

/// All versions of a pattern.
public struct PatternVersions: Sendable, Hashable, Codable {
  /// The definitions, the latest version first.
  public var versions: [PatternDefinition]

  package init(versions: [PatternDefinition]) {
    self.versions = versions
  }
}

/// The answer to a posted pattern, with status 201 if the version is new and stored, else 200.
public struct PatternCreated: Sendable, Hashable, Codable {
  /// The pattern's name.
  public var name: String
  /// The stored version.
  public var version: String
  /// Whether the version is new.
  public var created: Bool
  /// Whether the version is new or had another definition.
  public var changed: Bool

  package init(name: String, version: String, created: Bool, changed: Bool) {
    self.name = name
    self.version = version
    self.created = created
    self.changed = changed
  }
}
