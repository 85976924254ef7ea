/// Decides when to connect and what to log: the life of one connection with all its replacements.
///
/// `idle → connecting → connected → waiting → connecting …`, and from every state `→ ended`. Randomness is an argument.
struct ReconnectionStateMachine {
  enum Action: Equatable {
    case connect
    /// Wait, then call ``ReconnectionStateMachine/waited()``.
    case wait(Duration)
    case end
  }

  /// A log entry: an outage is logged once per cause, not once per attempt.
  enum Announcement: Equatable {
    case none
    case outage(RedisError)
    case recovered(attempts: Int, outage: Duration)
  }

  private enum State: Equatable {
    case idle  // → connecting, ended
    case connecting  // → connected, waiting, ended
    case connected(at: Duration)  // → waiting, ended
    case waiting  // → connecting, ended
    case ended
  }

  private let backoff: RedisConfiguration.Backoff
  private var state = State.idle
  /// The failures since a connection last lasted for the longest wait.
  private var failures = 0
  /// The failed attempts of this outage.
  private var attempts = 0
  private var outageBegan: Duration?
  private var announced: Set<RedisError.Code> = []

  init(backoff: RedisConfiguration.Backoff) {
    self.backoff = backoff
  }

  mutating func start() -> Action {
    guard case .idle = state else { preconditionFailure("started in state \(state)") }
    state = .connecting
    return .connect
  }

  mutating func connected(now: Duration) -> Announcement {
    switch state {
    case .connecting:
      state = .connected(at: now)
      guard let began = outageBegan else { return .none }
      let recovered = Announcement.recovered(attempts: attempts + 1, outage: now - began)
      outageBegan = nil
      attempts = 0
      announced = []
      return recovered
    case .ended: return .none
    case .idle, .connected, .waiting: preconditionFailure("connected in state \(state)")
    }
  }

  /// Handles a failed attempt.
  ///
  /// - Parameters:
  ///   - error: The reason.
  ///   - now: The time on a monotonic clock.
  ///   - random: A number in `0..<1` that sets the wait between zero and the ceiling.
  /// - Returns: The next action, and the log entry.
  mutating func failed(_ error: RedisError, now: Duration, random: Double) -> (Action, Announcement) {
    switch state {
    case .connecting:
      attempts += 1
      return wait(error, now: now, random: random)
    case .ended: return (.end, .none)
    case .idle, .connected, .waiting: preconditionFailure("failed to connect in state \(state)")
    }
  }

  /// Handles the loss of the connection.
  ///
  /// - Parameters:
  ///   - error: The reason.
  ///   - now: The time on a monotonic clock.
  ///   - random: A number in `0..<1` that sets the wait between zero and the ceiling.
  /// - Returns: The next action, and the log entry.
  mutating func lost(_ error: RedisError, now: Duration, random: Double) -> (Action, Announcement) {
    switch state {
    case .connected(let since):
      // A connection that breaks immediately must not be retried in a tight loop.
      if now - since >= backoff.maximum { failures = 0 }
      return wait(error, now: now, random: random)
    case .ended: return (.end, .none)
    case .idle, .connecting, .waiting: preconditionFailure("lost a connection in state \(state)")
    }
  }

  mutating func waited() -> Action {
    switch state {
    case .waiting:
      state = .connecting
      return .connect
    case .ended: return .end
    case .idle, .connecting, .connected: preconditionFailure("waited in state \(state)")
    }
  }

  mutating func end() {
    state = .ended
  }

  private mutating func wait(_ error: RedisError, now: Duration, random: Double) -> (Action, Announcement) {
    let ceiling = min(backoff.maximum, backoff.base * (1 << min(failures, 20)))
    failures += 1
    state = .waiting
    if outageBegan == nil { outageBegan = now }
    let announcement: Announcement = announced.insert(error.code).inserted ? .outage(error) : .none
    return (.wait(ceiling * random), announcement)
  }
}
