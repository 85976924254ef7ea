import DequeModule
import ParallaxAPI
import ParallaxHA
import ParallaxState

/// The events that a node has yet to publish, numbered in their order on each channel; a value without a clock.
///
/// Events beyond the capacity, and those that the store does not take, are lost. Their numbers are used up, so that subscribers notice.
struct EventQueue: Sendable {
  /// What is worth a line in the log: the beginning of a loss and its end, not each event.
  enum Notice: Sendable, Hashable {
    case losing
    case recovered(lost: Int)
  }

  private let capacity: Int
  private let batchSize: Int
  private var waiting: Deque<(event: ClusterEvent, channel: ClusterEvent.Channel)> = []
  private var sequences: [ClusterEvent.Channel: Int64] = [:]
  private var lost = 0

  /// Makes a queue without events.
  ///
  /// - Parameters:
  ///   - capacity: How many events wait at most.
  ///   - batchSize: How many events are published at once at most.
  init(capacity: Int, batchSize: Int) {
    self.capacity = capacity
    self.batchSize = batchSize
  }

  /// Queues the event that `make` makes of its number.
  mutating func add(on channel: ClusterEvent.Channel, _ make: (_ sequence: Int64) -> ClusterEvent) -> Notice? {
    let sequence = (sequences[channel] ?? 0) + 1
    sequences[channel] = sequence
    guard waiting.count < capacity else { return lose(1) }
    waiting.append((make(sequence), channel))
    return nil
  }

  /// Takes the oldest event with those right behind it on the same channel; nil if none waits.
  mutating func nextBatch() -> (channel: ClusterEvent.Channel, events: [ClusterEvent])? {
    guard let channel = waiting.first?.channel else { return nil }
    let events = waiting.prefix(batchSize).prefix { $0.channel == channel }.map(\.event)
    waiting.removeFirst(events.count)
    return (channel, events)
  }

  /// The store has not taken events.
  mutating func lose(_ count: Int) -> Notice? {
    lost += count
    return lost == count ? .losing : nil
  }

  /// The store has taken a batch.
  mutating func published() -> Notice? {
    guard lost > 0, waiting.count < capacity else { return nil }
    defer { lost = 0 }
    return .recovered(lost: lost)
  }
}
