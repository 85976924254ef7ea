public import ParallaxAPI
public import ParallaxHA

/// A message from one node session to another.
///
/// Delivery is at least once, in order for each sender; receivers tolerate repeats. A message can be lost together with its receiver: the
/// sender reconciles when it learns of the lost member.
public enum NodeMessage: Sendable, Hashable {
  /// Deliver a task to an agent that is connected to the receiver.
  ///
  /// `deadline`, by the store's clock, bounds the time that is left for the task, however late the message comes; nil if the sender did not
  /// say.
  case deliver(ControlPlaneMessage.Task, agent: String, owner: NodeSession, deadline: Timestamp? = nil)
  /// Cancel a task at an agent that is connected to the receiver.
  case withdraw(ControlPlaneMessage.TaskCancelled, agent: String)
  /// Read the recorded outcome of a task, whose execution the receiver owns.
  case recorded(execution: String, task: String)
  /// Cancel an execution that the receiver owns, on behalf of a caller of the sender.
  case cancel(execution: String)
  /// Take an execution over from `owner`, because the receiver has agents for it or `owner` is stopping.
  case adopt(execution: String, owner: NodeSession)
  /// The sender has taken over an execution of the receiver.
  case adopted(execution: String)
  /// The sender was asked to take over an execution that the store does not have.
  case declined(execution: String)
  /// Report to `watcher`, with `ended`, when an execution of the receiver has ended.
  case watch(execution: String, watcher: NodeSession)
  /// An execution has ended, or the sender does not own it: waiting callers reread it.
  case ended(execution: String)
  /// Disconnect an agent that is connected to the receiver, on behalf of an operator.
  case disconnect(agent: String)
}

/// Stores the messages between node sessions, in one bounded inbox for each session.
///
/// An inbox never drops a message: a full one refuses messages. The conformance suite `InboxConformance` checks an implementation.
public protocol InboxStore: Sendable {
  /// Appends messages to a session's inbox in order: all of them, or none if the inbox has no room for all.
  ///
  /// - Returns: Whether the inbox has accepted the messages.
  /// - Throws: Any error if the outcome is unknown; a repeat may then append the messages twice.
  func send(_ messages: [NodeMessage], to session: NodeSession) async throws -> Bool

  /// Passes the messages of a session's inbox to `handle`, oldest first and at most `limit` at a time, until the task is cancelled.
  ///
  /// The store removes messages after `handle` has returned, and before it passes the next ones. If `handle` does not return, the next
  /// `receive` begins with the same messages. An outage of the store does not end the call. A session has one receiver at a time.
  ///
  /// - Throws: The error of `handle`, or `CancellationError`.
  func receive(
    at session: NodeSession, limit: Int, _ handle: @Sendable ([ReceivedNodeMessage]) async throws -> Void
  ) async throws

  /// Removes the inbox of a lost session, with its messages; idempotent.
  func removeInbox(of session: NodeSession) async throws
}

/// A message with its position in the inbox.
public struct ReceivedNodeMessage: Sendable, Hashable {
  /// The position in the inbox, in a format of the store.
  public var position: String
  /// The message; nil if this version cannot read it.
  ///
  /// The receiver logs an unreadable message and skips it.
  public var message: NodeMessage?

  /// Makes a received message.
  public init(position: String, message: NodeMessage?) {
    self.position = position
    self.message = message
  }
}
