import DequeModule
import ParallaxConcurrency
import Synchronization

/// Carries events within this process: the bus of an embedded node, of tests and of simulations.
public final class InMemoryEventBus: EventBus {
  private struct State: ~Copyable {
    var subscribers: [Int: Subscriber] = [:]
    var lastID = 0
    /// How many subscribers each channel has; channels without any are left out.
    var listeners: [ClusterEvent.Channel: Int] = [:]

    mutating func add(_ subscriber: Subscriber) -> Int {
      lastID += 1
      subscribers[lastID] = subscriber
      for channel in subscriber.channels { listeners[channel, default: 0] += 1 }
      return lastID
    }

    mutating func remove(_ id: Int) {
      guard let subscriber = subscribers.removeValue(forKey: id) else { return }
      for channel in subscriber.channels {
        let count = listeners[channel, default: 1] - 1
        listeners[channel] = count > 0 ? count : nil
      }
    }
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
  public init(bufferSize: Int = 1_000) {
    self.bufferSize = bufferSize
  }

  package var subscriberCount: Int { state.withLock { $0.subscribers.count } }

  /// Whether a subscriber of this bus listens to a channel.
  public func hasSubscribers(on channel: ClusterEvent.Channel) -> Bool {
    state.withLock { $0.listeners[channel] != nil }
  }

  /// Publishes events; see ``EventBus/publish(_:on:)``.
  public func publish(_ events: [ClusterEvent], on channel: ClusterEvent.Channel) {
    // Not under the lock: a subscriber that is woken up may end, and takes itself off the list then.
    for subscriber in state.withLock({ Array($0.subscribers.values) }) {
      for event in events { subscriber.take(event, on: channel) }
    }
  }

  /// Subscribes; see ``EventBus/subscribe(to:)``.
  public func subscribe(to channels: Set<ClusterEvent.Channel>) -> AsyncStream<EventDelivery> {
    let subscriber = Subscriber(channels: channels, bufferSize: bufferSize)
    let id = state.withLock { $0.add(subscriber) }
    let registration = Registration(subscriber) { [self] in state.withLock { $0.remove(id) } }
    return AsyncStream { await registration.subscriber.next() }
  }
}

/// What waits for one subscriber.
private final class Subscriber: Sendable {
  private struct State {
    var waiting: Deque<EventDelivery> = [.gap]
    var sequences = EventSequences()
  }

  let channels: Set<ClusterEvent.Channel>
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
