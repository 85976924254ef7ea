package import ParallaxAPI
package import ParallaxHA
package import ParallaxState

/// What a `DispatchMachine` is told: by callers, agents, other nodes, the store, and the clock.
package enum DispatchEvent: Sendable {
  // MARK: Callers

  /// A caller submits an execution.
  ///
  /// `waits`: it wants the outcome, not only the acknowledgement. `isRepeatable`: it can ask again by an idempotency key.
  case submitted(Execution, WaiterID, waits: Bool, isRepeatable: Bool)
  /// A further caller wants to know of an execution.
  case attached(WaiterID, to: String, waits: Bool)
  /// A caller has gone; its execution goes on.
  case detached(WaiterID, from: String)
  /// A caller cancels an execution; nil: nobody waits for that.
  case cancelled(String, by: WaiterID?)
  /// The node stops: callers that still wait are told where to look for the outcome.
  case stopping

  // MARK: Agents

  /// Something about an agent of this node or of another one.
  case agent(AgentEvent)
  /// An agent gave a task's result.
  case completed(AgentMessage.TaskResult, by: String, messageID: String?)
  /// An agent could not do a task.
  case failed(AgentMessage.TaskError, by: String, messageID: String?)

  // MARK: Other nodes

  /// Another node session asks for something or tells something.
  case message(NodeMessage)
  /// The node is about to stop: executions that nobody waits for here go to other node sessions.
  case handOver(to: [NodeSession])

  // MARK: The store

  /// The write of an execution under this epoch and revision has ended.
  case written(String, epoch: Int64, revision: Int64, UpdateOutcome)
  /// The store does not take a new execution in time.
  case creationDelayed(String, APIError)
  /// An execution was read; nil: the store does not have it.
  case read(String, StoredExecution?)
  /// This version cannot read an execution: a node that can goes on with it.
  case unreadable(String)
  /// A claim has ended; nil: there was nothing to take over.
  case claimed(String, from: NodeSession, StoredExecution?, cancels: Bool)
  /// This node has claimed an execution of a lost session.
  case recovered(StoredExecution)
  /// The record of an outcome for an execution that this node does not drive has ended; its agent is answered.
  case recorded(TaskRecord, execution: String, messageID: String?, RecordOutcome)
  /// As `recorded`, for an outcome whose agent was answered before.
  case recordedAgain(TaskRecord, execution: String, RecordOutcome)
  /// Another node has recorded an outcome for an execution of this node.
  case outcomeRecorded(of: String)
  /// An idempotency key was claimed.
  case keyClaimed(RecentWrites.Claim)
  /// The store may have lost what was written last before a connection to it was made; nil: it may have lost everything.
  case storeReset(connectedAt: Duration?)
  /// All that the last reset may have cost is in the store again.
  case restorationEnded

  // MARK: The clock

  /// An alarm rang: what is due is done.
  case timePassed
}

/// What a node is told about agents, its own and those of other nodes.
package enum AgentEvent: Sendable {
  /// An agent that was connected to a former node session is likely to come back.
  case expected(String, epoch: Int64, home: NodeSession)
  /// An agent of this node is registered, newly or again.
  ///
  /// `activeTasks`: what it says it still has; nil: it cannot tell.
  case registered(String, epoch: Int64, capabilities: [String], limit: Int, activeTasks: [String]?)
  /// An agent's registration was stored once more; nothing about the agent has changed.
  case renewed(String, from: Int64, epoch: Int64)
  /// An agent changed what it can do, how many tasks it takes, or whether it takes any; nil: as before.
  case changed(String, epoch: Int64, capabilities: [String]?, limit: Int?, isDraining: Bool?)
  /// An agent's connection has ended; `graceful`: the agent said good-bye.
  case left(String, epoch: Int64, graceful: Bool)
  /// An agent has stopped a task that was cancelled.
  case stopped(task: String, by: String)
  /// An agent tells which tasks it has.
  case reported(String, epoch: Int64, tasks: [String])
  /// The registration of an agent that is not connected here was taken off the store.
  case removed(String, epoch: Int64)
  /// Another node announces something about its agents.
  case announced(AgentAnnouncement, from: NodeSession)
  /// All agents of another node session were read from the store; `before`: what `agentEpochs(at:)` gave before they were read, as an agent
  /// that was announced since need not be among them.
  case listed([AgentRecord], at: NodeSession, before: [String: Int64])
  /// A node session is lost: its agents are likely to come back elsewhere.
  case memberLost(NodeSession)
  /// The loads of this node's agents are to be announced, those that changed, and now and then all.
  case loadsDue
  /// Another node may have missed some loads: the next announcement has all.
  case loadsMissed
}
