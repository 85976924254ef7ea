package import ParallaxAPI

/// The way to an agent's session; usable from any thread, and without effect once the connection has ended.
///
/// What is asked is done in the order of the calls.
package protocol AgentLink: Sendable {
  /// When the agent last gave a sign of life; nil once the connection has ended.
  var lastSeen: Timestamp? { get }

  /// Sends a message.
  func send(_ message: ControlPlaneMessage, inAnswerTo id: String?)

  /// Tells how the storing of the agent's registration ended: under which epoch, or why not.
  func registrationEnded(_ outcome: Result<Int64, any Error>)

  /// Ends the connection, as another one has registered under the agent's id.
  func replace()

  /// Has the agent's registration stored once more, as the store has lost its data.
  func registerAnew()

  /// Ends the connection for good, as far as this side is concerned.
  func end(_ reason: String)

  /// Ends the connection because the node stops; the agent is to come back, here or elsewhere.
  func restart(_ reason: String)
}
