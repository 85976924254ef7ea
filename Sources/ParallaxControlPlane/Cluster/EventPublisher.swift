import Logging
import ParallaxAPI
import ParallaxConcurrency
import ParallaxHA
import ParallaxState
import ServiceLifecycle
import Synchronization

/// Publishes this node's events in batches; ``EventQueue`` numbers them.
///
/// Nothing waits for it and nothing rests on it: an event may be lost.
final class EventPublisher: Service {
  private struct State {
    var queue: EventQueue
    var isStopping = false
  }

  private static let capacity = 10_000

  private let bus: any EventBus
  private let session: NodeSession
  private let clock: NodeClock
  private let logger: Logger
  private let state: Mutex<State>
  private let wakeUp = WakeUp()

  /// Makes a publisher without events.
  ///
  /// - Parameters:
  ///   - bus: Where events go.
  ///   - session: This node.
  ///   - batchSize: How many events are published at once at most.
  ///   - clock: The node's clock.
  ///   - logger: Where losses are reported, each beginning and each end.
  init(bus: any EventBus, session: NodeSession, batchSize: Int, clock: NodeClock, logger: Logger) {
    self.bus = bus
    self.session = session
    self.clock = clock
    self.logger = logger
    state = Mutex(State(queue: EventQueue(capacity: Self.capacity, batchSize: batchSize)))
  }

  /// Publishes an event, some time soon; makes nothing of one that nobody can receive.
  func publish(_ type: String, id: String, details: @autoclosure () -> JSONValue? = nil, on channel: ClusterEvent.Channel) {
    guard bus.hasSubscribers(on: channel) else { return }
    let details = details()
    let now = clock.now.wall
    let notice = state.withLock { state in
      state.queue.add(on: channel) { sequence in
        ClusterEvent(type: type, id: id, session: session, timestamp: now, sequence: sequence, details: details)
      }
    }
    report(notice)
    wakeUp.signal()
  }

  /// Publishes until a graceful shutdown begins, and then what is left, up to the first failure.
  func run() async throws {
    await withGracefulShutdownHandler {
      while !isStopping {
        do { try await wakeUp.wait() } catch { return }
        await flush()
      }
      await flush()
    } onGracefulShutdown: {
      self.state.withLock { $0.isStopping = true }
      self.wakeUp.signal()
    }
  }

  private var isStopping: Bool { state.withLock { $0.isStopping } }

  private func flush() async {
    while !Task.isCancelled, let (channel, events) = state.withLock({ $0.queue.nextBatch() }) {
      do {
        try await bus.publish(events, on: channel)
        report(state.withLock { $0.queue.published() })
      } catch {
        logger.debug("events could not be published", metadata: ["count": "\(events.count)", "error": "\(error)"])
        report(state.withLock { $0.queue.lose(events.count) })
        if isStopping { return }
      }
    }
  }

  private func report(_ notice: EventQueue.Notice?) {
    switch notice {
    case nil: break
    case .losing: logger.info("events are lost: the store does not take them")
    case .recovered(let lost): logger.info("events are published again", metadata: ["lost": "\(lost)"])
    }
  }
}
