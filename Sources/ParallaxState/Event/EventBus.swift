public import ParallaxAPI
public import ParallaxHA

/// News for people and for whoever would otherwise find out by a timer.
///
/// Events may be lost; nothing rests on them.
public struct ClusterEvent: Sendable, Hashable, Codable {
  /// The three channels.
  public enum Channel: String, Sendable, Hashable, Codable, CaseIterable {
    /// Statuses of executions, each when it is first reached.
    case execution
    /// Agents that register, change and leave.
    case agent
    /// Nodes that join and leave, and changes of leadership.
    case cluster
  }

  /// For instance `completed`, `registered`, `left`, `marker`.
  public var type: String
  /// What it is about: an execution's, an agent's or a node's id.
  public var id: String
  /// The node that published it.
  public var nodeId: String
  /// The publisher's wall clock.
  public var timestamp: Timestamp
  /// Grows by one with each event of a node session on a channel, so that a gap shows.
  public var sequence: Int64
  /// The incarnation of the node that published it.
  public var incarnation: String
  /// What else there is to tell, in a form that depends on the type.
  public var details: JSONValue?

  /// Makes an event.
  ///
  /// - Parameters:
  ///   - type: What happened.
  ///   - id: What it is about.
  ///   - session: The node session that publishes it.
  ///   - timestamp: The publisher's wall clock.
  ///   - sequence: One more than the last of this session on the channel.
  ///   - details: What else there is to tell.
  public init(
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
public enum EventDelivery: Sendable, Hashable {
  /// An event, and the channel that it was published on.
  case event(ClusterEvent, ClusterEvent.Channel)
  /// Something may have been missed: whoever keeps a view reads it anew.
  case gap
}

/// Carries events between the nodes of a cluster.
///
/// The conformance suite `EventBusConformance` states what an implementation has to do.
public protocol EventBus: Sendable {
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
  /// True: there may be a subscriber.
  public func hasSubscribers(on channel: ClusterEvent.Channel) -> Bool { true }

  /// Publishes one event; best effort.
  public func publish(_ event: ClusterEvent, on channel: ClusterEvent.Channel) async throws {
    try await publish([event], on: channel)
  }
}
