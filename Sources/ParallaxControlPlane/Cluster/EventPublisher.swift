import DequeModule
import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxState
import ServiceLifecycle
import Synchronization

/// Publishes this node's events, numbered in their order on each channel and in batches.
///
/// Nothing waits for it and nothing rests on it: events beyond its bound and those that the store does not take are lost, which shows in
/// their numbers.
final class EventPublisher: Service {
  private struct State {
    var waiting: Deque<(event: ClusterEvent, channel: ClusterEvent.Channel)> = []
    var sequences: [ClusterEvent.Channel: Int64] = [:]
  }

  private static let capacity = 10_000

  private let bus: any EventBus
  private let session: NodeSession
  private let batchSize: Int
  private let logger: Logger
  private let state = Mutex(State())
  private let wakeUps: AsyncStream<Void>
  private let wakeUp: AsyncStream<Void>.Continuation

  init(bus: any EventBus, session: NodeSession, batchSize: Int, logger: Logger) {
    self.bus = bus
    self.session = session
    self.batchSize = batchSize
    self.logger = logger
    (wakeUps, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Publishes an event, some time soon; makes nothing of one that nobody can receive.
  func publish(_ type: String, id: String, details: @autoclosure () -> JSONValue? = nil, on channel: ClusterEvent.Channel) {
    guard bus.hasSubscribers(on: channel) else { return }
    let details = details()
    let now = NodeClock.wall
    state.withLock { state in
      let sequence = (state.sequences[channel] ?? 0) + 1
      state.sequences[channel] = sequence
      guard state.waiting.count < Self.capacity else { return }
      state.waiting.append(
        (ClusterEvent(type: type, id: id, session: session, timestamp: now, sequence: sequence, details: details), channel))
    }
    wakeUp.yield()
  }

  /// Publishes until a graceful shutdown begins, and then what is left.
  func run() async throws {
    await withGracefulShutdownHandler {
      for await _ in wakeUps { await flush() }
      await flush()
    } onGracefulShutdown: {
      self.wakeUp.finish()
    }
  }

  private func flush() async {
    while !Task.isCancelled, let (channel, events) = nextBatch() {
      do {
        try await bus.publish(events, on: channel)
      } catch {
        logger.debug("events could not be published", metadata: ["count": "\(events.count)", "error": "\(error)"])
      }
    }
  }

  /// The oldest event with those behind it on the same channel.
  private func nextBatch() -> (ClusterEvent.Channel, [ClusterEvent])? {
    state.withLock { state in
      guard let channel = state.waiting.first?.channel else { return nil }
      let events = state.waiting.prefix(batchSize).prefix { $0.channel == channel }.map(\.event)
      state.waiting.removeFirst(events.count)
      return (channel, events)
    }
  }
}
