import ParallaxAPI
import ParallaxState

extension Schema {
  /// What a value of the schema looks like.
  var definition: JSONValue {
    switch self {
    case .error:
      objectSchema(
        [
          "error": objectSchema(
            ["code": choiceSchema(APIError.Code.allCases.map(\.rawValue)), "message": textSchema], optional: ["details": anySchema])
        ], optional: ["requestId": textSchema])
    case .signpost: objectSchema(["name": textSchema, "endpoints": mapSchema(textSchema)])
    case .executeRequest, .execution, .executionStatus, .executionAcceptance, .executionList, .cancellation, .retry, .failure:
      executionDefinition
    case .pattern: Self.patternDefinition
    case .patternList:
      objectSchema([
        "patterns": arraySchema(Schema.pattern.reference), "total": countSchema, "limit": countSchema, "offset": countSchema,
      ])
    case .patternCreated: objectSchema(["name": textSchema, "version": textSchema, "created": truthSchema, "changed": truthSchema])
    case .patternVersions: objectSchema(["versions": arraySchema(Schema.pattern.reference)])
    case .agent: Self.agentDefinition
    case .agentStatus: choiceSchema(AgentStatus.allCases.map(\.rawValue))
    case .agentList:
      objectSchema([
        "agents": arraySchema(Schema.agent.reference), "total": countSchema, "connected": countSchema, "disconnected": countSchema,
        "limit": countSchema, "offset": countSchema,
      ])
    case .agentDisconnected: objectSchema(["id": textSchema, "disconnected": truthSchema])
    case .diagnosis: Self.diagnosisDefinition
    case .status, .stepDownRequest, .electRequest, .handover, .pause: clusterDefinition
    case .health: Self.healthDefinition
    case .activity: objectSchema(["interval": millisecondsSchema, "nodes": mapSchema(arraySchema(Self.sampleDefinition))])
    case .queues: objectSchema(["queues": arraySchema(Self.queueDefinition)])
    case .session:
      objectSchema([
        "identity": textSchema, "scopes": arraySchema(choiceSchema(AccessScope.allCases.map(\.rawValue))), "node": textSchema,
        "cluster": textSchema, "version": textSchema, "highAvailability": truthSchema,
      ])
    case .debug: Self.debugDefinition
    case .debugLog:
      objectSchema(["nodeId": textSchema, "duration": millisecondsSchema, "lines": arraySchema(textSchema), "omitted": countSchema])
    }
  }

  // MARK: Executions

  private static let optionsDefinition = objectSchema(
    [:],
    optional: [
      "timeout": orNull(timeoutSchema), "priority": orNull(choiceSchema(ExecutionPriority.allCases.map(\.rawValue))),
      "metadata": anySchema,
      "idempotencyKey": nullable("string", ["minLength": 1, "maxLength": 256, "description": "1 to 256 bytes."]),
    ], isClosed: true)

  private var executionDefinition: JSONValue {
    switch self {
    case .executeRequest:
      objectSchema([:], optional: ["input": anySchema, "options": orNull(Self.optionsDefinition)], isClosed: true)
    case .executionStatus: choiceSchema(ExecutionStatus.allCases.map(\.rawValue))
    case .executionAcceptance:
      objectSchema(["executionId": textSchema, "status": Schema.executionStatus.reference, "statusUrl": textSchema])
    case .executionList:
      objectSchema(
        ["executions": arraySchema(Schema.execution.reference), "limit": countSchema, "offset": countSchema, "hasMore": truthSchema],
        optional: ["total": countSchema, "nextCursor": textSchema])
    case .cancellation:
      objectSchema(["executionId": textSchema, "status": Schema.executionStatus.reference, "cancelledAt": instantSchema])
    case .retry:
      objectSchema(["originalExecutionId": textSchema, "newExecutionId": textSchema, "status": Schema.executionStatus.reference])
    case .failure: objectSchema(["code": textSchema, "message": textSchema], optional: ["details": anySchema])
    default:
      objectSchema(
        [
          "executionId": textSchema, "pattern": objectSchema(["name": textSchema, "version": textSchema]),
          "status": Schema.executionStatus.reference, "input": anySchema, "createdAt": instantSchema, "nodeId": textSchema,
          "attempt": countSchema,
          "agents": arraySchema(
            objectSchema(
              ["id": textSchema, "status": choiceSchema(["pending", "completed", "failed", "cancelled"])],
              optional: [
                "result": anySchema, "error": Schema.failure.reference, "confidence": ["type": "number", "minimum": 0, "maximum": 1],
                "duration": millisecondsSchema,
              ])),
        ],
        optional: [
          "result": anySchema, "error": Schema.failure.reference, "startedAt": instantSchema, "completedAt": instantSchema,
          "duration": millisecondsSchema, "metadata": anySchema,
        ])
    }
  }

  // MARK: Patterns and agents

  private static let nameSchema: JSONValue = ["type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"]

