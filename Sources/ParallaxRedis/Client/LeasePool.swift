import NIOCore
import ParallaxConcurrency
import Synchronization

/// The connections that are lent out, one user at a time.
final class LeasePool: Sendable {
  enum Grant: Sendable {
    case connection(RedisConnection)
    /// The taker has a place but must open the connection itself.
    case place
  }

  private typealias Waiter = UnsafeContinuation<Result<Grant, any Error>, Never>

  private static let maximumIdle = 4

  private let state: Mutex<LeaseStateMachine<RedisConnection, Waiter>>
  /// The connections that are lent out now.
  private let lent = Mutex<[ObjectIdentifier: RedisConnection]>([:])
  private let eventLoop: any EventLoop
  private let lastID = Atomic<UInt64>(0)

  init(maximum: Int, eventLoop: any EventLoop) {
    state = Mutex(LeaseStateMachine(maximum: maximum, maximumIdle: Self.maximumIdle))
    self.eventLoop = eventLoop
  }

  /// Waits for a place.
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
      let tooMany = RedisError(.overloaded, message: "All connections that may be lent are taken: raise maximumLeasedConnections.")
      eventLoop.scheduleTask(deadline: deadline) { self.cancel(id, tooMany) }
    }
  }

  private func cancel(_ id: UInt64, _ error: any Error) {
    state.withLock { $0.cancel(id) }?.resume(returning: .failure(error))
  }

  func lend(_ connection: RedisConnection) {
    lent.withLock { $0[ObjectIdentifier(connection)] = connection }
  }

  func giveBack(_ connection: RedisConnection, isClean: Bool) {
    lent.withLock { $0[ObjectIdentifier(connection)] = nil }
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

  /// Lets the connections in use end what they are at, and none begin anything.
  func drain(within grace: TimeAmount, reason: RedisError) {
    closeIdle()
    for connection in lent.withLock({ Array($0.values) }) { connection.drain(within: grace, reason: reason) }
  }

  /// Closes all connections, leased ones included, that `reason` returns an error for.
  func fail(_ reason: @Sendable (RedisConnection) -> RedisError?) {
    for connection in state.withLock({ $0.takeIdle { reason($0) != nil } }) { connection.close() }
    for connection in lent.withLock({ Array($0.values) }) {
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
  /// How long to wait after a connection to lend could not be opened.
  private static let pauseBetweenLeases = Duration.milliseconds(50)

  /// A connection for one user, to the server that the shared one goes to.
  ///
  /// - Parameters:
  ///   - limit: How long; the time of a command if `nil`.
  ///   - redirected: Learns where else the server says that a key is.
  /// - Returns: The connection, to be given back.
  /// - Throws: Why there is none, as a ``RedisError``, or `CancellationError`.
  nonisolated(nonsending) func lease(
    before limit: NIODeadline? = nil, redirected: @escaping @Sendable (Redirection) -> Void = { _ in }
  ) async throws -> RedisLeasedConnection {
    let deadline = limit ?? .now() + defaultTimeout
    while true {
      // While the shared connection is missing another would fail likewise.
      let shared = try await connection(before: deadline)
      switch try await leases.take(before: deadline) {
      case .connection(let connection):
        if let lease = lend(connection, redirected) { return lease }
      case .place:
        do {
          let connection = try await connector.connect(to: shared.endpoint, role: .leased)
          if let lease = lend(connection, redirected) { return lease }
        } catch {
          leases.release()
          try Task.checkCancellation()
          // The shared connection may not have noticed yet that the server is gone, and another may take over in time.
          guard error.code == .connectionFailed, NIODeadline.now() < deadline else { throw error }
          try await Task.sleep(for: Self.pauseBetweenLeases)
        }
      }
    }
  }

  /// Lends a connection, or closes it if its server is the wrong one now.
  private func lend(_ connection: RedisConnection, _ redirected: @escaping @Sendable (Redirection) -> Void) -> RedisLeasedConnection? {
    // First counted among the lent, then looked at: one whose server is replaced in between is found by one of the two.
    leases.lend(connection)
    guard !connection.isClosed, !hasEnded, locator.isCurrent(connection.endpoint) else {
      leases.giveBack(connection, isClean: false)
      return nil
    }
    return RedisLeasedConnection(connection, of: self, redirected: redirected)
  }
}
