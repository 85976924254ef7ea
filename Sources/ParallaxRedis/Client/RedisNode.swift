import Logging
import NIOCore
import Synchronization

/// One server: its shared connection over all replacements, those who wait for it, and the connections lent out.
///
/// Standalone Redis is one node; Sentinel would change where a node connects, Cluster would have several.
final class RedisNode: Sendable {
  private typealias Waiter = UnsafeContinuation<Result<RedisConnection, any Error>, Never>

  let endpoint: RedisConfiguration.Endpoint
  let connector: RedisConnector
  let defaultTimeout: TimeAmount
  let leases: LeasePool
  private let driver: ReconnectionDriver
  private let waitList = Mutex(ConnectionWaitList<RedisConnection, Waiter>())
  private let scripts: Mutex<[RedisScript]>
  private let lastReply = Mutex<NIODeadline?>(nil)
  private let lastID = Atomic<UInt64>(0)

  /// More scripts than a program has are made at run time, and not worth loading again.
  private static let maximumScripts = 256

  init(
    endpoint: RedisConfiguration.Endpoint, configuration: RedisConfiguration, connector: RedisConnector, scripts: [RedisScript],
    logger: Logger
  ) {
    self.endpoint = endpoint
    self.connector = connector
    self.scripts = Mutex(scripts)
    defaultTimeout = TimeAmount(clamping: configuration.commandTimeout)
    leases = LeasePool(maximum: configuration.maximumLeasedConnections, eventLoop: connector.eventLoop)
    driver = ReconnectionDriver(
      backoff: configuration.backoff, grace: configuration.commandTimeout, metrics: connector.metrics, logger: logger)
  }

  private var now: NIODeadline { connector.eventLoop.now }

  // MARK: Life

  /// Keeps the connection until the task is cancelled.
  func run() async {
    waitList.withLock { $0.started(now: now, endpoint: endpoint) }
    await withTaskCancellationHandler {
      await driver.run { () async throws(RedisError) in
        try await self.connector.connect(to: self.endpoint, role: .commands, scripts: self.scripts.withLock { $0 })
      } notify: { event in
        self.changed(event)
      }
    } onCancel: {
      let shutDown = ConnectionWaitList<RedisConnection, Waiter>.shutDownError
      for waiter in waitList.withLock({ $0.shutDown(now: now) }) { waiter.resume(returning: .failure(shutDown)) }
    }
    leases.shutDown()
  }

  private func changed(_ event: ReconnectionDriver.Event) {
    switch event {
    case .connected(let connection):
      for waiter in waitList.withLock({ $0.connected(connection) }) { waiter.resume(returning: .success(connection)) }
    case .failed(let error):
      let refused = waitList.withLock { $0.attemptFailed(error, now: now) }
      for waiter in refused { waiter.resume(returning: .failure(error)) }
    case .lost(let error): waitList.withLock { disconnect(&$0, error) }
    }
  }

  private func disconnect(_ list: inout ConnectionWaitList<RedisConnection, Waiter>, _ error: RedisError) {
    if let last = list.connection?.lastArrival { lastReply.withLock { $0 = last } }
    list.lost(error, now: now)
  }

  var status: RedisConnectionStatus {
    let now = now
    return waitList.withLock { list in
      let connection = list.connection.flatMap { $0.isClosed ? nil : $0 }
      let last = list.connection?.lastArrival ?? lastReply.withLock { $0 }
      return RedisConnectionStatus(
        isConnected: connection != nil, timeSinceLastReply: last.map { Duration(now - $0) },
        disconnectedFor: list.disconnectedSince.map { Duration(now - $0) } ?? (connection == nil ? .zero : nil), lastError: list.lastError)
    }
  }

  // MARK: The connection

  /// The shared connection, if it is there.
  var current: RedisConnection? {
    waitList.withLock { $0.connection }
  }

  /// Waits for a shared connection that takes commands.
  nonisolated(nonsending) func connection(before deadline: NIODeadline) async throws -> RedisConnection {
    let id = lastID.wrappingAdd(1, ordering: .relaxed).newValue
    return try await withTaskCancellationHandler {
      try await withUnsafeContinuation { (continuation: Waiter) in
        self.request(id, continuation, deadline: deadline)
        if Task.isCancelled { self.cancel(id) }
      }.get()
    } onCancel: {
      self.cancel(id)
    }
  }

  private func request(_ id: UInt64, _ waiter: Waiter, deadline: NIODeadline) {
    let answer = waitList.withLock { list in
      // Its end may not have been noticed here yet; whoever saw it must not be sent back to it.
      if let connection = list.connection, connection.isClosed {
        disconnect(&list, RedisError(.connectionFailed, message: "The connection to \(endpoint) was lost."))
      }
      return list.request(id, waiter, deadline: deadline)
    }
    switch answer {
    case .connection(let connection): waiter.resume(returning: .success(connection))
    case .fail(let error): waiter.resume(returning: .failure(error))
    case .wait(let timer): schedule(timer)
    }
  }

  private func cancel(_ id: UInt64) {
    waitList.withLock { $0.cancel(id) }?.resume(returning: .failure(CancellationError()))
  }

  private func schedule(_ timer: NIODeadline?) {
    guard let timer else { return }
    connector.eventLoop.scheduleTask(deadline: timer) { self.expireWaiters() }
  }

  private func expireWaiters() {
    let (expired, timer, reason) = waitList.withLock { list in
      let (expired, timer) = list.expire(now: now)
      return (expired, timer, list.lastError)
    }
    let error =
      reason
      ?? RedisError(.connectionFailed, message: "There was no connection to \(endpoint) in time.")
    for waiter in expired { waiter.resume(returning: .failure(error)) }
    schedule(timer)
  }

  // MARK: Scripts

  /// Remembers a script that the server did not know, so that later connections load it first.
  func learn(_ script: RedisScript) {
    scripts.withLock { scripts in
      if scripts.count < Self.maximumScripts, !scripts.contains(script) { scripts.append(script) }
    }
  }
}
