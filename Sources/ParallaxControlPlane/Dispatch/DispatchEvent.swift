package import ParallaxAPI
package import ParallaxHA
package import ParallaxState

/// An event for a `DispatchMachine`, from callers, agents, other nodes, the store or the clock.
package enum DispatchEvent: Sendable {
  // MARK: Callers

  /// A caller submits an execution.
  ///
  /// `waits` if the caller wants the outcome, not only the acknowledgement; `isRepeatable` if the request has an idempotency key, so that
  /// the caller can repeat it.
  case submitted(Execution, WaiterID, waits: Bool, isRepeatable: Bool)
  /// A further caller asks for an execution; `waits` if the caller wants the outcome.
  case attached(WaiterID, to: String, waits: Bool)
  /// A caller has gone; its execution continues.
  case detached(WaiterID, from: String)
  /// A caller cancels an execution; nil if no caller waits for the cancellation.
  case cancelled(String, by: WaiterID?)
  /// The node stops, so waiting callers get the acknowledgement.
  case stopping

  // MARK: Agents

  /// An event of an agent, of this node or another.
  case agent(AgentEvent)
  /// An agent has sent the result of a task.
  case completed(AgentMessage.TaskResult, by: String, messageID: String?)
  /// An agent has sent the error of a task.
  case failed(AgentMessage.TaskError, by: String, messageID: String?)

  // MARK: Other nodes

  /// A message from another node session has arrived.
  case message(NodeMessage)
  /// The node is about to stop: executions without waiting callers here move to other node sessions.
  case handOver(to: [NodeSession])

  // MARK: The store

  /// The write of an execution under this epoch and revision has ended.
  case written(String, epoch: Int64, revision: Int64, UpdateOutcome)
  /// The store did not accept a new execution in time.
  case creationDelayed(String, APIError)
  /// The read of an execution has ended; nil if the store does not have the execution.
  case read(String, StoredExecution?)
  /// This version cannot read an execution; a node of a newer version continues it.
  case unreadable(String)
  /// A claim has ended; nil if there was nothing to claim.
  case claimed(String, from: NodeSession, StoredExecution?, cancels: Bool)
  /// This node is about to claim an execution of a lost session; `recovered` or `notRecovered` follows.
  case recovering(String)
  /// This node has claimed an execution of a lost session.
  case recovered(StoredExecution)
  /// The claim for a lost session has failed, or found nothing.
  case notRecovered(String)
  /// The recording of an outcome for an execution of another node has ended; the agent of the outcome gets an answer.
  case recorded(TaskRecord, execution: String, messageID: String?, RecordOutcome)
  /// The recording of an outcome has ended without effect: this version cannot read the execution.
  case unrecorded(TaskRecord, execution: String)
  /// The same as `recorded` for an outcome whose agent got its answer before.
  case recordedAgain(TaskRecord, execution: String, RecordOutcome)
  /// Another node has recorded an outcome for an execution of this node.
  case outcomeRecorded(of: String)
  /// An idempotency key was claimed.
  case keyClaimed(RecentWrites.Claim)
  /// The store may have lost the writes shortly before the instant of a new connection to it; nil if it may have lost everything.
  case storeReset(connectedAt: Duration?)
  /// The store has again what the last reset may have lost, apart from executions of this node.
  ///
  /// `number` is that of the restoration's recent writes.
  case restorationEnded(number: Int)

  // MARK: The clock

  /// The alarm for the next timer has fired.
  case timePassed
}

extension DispatchEvent {
  /// Whether an agent has sent an outcome, which it keeps until the acknowledgement.
  var isOutcome: Bool {
    switch self {
    case .completed, .failed: true
    default: false
    }
  }
}

/// An event of an agent, of this node or another.
package enum AgentEvent: Sendable {
  /// An agent of a former node session is likely to reconnect.
  case expected(String, epoch: Int64, home: NodeSession)
  /// An agent of this node has registered, for the first time or again.
  ///
  /// `activeTasks` are the tasks that the agent reported, nil if it cannot report them; `process` is its process, nil if it names none.
  case registered(String, epoch: Int64, capabilities: [String], limit: Int, activeTasks: [String]?, process: String? = nil)
  /// The registration of an unchanged agent was stored again, under a new epoch.
  case renewed(String, from: Int64, epoch: Int64)
  /// An agent could not register here for the store's sake, and is likely to try again.
  case turnedAway(String)
  /// The node is cut off from its store, so that no agent can register here, or no longer.
  case cutOff(Bool)
  /// The capabilities, the limit or the draining state of an agent have changed; nil for an unchanged one.
  case changed(String, epoch: Int64, capabilities: [String]?, limit: Int?, isDraining: Bool?)
  /// An agent's connection has ended; `graceful` if the agent sent `disconnect`.
  case left(String, epoch: Int64, graceful: Bool)
  /// A task waits in the session of its agent, which does not read.
  case deferred(task: String, at: String, epoch: Int64)
  /// A deferred task was not sent, because its deadline has passed.
  case dropped(task: String, at: String, epoch: Int64)
  /// A deferred task was sent.
  case sent(task: String, to: String, epoch: Int64)
  /// An agent has stopped a cancelled task.
  case stopped(task: String, by: String)
  /// An agent's heartbeat lists its tasks.
  case reported(String, epoch: Int64, tasks: [String])
  /// An agent has answered a ping, and so has read what was sent before it.
  case answered(ping: UInt64, by: String, epoch: Int64)
  /// The change of an agent's registration is stored, or has no effect any more.
  case changeEnded(String)
  /// The registrations of this node's agents as the store has them.
  case listedHere([AgentRecord])
  /// The registration of an agent that is not connected here was removed from the store.
  case removed(String, epoch: Int64)
  /// Another node has announced a change of its agents.
  case announced(AgentAnnouncement, from: NodeSession)
  /// All agents of another node session were read from the store; `before` is `agentEpochs(at:)` from before that read, because an agent
  /// announced since may be absent from it.
  case listed([AgentRecord], at: NodeSession, before: [String: Int64])
  /// A node session is lost; its agents are likely to reconnect elsewhere.
  case memberLost(NodeSession)
  /// The node stops, and asks its agents to go elsewhere.
  case sentAway
  /// The announcement of changed loads is due; now and then it contains all loads of this node's agents.
  case loadsDue
  /// Another node may have missed loads; the next announcement contains all.
  case loadsMissed
}
