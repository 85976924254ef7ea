package import ParallaxHA

/// A call of a node's ``StateStore`` as a value: a machine decides it, and the machine's driver makes it.
package enum StoreCall: Sendable, Hashable {
  /// Create an execution.
  case create(StoredExecution)
  /// Change an execution.
  case update(ExecutionChange)
  /// Write a whole execution, because the store has lost it or a part of it.
  case restore(StoredExecution)
  /// Reread an execution, because others may have changed or claimed it, or recorded an outcome.
  case read(String)
  /// Remove an ended execution from its owner's list.
  case release(String, owner: NodeSession)
  /// Claim an execution from a session, which may be the caller itself; `cancels` if the execution is to be cancelled after the claim.
  case claim(String, from: NodeSession, cancels: Bool)
  /// Remove an execution from the caller's list, unless the caller owns it.
  case unlist(String)
  /// Record the outcome of a task whose execution the caller does not drive, notify the owner, and answer the agent.
  case record(TaskRecord, execution: String, messageID: String?)
  /// Change the capabilities and the limit of an agent; nil for an unchanged one.
  case changeAgent(String, epoch: Int64, capabilities: [String]?, limit: Int?)
  /// Mark an agent as not connected.
  case disconnectAgent(String, epoch: Int64)
  /// Remove an agent.
  case removeAgent(String, epoch: Int64)
  /// Remove the registration of an agent at the caller's session that is not connected there.
  case checkAgent(String)
}
