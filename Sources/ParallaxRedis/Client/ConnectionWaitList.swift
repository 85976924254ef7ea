import NIOCore

/// Whether there is a connection, or anything else that comes and goes, and who waits for it until when.
///
/// A pure value, generic so that tests need no connections.
struct ConnectionWaitList<Connection, Waiter> {
  enum Answer {
    case connection(Connection)
    /// Look at the clock again at this time at the latest, unless that is arranged already.
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
    RedisError(.connectionFailed, message: "The client has not been connected yet: is its run() running?"))
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

  /// Attempts to connect have begun.
  mutating func started(now: NIODeadline, name: String) {
    guard case .disconnected = state else { return }
    disconnectedSince = now
    state = .disconnected(RedisError(.connectionFailed, message: "There is no connection to \(name) yet."))
  }

  /// Asks for the connection; on `wait` the waiter is kept under its id.
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
  /// - Returns: Those who need not wait, because only an operator can mend what is wrong.
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

  /// Those whose time is up, and when to look again.
  mutating func expire(now: NIODeadline) -> (expired: [Waiter], timerAt: NIODeadline?) {
    let expired = waiting.filter { $0.value.deadline <= now }
    for id in expired.keys { waiting.removeValue(forKey: id) }
    timer = waiting.values.map(\.deadline).min()
    return (expired.values.map(\.waiter), timer)
  }

  /// There will be no connection any more.
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
  /// Whether waiting does not help, because only an operator can mend what is wrong, or the client has ended.
  var isFinal: Bool {
    [.authenticationFailed, .invalidConfiguration, .protocolViolation, .shutDown].contains(code)
  }
}
