import NIOCore
import ParallaxConcurrency
import Synchronization

/// The leased connections, each with one user at a time.
final class LeasePool: Sendable {
  enum Grant: Sendable {
    case connection(RedisConnection)
    /// The caller has a place and must open the connection itself.
    case place
  }

  private typealias Waiter = UnsafeContinuation<Result<Grant, any Error>, Never>

  private static let maximumIdle = 4

  private let state: Mutex<LeaseStateMachine<RedisConnection, Waiter>>
  /// The connections on lease.
  private let leased = Mutex<[ObjectIdentifier: RedisConnection]>([:])
  private let eventLoop: any EventLoop
  private let lastID = Atomic<UInt64>(0)

  init(maximum: Int, eventLoop: any EventLoop) {
    state = Mutex(LeaseStateMachine(maximum: maximum, maximumIdle: Self.maximumIdle))
    self.eventLoop = eventLoop
  }

  /// Waits for a place in the pool.
  nonisolated(nonsending) func take(before deadline: NIODeadline) async throws -> Grant {
    let id = lastID.wrappingAdd(1, ordering: .relaxed).newValue
    return try await suspend { (waiter: Waiter) in
      self.request(id, waiter, deadline: deadline)
    } onCancel: {
      self.cancel(id, CancellationError())
    }.get()
  }

  private func request(_ id: UInt64, _ waiter: Waiter, deadline: NIODeadline) {
    switch state.withLock({ $0.request(id, waiter) }) {
    case .use(let connection): waiter.resume(returning: .success(.connection(connection)))
    case .open: waiter.resume(returning: .success(.place))
    case .refuse: waiter.resume(returning: .failure(Self.shutDownError))
    case .wait:
      let tooMany = RedisError(.overloaded, message: "All connections for leases are in use: raise maximumLeasedConnections.")
      eventLoop.scheduleTask(deadline: deadline) { self.cancel(id, tooMany) }
    }
  }

  private func cancel(_ id: UInt64, _ error: any Error) {
    state.withLock { $0.cancel(id) }?.resume(returning: .failure(error))
  }

  func lend(_ connection: RedisConnection) {
    leased.withLock { $0[ObjectIdentifier(connection)] = connection }
  }

  func giveBack(_ connection: RedisConnection, isClean: Bool) {
    leased.withLock { $0[ObjectIdentifier(connection)] = nil }
    if isClean, !connection.isClosed {
      perform(state.withLock { $0.gaveBack(connection) })
    } else {
      connection.close()
      release()
    }
  }

  func release() {
    perform(state.withLock { $0.released() })
  }

  private func perform(_ handover: LeaseStateMachine<RedisConnection, Waiter>.Handover) {
    switch handover {
    case .use(let waiter, let connection): waiter.resume(returning: .success(.connection(connection)))
    case .open(let waiter): waiter.resume(returning: .success(.place))
    case .close(let connection): connection.close()
    case .none: break
    }
  }

  /// Closes the idle connections.
  func closeIdle() {
    for connection in state.withLock({ $0.takeIdle { _ in true } }) { connection.close() }
  }

  /// Lets the connections in use finish their current commands, and refuses new ones.
  func drain(within grace: TimeAmount, reason: RedisError) {
    closeIdle()
    for connection in leased.withLock({ Array($0.values) }) { connection.drain(within: grace, reason: reason) }
  }

  /// Closes all connections, leased ones included, for which `reason` returns an error.
  func fail(_ reason: @Sendable (RedisConnection) -> RedisError?) {
    for connection in state.withLock({ $0.takeIdle { reason($0) != nil } }) { connection.close() }
    for connection in leased.withLock({ Array($0.values) }) {
      if let reason = reason(connection) { connection.fail(reason) }
    }
  }

  func shutDown() {
    let (idle, waiting) = state.withLock { $0.shutDown() }
    for connection in idle { connection.close() }
    for waiter in waiting { waiter.resume(returning: .failure(Self.shutDownError)) }
  }

  private static let shutDownError = RedisError(.shutDown, message: "The client has been shut down.")
}

extension RedisNode {
  /// The shortest duration of an attempt that fails to open a connection.
  private static let shortestFailure = Duration.milliseconds(50)
  /// The shortest duration of an attempt that reaches a replaced server.
  private static let shortestDetour = Duration.milliseconds(10)

  /// Leases a connection to the server of the shared connection.
  ///
  /// - Parameters:
  ///   - limit: The deadline; that of a command if `nil`.
  ///   - redirected: Called with redirections to other servers.
  /// - Returns: The connection, which must be given back.
  /// - Throws: The reason that there is none, as a ``RedisError``, or `CancellationError`.
  nonisolated(nonsending) func lease(
    before limit: NIODeadline? = nil, redirected: @escaping @Sendable (Redirection) -> Void = { _ in }
  ) async throws -> RedisLeasedConnection {
    let deadline = limit ?? .now() + defaultTimeout
    var pace = Pace(clock: connector.clock)
    while true {
      // While the shared connection is missing, another connection would fail in the same way.
      let shared = try await connection(before: deadline)
      switch try await leases.take(before: deadline) {
      case .connection(let connection):
        let isStale = connection.isClosed
        if let lease = lend(connection, redirected) { return lease }
        // It was idle when the server closed it, and there are few of these.
        if isStale { continue }
      case .place:
        do {
          let connection = try await connector.connect(to: shared.endpoint, role: .leased)
          if let lease = lend(connection, redirected) { return lease }
        } catch {
          leases.release()
          try Task.checkCancellation()
          // The shared connection may not have noticed the loss of the server, and another server may take over in time.
          guard error.code == .connectionFailed, NIODeadline.now() < deadline else { throw error }
          try await pace.rest(atLeast: Self.shortestFailure)
          continue
        }
      }
      guard NIODeadline.now() < deadline else { throw attempts.reasonToLeave(shared.endpoint) ?? Self.lostLease(shared.endpoint) }
      try await pace.rest(atLeast: Self.shortestDetour)
    }
  }

  private static func lostLease(_ endpoint: RedisConfiguration.Endpoint) -> RedisError {
    RedisError(.connectionFailed, message: "No connection to \(endpoint) lasted long enough to be leased.")
  }

  /// Leases a connection, or closes it if its server is no longer the right one.
  private func lend(_ connection: RedisConnection, _ redirected: @escaping @Sendable (Redirection) -> Void) -> RedisLeasedConnection? {
    // The connection is counted as leased first and checked second, so either this check or `fail(_:)` finds a replaced server.
    leases.lend(connection)
    guard !connection.isClosed, !hasEnded, locator.isCurrent(connection.endpoint) else {
      leases.giveBack(connection, isClean: false)
      return nil
    }
    return RedisLeasedConnection(connection, of: self, redirected: redirected)
  }
}
