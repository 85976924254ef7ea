import DequeModule
import ParallaxConcurrency
import Synchronization

/// Carries events within this process: the bus of an embedded node, of tests and of simulations.
package final class InMemoryEventBus: EventBus {
  private struct State: ~Copyable {
    var subscribers: [Int: Subscriber] = [:]
    var lastID = 0
  }

  /// Ends the subscription when its stream goes.
  private final class Registration: Sendable {
    let subscriber: Subscriber
    private let end: @Sendable () -> Void

    init(_ subscriber: Subscriber, end: @escaping @Sendable () -> Void) {
      self.subscriber = subscriber
      self.end = end
    }

    deinit { end() }
  }

  private let bufferSize: Int
  private let state = Mutex(State())

  /// Makes a bus.
  ///
  /// - Parameter bufferSize: How many events wait for a subscriber that is slow.
  package init(bufferSize: Int = 1_000) {
    self.bufferSize = bufferSize
  }

  package var subscriberCount: Int { state.withLock { $0.subscribers.count } }

  package func publish(_ events: [ClusterEvent], on channel: ClusterEvent.Channel) {
    // Not under the lock: a subscriber that is woken up may end, and takes itself off the list then.
    for subscriber in state.withLock({ Array($0.subscribers.values) }) {
      for event in events { subscriber.take(event, on: channel) }
    }
  }

  package func subscribe(to channels: Set<ClusterEvent.Channel>) -> AsyncStream<EventDelivery> {
    let subscriber = Subscriber(channels: channels, bufferSize: bufferSize)
    let id = state.withLock { state in
      state.lastID += 1
      state.subscribers[state.lastID] = subscriber
      return state.lastID
    }
    let registration = Registration(subscriber) { [self] in state.withLock { _ = $0.subscribers.removeValue(forKey: id) } }
    return AsyncStream { await registration.subscriber.next() }
  }
}

/// What waits for one subscriber.
private final class Subscriber: Sendable {
  private struct State {
    var waiting: Deque<EventDelivery> = [.gap]
    var sequences = EventSequences()
  }

  private let channels: Set<ClusterEvent.Channel>
  private let bufferSize: Int
  private let state = Mutex(State())
  private let wakeUp = WakeUp()

  init(channels: Set<ClusterEvent.Channel>, bufferSize: Int) {
    self.channels = channels
    self.bufferSize = bufferSize
  }

  func take(_ event: ClusterEvent, on channel: ClusterEvent.Channel) {
    guard channels.contains(channel) else { return }
    state.withLock { state in
      let isGap = state.sequences.skips(to: event, on: channel)
      if state.waiting.count >= bufferSize {
        if state.waiting.last != .gap { state.waiting.append(.gap) }
      } else {
        if isGap, state.waiting.last != .gap { state.waiting.append(.gap) }
        state.waiting.append(.event(event, channel))
      }
    }
    wakeUp.signal()
  }

  func next() async -> EventDelivery? {
    while true {
      if let delivery = state.withLock({ $0.waiting.popFirst() }) { return delivery }
      do { try await wakeUp.wait() } catch { return nil }
    }
  }
}
