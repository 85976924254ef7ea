public import ParallaxAPI

/// A task that the control plane gives to an agent.
public struct AgentTask: Sendable, Hashable {
  /// The id of the task, which belongs to one attempt: a repetition of the work has another one.
  public var id: String
  /// The id of the execution that the task belongs to.
  public var executionID: String
  /// The name of the pattern.
  public var patternName: String
  /// The version of the pattern.
  public var patternVersion: String
  /// The first capability of the pattern.
  public var capability: String
  /// The input of the execution.
  public var input: JSONValue
  /// The time that is left for the task at its arrival; the control plane counts it, and cancels the task at its end.
  public var timeout: Duration
  /// The priority of the execution.
  public var priority: ExecutionPriority

  /// Makes a task, for tests of its handler.
  ///
  /// - Parameters:
  ///   - id: The id of the task.
  ///   - executionID: The id of its execution.
  ///   - patternName: The name of the pattern.
  ///   - patternVersion: The version of the pattern; `1.0.0` by default.
  ///   - capability: The first capability of the pattern.
  ///   - input: The input of the execution.
  ///   - timeout: The time that is left; a minute by default.
  ///   - priority: The priority of the execution; normal by default.
  public init(
    id: String = "task_1", executionID: String = "exec_1", patternName: String = "pattern", patternVersion: String = "1.0.0",
    capability: String, input: JSONValue, timeout: Duration = .seconds(60), priority: ExecutionPriority = .normal
  ) {
    self.id = id
    self.executionID = executionID
    self.patternName = patternName
    self.patternVersion = patternVersion
    self.capability = capability
    self.input = input
    self.timeout = timeout
    self.priority = priority
  }

  init(_ task: ControlPlaneMessage.Task) {
    self.init(
      id: task.taskId, executionID: task.executionId, patternName: task.patternName, patternVersion: task.patternVersion,
      capability: task.capability, input: task.input, timeout: task.timeout.duration, priority: task.priority)
  }
}

/// What a handler makes of a task.
public struct AgentResult: Sendable, Hashable {
  /// The result, any JSON.
  public var value: JSONValue
  /// The agent's confidence in the result, 0 to 1, which votes are weighed by; nil uses the member `confidence` of an object.
  public var confidence: Double?

  /// Makes a result.
  ///
  /// - Parameters:
  ///   - value: The result, any JSON.
  ///   - confidence: The confidence, 0 to 1; nil, the default, uses the member `confidence` of an object.
  public init(_ value: JSONValue, confidence: Double? = nil) {
    self.value = value
    self.confidence = confidence
  }
}

/// The failure of a task, with the words that the execution shows.
///
/// A handler that throws another error fails its task with the code `FAILED` and the error's text, and may be repeated at another agent.
public struct AgentTaskFailure: Error, Sendable, Hashable {
  /// The code, for programs, such as `MODEL_OVERLOADED`.
  public var code: String
  /// The reason, for people.
  public var message: String
  /// Whether the task may succeed elsewhere or later: then it is repeated, as often as its pattern allows.
  public var isRetryable: Bool
  /// Any further details.
  public var details: JSONValue?

  /// Makes a failure.
  ///
  /// - Parameters:
  ///   - code: The code, for programs.
  ///   - message: The reason, for people.
  ///   - isRetryable: Whether the task may succeed elsewhere or later; true by default.
  ///   - details: Any further details; none by default.
  public init(code: String, message: String, isRetryable: Bool = true, details: JSONValue? = nil) {
    self.code = code
    self.message = message
    self.isRetryable = isRetryable
    self.details = details
  }
}
