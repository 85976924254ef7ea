import ParallaxAPI
import ParallaxState

extension Operation {
  // MARK: Executions

  static let execute = Operation(
    id: "execute", summary: "Run a pattern; wait for its end, or only for the acknowledgement.", tag: .executions,
    parameters: [
      Parameter(name: "async", summary: "Answer at once, with 202, when the execution is acknowledged.", schema: truthSchema),
      Parameter(name: "version", summary: "The version of the pattern; the latest by default.", schema: versionSchema),
    ],
    body: .json(.executeRequest),
    answers: [
      .json(.execution, "The execution, which has completed, failed or been cancelled.", links: Link.execution()),
      .json(
        .executionAcceptance, "The execution is acknowledged and goes on; ask `statusUrl` for its end.", status: 202,
        links: Link.execution()),
    ],
    errors: [.notFound, .timeout, .conflict, .noAgents, .notReady])
  static let listExecutions = Operation(
    id: "listExecutions", summary: "Executions, newest first.", tag: .executions,
    parameters: [
      Parameter(name: "pattern", summary: "Those of this pattern.", schema: filterSchema),
      Parameter(name: "status", summary: "Those in this status.", schema: Schema.executionStatus.reference),
      Parameter(name: "since", summary: "Those created at this instant or later.", schema: instantSchema),
      Parameter(name: "until", summary: "Those created before this instant.", schema: instantSchema),
      limit(1...100, default: 20), offset(0...10_000),
      Parameter(
        name: "cursor", summary: "The `nextCursor` of another page.",
        schema: ["type": "string", "pattern": "^exec_[0-7][0-9a-hjkmnp-tv-z]{25}$"]),
    ],
    answers: [.json(.executionList, "A page of executions.")], errors: [.notReady])
  static let getExecution = Operation(
    id: "getExecution", summary: "One execution.", tag: .executions, parameters: [ifNoneMatch],
    answers: .conditional(.json(.execution, "The execution, with a tag once it has ended.")),
    errors: [.notFound, .notReady])
  static let cancelExecution = Operation(
    id: "cancelExecution", summary: "Cancel an execution that has not ended.", tag: .executions,
    answers: [.json(.cancellation, "The execution is cancelled.")], errors: [.notFound, .timeout, .conflict, .notReady])
  static let retryExecution = Operation(
    id: "retryExecution",
    summary: "Run one that failed, timed out or was cancelled again, as a new execution with the same definition, input and time-out.",
    tag: .executions,
    answers: [.json(.retry, "The new execution is acknowledged.", status: 202, links: Link.execution("newExecutionId"))],
    errors: [.notFound, .conflict, .notReady])

  // MARK: Patterns

  static let listPatterns = Operation(
    id: "listPatterns", summary: "The latest version of each pattern.", tag: .patterns,
    parameters: [
      Parameter(name: "search", summary: "Those whose name or description has this text.", schema: filterSchema),
      limit(1...100, default: 20), offset(0...10_000),
    ],
    answers: [.json(.patternList, "A page of patterns.")], errors: [.notReady])
  static let storePattern = Operation(
    id: "storePattern", summary: "Store a version of a pattern.", tag: .patterns,
    parameters: [
      Parameter(name: "dryRun", summary: "Check the definition, and store nothing.", schema: truthSchema)
    ],
    body: Body(isRequired: true, content: ["application/json": Schema.pattern.reference, "application/x-yaml": textSchema]),
    answers: [
      .json(.patternCreated, "The version existed and has this definition now, or nothing was to be stored."),
      .json(.patternCreated, "The version is new.", status: 201, links: Link.pattern),
    ], errors: [.notReady])
  static let getPattern = Operation(
    id: "getPattern", summary: "A pattern's definition.", tag: .patterns,
    parameters: [Parameter(name: "version", summary: "The version; the latest by default.", schema: versionSchema), ifNoneMatch],
    answers: .conditional(.json(.pattern, "The definition.")), errors: [.notFound, .notReady])

