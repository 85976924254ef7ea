package import ParallaxAPI
package import ParallaxHA

/// News for people and for whoever would otherwise find out by a timer.
///
/// Events may be lost; nothing rests on them.
package struct ClusterEvent: Sendable, Hashable, Codable {
  /// The three channels.
  package enum Channel: String, Sendable, Hashable, Codable, CaseIterable {
    case execution, agent, cluster
  }

  /// For instance `completed`, `registered`, `left`, `marker`.
  package var type: String
  /// What it is about: an execution's, an agent's or a node's id.
  package var id: String
  package var nodeId: String
  package var timestamp: Timestamp
  /// Grows by one with each event of a node session on a channel, so that a gap shows.
  package var sequence: Int64
  package var incarnation: String
  package var details: JSONValue?

  package init(
    type: String, id: String, session: NodeSession, timestamp: Timestamp, sequence: Int64, details: JSONValue? = nil
  ) {
    self.type = type
    self.id = id
    nodeId = session.nodeID
    incarnation = session.incarnation
    self.timestamp = timestamp
    self.sequence = sequence
    self.details = details
  }
}

/// What a subscriber gets.
package enum EventDelivery: Sendable, Hashable {
  case event(ClusterEvent, ClusterEvent.Channel)
  /// Something may have been missed: whoever keeps a view reads it anew.
  case gap
}

/// Carries events between the nodes of a cluster.
///
/// The conformance suite `EventBusConformance` states what an implementation has to do.
package protocol EventBus: Sendable {
  /// Publishes events in their order; best effort.
  func publish(_ events: [ClusterEvent], on channel: ClusterEvent.Channel) async throws

  /// Events of all nodes, this one's included, for one consumer.
  ///
  /// The stream begins with a gap: from there on nothing is missed without another. It ends when the consumer's task is cancelled. A
  /// consumer that falls behind loses the newest events and finds a gap in their place.
  func subscribe(to channels: Set<ClusterEvent.Channel>) -> AsyncStream<EventDelivery>

  /// Whether an event on the channel may reach anybody, so that nothing is made of one that cannot; cheap. `true` by default.
  func hasSubscribers(on channel: ClusterEvent.Channel) -> Bool
}

extension EventBus {
  /// Somebody may be listening.
  package func hasSubscribers(on channel: ClusterEvent.Channel) -> Bool { true }

  /// Publishes one event; best effort.
  package func publish(_ event: ClusterEvent, on channel: ClusterEvent.Channel) async throws {
    try await publish([event], on: channel)
  }
}
