public import Logging
public import NIOCore
public import NIOPosix
import ParallaxConcurrency
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
/// Redis replicates asynchronously, so a failover can lose the latest acknowledged writes; ``storeResets()`` reports each new connection.
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

  /// In a cluster sixteen groups of slots, one part elsewhere.
  public let partitions: StorePartitions

  private let client: RedisClient
  private let condition: WriteCondition
  private let configuration: RedisConfiguration
  private let group: any EventLoopGroup
  /// Asks the servers for what a diagnosis judges.
  package let survey: RedisSurvey

  /// Makes the stores and their shared client, which connects when the node runs.
  ///
  /// - Parameters:
  ///   - configuration: The address of Redis, and the client's limits.
  ///   - keyPrefix: The prefix of every key and channel; ``KeySpace/defaultPrefix`` by default. Each cluster on one Redis needs its own.
  ///   - requiredReplicas: The number of replicas that must acknowledge a grant or renewal of leadership; 0 by default.
  ///   - eventLoopGroup: The group that provides the client's one event loop.
  ///   - clock: The clock of pauses between attempts and of probes.
  ///   - logger: The logger of outages, each of which is logged once.
  /// - Throws: `RedisError` with `invalidConfiguration`, or `InvalidKeyPrefix`.
  public init(
    configuration: RedisConfiguration, keyPrefix: String = KeySpace.defaultPrefix, requiredReplicas: Int = 0,
    eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, clock: any Clock<Duration> = ContinuousClock(),
    logger: Logger
  ) throws {
    let clock = MonotonicClock(clock)
    let keys = try KeySpace(prefix: keyPrefix)
    var configuration = configuration
    configuration.requirements = StoreRequirements.all(keys: keys, requiresReplicas: requiredReplicas > 0)
    let client = try RedisClient(
      configuration: configuration,
      scripts: RedisStateStore.scripts + RedisMembershipStore.scripts + RedisElectionStore.scripts + RedisInboxStore.scripts,
      eventLoopGroup: eventLoopGroup, clock: clock, logger: logger)
    self.client = client
    self.configuration = configuration
    survey = RedisSurvey(
      configuration: configuration, keys: keys, requiresReplicas: requiredReplicas > 0, eventLoopGroup: eventLoopGroup, clock: clock)
    group = eventLoopGroup
    let condition = WriteCondition(client: client, keys: keys, clock: clock, logger: logger)
    self.condition = condition
    state = RedisStateStore(client: client, keys: keys, condition: condition, logger: logger)
    election = RedisElectionStore(client: client, keys: keys, requiredReplicas: requiredReplicas)
    membership = RedisMembershipStore(client: client, keys: keys, condition: condition)
    inboxes = RedisInboxStore(client: client, keys: keys, condition: condition, clock: clock, logger: logger)
    events = RedisEventBus(client: client, keys: keys, logger: logger)
    namespace = keyPrefix
    let groups = 16
    partitions =
      client.keepsPipelineOrder
      ? .whole
      : StorePartitions(
        count: groups, execution: { RedisClient.slotGroup(of: keys.execution($0), among: groups) },
        idempotencyKey: { RedisClient.slotGroup(of: keys.idempotency($0), among: groups) })
  }

  /// The shared client, and the probe of a server that refuses writes.
  public var services: [any Service] { [client, condition] }

  /// All nodes share the stores, and a failover may lose the latest acknowledged writes.
  public var traits: BackendTraits { BackendTraits(isShared: true, losesAcknowledgedWrites: true) }

  /// Whether the client is connected; in a Redis Cluster, to every master.
  public var status: BackendStatus {
    let status = client.status
    guard let time = status.disconnectedFor else {
      if let refusal = condition.refusal { return .refusesWrites(for: refusal.duration, reason: refusal.reason) }
      return status.subscriptionRefusal.map { .refusesSubscriptions(reason: $0.serverMessage ?? $0.message) } ?? .reachable
    }
    return .unreachable(for: time, reason: status.lastError.map { "\($0)" } ?? "connecting")
  }

  /// Reports each new connection to a server.
  public func storeResets() -> AsyncStream<StoreReset> {
    client.connectionEvents { event in StoreReset { event.age } }
  }

  /// The address from which this machine connects to a server.
  ///
  /// - Returns: The address, without a port.
  /// - Throws: `RedisError` if no server accepts a connection.
  public func localHost() async throws -> String? { try await configuration.localHost(on: group) }
}