  static let patternVersions = Operation(
    id: "patternVersions", summary: "All versions of a pattern, the latest first.", tag: .patterns, parameters: [ifNoneMatch],
    answers: .conditional(.json(.patternVersions, "The definitions.")), errors: [.notFound, .notReady])

  // MARK: Agents

  static let listAgents = Operation(
    id: "listAgents", summary: "The agents of all nodes.", tag: .agents,
    parameters: [
      Parameter(name: "status", summary: "Those in this status.", schema: Schema.agentStatus.reference),
      Parameter(name: "capabilities", summary: "Those with all of these, separated by commas.", schema: textSchema),
      limit(1...1_000, default: 100), offset(0...10_000_000),
    ],
    answers: [.json(.agentList, "A page of agents, by id; metadata above 4 KiB is left out.")], errors: [.notReady])
  static let getAgent = Operation(
    id: "getAgent", summary: "One agent.", tag: .agents, answers: [.json(.agent, "The agent.")], errors: [.notFound, .notReady])
  static let disconnectAgent = Operation(
    id: "disconnectAgent", summary: "End an agent's connection; the agent may come back.", tag: .agents,
    answers: [.json(.agentDisconnected, "Whether the agent was connected.")], errors: [.notFound, .notReady])
  static let connectAgent = Operation(
    id: "connectAgent", summary: "The WebSocket of agents; docs/agent-protocol.md has its messages.", tag: .agents,
    answers: [Answer(status: 101, summary: "The connection is a WebSocket.")], errors: [.upgradeRequired, .notReady])

  // MARK: The cluster

  static let status = Operation(
    id: "getStatus", summary: "The members, the leader and its lease, as the answering node knows them.", tag: .cluster,
    answers: [.json(.status, "The status; `stale` while the store does not answer.")])
  static let diagnosis = Operation(
    id: "getDiagnosis",
    summary:
      "Examine the node, its Redis and its cluster: every check with its finding, the cause and the remedy. Takes some seconds if Redis "
      + "does not answer.",
    tag: .cluster, answers: [.json(.diagnosis, "The findings; `status` is the worst.")])
  static let stepDown = Operation(
    id: "stepDown", summary: "Have the leader hand over, to any member or to one of them.", tag: .cluster, body: .json(.stepDownRequest),
    answers: [.json(.handover, "Another node leads.")], errors: [.timeout, .conflict, .notReady])
  static let elect = Operation(
    id: "elect", summary: "Start an election; with `force`, end the present term.", tag: .cluster, body: .json(.electRequest),
    answers: [.json(.handover, "A node leads.")], errors: [.timeout, .conflict, .notReady])
  static let pause = Operation(
    id: "pauseElections", summary: "Have no node take over until elections are resumed.", tag: .cluster,
    answers: [.json(.pause, "Elections are paused.")], errors: [.timeout, .conflict, .notReady])
  static let resume = Operation(
    id: "resumeElections", summary: "Allow takeovers again.", tag: .cluster, answers: [.json(.pause, "Elections go on.")],
    errors: [.timeout, .conflict, .notReady])

  // MARK: Observation

