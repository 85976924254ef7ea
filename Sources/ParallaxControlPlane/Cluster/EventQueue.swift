import DequeModule
import ParallaxAPI
import ParallaxHA
import ParallaxState

/// A node's unpublished events, numbered in order on each channel; a value without a clock.
///
/// Events beyond the capacity are lost, and so are those that the store does not accept. Their sequence numbers are used up, so that
/// subscribers notice the gap.
struct EventQueue: Sendable {
  /// A change to log: the beginning or the end of a loss, not each event.
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
  ///   - capacity: The largest number of queued events.
  ///   - batchSize: The largest number of events in one batch.
  init(capacity: Int, batchSize: Int) {
    self.capacity = capacity
    self.batchSize = batchSize
  }

  /// The number of queued events.
  var count: Int { waiting.count }

  /// Queues the event that `make` returns for the next sequence number of the channel.
  mutating func add(on channel: ClusterEvent.Channel, _ make: (_ sequence: Int64) -> ClusterEvent) -> Notice? {
    let sequence = (sequences[channel] ?? 0) + 1
    sequences[channel] = sequence
    guard waiting.count < capacity else { return recordLoss(1) }
    waiting.append((make(sequence), channel))
    return nil
  }

  /// Removes and returns the oldest event with the events right behind it on the same channel; nil if the queue is empty.
  mutating func nextBatch() -> (channel: ClusterEvent.Channel, events: [ClusterEvent])? {
    guard let channel = waiting.first?.channel else { return nil }
    let events = waiting.prefix(batchSize).prefix { $0.channel == channel }.map(\.event)
    waiting.removeFirst(events.count)
    return (channel, events)
  }

  /// Records that events were lost.
  mutating func recordLoss(_ count: Int) -> Notice? {
    lost += count
    return lost == count ? .losing : nil
  }

  /// Records that the store accepted a batch.
  mutating func recordPublished() -> Notice? {
    guard lost > 0, waiting.count < capacity else { return nil }
    defer { lost = 0 }
    return .recovered(lost: lost)
  }
}
