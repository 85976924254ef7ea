/// How far a subscriber has followed each sender on each channel, so that a missing event shows.
///
/// A sender's first event is taken as the beginning: what it sent before the subscription is not missing.
package struct EventSequences: Sendable {
  private struct Sender: Hashable {
    var nodeID: String
    var incarnation: String
    var channel: ClusterEvent.Channel
  }

  /// Sessions come and go, and what they are called comes from outside: beyond this many all are forgotten, at the price of one gap.
  private static let capacity = 10_000

  private var last: [Sender: Int64] = [:]

  package init() {}

  /// Takes note of an event; true if one that its sender published before it may have been missed.
  package mutating func skips(to event: ClusterEvent, on channel: ClusterEvent.Channel) -> Bool {
    let sender = Sender(nodeID: event.nodeId, incarnation: event.incarnation, channel: channel)
    guard let former = last[sender] else {
      let isFull = last.count >= Self.capacity
      if isFull { last.removeAll() }
      last[sender] = event.sequence
      return isFull
    }
    last[sender] = max(former, event.sequence)
    // A comparison of differences could overflow with a sequence that a peer made up.
    return event.sequence > former && event.sequence - 1 != former
  }

  /// Forgets all: the subscriber knows already that it may have missed something.
  package mutating func reset() {
    last.removeAll()
  }
}
