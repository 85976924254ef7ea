import ParallaxAPI

/// A named schema of the description.
enum Schema: String, Sendable, CaseIterable {
  case error = "Error"
  case signpost = "Signpost"
  case executeRequest = "ExecuteRequest"
  case execution = "Execution"
  case executionStatus = "ExecutionStatus"
  case executionAcceptance = "ExecutionAcceptance"
  case executionList = "ExecutionList"
  case cancellation = "Cancellation"
  case retry = "Retry"
  case failure = "Failure"
  case pattern = "Pattern"
  case patternList = "PatternList"
  case patternCreated = "PatternCreated"
  case patternVersions = "PatternVersions"
  case agent = "Agent"
  case agentStatus = "AgentStatus"
  case agentList = "AgentList"
  case agentDisconnected = "AgentDisconnected"
  case status = "ClusterStatus"
  case diagnosis = "Diagnosis"
  case stepDownRequest = "StepDownRequest"
  case electRequest = "ElectRequest"
  case handover = "Handover"
  case pause = "Pause"
  case health = "Health"
  case activity = "Activity"
  case queues = "Queues"
  case session = "Session"
  case debug = "Debug"
  case debugLog = "DebugLog"

  var reference: JSONValue { ["$ref": .string("#/components/schemas/\(rawValue)")] }
}

// MARK: - Building blocks

/// Members of an object: those that it always has, and those that it may lack.
func objectSchema(_ required: [String: JSONValue], optional: [String: JSONValue] = [:], isClosed: Bool = false) -> JSONValue {
  var schema: [String: JSONValue] = ["type": "object", "properties": .object(required.merging(optional) { $1 })]
  if !required.isEmpty { schema["required"] = .array(required.keys.sorted().map { .string($0) }) }
  // Requests are strict; answers may gain members.
  if isClosed { schema["additionalProperties"] = false }
  return .object(schema)
}

func arraySchema(_ items: JSONValue) -> JSONValue { ["type": "array", "items": items] }
func mapSchema(_ values: JSONValue) -> JSONValue { ["type": "object", "additionalProperties": values] }
func choiceSchema(_ values: [String]) -> JSONValue { ["type": "string", "enum": .array(values.map { .string($0) })] }
func nullable(_ type: String, _ more: [String: JSONValue] = [:]) -> JSONValue {
  .object(more.merging(["type": [.string(type), "null"]]) { $1 })
}
func orNull(_ schema: JSONValue) -> JSONValue { ["anyOf": [schema, ["type": "null"]]] }
func numberSchema(_ range: ClosedRange<Int>, default value: Int? = nil) -> JSONValue {
  var schema: [String: JSONValue] = [
    "type": "integer", "minimum": .integer(Int64(range.lowerBound)), "maximum": .integer(Int64(range.upperBound)),
  ]
  schema["default"] = value.map { .integer(Int64($0)) }
  return .object(schema)
}

let textSchema: JSONValue = ["type": "string"]
let truthSchema: JSONValue = ["type": "boolean"]
let countSchema: JSONValue = ["type": "integer", "minimum": 0]
let instantSchema: JSONValue = ["type": "string", "format": "date-time"]
let millisecondsSchema: JSONValue = ["type": "integer", "description": "Milliseconds."]
/// Any JSON value.
let anySchema: JSONValue = [:]
/// The term that the caller knows.
let termSchema = nullable("integer", ["format": "int64", "minimum": .integer(.min), "maximum": .integer(.max)])
/// A duration in a request, 1 ms to 1 d.
let timeoutSchema: JSONValue = [
  "description": "Milliseconds, or a text such as 30s, 500ms or 1m30s.",
  "anyOf": [numberSchema(1...86_400_000), ["type": "string", "pattern": "^([1-9][0-9]{0,3}s|[1-9][0-9]{0,6}ms)$"]],
]
