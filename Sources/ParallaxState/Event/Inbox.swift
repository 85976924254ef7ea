public import ParallaxAPI
public import ParallaxHA

/// What one node session tells another.
///
/// Delivery is at least once and in order per sender; the receiver does nothing twice that must be done once. A message that is
/// lost with its receiver is made up for by its sender, who reconciles when a member is lost.
public enum NodeMessage: Sendable, Hashable {
  /// For an agent that is connected to the receiver: a task, or the end of one.
  case deliver(ControlPlaneMessage.Task, agent: String, owner: NodeSession)
  /// For an agent that is connected to the receiver: its task is no longer wanted.
  case withdraw(ControlPlaneMessage.TaskCancelled, agent: String)
  /// The outcome of a task is in the store; the receiver owns its execution.
  case recorded(execution: String, task: String)
  /// Somebody asked the sender to cancel an execution that the receiver owns.
  case cancel(execution: String)
  /// The receiver is to take an execution over from `owner`: it has the agents for it, or the owner is stopping.
  case adopt(execution: String, owner: NodeSession)
  /// The sender owns an execution now that the receiver owned.
  case adopted(execution: String)
  /// The sender wants to hear when an execution ends that the receiver owns; answered by `ended`.
  case watch(execution: String, watcher: NodeSession)
  /// An execution has ended, or is none of the sender's: whoever waits for it looks it up.
  case ended(execution: String)
  /// For an agent that is connected to the receiver: an operator ends its connection.
  case disconnect(agent: String)
}

/// The messages between node sessions: an inbox per session, bounded, with nothing dropped unread.
///
/// The conformance suite `InboxConformance` states what an implementation has to do.
public protocol InboxStore: Sendable {
  /// Puts messages into a session's inbox, all of them and in order; false if it has no room for all, and none was put.
  ///
  /// When it throws, the messages may have been put or not; sending them again may put them twice.
  func send(_ messages: [NodeMessage], to session: NodeSession) async throws -> Bool

  /// Hands what comes into a session's inbox to `handle`, oldest first and at most `limit` messages at a time, until the task is
  /// cancelled.
  ///
  /// When `handle` returns, its messages are taken out for good, before the next are handed to it. What it did not return for is handed out
  /// again, first of all, by the next `receive`. An outage of the store is waited out. A session has one receiver at a time.
  ///
  /// - Throws: What `handle` throws, or `CancellationError`.
  func receive(
    at session: NodeSession, limit: Int, _ handle: @Sendable ([ReceivedNodeMessage]) async throws -> Void
  ) async throws

  /// Removes an inbox with what is in it: its session is gone. Idempotent.
  func removeInbox(of session: NodeSession) async throws
}

/// A message with its place in the inbox.
public struct ReceivedNodeMessage: Sendable, Hashable {
  /// Where it stands in the inbox, in a form of the store's own.
  public var position: String
  /// Nil if this version cannot read it; to be reported, and taken out like any other.
  public var message: NodeMessage?

  /// Makes a received message.
  public init(position: String, message: NodeMessage?) {
    self.position = position
    self.message = message
  }
}
