public import Logging
public import NIOCore
public import NIOPosix
public import ParallaxHA
public import ParallaxRedis
public import ParallaxState
public import ServiceLifecycle

/// All stores in one Redis: a single server, a master that sentinels watch, or a Redis Cluster.
///
/// ```swift
/// let redis = RedisConfiguration(host: "redis.example.org")
/// let backend = try RedisBackend(configuration: redis, logger: logger)
/// let node = try ParallaxNode(configuration: NodeConfiguration(nodeID: "node-1"), backend: backend, logger: logger)
/// ```
///
/// Redis replicates asynchronously, so a failover can lose what was acknowledged last; ``storeResets()`` tells of each new connection.
public struct RedisBackend: Backend {
  /// Executions, agents, patterns and node sessions.
  public let state: any StateStore
  /// The record of the leader election.
  public let election: any ElectionStore
  /// The fields of the members.
  public let membership: any MembershipStore
  /// The messages between node sessions.
  public let inboxes: any InboxStore
  /// The events for all nodes and for people.
  public let events: any EventBus
  /// The prefix of the keys.
  public let namespace: String

  private let client: RedisClient
  private let condition: WriteCondition
  private let configuration: RedisConfiguration
  private let group: any EventLoopGroup

  /// Makes the stores and the client that they share; it connects when the node runs.
  ///
  /// - Parameters:
  ///   - configuration: Where Redis is, and how patient to be.
  ///   - keyPrefix: What every key and channel begins with; clusters on one Redis need a prefix each.
  ///   - requiredReplicas: How many replicas must acknowledge a grant or renewal of leadership.
  ///   - eventLoopGroup: Where the client takes its one event loop from.
  ///   - logger: Where outages are reported, each once.
  /// - Throws: `RedisError` with `invalidConfiguration`, or `InvalidKeyPrefix`.
  public init(
    configuration: RedisConfiguration, keyPrefix: String = KeySpace.defaultPrefix, requiredReplicas: Int = 0,
    eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, logger: Logger
  ) throws {
    let keys = try KeySpace(prefix: keyPrefix)
    var configuration = configuration
    configuration.requirements = StoreRequirements.all(keys: keys, requiresReplicas: requiredReplicas > 0)
    let client = try RedisClient(
      configuration: configuration,
      scripts: RedisStateStore.scripts + RedisMembershipStore.scripts + RedisElectionStore.scripts + RedisInboxStore.scripts,
      eventLoopGroup: eventLoopGroup, logger: logger)
    self.client = client
    self.configuration = configuration
    group = eventLoopGroup
    let condition = WriteCondition(client: client, keys: keys, logger: logger)
    self.condition = condition
    state = RedisStateStore(client: client, keys: keys, condition: condition, logger: logger)
    election = RedisElectionStore(client: client, keys: keys, requiredReplicas: requiredReplicas)
    membership = RedisMembershipStore(client: client, keys: keys, condition: condition)
    inboxes = RedisInboxStore(client: client, keys: keys, condition: condition, logger: logger)
    events = RedisEventBus(client: client, keys: keys, logger: logger)
    namespace = keyPrefix
  }

  /// The client that the stores share, and the probe of a server that refuses writes.
  public var services: [any Service] { [client, condition] }

  /// All nodes share the stores, and a failover may lose what was acknowledged last.
  public var traits: BackendTraits { BackendTraits(isShared: true, losesAcknowledgedWrites: true) }

  /// Whether the client is connected, in a cluster to every master.
  public var status: BackendStatus {
    let status = client.status
    guard let time = status.disconnectedFor else {
      if let refusal = condition.refusal { return .refusesWrites(for: refusal.duration, reason: refusal.reason) }
      return status.subscriptionRefusal.map { .refusesSubscriptions(reason: $0.serverMessage ?? $0.message) } ?? .reachable
    }
    return .unreachable(for: time, reason: status.lastError.map { "\($0)" } ?? "connecting")
  }

  /// Tells of each new connection to a server.
  public func storeResets() -> AsyncStream<ContinuousClock.Instant> { client.connectionEvents() }

  /// The address of this machine on its way to a server.
  ///
  /// - Returns: The address, without a port.
  /// - Throws: `RedisError` if no server takes a connection.
  public func localHost() async throws -> String? { try await configuration.localHost(on: group) }
}
