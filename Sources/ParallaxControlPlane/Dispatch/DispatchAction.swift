package import ParallaxAPI
package import ParallaxHA
package import ParallaxState

/// A caller that waits for an execution: a number that the driver gave.
package typealias WaiterID = UInt64

/// How the wait of a caller ends.
package enum Resolution: Sendable, Hashable {
  case finished(StoredExecution)
  case accepted(ExecutionAcceptance)
  case failed(APIError)
}

/// What the driver of a `DispatchMachine` has to do, in order.
package enum DispatchAction: Sendable {
  /// Call the store, until it has answered; the answer is an event.
  case store(StoreCall)
  /// Send to an agent of this node.
  case send(ControlPlaneMessage, to: String, inAnswerTo: String? = nil)
  /// End the wait of a caller; nil: this node does not drive the execution, or its outcome is decided.
  case resolve(WaiterID, Resolution?)
  /// For log and metrics: an execution has ended.
  case ended(StoredExecution)
  /// Tell another node session.
  case tell(NodeMessage, to: NodeSession)
  /// Tell all nodes about agents of this node.
  case publish(AgentAnnouncement)
  /// Tell people how an execution stands.
  case publishStatus(Execution)
  /// End the connection of an agent that has registered at another node.
  case agentMoved(String)
  /// Write again what the store may have lost of these and this node does not drive.
  case restore(RecentWrites)
}
