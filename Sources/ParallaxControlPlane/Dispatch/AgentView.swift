package import ParallaxAPI

/// The state of an agent at this node.
package struct AgentView: Sendable {
  package var isConnected: Bool
  package var isDraining: Bool
  package var activeTasks: Int
  package var tasksCompleted: Int
  package var lastSeen: Timestamp?
}
