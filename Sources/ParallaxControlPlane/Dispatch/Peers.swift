package import ParallaxHA
package import ParallaxState

/// The channels of a node to the other nodes; without effect by default, for a node that runs alone.
package struct Peers: Sendable {
  /// Sends a message to another node session.
  package var tell: @Sendable (NodeMessage, NodeSession) -> Void
  /// Announces a change of this node's agents to all nodes.
  package var publish: @Sendable (AgentAnnouncement) -> Void
  /// Publishes the status of an execution for its observers.
  package var publishStatus: @Sendable (Execution) -> Void

  package init(
    tell: @escaping @Sendable (NodeMessage, NodeSession) -> Void = { _, _ in },
    publish: @escaping @Sendable (AgentAnnouncement) -> Void = { _ in },
    publishStatus: @escaping @Sendable (Execution) -> Void = { _ in }
  ) {
    self.tell = tell
    self.publish = publish
    self.publishStatus = publishStatus
  }
}
