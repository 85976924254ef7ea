package import ParallaxHA

/// A call of a node's ``StateStore`` as a value: a machine decides it, and the machine's driver makes it.
package enum StoreCall: Sendable, Hashable {
  /// Create an execution.
  case create(StoredExecution)
  /// Change an execution.
  case update(ExecutionChange)
  /// Write a whole execution, because the store has lost it or a part of it; `acknowledged` has the tasks whose results the store had.
  case restore(StoredExecution, acknowledged: Set<String>)
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
  /// Change the registration of an agent; the next change of this agent follows the answer.
  case changeAgent(String, AgentChange)
  /// Remove an agent.
  case removeAgent(String, epoch: Int64)
  /// Remove the registration of an agent at the caller's session that is not connected there.
  case checkAgent(String)
}

/// A change of an agent's registration; nil for each unchanged part.
package struct AgentChange: Sendable, Hashable {
  /// The epoch of the registration; the change has no effect on a later one.
  package var epoch: Int64
  package var capabilities: [String]?
  package var limit: Int?
  package var isConnected: Bool?

  package init(epoch: Int64, capabilities: [String]? = nil, limit: Int? = nil, isConnected: Bool? = nil) {
    self.epoch = epoch
    self.capabilities = capabilities
    self.limit = limit
    self.isConnected = isConnected
  }

  /// Both changes in one; of two registrations, only the later one's change counts.
  package func followed(by later: AgentChange) -> AgentChange {
    guard epoch == later.epoch else { return epoch < later.epoch ? later : self }
    return AgentChange(
      epoch: epoch, capabilities: later.capabilities ?? capabilities, limit: later.limit ?? limit,
      isConnected: later.isConnected ?? isConnected)
  }

  /// Changes a registration; returns false for one of another epoch.
  package func apply(to record: inout AgentRecord) -> Bool {
    guard record.epoch == epoch else { return false }
    record.capabilities = capabilities ?? record.capabilities
    record.maxConcurrentTasks = limit ?? record.maxConcurrentTasks
    record.isConnected = isConnected ?? record.isConnected
    return true
  }
}
