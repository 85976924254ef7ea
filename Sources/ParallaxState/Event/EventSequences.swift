/// Detects missing events, from the last sequence number of each sender on each channel.
///
/// The first event of a sender is the beginning: earlier ones are not missing.
package struct EventSequences: Sendable {
  private struct Sender: Hashable {
    var nodeID: String
    var incarnation: String
    var channel: ClusterEvent.Channel
  }

  /// The largest number of senders to track, since their names come from outside; one more resets the detector, at the price of one gap.
  private static let capacity = 10_000

  private var last: [Sender: Int64] = [:]

  package init() {}

  /// Records an event; returns whether an earlier one of its sender may be missing.
  package mutating func skips(to event: ClusterEvent, on channel: ClusterEvent.Channel) -> Bool {
    let sender = Sender(nodeID: event.nodeId, incarnation: event.incarnation, channel: channel)
    guard let former = last[sender] else {
      let isFull = last.count >= Self.capacity
      if isFull { last.removeAll() }
      last[sender] = event.sequence
      return isFull
    }
    last[sender] = max(former, event.sequence)
    // `event.sequence - former` could overflow with an invalid sequence number of a peer.
    return event.sequence > former && event.sequence - 1 != former
  }

  /// Resets the detector, after the subscriber has received a gap.
  package mutating func reset() {
    last.removeAll()
  }
}
