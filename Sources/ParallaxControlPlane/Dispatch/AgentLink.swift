package import ParallaxAPI

/// The way to a connected agent; usable from any thread.
package protocol AgentLink: AnyObject, Sendable {
  /// When the agent was last heard of.
  var lastSeen: Timestamp { get }

  /// Sends, behind what was sent before.
  func send(_ message: ControlPlaneMessage, inAnswerTo id: String?)

  /// Another connection has registered under the agent's id: this one is to end.
  func replace()

  /// The store has lost its data: the agent's registration is to be stored once more.
  func registerAnew()

  /// Ends the connection for good, as far as this side is concerned.
  func end(_ reason: String)

  /// Ends the connection because the node stops; the agent is to come back, here or elsewhere.
  func restart(_ reason: String)
}
