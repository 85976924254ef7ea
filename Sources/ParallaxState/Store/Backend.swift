package import ParallaxHA
package import ServiceLifecycle

/// Where the nodes of a control plane keep their state and how they reach each other, as one value.
///
/// A node runs on any backend: ``InMemoryBackend``, `RedisBackend` of `ParallaxRedisStores`, or one of your own. Each store has a
/// conformance suite in `ParallaxTesting`; a backend whose stores pass them is complete. All nodes of a cluster use backends over the same
/// stores.
package protocol Backend: Sendable {
  /// Executions, agents, patterns and node sessions.
  var state: any StateStore { get }

  /// The record of the leader election.
  var election: any ElectionStore { get }

  /// The fields of the members.
  var membership: any MembershipStore { get }

  /// The messages between node sessions.
  var inboxes: any InboxStore { get }

  /// The events for all nodes and for people.
  var events: any EventBus { get }

  /// What has to run for the stores to work, in the order in which it starts; none by default.
  ///
  /// The node runs these services for longer than anything that calls the stores.
  var services: [any Service] { get }

  /// Whether the stores answer; cheap, since every probe asks. Reachable by default.
  var status: BackendStatus { get }

  /// What a node may rely on.
  var traits: BackendTraits { get }

  /// What sets these stores apart from those of other clusters on the same servers, as shown in errors; empty by default.
  var namespace: String { get }

  /// Tells when a connection to the stores was made over which earlier acknowledged writes may turn out to be missing, as after a failover.
  ///
  /// The node then writes again what it wrote before the instant. By default the sequence ends at once: nothing acknowledged is ever lost.
  func storeResets() -> AsyncStream<ContinuousClock.Instant>

  /// The address of this machine on its way to the stores, under which other nodes are likely to reach it; `nil` by default, which means
  /// that the backend has no such way.
  ///
  /// - Throws: Any error if the stores cannot be reached; the node asks again.
  func localHost() async throws -> String?
}

/// What a node may rely on with a backend.
package struct BackendTraits: Sendable, Hashable {
  /// Whether processes other than this one can use the same stores, and so take over the work of a node that falls silent.
  package var isShared: Bool

  /// Whether what the state store has acknowledged can be lost while its nodes live; if so, nodes keep what they wrote last for a while.
  package var losesAcknowledgedWrites: Bool

  /// Makes traits.
  package init(isShared: Bool, losesAcknowledgedWrites: Bool) {
    self.isShared = isShared
    self.losesAcknowledgedWrites = losesAcknowledgedWrites
  }
}

/// Whether the stores of a backend answer.
package enum BackendStatus: Sendable, Hashable {
  /// They answer.
  case reachable
  /// For how long they have not answered, and why, as far as is known.
  case unreachable(for: Duration, reason: String)
}

extension Backend {
  /// Nothing has to run.
  package var services: [any Service] { [] }

  /// The stores always answer.
  package var status: BackendStatus { .reachable }

  /// The stores have no namespace.
  package var namespace: String { "" }

  /// Nothing that was acknowledged is ever lost.
  package func storeResets() -> AsyncStream<ContinuousClock.Instant> { AsyncStream { nil } }

  /// There is no way to the stores that has an address.
  package func localHost() async throws -> String? { nil }
}
