import NIOCore
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
  private let eventLoop: any EventLoop
  private let lastID = Atomic<UInt64>(0)

  init(maximum: Int, eventLoop: any EventLoop) {
    state = Mutex(LeaseStateMachine(maximum: maximum, maximumIdle: Self.maximumIdle))
    self.eventLoop = eventLoop
  }

  /// Waits for a place.
  nonisolated(nonsending) func take(before deadline: NIODeadline) async throws -> Grant {
    let id = lastID.wrappingAdd(1, ordering: .relaxed).newValue
    return try await withTaskCancellationHandler {
      try await withUnsafeContinuation { (continuation: Waiter) in
        self.request(id, continuation, deadline: deadline)
        if Task.isCancelled { self.cancel(id, CancellationError()) }
      }.get()
    } onCancel: {
      self.cancel(id, CancellationError())
    }
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

  func giveBack(_ connection: RedisConnection, isClean: Bool) {
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

  func shutDown() {
    let (idle, waiting) = state.withLock { $0.shutDown() }
    for connection in idle { connection.close() }
    for waiter in waiting { waiter.resume(returning: .failure(Self.shutDownError)) }
  }

  private static let shutDownError = RedisError(.shutDown, message: "The client has been shut down.")
}

extension RedisNode {
  /// A connection for one user.
  nonisolated(nonsending) func lease() async throws -> RedisLeasedConnection {
    let deadline = NIODeadline.now() + defaultTimeout
    // While the shared connection is missing another would fail likewise.
    _ = try await connection(before: deadline)
    while true {
      switch try await leases.take(before: deadline) {
      case .connection(let connection):
        if !connection.isClosed { return RedisLeasedConnection(connection, defaultTimeout: defaultTimeout) }
        leases.release()
      case .place:
        do {
          let connection = try await connector.connect(to: endpoint, role: .leased)
          return RedisLeasedConnection(connection, defaultTimeout: defaultTimeout)
        } catch {
          leases.release()
          try Task.checkCancellation()
          throw error
        }
      }
    }
  }

  func giveBack(_ lease: RedisLeasedConnection) {
    let (connection, isClean) = lease.end()
    leases.giveBack(connection, isClean: isClean)
  }
}