  private static let patternDefinition: JSONValue = {
    let capability: JSONValue = ["type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"]
    let (counts, retries) = (AgentRequirement.countBounds, PatternDefinition.retryBounds)
    let field: JSONValue = textSchema
    func aggregation(_ strategies: [Aggregation.Strategy], _ members: [String: JSONValue] = [:], required: [String: JSONValue] = [:])
      -> JSONValue
    {
      objectSchema(
        ["strategy": choiceSchema(strategies.map(\.rawValue))].merging(required) { $1 }, optional: members, isClosed: true)
    }
    let votes: [String: JSONValue] = ["method": choiceSchema(Aggregation.Method.allCases.map(\.rawValue)), "field": field]
    return objectSchema(
      [
        "name": nameSchema,
        "agents": objectSchema(
          ["capabilities": .object(["type": "array", "items": capability, "minItems": 1])],
          optional: [
            "min": numberSchema(counts, default: counts.lowerBound),
            "max": numberSchema(counts),
          ], isClosed: true),
      ],
      optional: [
        "version": ["type": "string", "pattern": "^[A-Za-z0-9._+-]{1,64}$", "default": "1.0.0"], "description": textSchema,
        "aggregation": [
          "oneOf": [
            aggregation([.first, .all, .merge]), aggregation([.voting], votes),
            aggregation([.consensus], votes, required: ["threshold": ["type": "number", "exclusiveMinimum": 0, "maximum": 1]]),
          ]
        ],
        "timeout": timeoutSchema, "retries": numberSchema(retries, default: 0),
      ])
  }()

  private static let agentDefinition = objectSchema(
    [
      "id": textSchema, "status": Schema.agentStatus.reference, "capabilities": arraySchema(textSchema), "nodeId": textSchema,
      "connectedAt": instantSchema, "activeTasks": countSchema, "tasksCompleted": countSchema, "maxConcurrentTasks": countSchema,
    ], optional: ["name": textSchema, "lastHeartbeat": instantSchema, "metadata": anySchema])

  // MARK: The cluster

  private var clusterDefinition: JSONValue {
    switch self {
    case .stepDownRequest:
      objectSchema(
        [:], optional: ["to": nullable("string"), "reason": nullable("string"), "term": termSchema], isClosed: true)
    case .electRequest: objectSchema([:], optional: ["force": nullable("boolean"), "term": termSchema], isClosed: true)
    case .handover:
      objectSchema(["old": nullable("string"), "new": nullable("string"), "term": countSchema, "milliseconds": countSchema])
    case .pause: objectSchema(["paused": truthSchema])
    default:
      objectSchema(
        [
          "clusterId": textSchema, "leader": nullable("string"), "term": nullable("integer"), "transitions": countSchema,
          "paused": truthSchema, "leaseRemaining": nullable("integer", ["description": "Milliseconds."]), "stale": truthSchema,
          "members": arraySchema(
            objectSchema(
              [
                "id": textSchema, "address": textSchema, "role": choiceSchema(["leader", "standby"]),
                "status": choiceSchema(["healthy", "unhealthy"]), "lastHeartbeat": instantSchema,
              ], optional: ["lastSeen": millisecondsSchema, "term": countSchema])),
        ], optional: ["staleSince": instantSchema])
    }
  }

  private static let diagnosisDefinition: JSONValue = {
    let status = choiceSchema(DiagnosisStatus.allCases.map(\.rawValue))
    return objectSchema(
      [
        "status": status, "nodeId": textSchema, "version": textSchema, "at": instantSchema, "duration": millisecondsSchema,
        "checks": arraySchema(
          objectSchema(
            ["id": textSchema, "status": status, "summary": textSchema, "page": textSchema],
            optional: ["cause": textSchema, "remedy": textSchema])),
      ], optional: ["incarnation": textSchema, "clusterId": textSchema])
  }()

  private static let healthDefinition: JSONValue = {
    let status = choiceSchema(["healthy", "degraded", "unhealthy"])
    return objectSchema([
      "status": status, "nodeId": textSchema, "version": textSchema, "uptime": millisecondsSchema,
      "checks": mapSchema(objectSchema(["status": status], optional: ["detail": textSchema])),
    ])
  }()

  private static let debugDefinition = objectSchema(
    [
      "nodeId": textSchema, "version": textSchema, "at": instantSchema, "configuration": textSchema, "memory": mapSchema(countSchema),
      "threads": arraySchema(
        objectSchema(["id": countSchema, "name": textSchema, "state": textSchema, "processorTime": millisecondsSchema])),
      "files": mapSchema(countSchema),
    ], optional: ["commit": textSchema])

  private static let sampleDefinition = objectSchema([
    "at": instantSchema, "completed": countSchema, "failed": countSchema, "timedOut": countSchema, "cancelled": countSchema,
    "p50": nullable("number", ["description": "Milliseconds."]), "p99": nullable("number", ["description": "Milliseconds."]),
    "running": countSchema, "waiting": countSchema, "agents": countSchema,
  ])

  private static let queueDefinition = objectSchema(
    ["capabilities": arraySchema(textSchema), "waiting": countSchema, "running": countSchema, "nodeId": textSchema],
    optional: ["oldestSince": instantSchema, "reason": choiceSchema([QueueReason.noAgent.rawValue, QueueReason.allBusy.rawValue])])
}
