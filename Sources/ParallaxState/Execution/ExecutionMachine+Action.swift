import ParallaxAPI

extension ExecutionMachine {
  /// The actions that the dispatcher performs in order.
  package enum Action: Sendable, Hashable {
    /// Call the store: `writeFinished` answers a creation, an update or a restoration; `replace` answers a read, which the store requests
    /// while it has unread outcomes.
    case store(StoreCall)
    /// Request agents for all slots; `start` answers.
    case wantsAgents
    /// Request another agent for a slot; `retry` answers.
    case wantsAgent(slot: Int)
    /// Send a recorded task to its agent.
    case send(TaskRecord)
    /// Acknowledge the recorded outcome of a task to its agent.
    case acknowledge(TaskRecord)
    /// Free the place of the task at its agent, which has answered or never received the task.
    case freed(TaskRecord)
    /// Withdraw the task; the report of its agent frees the place.
    case withdraw(TaskRecord, reason: String)
    /// Acknowledge the request, whose execution is stored.
    case accepted
    /// Report the stored end of the execution.
    case finished
    /// Release the execution, which another node owns or which the store does not take (`isBarred`), and record the unacknowledged outcomes
    /// of its agents.
    case lost([TaskRecord], isBarred: Bool)
  }
}
