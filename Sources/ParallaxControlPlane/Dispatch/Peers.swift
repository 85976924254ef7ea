package import ParallaxHA
package import ParallaxState

/// How a node reaches the others; a node that runs alone reaches nobody.
package struct Peers: Sendable {
  /// Puts a message on its way to another node session.
  package var tell: @Sendable (NodeMessage, NodeSession) -> Void
  /// Tells everybody about an agent of this node.
  package var publish: @Sendable (AgentAnnouncement) -> Void
  /// Tells people how an execution stands.
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
