public import ParallaxHA
public import ServiceLifecycle

/// Where the nodes of a control plane keep their state and how they reach each other, as one value.
///
/// A node runs on any backend: ``InMemoryBackend``, `RedisBackend` of `ParallaxRedisStores`, or one of your own. Each store has a
/// conformance suite in `ParallaxTesting`; a backend whose stores pass them is complete. All nodes of a cluster use backends over the same
/// stores.
public protocol Backend: Sendable {
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
  /// - Returns: The address, without a port.
  /// - Throws: Any error if the stores cannot be reached; the node asks again.
  func localHost() async throws -> String?
}

/// What a node may rely on with a backend.
public struct BackendTraits: Sendable, Hashable {
  /// Whether processes other than this one can use the same stores, and so take over the work of a node that falls silent.
  public var isShared: Bool

  /// Whether what the state store has acknowledged can be lost while its nodes live; if so, nodes keep what they wrote last for a while.
  public var losesAcknowledgedWrites: Bool

  /// Makes traits.
  ///
  /// - Parameters:
  ///   - isShared: Whether other processes can use the same stores.
  ///   - losesAcknowledgedWrites: Whether acknowledged writes can be lost.
  public init(isShared: Bool, losesAcknowledgedWrites: Bool) {
    self.isShared = isShared
    self.losesAcknowledgedWrites = losesAcknowledgedWrites
  }
}

/// Whether the stores of a backend answer.
public enum BackendStatus: Sendable, Hashable {
  /// They answer.
  case reachable
  /// For how long they have not answered, and why, as far as is known.
  case unreachable(for: Duration, reason: String)
  /// For how long they have answered reads and refused writes, and why, in their own words: memory or disk is full, or they are replicas.
  case refusesWrites(for: Duration, reason: String)
  /// They do not let a node hear of the others, and why, in their own words.
  case refusesSubscriptions(reason: String)
}

extension Backend {
  /// Nothing has to run.
  public var services: [any Service] { [] }

  /// The stores always answer.
  public var status: BackendStatus { .reachable }

  /// The stores have no namespace.
  public var namespace: String { "" }

  /// Nothing that was acknowledged is ever lost.
  public func storeResets() -> AsyncStream<ContinuousClock.Instant> { AsyncStream { nil } }

  /// There is no way to the stores that has an address.
  public func localHost() async throws -> String? { nil }
}
