import ParallaxAPI

extension ExecutionMachine {
  /// What the dispatcher has to do, in order.
  package enum Action: Sendable, Hashable {
    /// Call the store: create, update or restore, answered by `writeFinished`; or read, answered by `replace`, since the store has outcomes
    /// that this node has not read.
    case store(StoreCall)
    /// The agents for all slots are wanted; answered by `start`.
    case wantsAgents
    /// Another agent is wanted for a slot; answered by `retry`.
    case wantsAgent(slot: Int)
    /// The task is recorded: its agent may have it.
    case send(TaskRecord)
    /// The task's outcome is recorded: its agent may forget it.
    case acknowledge(TaskRecord)
    /// The task takes up none of its agent's places any more: the agent has answered, or never had it.
    case freed(TaskRecord)
    /// The task is no longer wanted; its agent may stop, and has its place free again when it says so.
    case withdraw(TaskRecord, reason: String)
    /// The execution is in the store: the request may be acknowledged.
    case accepted
    /// The execution is terminal in the store.
    case finished
    /// Another node owns the execution now, or it is gone: nothing more may be done about it here, but to record the outcomes that its
    /// agents gave and that were not acknowledged.
    case lost([TaskRecord])
  }
}
