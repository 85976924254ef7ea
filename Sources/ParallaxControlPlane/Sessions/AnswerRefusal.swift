import ParallaxAPI
import ParallaxState

/// Why a message fails its task.
enum AnswerRefusal {
  case tooLarge
  case invalid

  /// The failure of a task; retryable in any case if the answer may be that of another task.
  func failure(of task: UnansweredTasks.Task, _ message: String, isCertain: Bool = true) -> AgentMessage.TaskError {
    switch self {
    case .tooLarge:
      // Another agent may take larger tasks, or have a smaller result.
      AgentMessage.TaskError(
        taskId: task.id, executionId: task.executionID, error: ExecutionFailure(code: "MESSAGE_TOO_LARGE", message: message),
        retryable: true)
    case .invalid:
      AgentMessage.TaskError(
        taskId: task.id, executionId: task.executionID, error: AgentSessionMachine.invalidResult(message), retryable: !isCertain)
    }
  }
}
