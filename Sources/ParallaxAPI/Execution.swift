/// Where an execution stands.
package enum ExecutionStatus: String, Sendable, Hashable, Codable, CaseIterable {
  case pending, running, aggregating, completed, failed, cancelled
  case timedOut = "timed_out"

  /// Whether nothing can change any more.
  package var isTerminal: Bool {
    switch self {
    case .pending, .running, .aggregating: false
    case .completed, .failed, .cancelled, .timedOut: true
    }
  }
}

/// How urgent an execution is among those that wait for the same agents.
package enum ExecutionPriority: String, Sendable, Hashable, Codable, CaseIterable {
  case low, normal, high
}

/// The body of `POST /api/patterns/{name}/execute`.
package struct ExecuteRequest: Sendable, Hashable, Codable {
  /// What the caller may say about one execution.
  package struct Options: Sendable, Hashable, Codable {
    /// How long it may take; nil takes the pattern's.
    package var timeout: WireDuration?
    package var priority: ExecutionPriority?
    package var metadata: JSONValue?
    /// A repeat with the same key and the same request returns the same execution; 1 to 256 bytes.
    package var idempotencyKey: String?

    package init(
      timeout: Duration? = nil, priority: ExecutionPriority? = nil, metadata: JSONValue? = nil, idempotencyKey: String? = nil
    ) {
      self.timeout = timeout.map { WireDuration($0) }
      self.priority = priority
      self.metadata = metadata
      self.idempotencyKey = idempotencyKey
    }
  }

  package var input: JSONValue
  package var options: Options?

  package init(input: JSONValue, options: Options? = nil) {
    self.input = input
    self.options = options
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    input = try container.decodeIfPresent(JSONValue.self, forKey: .input) ?? .null
    options = try container.decodeIfPresent(Options.self, forKey: .options)
  }
}

/// A pattern's name and version.
package struct PatternReference: Sendable, Hashable, Codable {
  package var name: String
  package var version: String

  package init(name: String, version: String) {
    self.name = name
    self.version = version
  }
}

/// Why an execution or a task did not succeed.
package struct ExecutionFailure: Error, Sendable, Hashable, Codable {
  /// For programs, for instance `TIMEOUT`, `NO_AGENTS`, `AGENT_LOST`, `TASK_FAILED`, or the code that an agent gave.
  package var code: String
  package var message: String
  package var details: JSONValue?

  package init(code: String, message: String, details: JSONValue? = nil) {
    self.code = code
    self.message = message
    self.details = details
  }
}

/// An execution as the API shows it.
package struct ExecutionDocument: Sendable, Hashable, Codable {
  /// One agent's part in an execution.
  package struct AgentPart: Sendable, Hashable, Codable {
    package var id: String
    /// `pending`, `completed`, `failed` or `cancelled`.
    package var status: String
    package var result: JSONValue?
    package var error: ExecutionFailure?
    package var confidence: Double?
    package var duration: WireDuration?

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

  package var executionId: String
  package var pattern: PatternReference
  package var status: ExecutionStatus
  package var input: JSONValue
  package var result: JSONValue?
  package var error: ExecutionFailure?
  package var createdAt: Timestamp
  package var startedAt: Timestamp?
  package var completedAt: Timestamp?
  package var duration: WireDuration?
  package var nodeId: String
  package var attempt: Int
  package var agents: [AgentPart]
  package var metadata: JSONValue?

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
package struct ExecutionAcceptance: Sendable, Hashable, Codable {
  package var executionId: String
  package var status: ExecutionStatus
  package var statusUrl: String

  package init(executionId: String, status: ExecutionStatus) {
    self.executionId = executionId
    self.status = status
    self.statusUrl = "/api/executions/\(executionId)"
  }
}

/// A page of executions, newest first.
package struct ExecutionList: Sendable, Hashable, Codable {
  package var executions: [ExecutionDocument]
  /// Exact without filters, else nil.
  package var total: Int?
  package var limit: Int
  package var offset: Int
  package var hasMore: Bool
  package var nextCursor: String?

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
package struct CancellationDocument: Sendable, Hashable, Codable {
  package var executionId: String
  package var status: ExecutionStatus
  package var cancelledAt: Timestamp

  package init(executionId: String, status: ExecutionStatus, cancelledAt: Timestamp) {
    self.executionId = executionId
    self.status = status
    self.cancelledAt = cancelledAt
  }
}

/// A page of patterns, the latest version of each.
package struct PatternList: Sendable, Hashable, Codable {
  package var patterns: [PatternDefinition]
  package var total: Int
  package var limit: Int
  package var offset: Int

  package init(patterns: [PatternDefinition], total: Int, limit: Int, offset: Int) {
    self.patterns = patterns
    self.total = total
    self.limit = limit
    self.offset = offset
  }
}

/// The answer to a posted pattern: 201 when this version is new, else 200.
package struct PatternCreated: Sendable, Hashable, Codable {
  package var name: String
  package var version: String
  package var created: Bool

  package init(name: String, version: String, created: Bool) {
    self.name = name
    self.version = version
    self.created = created
  }
}
