import Logging
import ParallaxAPI
import ParallaxConcurrency
import ParallaxHA
import ParallaxState
import ServiceLifecycle
import Synchronization

/// Publishes this node's events in batches; ``EventQueue`` numbers them.
///
/// Delivery is best effort: no caller waits for it, and an event may be lost.
final class EventPublisher: Service {
  private struct State {
    var queue: EventQueue
    var isStopping = false
  }

  private static let capacity = 10_000
  /// The shortest time between the begins of two flushes.
  ///
  /// Under load, the events of this time share a round trip; alone, an event is published at once.
  private static let flushInterval: Duration = .milliseconds(5)

  private let bus: any EventBus
  private let session: NodeSession
  private let clock: NodeClock
  private let logger: Logger
  private let state: Mutex<State>
  private let wakeUp = WakeUp()

  /// Makes a publisher without events.
  ///
  /// - Parameters:
  ///   - bus: The bus to publish on.
  ///   - session: This node.
  ///   - batchSize: The largest number of events in one batch.
  ///   - clock: The node's clock.
  ///   - logger: Logs the beginning and the end of a loss of events.
  init(bus: any EventBus, session: NodeSession, batchSize: Int, clock: NodeClock, logger: Logger) {
    self.bus = bus
    self.session = session
    self.clock = clock
    self.logger = logger
    state = Mutex(State(queue: EventQueue(capacity: Self.capacity, batchSize: batchSize)))
  }

  /// Queues an event for the next batch; drops it if the channel has no subscribers.
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

  /// The number of events that wait for their publication.
  var waitingCount: Int { state.withLock { $0.queue.count } }

  /// Publishes until a graceful shutdown begins, then flushes the queue, up to the first failure.
  func run() async throws {
    await withGracefulShutdownHandler {
      var pace = Pace(clock: clock.monotonic)
      while !isStopping {
        do {
          try await wakeUp.wait()
          pace.begin()
          await flush()
          try await pace.rest(atLeast: Self.flushInterval)
        } catch {
          return
        }
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
        report(state.withLock { $0.queue.recordPublished() })
      } catch {
        logger.debug("could not publish events", metadata: ["count": "\(events.count)", "error": "\(error)"])
        report(state.withLock { $0.queue.recordLoss(events.count) })
        if isStopping { return }
      }
    }
  }

  private func report(_ notice: EventQueue.Notice?) {
    switch notice {
    case nil: break
    case .losing: logger.info("losing events: the store does not accept them")
    case .recovered(let lost): logger.info("publishing events again", metadata: ["lost": "\(lost)"])
    }
  }
}
