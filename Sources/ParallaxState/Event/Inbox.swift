package import ParallaxAPI
package import ParallaxHA

/// What one node session tells another.
///
/// Delivery is at least once and in order per sender; the receiver does nothing twice that must be done once. A message that is
/// lost with its receiver is made up for by its sender, who reconciles when a member is lost.
package enum NodeMessage: Sendable, Hashable, Codable {
  /// For an agent that is connected to the receiver: a task, or the end of one.
  case deliver(ControlPlaneMessage.Task, agent: String, owner: NodeSession)
  case withdraw(ControlPlaneMessage.TaskCancelled, agent: String)
  /// The outcome of a task is in the store; the receiver owns its execution.
  case recorded(execution: String, task: String)
  /// Somebody asked the sender to cancel an execution that the receiver owns.
  case cancel(execution: String)
}

/// The messages between node sessions: an inbox per session, bounded, with nothing dropped unread.
package protocol InboxStore: Sendable {
  /// Puts messages into a session's inbox, in order; false if it is full, and nothing was put.
  func send(_ messages: [NodeMessage], to session: NodeSession) async throws -> Bool

  /// Waits up to `timeout` for messages in a session's inbox and returns up to `limit` of them, oldest first; empty if none came.
  /// What was received before and not acknowledged is returned again by the first call of a process.
  func receive(at session: NodeSession, limit: Int, timeout: Duration) async throws -> [ReceivedNodeMessage]

  /// Takes messages out for good.
  func acknowledge(_ messages: [ReceivedNodeMessage], at session: NodeSession) async throws

  /// Removes an inbox with what is in it: its session is gone. Idempotent.
  func removeInbox(of session: NodeSession) async throws
}

/// A message with its place in the inbox.
package struct ReceivedNodeMessage: Sendable, Hashable {
  package var position: String
  /// Nil if this version cannot read it; to be acknowledged and reported.
  package var message: NodeMessage?

  package init(position: String, message: NodeMessage?) {
    self.position = position
    self.message = message
  }
}
