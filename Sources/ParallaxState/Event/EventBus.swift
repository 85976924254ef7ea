public import ParallaxAPI
public import ParallaxHA

/// A change in the cluster, published for observers and for nodes that would otherwise notice it at their next poll.
///
/// Delivery is best effort: correctness must not depend on an event.
public struct ClusterEvent: Sendable, Hashable, Codable {
  /// The channels of events.
  public enum Channel: String, Sendable, Hashable, Codable, CaseIterable {
    /// The status changes of executions.
    case execution
    /// Registrations, changes and departures of agents.
    case agent
    /// Nodes that join or leave, changes of leadership and of patterns.
    case cluster
  }

  /// The type, for instance `completed`, `registered`, `left` or `marker`.
  public var type: String
  /// The id of the subject: an execution, an agent, a node or a pattern.
  public var id: String
  /// The node that published the event.
  public var nodeId: String
  /// The time of the event on the publisher's wall clock.
  public var timestamp: Timestamp
  /// The sequence number, which grows by one with each event of a node session on a channel, so that subscribers detect gaps.
  public var sequence: Int64
  /// The incarnation of the node that published the event.
  public var incarnation: String
  /// Further details, in a form that depends on the type.
  public var details: JSONValue?

  /// Makes an event.
  ///
  /// - Parameters:
  ///   - type: The type.
  ///   - id: The id of the subject.
  ///   - session: The node session that publishes the event.
  ///   - timestamp: The time on the publisher's wall clock.
  ///   - sequence: One more than the last sequence number of this session on the channel.
  ///   - details: Further details; nil, the default, without any.
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

/// An element of a subscription.
public enum EventDelivery: Sendable, Hashable {
  /// An event with its channel.
  case event(ClusterEvent, ClusterEvent.Channel)
  /// A possible loss of events: a subscriber that keeps a view must reread its source.
  case gap
}

/// Carries events between the nodes of a cluster.
///
/// The conformance suite `EventBusConformance` checks an implementation.
public protocol EventBus: Sendable {
  /// Publishes events in order; best effort.
  ///
  /// - Throws: Any error if the bus cannot publish; the events may be published in part.
  func publish(_ events: [ClusterEvent], on channel: ClusterEvent.Channel) async throws

  /// Subscribes to the events of all nodes, including this one, for one consumer.
  ///
  /// The stream begins with a gap, and reports every later loss as a gap. It ends when the consumer's task is cancelled. A consumer that
  /// falls behind loses the newest events and receives a gap in their place.
  func subscribe(to channels: Set<ClusterEvent.Channel>) -> AsyncStream<EventDelivery>

  /// Whether the channel may have subscribers, so that a publisher can skip an event; cheap to call; `true` by default.
  func hasSubscribers(on channel: ClusterEvent.Channel) -> Bool
}

extension EventBus {
  /// Returns `true`: the channel may have subscribers.
  public func hasSubscribers(on channel: ClusterEvent.Channel) -> Bool { true }

  /// Publishes one event; best effort.
  public func publish(_ event: ClusterEvent, on channel: ClusterEvent.Channel) async throws {
    try await publish([event], on: channel)
  }
}
