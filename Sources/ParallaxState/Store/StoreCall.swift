package import ParallaxHA

/// A call of a node's ``StateStore`` as a value: a machine decides it, and whoever drives the machine makes it.
package enum StoreCall: Sendable, Hashable {
  /// Create an execution.
  case create(StoredExecution)
  /// Change an execution.
  case update(ExecutionChange)
  /// Write an execution as a whole, as the store has lost of it.
  case restore(StoredExecution)
  /// Read an execution again: others may have changed or claimed it, or recorded something.
  case read(String)
  /// Take an execution that has ended off its owner's list.
  case release(String, owner: NodeSession)
  /// Claim an execution from a session, which the caller may be itself; `cancels`: somebody wants it cancelled after that.
  case claim(String, from: NodeSession, cancels: Bool)
  /// Take an execution off the caller's list unless the caller owns it.
  case unlist(String)
  /// Record how a task ended whose execution the caller does not drive, tell the owner, and answer the agent.
  case record(TaskRecord, execution: String, messageID: String?)
  /// Change what an agent can do and how many tasks it takes; nil leaves as is.
  case changeAgent(String, epoch: Int64, capabilities: [String]?, limit: Int?)
  /// Mark an agent as not connected.
  case disconnectAgent(String, epoch: Int64)
  /// Remove an agent.
  case removeAgent(String, epoch: Int64)
  /// Remove an agent that the store lists for the caller and that is not connected there.
  case checkAgent(String)
}
