package import ParallaxAPI

/// The link to an agent's session; usable from any thread, and without effect once the connection has ended.
///
/// Operations take effect in the order of the calls.
package protocol AgentLink: Sendable {
  /// The time of the agent's last sign of life; nil once the connection has ended.
  var lastSeen: Timestamp? { get }

  /// Sends a message.
  func send(_ message: ControlPlaneMessage, inAnswerTo id: String?)

  /// Sends a numbered ping behind all earlier messages, those excepted that wait for the agent to read.
  func ping(_ number: UInt64)

  /// Reports the outcome of storing the agent's registration: its epoch, or the error; calls `orElse` if the session is gone.
  func registrationEnded(_ outcome: Result<Int64, any Error>, orElse: @escaping @Sendable () -> Void)

  /// Ends the connection, because another one has registered under the agent's id.
  func replace()

  /// Stores the agent's registration again, because the store has lost it.
  func registerAnew()

  /// Ends the connection without asking the agent to reconnect.
  func end(_ reason: String)

  /// Ends the connection because the node stops; the agent should reconnect, here or elsewhere.
  func restart(_ reason: String)
}
