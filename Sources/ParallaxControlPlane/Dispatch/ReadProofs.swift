/// The tasks that an agent may not have read yet, of which its heartbeats therefore say nothing.
///
/// A heartbeat may have been written before the task, and have waited while its node was paused. A task counts as read once the agent lists
/// it, or answers a ping that followed the task on its connection: WebSocket libraries answer in order. At an agent that answers no pings
/// a task counts as read after a time.
struct ReadProofs: Sendable {
  private enum State: Sendable {
    /// The task waits in the agent's session.
    case waiting
    case sent(at: Duration)
    case pinged(UInt64, sentAt: Duration)
  }

  /// The time after which a task counts as read at an agent that has answered no ping.
  static let patience = Duration.seconds(30)

  private var unread: [String: State] = [:]
  private var lastPing: UInt64 = 0
  private var hasAnswered = false

  /// Records that a task was sent.
  mutating func sent(_ task: String, at now: Duration) { unread[task] = .sent(at: now) }

  /// Records that a task waits in the agent's session; `sent` follows, or the task is not sent.
  mutating func waits(_ task: String) { unread[task] = .waiting }

  /// Forgets a task that takes no place.
  mutating func forget(_ task: String) { unread[task] = nil }

  /// Records the answer to a ping.
  mutating func answered(_ ping: UInt64) {
    guard ping <= lastPing else { return }
    hasAnswered = true
    unread = unread.filter { _, state in
      if case .pinged(let number, _) = state { number > ping } else { true }
    }
  }

  /// Records a list of tasks, and returns those of `others` of which it says nothing.
  mutating func listed(_ tasks: Set<String>, others: Set<String>, at now: Duration) -> Set<String> {
    for task in tasks { unread[task] = nil }
    return others.filter { task in
      switch unread[task] {
      case nil: false
      case .waiting: true
      case .sent(let sentAt), .pinged(_, let sentAt): hasAnswered || now - sentAt < Self.patience
      }
    }
  }

  /// Returns the number of a ping whose answer proves that the agent has read a task; nil if such a ping was sent.
  mutating func ping(for task: String) -> UInt64? {
    if case .sent = unread[task] { nextPing() } else { nil }
  }

  /// Returns the number of a ping for these tasks although one may have been sent, since that may have been lost; nil if the agent has read
  /// them.
  mutating func pingAgain(for tasks: Set<String>) -> UInt64? {
    tasks.contains { unread[$0] != nil } ? nextPing() : nil
  }

  /// Returns the number of the first ping, which tells whether the agent answers pings; nil if it was sent.
  mutating func firstPing() -> UInt64? {
    lastPing == 0 ? nextPing() : nil
  }

  private mutating func nextPing() -> UInt64 {
    lastPing += 1
    for case (let task, .sent(let sentAt)) in unread { unread[task] = .pinged(lastPing, sentAt: sentAt) }
    return lastPing
  }
}
