import ParallaxAPI
package import ParallaxHA
package import ParallaxState

/// Decides the next step of one caller's wait for an execution that another node owns.
///
/// A value without a clock: `now` is the time on the node's monotonic clock. The wait asks the owner to report the end. The owner may be
/// lost, and so may the request or the report: the wait rereads the store every ``readInterval``, and asks again after ``askInterval``, or
/// at once if the owner has changed.
package struct ExecutionWait: Sendable {
  /// The outcome of a read of the execution.
  package enum Reading: Sendable {
    case failed(any Error)
    case missing
    case found(StoredExecution)
  }

  /// The step to take before the next read.
  package enum Step: Sendable {
    /// End the wait, with the execution or without.
    case end(StoredExecution?)
    /// Fail the wait: its first read failed.
    case fail(any Error)
    /// Wait at this node, which owns the execution and may drive it.
    case attach
    case ask([NodeMessage], NodeSession)
    case pause
  }

  /// The time between two reads of the store while no message arrives.
  static let readInterval: Duration = .seconds(1)
  /// The time between two requests to one owner.
  static let askInterval: Duration = .seconds(5)

  private let id: String
  private let session: NodeSession
  private let request: NodeMessage?
  private let deadline: Duration
  private var hasRead = false
  private var lastAsked: (owner: NodeSession, at: Duration)?

  /// Makes a wait before its first read.
  ///
  /// - Parameters:
  ///   - id: The execution.
  ///   - session: This node.
  ///   - request: A message that goes to each owner ahead of the request to report the end.
  ///   - deadline: The end of the wait, on the node's monotonic clock.
  package init(for id: String, at session: NodeSession, request: NodeMessage?, until deadline: Duration) {
    self.id = id
    self.session = session
    self.request = request
    self.deadline = deadline
  }

  /// Processes a read.
  ///
  /// Only a failure of the first read fails the wait, because the caller can then ask another node; a later failure leads to another read.
  package mutating func read(_ reading: Reading, at now: Duration) -> Step {
    defer { hasRead = true }
    switch reading {
    case .failed(let error): return hasRead ? .pause : .fail(error)
    case .missing: return .end(nil)
    case .found(let stored) where stored.execution.status.isTerminal: return .end(stored)
    case .found(let stored) where stored.execution.owner == session: return .attach
    case .found(let stored): return ask(stored.execution.owner, at: now)
    }
  }

  private mutating func ask(_ owner: NodeSession, at now: Duration) -> Step {
    // An owner that does not drive the execution answers at once: a request after each answer would never end.
    if let lastAsked, lastAsked.owner == owner, now - lastAsked.at < Self.askInterval { return .pause }
    lastAsked = (owner, now)
    return .ask((request.map { [$0] } ?? []) + [.watch(execution: id, watcher: session)], owner)
  }

  /// The latest time of the next read; nil at the deadline.
  package func nextRead(after now: Duration) -> Duration? {
    now < deadline ? min(now + Self.readInterval, deadline) : nil
  }
}
