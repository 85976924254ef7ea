import Logging
import NIOCore
import ParallaxConcurrency
import Synchronization

/// The single connection of a client's subscriptions, opened with the first one.
final class SubscriptionHub: Sendable {
  private struct State {
    var registry = SubscriptionRegistry()
    var buffers: [UInt64: SubscriptionBuffer] = [:]
    var connection: RedisConnection?
    var lastID: UInt64 = 0
    /// The server's reason for refusing a subscription.
    var refusal: RedisError?
    var isFinished = false
  }

  private let locator: ServerLocator
  private let bufferSize: Int
  private let connector: RedisConnector
  private let driver: ReconnectionDriver
  private let attempts: ConnectionAttempts
  private let state = Mutex(State())
  private let firstSubscription = WakeUp()

  /// - Parameters:
  ///   - locator: Finds a server that receives all messages.
  ///   - configuration: The size of the buffers, and the waits between attempts to connect.
  ///   - connector: Opens the connection.
  ///   - logger: The logger of outages.
  init(_ locator: ServerLocator, configuration: RedisConfiguration, connector: RedisConnector, logger: Logger) {
    self.locator = locator
    attempts = ConnectionAttempts(locator)
    self.connector = connector
    bufferSize = configuration.subscriptionBufferSize
    driver = ReconnectionDriver(
      name: locator.name, outageLevel: locator.outageLevel, backoff: configuration.backoff, clock: connector.clock,
      metrics: connector.metrics, logger: logger)
  }

  /// The server's reason for refusing a subscription; `nil` while it serves all subscriptions.
  var refusal: RedisError? { state.withLock { $0.refusal } }

  // MARK: Life

  /// Serves the subscriptions until the task is cancelled.
  func run() async {
    if (try? await firstSubscription.wait()) != nil {
      async let retries: Void = tryRefusedAgain()
      await driver.run { () async throws(RedisError) in
        try await self.open()
      } notify: { event in
        self.changed(event)
      } end: { connection in
        connection.close()
      }
      await retries
    }
    let buffers = state.withLock { state in
      state.isFinished = true
      defer { state.buffers = [:] }
      return state.buffers
    }
    for buffer in buffers.values { buffer.finish() }
  }

  /// Requests refused channels again, since the user's rights may have changed.
  private func tryRefusedAgain() async {
    await every(Self.refusalInterval, clock: connector.clock, startsAtOnce: false) {
      state.withLock { perform($0.registry.tryRefusedAgain(), &$0) }
    }
  }

  private static let refusalInterval = Duration.seconds(5)

  private func open() async throws(RedisError) -> RedisConnection {
    try await attempts.connect { [connector, locator] endpoint async throws(RedisError) in
      try await connector.connect(to: endpoint, role: .subscriptions, mustBeMaster: locator.mustBeMaster) { self.received($0) }
    }
  }

  /// Closes the connection to a server that no longer receives all messages; the subscriptions continue elsewhere after a gap.
  func followServers() {
    attempts.followServers()
    guard let connection = state.withLock({ $0.connection }), let reason = attempts.reasonToLeave(connection.endpoint) else { return }
    connection.fail(reason)
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
    // If another server took over while this connection was made, there was nothing to close.
    if case .connected = event { followServers() }
  }

  // MARK: Subscriptions

  func subscribe(to topics: [SubscriptionTopic]) -> RedisSubscription {
    let buffer = SubscriptionBuffer(capacity: bufferSize)
    let id = state.withLock { state -> UInt64 in
      state.lastID += 1
      if state.isFinished {
        buffer.finish()
      } else {
        state.buffers[state.lastID] = buffer
        perform(state.registry.subscribe(state.lastID, to: topics), &state)
      }
      return state.lastID
    }
    firstSubscription.signal()
    return RedisSubscription(buffer: buffer) { [weak self] in self?.unsubscribe(id) }
  }

  private func unsubscribe(_ id: UInt64) {
    state.withLock { state in
      state.buffers[id] = nil
      perform(state.registry.unsubscribe(id), &state)
    }
  }

  /// Acts under the lock, so that SUBSCRIBE and UNSUBSCRIBE are sent in the order of the decisions.
  private func perform(
    _ actions: [SubscriptionRegistry.Action], refusal: RedisError = RedisError(.serverError, message: ""), _ state: inout State
  ) {
    for action in actions {
      switch action {
      case .subscribe(let topics): push("SUBSCRIBE", topics, state.connection)
      case .unsubscribe(let topics): push("UNSUBSCRIBE", topics, state.connection)
      case .began(let id): state.buffers[id]?.push(.subscribed)
      case .resumed(let id): state.buffers[id]?.push(.gap)
      case .refused(let id): state.buffers[id]?.push(.refused(refusal))
      }
    }
  }

  private func push(_ name: String, _ topics: [SubscriptionTopic], _ connection: RedisConnection?) {
    let channels = topics.compactMap { if case .channel(let name) = $0 { RedisArgument(name) } else { nil } }
    let patterns = topics.compactMap { if case .pattern(let pattern) = $0 { RedisArgument(pattern) } else { nil } }
    if !channels.isEmpty { connection?.push(RedisCommand(name, arguments: channels)) }
    if !patterns.isEmpty { connection?.push(RedisCommand("P\(name)", arguments: patterns)) }
  }

  // MARK: Pushes

  /// - Returns: Whether the push is for a subscription; false for an error while no command of a subscription awaits its answer.
  private func received(_ push: RESPValue) -> Bool {
    if let message = push.errorMessage { return refused(message) }
    guard let parts = push.array, parts.count >= 3, let kind = parts[0].string, let name = parts[1].string else { return false }
    switch kind {
    case "message": received(parts[2], on: name, of: .channel(name))
    case "pmessage" where parts.count == 4: received(parts[3], on: parts[2].string ?? "", of: .pattern(name))
    case "subscribe", "unsubscribe": confirmed(.channel(name))
    case "psubscribe", "punsubscribe": confirmed(.pattern(name))
    default: return false
    }
    return true
  }

  private func confirmed(_ topic: SubscriptionTopic) {
    state.withLock { state in
      perform(state.registry.confirmed(topic), &state)
      if state.registry.isComplete { state.refusal = nil }
    }
  }

  private func refused(_ message: String) -> Bool {
    let refusal = RedisError(
      .serverError, command: "SUBSCRIBE", message: "The server refuses a channel: no message arrives until it accepts.",
      serverMessage: message)
    return state.withLock { state in
      guard let actions = state.registry.refused() else { return false }
      // After a refusal of several topics at once, each topic is tried by itself.
      if actions.contains(where: { if case .refused = $0 { true } else { false } }) || state.registry.hasRefusals {
        state.refusal = refusal
      }
      perform(actions, refusal: refusal, &state)
      return true
    }
  }

  private func received(_ payload: RESPValue, on channel: String, of topic: SubscriptionTopic) {
    guard let payload = payload.bytes else { return }
    let buffers = state.withLock { state in state.registry.listeners(to: topic).compactMap { state.buffers[$0] } }
    let message = RedisSubscriptionEvent.message(channel: channel, payload: payload.withoutSurroundings)
    for buffer in buffers { buffer.push(message) }
  }
}

extension ByteBuffer {
  /// The same bytes in memory of their own if they are a small part of a larger buffer.
  ///
  /// A message that waits for its consumer must not retain everything that was read with it.
  fileprivate var withoutSurroundings: ByteBuffer {
    storageCapacity > 2 * readableBytes + 64 ? ByteBuffer(bytes: readableBytesView) : self
  }
}
