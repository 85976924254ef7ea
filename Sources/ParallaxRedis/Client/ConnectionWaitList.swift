import NIOCore

/// Whether a connection is there, and the callers that wait for it, each until its deadline.
///
/// A pure value, generic so that tests need no connections.
struct ConnectionWaitList<Connection, Waiter> {
  enum Answer {
    case connection(Connection)
    /// Check the deadlines at this time at the latest; `nil` if a timer is already set.
    case wait(timerAt: NIODeadline?)
    case fail(RedisError)
  }

  private enum State {
    case disconnected(RedisError)  // → connected, refused, shutDown
    case refused(RedisError)  // → connected, disconnected, shutDown
    case connected(Connection)  // → disconnected, shutDown
    case shutDown(RedisError)
  }

  private struct Entry {
    let waiter: Waiter
    let deadline: NIODeadline
  }

  private var state = State.disconnected(
    RedisError(.connectionFailed, message: "The client has not connected yet: is its run() running?"))
  private var waiting: [UInt64: Entry] = [:]
  private var timer: NIODeadline?
  private(set) var disconnectedSince: NIODeadline?

  var connection: Connection? {
    if case .connected(let connection) = state { connection } else { nil }
  }

  var lastError: RedisError? {
    switch state {
    case .disconnected(let error), .refused(let error): error
    case .connected: nil
    case .shutDown(let error): error
    }
  }

  /// The first attempt to connect begins.
  mutating func started(now: NIODeadline, name: String) {
    guard case .disconnected = state else { return }
    disconnectedSince = now
    state = .disconnected(RedisError(.connectionFailed, message: "There is no connection to \(name) yet."))
  }

  /// Requests the connection; on `wait` the waiter is kept under its id.
  mutating func request(_ id: UInt64, _ waiter: Waiter, deadline: NIODeadline) -> Answer {
    switch state {
    case .connected(let connection): return .connection(connection)
    case .shutDown(let error): return .fail(error)
    case .refused(let error): return .fail(error)
    case .disconnected:
      waiting[id] = Entry(waiter: waiter, deadline: deadline)
      if let timer, timer <= deadline { return .wait(timerAt: nil) }
      timer = deadline
      return .wait(timerAt: deadline)
    }
  }

  mutating func cancel(_ id: UInt64) -> Waiter? {
    waiting.removeValue(forKey: id)?.waiter
  }

  mutating func connected(_ connection: Connection) -> [Waiter] {
    if case .shutDown = state { return [] }
    state = .connected(connection)
    disconnectedSince = nil
    return takeAll()
  }

  /// The connection is lost.
  mutating func lost(_ error: RedisError, now: NIODeadline) {
    if case .shutDown = state { return }
    if disconnectedSince == nil { disconnectedSince = now }
    state = .disconnected(error)
  }

  /// An attempt to connect has failed.
  ///
  /// - Returns: The waiters to fail, if only an operator can remove the cause.
  mutating func attemptFailed(_ error: RedisError, now: NIODeadline) -> [Waiter] {
    if case .shutDown = state { return [] }
    if disconnectedSince == nil { disconnectedSince = now }
    guard error.isFinal else {
      state = .disconnected(error)
      return []
    }
    state = .refused(error)
    return takeAll()
  }

  /// The waiters past their deadlines, and the next time to check.
  mutating func expire(now: NIODeadline) -> (expired: [Waiter], timerAt: NIODeadline?) {
    let expired = waiting.filter { $0.value.deadline <= now }
    for id in expired.keys { waiting.removeValue(forKey: id) }
    timer = waiting.values.map(\.deadline).min()
    return (expired.values.map(\.waiter), timer)
  }

  /// The client has ended, so no connection will follow.
  mutating func shutDown(_ error: RedisError, now: NIODeadline) -> [Waiter] {
    if case .shutDown = state { return [] }
    if disconnectedSince == nil { disconnectedSince = now }
    state = .shutDown(error)
    return takeAll()
  }

  private mutating func takeAll() -> [Waiter] {
    defer { waiting = [:] }
    return waiting.values.map(\.waiter)
  }
}

extension RedisError {
  /// Whether waiting is useless, because only an operator can remove the cause, or the client has ended.
  var isFinal: Bool {
    [.authenticationFailed, .invalidConfiguration, .protocolViolation, .shutDown].contains(code)
  }
}
