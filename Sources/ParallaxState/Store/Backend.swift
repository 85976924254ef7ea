public import ParallaxHA
public import ServiceLifecycle

/// The stores and channels that the nodes of a control plane share, as one value.
///
/// A node runs on any backend: ``InMemoryBackend``, `RedisBackend` of `ParallaxRedisStores`, or one of your own. Each store has a
/// conformance suite in `ParallaxTesting`; a backend whose stores pass them is complete. All nodes of a cluster use backends over the same
/// stores.
public protocol Backend: Sendable {
  /// The store of executions, agents, patterns and node sessions.
  var state: any StateStore { get }

  /// The store of the election record.
  var election: any ElectionStore { get }

  /// The store of the member records.
  var membership: any MembershipStore { get }

  /// The store of the messages between node sessions.
  var inboxes: any InboxStore { get }

  /// The bus of the cluster's events.
  var events: any EventBus { get }

  /// The services that the stores need, in the order of their start; none by default.
  ///
  /// The node starts these services before all callers of the stores, and stops them after all callers.
  var services: [any Service] { get }

  /// Whether the stores are reachable; cheap to call, because every probe reads it; `reachable` by default.
  var status: BackendStatus { get }

  /// The guarantees of the backend.
  var traits: BackendTraits { get }

  /// The parts of the state store that can be away one by one; one part by default.
  var partitions: StorePartitions { get }

  /// The name by which these stores differ from other stores on the same servers, for errors; empty by default.
  var namespace: String { get }

  /// Reports connections to stores that may lack acknowledged writes, as after a failover.
  ///
  /// The node then restores its state from before the reset. By default the sequence ends at once, because the stores lose no
  /// acknowledged write.
  func storeResets() -> AsyncStream<StoreReset>

  /// The local address of the connection to the stores, by which other nodes are likely to reach this machine.
  ///
  /// - Returns: The address without a port; nil, the default, if the backend has no network connection.
  /// - Throws: Any error if the stores are unreachable; the node retries.
  func localHost() async throws -> String?
}

/// The parts of a store that can be away one by one, such as the masters of a Redis Cluster.
///
/// A node works on executions a bounded number at a time; each part gets its share of that number.
public struct StorePartitions: Sendable {
  /// The number of parts, at least 1.
  public let count: Int
  private let partOfExecution: @Sendable (String) -> Int
  private let partOfKey: @Sendable (String) -> Int

  /// Makes the parts of a store.
  ///
  /// - Parameters:
  ///   - count: The number of parts, at least 1.
  ///   - execution: The part, from 0 and below `count`, that holds the execution with an id.
  ///   - idempotencyKey: The part that holds an idempotency key.
  public init(count: Int, execution: @escaping @Sendable (String) -> Int, idempotencyKey: @escaping @Sendable (String) -> Int) {
    precondition(count >= 1, "a store has at least one part")
    self.count = count
    partOfExecution = execution
    partOfKey = idempotencyKey
  }

  /// The part that holds an execution.
  public func part(ofExecution id: String) -> Int { partOfExecution(id) }

  /// The part that holds an idempotency key.
  public func part(ofKey key: String) -> Int { partOfKey(key) }

  /// A store without parts.
  public static let whole = StorePartitions(count: 1, execution: { _ in 0 }, idempotencyKey: { _ in 0 })
}

/// The guarantees of a backend.
public struct BackendTraits: Sendable, Hashable {
  /// Whether other processes can use the same stores, and so take over the work of a silent node.
  public var isShared: Bool

  /// Whether the state store can lose acknowledged writes; if so, nodes keep their recent writes to restore them.
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

/// The availability of a backend's stores.
public enum BackendStatus: Sendable, Hashable {
  /// The stores answer.
  case reachable
  /// The stores do not answer: for how long, and the reason if known.
  case unreachable(for: Duration, reason: String)
  /// The stores answer reads and refuse writes, because memory or disk is full or they are replicas: for how long, and their error message.
  case refusesWrites(for: Duration, reason: String)
  /// The stores refuse subscriptions, which a node needs to follow the other nodes: their error message.
  case refusesSubscriptions(reason: String)
}

/// An instant from before which the stores may lack acknowledged writes.
public struct StoreReset: Sendable {
  private let readAge: @Sendable () -> Duration

  /// Makes a reset.
  ///
  /// - Parameter age: Returns the time since the reset, at each call.
  public init(age: @escaping @Sendable () -> Duration) {
    readAge = age
  }

  /// The time since the reset, at each access; older acknowledged writes may be missing.
  public var age: Duration { readAge() }
}

extension Backend {
  /// Returns no services.
  public var services: [any Service] { [] }

  /// Returns `reachable`.
  public var status: BackendStatus { .reachable }

  /// Returns an empty namespace.
  public var namespace: String { "" }

  /// Returns an empty sequence: the stores lose no acknowledged write.
  public func storeResets() -> AsyncStream<StoreReset> { AsyncStream { nil } }

  /// One part.
  public var partitions: StorePartitions { .whole }

  /// Returns nil: the backend has no network connection.
  public func localHost() async throws -> String? { nil }
}