  static let signpost = Operation(
    id: "getSignpost", summary: "The entry points; a browser is sent to the dashboard.", tag: .observation,
    answers: [
      .json(.signpost, "The entry points."),
      Answer(status: 302, summary: "To a client that accepts text/html.", headers: ["Location": "The dashboard."]),
    ])
  static let description = Operation(
    id: "getDescription", summary: "This description.", tag: .observation, parameters: [ifNoneMatch],
    answers: .conditional(Answer(status: 200, summary: "An OpenAPI 3.1 document.", content: ["application/json": ["type": "object"]])))
  static let activity = Operation(
    id: "getActivity", summary: "What each node did in the last quarter of an hour.", tag: .observation,
    answers: [.json(.activity, "The samples of each node.")])
  static let queues = Operation(
    id: "getQueues", summary: "The executions that the answering node drives, by capabilities, with the reason of their wait.",
    tag: .observation, answers: [.json(.queues, "The queues, the longest first.")])
  static let events = Operation(
    id: "getEvents", summary: "The cluster's events as they come, as Server-Sent Events.", tag: .observation,
    parameters: [
      Parameter(
        name: "channels", summary: "Some of \(ClusterEvent.Channel.allCases.map(\.rawValue).joined(separator: ", ")), separated by commas.",
        schema: ["type": "string", "pattern": "^(execution|agent|cluster)(,(execution|agent|cluster))*$"]),
      Parameter(name: "Last-Event-ID", isHeader: true, summary: "The id of the last event that was read.", schema: textSchema),
    ],
    answers: [Answer(status: 200, summary: "A stream without an end.", content: ["text/event-stream": textSchema])])

  static let debug = Operation(
    id: "getDebug", summary: "The answering node's configuration without its secrets, its memory, threads and open files.",
    tag: .observation, answers: [.json(.debug, "The configuration and the process.")])
  static let debugLog = Operation(
    id: "getDebugLog", summary: "Wait, and answer with what the node has logged at level debug and above meanwhile.", tag: .observation,
    parameters: [Parameter(name: "seconds", summary: "How long to wait.", schema: numberSchema(1...30, default: 5))],
    answers: [.json(.debugLog, "The first 5,000 lines.")], errors: [.notFound])

  // MARK: Probes

  static let health = Operation(
    id: "getHealth", summary: "The node's health, with the reason.", tag: .probes,
    answers: [.json(.health, "Healthy or degraded."), .json(.health, "Unhealthy.", status: 503)])
  static let metrics = Operation(
    id: "getMetrics", summary: "The node's metrics.", tag: .probes,
    answers: [
      Answer(
        status: 200, summary: "Prometheus' text format, or OpenMetrics to a client that prefers it.",
        content: ["text/plain": textSchema, "application/openmetrics-text": textSchema])
    ])

  // MARK: The dashboard

  static let getSession = Operation(
    id: "getSession", summary: "Who the caller is, and what it may do.", tag: .dashboard,
    answers: [.json(.session, "The caller; `scopes` is empty without valid credentials.")])
  static let logIn = Operation(
    id: "logIn", summary: "Keep the key of the request's `Authorization` in a cookie.", tag: .dashboard,
    answers: [Answer(status: 204, summary: "The cookie is set.", headers: ["Set-Cookie": "The session."])])
  static let logOut = Operation(
    id: "logOut", summary: "Forget the cookie.", tag: .dashboard,
    answers: [Answer(status: 204, summary: "The cookie is gone.", headers: ["Set-Cookie": "An empty session."])])

  // MARK: Parameters

  private static let ifNoneMatch = Parameter(
    name: "If-None-Match", isHeader: true, summary: "The tags, `ETag`, of the contents that the client has.", schema: textSchema)
  private static let filterSchema: JSONValue = ["type": "string", "minLength": 1]
  private static let versionSchema: JSONValue = ["type": "string", "minLength": 1]

  private static func limit(_ range: ClosedRange<Int>, default value: Int) -> Parameter {
    Parameter(name: "limit", summary: "The largest number of entries.", schema: numberSchema(range, default: value))
  }

  private static func offset(_ range: ClosedRange<Int>) -> Parameter {
    Parameter(name: "offset", summary: "The number of entries to leave out.", schema: numberSchema(range, default: 0))
  }
}

extension [Operation.Answer] {
  /// An answer with a tag, or 304 to a client that has its content.
  fileprivate static func conditional(_ answer: Operation.Answer) -> [Operation.Answer] {
    var answer = answer
    answer.headers["ETag"] = "The tag of the content."
    return [answer, Operation.Answer(status: 304, summary: "The client has the content.", headers: ["ETag": "Its tag."])]
  }
}
