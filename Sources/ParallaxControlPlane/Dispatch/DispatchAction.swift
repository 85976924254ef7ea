package import ParallaxAPI
package import ParallaxHA
package import ParallaxState

/// The number of a waiting caller, assigned by the driver.
package typealias WaiterID = UInt64

/// The result of a caller's wait.
package enum Resolution: Sendable, Hashable {
  case finished(StoredExecution)
  case accepted(ExecutionAcceptance)
  case failed(APIError)
}

/// An action for the driver of a `DispatchMachine`, which performs actions in order.
package enum DispatchAction: Sendable {
  /// Call the store until it answers; the answer is an event.
  case store(StoreCall)
  /// Send a message to an agent of this node.
  case send(ControlPlaneMessage, to: String, inAnswerTo: String? = nil)
  /// Send a numbered ping to an agent of this node, after all earlier messages; its answer is an event.
  case ping(UInt64, to: String)
  /// End the wait of a caller; nil if this node does not drive the execution, or if its outcome is decided.
  case resolve(WaiterID, Resolution?)
  /// Log and count the end of an execution.
  case ended(StoredExecution)
  /// Send a message to another node session.
  case tell(NodeMessage, to: NodeSession)
  /// Announce a change of this node's agents to all nodes.
  case publish(AgentAnnouncement)
  /// Publish the status of an execution for its observers.
  case publishStatus(Execution)
  /// End the connection of an agent that has registered at another node.
  case agentMoved(String)
  /// End the connection of an agent, which returns and sends its unacknowledged outcomes again.
  case reconnect(String)
  /// Rewrite those of these writes that the store may have lost; executions of this node are not among them.
  case restore(RecentWrites)
}
