public import Logging
import ParallaxAPI
public import ParallaxRedis
public import ParallaxState
import Synchronization

/// Publishes and delivers events over the Pub/Sub channels of Redis.
///
/// The client must run.
public final class RedisEventBus: EventBus {
  private let client: RedisClient
  private let names: [ClusterEvent.Channel: String]
  private let logger: Logger

  /// Makes a bus.
  ///
  /// - Parameters:
  ///   - client: A client of the cluster's server.
  ///   - keys: The names of the channels.
  ///   - logger: The logger of unreadable messages, at debug level.
  public init(client: RedisClient, keys: KeySpace, logger: Logger) {
    self.client = client
    names = [.execution: keys.executionEvents, .agent: keys.agentEvents, .cluster: keys.clusterEvents]
    self.logger = logger
  }

  /// Publishes events in one pipeline.
  public func publish(_ events: [ClusterEvent], on channel: ClusterEvent.Channel) async throws {
    guard let name = names[channel] else { preconditionFailure("the channel \(channel) has no name") }
    let commands = try events.map { event in RedisCommand("PUBLISH", name, RedisArgument(try event.jsonBytes)) }
    do {
      for result in try await client.pipeline(commands) { _ = try result.get() }
    } catch let error as RedisError {
      throw StateStoreError(error)
    }
  }

  /// Subscribes to channels; a lost connection is delivered as a gap.
  public func subscribe(to channels: Set<ClusterEvent.Channel>) -> AsyncStream<EventDelivery> {
    let wanted = names.filter { channels.contains($0.key) }
    let reader = EventReader(
      subscription: client.subscribe(to: Array(wanted.values)),
      channels: Dictionary(uniqueKeysWithValues: wanted.map { ($0.value, $0.key) }), logger: logger)
    return AsyncStream { await reader.next() }
  }
}

/// Turns the messages of a subscription into events.
private final class EventReader: Sendable {
  private struct State {
    var sequences = EventSequences()
    /// The event behind a gap between two messages.
    var following: EventDelivery?
  }

  private let subscription: RedisSubscription
  private let channels: [String: ClusterEvent.Channel]
  private let logger: Logger
  private let state = Mutex(State())

  init(subscription: RedisSubscription, channels: [String: ClusterEvent.Channel], logger: Logger) {
    self.subscription = subscription
    self.channels = channels
    self.logger = logger
  }

  func next() async -> EventDelivery? {
    if let delivery = state.withLock({ $0.following.take() }) { return delivery }
    // All iterators of a subscription share its events.
    var iterator = subscription.makeAsyncIterator()
    while let event = await iterator.next() {
      switch event {
      case .subscribed, .gap:
        state.withLock { $0.sequences.reset() }
        return .gap
      case .refused(let error): logger.error("the subscription to the events of other nodes was refused", metadata: ["error": "\(error)"])
      case .message(let name, let payload):
        guard let channel = channels[name], let event = read(.bulkString(payload), from: name) else { continue }
        return deliver(event, on: channel)
      }
    }
    return nil
  }

  private func deliver(_ event: ClusterEvent, on channel: ClusterEvent.Channel) -> EventDelivery {
    state.withLock { state in
      guard state.sequences.skips(to: event, on: channel) else { return .event(event, channel) }
      state.following = .event(event, channel)
      return .gap
    }
  }

  private func read(_ payload: RESPValue, from name: String) -> ClusterEvent? {
    do {
      return try JSON.decode(from: payload.string ?? "", depthLimit: JSON.documentDepthLimit)
    } catch {
      logger.debug("an unreadable event is skipped", metadata: ["channel": "\(name)"])
      return nil
    }
  }
}
