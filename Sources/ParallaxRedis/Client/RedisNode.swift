import Logging
import NIOCore
import ParallaxConcurrency
import Synchronization

/// One server, or the current master: its shared connection with all replacements, the callers that wait for it, and the leased
/// connections.
final class RedisNode: Sendable {
  /// The reason that a node leaves the topology, and the limit for its commands in flight.
  private struct End: Sendable {
    let reason: RedisError
    let grace: TimeAmount
  }

  let connector: RedisConnector
  let defaultTimeout: TimeAmount
  let leases: LeasePool
  let scripts: KnownScripts
  let locator: ServerLocator
  private let driver: ReconnectionDriver
  let attempts: ConnectionAttempts
  private let connections: Awaited<RedisConnection>
  /// The last connection, kept after its end for the time of its last reply.
  private let latest = Mutex<RedisConnection?>(nil)
  private let end = Deferred<End>()

  init(
    _ locator: ServerLocator, configuration: RedisConfiguration, connector: RedisConnector, scripts: KnownScripts, logger: Logger
  ) {
    self.locator = locator
    attempts = ConnectionAttempts(locator)
    self.connector = connector
    self.scripts = scripts
    defaultTimeout = TimeAmount(clamping: configuration.commandTimeout)
    leases = LeasePool(maximum: configuration.maximumLeasedConnections, eventLoop: connector.eventLoop)
    connections = Awaited(name: locator.name, eventLoop: connector.eventLoop) { !$0.isClosed }
    driver = ReconnectionDriver(
      name: locator.name, outageLevel: locator.outageLevel, backoff: configuration.backoff, clock: connector.clock,
      metrics: connector.metrics, logger: logger)
  }

  // MARK: Life

  /// Keeps the connection until the task is cancelled or ``end(_:grace:)`` is called.
  func run() async {
    connections.started()
    let shutDown = RedisError(.shutDown, message: "The client has been shut down.")
    await withTaskCancellationHandler {
      _ = await race {
        await self.driver.run { () async throws(RedisError) in
          try await self.open()
        } notify: { event in
          self.changed(event)
        } end: { connection in
          let end = self.end.current ?? End(reason: ReconnectionDriver.shuttingDown, grace: self.defaultTimeout)
          connection.drain(within: end.grace, reason: end.reason)
        }
      } until: {
        _ = try await self.end.value()
      }
    } onCancel: {
      // If only this node has left, its waiters must not fail with `shutDown`.
      if self.end.current == nil { connections.shutDown(shutDown) }
    }
    connections.shutDown(shutDown)
    leases.shutDown()
    leases.drain(within: defaultTimeout, reason: shutDown)
  }

  /// Ends the node: it accepts no further commands, and those in flight get a limit.
  ///
  /// - Parameters:
  ///   - reason: The error of later callers.
  ///   - grace: How long replies in flight are awaited.
  func end(_ reason: RedisError, grace: TimeAmount) {
    end.set(End(reason: reason, grace: grace))
    connections.shutDown(reason)
    leases.drain(within: grace, reason: reason)
  }

  /// Whether ``end(_:grace:)`` was called.
  var hasEnded: Bool { end.current != nil }

  private func open() async throws(RedisError) -> RedisConnection {
    try await attempts.connect { [connector, locator, scripts] endpoint async throws(RedisError) in
      try await connector.connect(to: endpoint, role: .commands, mustBeMaster: locator.mustBeMaster, scripts: scripts.all)
    }
  }

  private func changed(_ event: ReconnectionDriver.Event) {
    switch event {
    case .connected(let connection):
      latest.withLock { $0 = connection }
      // The leases of the former server end before the first command to this server.
      leases.fail { self.reasonToLeave($0) }
      // The event must precede the first acknowledgement on this connection.
      connector.newConnections.send(connector.clock.now)
      connections.provide(connection)
      // If another server took over while this connection was made, `followServers` had nothing to close.
      followServers()
    case .failed(let error): connections.attemptFailed(error)
    case .lost(let error): connections.lost(error)
    }
  }

  var status: RedisConnectionStatus {
    let (isAvailable, missingFor, reason) = connections.availability
    let last = latest.withLock { $0?.lastArrival }
    return RedisConnectionStatus(
      isConnected: isAvailable, timeSinceLastReply: last.map { Duration(connector.eventLoop.now - $0) }, disconnectedFor: missingFor,
      lastError: reason)
  }

  // MARK: The connection

  /// The shared connection; `nil` while there is none.
  var current: RedisConnection? { connections.current }

  /// Waits for a shared connection that accepts commands.
  nonisolated(nonsending) func connection(before deadline: NIODeadline) async throws -> RedisConnection {
    try await connections.value(before: deadline)
  }

  /// Closes the connections to a server that another server has replaced.
  func followServers() {
    attempts.followServers()
    if let connection = current, let reason = reasonToLeave(connection) { connection.fail(reason) }
    leases.fail { self.reasonToLeave($0) }
  }

  private func reasonToLeave(_ connection: RedisConnection) -> RedisError? {
    attempts.reasonToLeave(connection.endpoint)
  }

  /// Leaves a master that is about to be replaced; replies in flight are awaited while their effects last.
  func leaveMaster() {
    attempts.followServers()
    let reason = RedisError(.connectionFailed, message: "\(locator.name) is being replaced.")
    current?.drain(within: Self.drainTimeout, reason: reason)
    leases.drain(within: Self.drainTimeout, reason: reason)
  }

  /// How long before the promotion of its replica a master can be known to be leaving: about a tick of the sentinels' clock.
  private static let drainTimeout = TimeAmount.milliseconds(50)

  /// Leaves a server that refused a write, since it may have become a replica; replies in flight are awaited.
  func leave(_ connection: RedisConnection) {
    // A replica that is the only server must not be reconnected in a tight loop.
    guard connector.eventLoop.now - connection.opened > .seconds(1) else { return }
    connection.drain(
      within: .milliseconds(500),
      reason: RedisError(.connectionFailed, message: "\(connection.endpoint) is a replica, which accepts no writes."))
    leases.closeIdle()
  }
}
