package import Logging
package import NIOCore
package import ParallaxHA
package import ParallaxRedis
package import ParallaxState
package import ServiceLifecycle

/// All stores in one Redis: a single server, a master that sentinels watch, or a Redis Cluster.
///
/// Redis replicates asynchronously, so a failover can lose what was acknowledged last; ``storeResets()`` tells of each new connection.
package struct RedisBackend: Backend {
  package let state: any StateStore
  package let election: any ElectionStore
  package let membership: any MembershipStore
  package let inboxes: any InboxStore
  package let events: any EventBus
  package let namespace: String

  private let client: RedisClient
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
  package init(
    configuration: RedisConfiguration, keyPrefix: String = KeySpace.defaultPrefix, requiredReplicas: Int = 0,
    eventLoopGroup: any EventLoopGroup, logger: Logger
  ) throws {
    let keys = try KeySpace(prefix: keyPrefix)
    let client = try RedisClient(
      configuration: configuration,
      scripts: RedisStateStore.scripts + RedisMembershipStore.scripts + RedisElectionStore.scripts + RedisInboxStore.scripts,
      eventLoopGroup: eventLoopGroup, logger: logger)
    self.client = client
    self.configuration = configuration
    group = eventLoopGroup
    state = RedisStateStore(client: client, keys: keys, logger: logger)
    election = RedisElectionStore(client: client, keys: keys, requiredReplicas: requiredReplicas)
    membership = RedisMembershipStore(client: client, keys: keys)
    inboxes = RedisInboxStore(client: client, keys: keys, logger: logger)
    events = RedisEventBus(client: client, keys: keys, logger: logger)
    namespace = keyPrefix
  }

  package var services: [any Service] { [client] }

  package var traits: BackendTraits { BackendTraits(isShared: true, losesAcknowledgedWrites: true) }

  package var status: BackendStatus {
    let status = client.status
    guard let time = status.disconnectedFor else { return .reachable }
    return .unreachable(for: time, reason: status.lastError.map { "\($0)" } ?? "connecting")
  }

  package func storeResets() -> AsyncStream<ContinuousClock.Instant> { client.newConnections() }

  package func localHost() async throws -> String? { try await configuration.localHost(on: group) }
}
