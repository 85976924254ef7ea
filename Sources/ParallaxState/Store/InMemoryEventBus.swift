import DequeModule
import ParallaxConcurrency
import Synchronization

/// An event bus within this process, for an embedded node, for tests and for simulations.
public final class InMemoryEventBus: EventBus {
  private struct State: ~Copyable {
    var subscribers: [Int: Subscriber] = [:]
    var lastID = 0
    /// The number of subscribers of each channel that has any.
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

  /// Ends the subscription when its stream is deallocated.
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
  /// - Parameter bufferSize: The largest number of events queued for one subscriber; 1,000 by default.
  public init(bufferSize: Int = 1_000) {
    self.bufferSize = bufferSize
  }

  package var subscriberCount: Int { state.withLock { $0.subscribers.count } }

  /// Whether a channel has subscribers.
  public func hasSubscribers(on channel: ClusterEvent.Channel) -> Bool {
    state.withLock { $0.listeners[channel] != nil }
  }

  /// Publishes events; see ``EventBus/publish(_:on:)``.
  public func publish(_ events: [ClusterEvent], on channel: ClusterEvent.Channel) {
    // Outside the lock, because a subscriber that wakes up may end and remove itself.
    for subscriber in state.withLock({ Array($0.subscribers.values) }) {
      for event in events { subscriber.enqueue(event, on: channel) }
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

/// The queue of one subscriber.
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

  func enqueue(_ event: ClusterEvent, on channel: ClusterEvent.Channel) {
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
