import Logging
import NIOCore
import Synchronization

/// The one connection that serves all subscriptions of a client, opened with the first of them.
final class SubscriptionHub: Sendable {
  private struct State {
    var registry = SubscriptionRegistry()
    var buffers: [UInt64: SubscriptionBuffer] = [:]
    var connection: RedisConnection?
    var lastID: UInt64 = 0
    var isFinished = false
  }

  private let locator: ServerLocator
  private let bufferSize: Int
  private let connector: RedisConnector
  private let driver: ReconnectionDriver
  private let state = Mutex(State())
  private let firstSubscription: AsyncStream<Void>
  private let wake: AsyncStream<Void>.Continuation

  /// - Parameters:
  ///   - locator: Finds a server that hears all messages.
  ///   - configuration: The size of the buffers, and how to reconnect.
  ///   - connector: Opens the connection.
  ///   - logger: Where outages are reported.
  init(_ locator: ServerLocator, configuration: RedisConfiguration, connector: RedisConnector, logger: Logger) {
    self.locator = locator
    self.connector = connector
    bufferSize = configuration.subscriptionBufferSize
    driver = ReconnectionDriver(
      name: locator.name, outageLevel: locator.outageLevel, backoff: configuration.backoff, metrics: connector.metrics, logger: logger)
    (firstSubscription, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  // MARK: Life

  /// Serves the subscriptions until the task is cancelled.
  func run() async {
    for await _ in firstSubscription { break }
    if !Task.isCancelled {
      await driver.run { () async throws(RedisError) in
        try await self.open()
      } notify: { event in
        self.changed(event)
      } end: { connection in
        connection.close()
      }
    }
    let buffers = state.withLock { state in
      state.isFinished = true
      defer { state.buffers = [:] }
      return state.buffers
    }
    for buffer in buffers.values { buffer.finish() }
  }

  private func open() async throws(RedisError) -> RedisConnection {
    let endpoint = try await locator.locate()
    let connection = try await connector.connect(to: endpoint, role: .subscriptions, mustBeMaster: locator.mustBeMaster) {
      self.received($0)
    }
    guard locator.isCurrent(endpoint) else { throw leave(connection) }
    return connection
  }

  /// Gives up a connection to a server that does not hear all messages any more; the subscriptions go on elsewhere, after a gap.
  func followServers() {
    guard let connection = state.withLock({ $0.connection }), !locator.isCurrent(connection.endpoint) else { return }
    _ = leave(connection)
  }

  private func leave(_ connection: RedisConnection) -> RedisError {
    let reason = RedisError(.connectionFailed, message: "\(connection.endpoint) is not \(locator.name) any more.")
    connection.fail(reason)
    return reason
  }

  private func changed(_ event: ReconnectionDriver.Event) {
    state.withLock { state in
      switch event {
      case .connected(let connection):
        state.connection = connection
        perform(state.registry.connected(), &state)
      case .failed, .lost:
        state.connection = nil
        state.registry.disconnected()
      }
    }
    // If another server has taken over in between, nothing was here yet to give up.
    if case .connected = event { followServers() }
  }

  // MARK: Subscriptions

  func subscribe(to channels: [String]) -> RedisSubscription {
    let buffer = SubscriptionBuffer(capacity: bufferSize)
    let id = state.withLock { state -> UInt64 in
      state.lastID += 1
      if state.isFinished {
        buffer.finish()
      } else {
        state.buffers[state.lastID] = buffer
        perform(state.registry.subscribe(state.lastID, to: channels), &state)
      }
      return state.lastID
    }
    wake.yield()
    return RedisSubscription(buffer: buffer) { [weak self] in self?.unsubscribe(id) }
  }

  private func unsubscribe(_ id: UInt64) {
    state.withLock { state in
      state.buffers[id] = nil
      perform(state.registry.unsubscribe(id), &state)
    }
  }

  /// Acts under the lock, so that SUBSCRIBE and UNSUBSCRIBE leave in the order in which they were decided.
  private func perform(_ actions: [SubscriptionRegistry.Action], _ state: inout State) {
    for action in actions {
      switch action {
      case .subscribe(let channels): state.connection?.push(RedisCommand("SUBSCRIBE", arguments: channels.map { RedisArgument($0) }))
      case .unsubscribe(let channels): state.connection?.push(RedisCommand("UNSUBSCRIBE", arguments: channels.map { RedisArgument($0) }))
      case .began(let id): state.buffers[id]?.push(.subscribed)
      case .resumed(let id): state.buffers[id]?.push(.gap)
      }
    }
  }

  // MARK: What the server pushes

  private func received(_ push: RESPValue) {
    guard let parts = push.array, parts.count == 3, let kind = parts[0].string, let channel = parts[1].string else { return }
    switch kind {
    case "message":
      guard let payload = parts[2].bytes else { return }
      let buffers = state.withLock { state in state.registry.listeners(to: channel).compactMap { state.buffers[$0] } }
      for buffer in buffers { buffer.push(.message(channel: channel, payload: payload)) }
    case "subscribe", "unsubscribe":
      state.withLock { state in perform(state.registry.confirmed(channel), &state) }
    default: break
    }
  }
}
