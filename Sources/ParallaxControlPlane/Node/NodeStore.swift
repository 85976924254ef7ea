import Logging
import NIOCore
import NIOSSL
import ParallaxHA
import ParallaxRedis
import ParallaxRedisStores
import ParallaxState
import ServiceLifecycle

/// The store that a node's configuration asks for, with what keeps it running.
struct NodeStore: Sendable {
  let store: any StateStore
  /// The services behind the store, if it has any.
  let services: [any Service]
  let status: @Sendable () -> NodeHealth.StoreStatus
  /// What nodes share beside the state; nil if the state ends with the process, and so is nobody else's.
  let shared: Shared?

  /// What nodes share beside the state.
  struct Shared: Sendable {
    /// Where nodes show that they live.
    let members: RedisMembershipStore
    let election: RedisElectionStore
    let inboxes: RedisInboxStore
    let events: RedisEventBus
  }

  /// Tells whenever there is a new connection to a server, which may have lost what another, or it itself, had acknowledged; nil if the
  /// store cannot.
  let doubts: (@Sendable () -> AsyncStream<ContinuousClock.Instant>)?

  /// Whether the state survives the process.
  var isDurable: Bool { shared != nil }

  init(configuration: NodeConfiguration.Redis, nodeID: String, eventLoop: any EventLoop, logger: Logger) throws {
    guard configuration.isConfigured else {
      store = InMemoryStateStore(now: { NodeClock.wall })
      services = []
      status = { .reachable }
      shared = nil
      doubts = nil
      return
    }
    let keys = try KeySpace(prefix: configuration.keyPrefix)
    let client = try RedisClient(
      configuration: RedisConfiguration(configuration, nodeID: nodeID),
      scripts: RedisStateStore.scripts + RedisMembershipStore.scripts + RedisElectionStore.scripts + RedisInboxStore.scripts,
      eventLoopGroup: eventLoop, logger: logger)
    store = RedisStateStore(client: client, keys: keys, logger: logger)
    shared = Shared(
      members: RedisMembershipStore(client: client, keys: keys),
      election: RedisElectionStore(client: client, keys: keys, requiredReplicas: configuration.requireReplicas),
      inboxes: RedisInboxStore(client: client, keys: keys, logger: logger),
      events: RedisEventBus(client: client, keys: keys, logger: logger))
    services = [client]
    doubts = { client.newConnections() }
    status = {
      let status = client.status
      guard let time = status.disconnectedFor else { return .reachable }
      return .unreachable(for: time, reason: status.lastError.map { "\($0)" } ?? "connecting")
    }
  }
}

extension RedisConfiguration {
  /// The client's settings; throws ``ConfigurationError`` if a file for TLS cannot be used.
  fileprivate init(_ configuration: NodeConfiguration.Redis, nodeID: String) throws {
    let tls = try configuration.tlsConfiguration()
    let url = configuration.url
    self.init(deployment: Deployment(configuration, tls: tls))
    username = configuration.username ?? url?.username
    password = configuration.password ?? url?.password
    database = url?.database ?? 0
    clientName = "parallaxd-\(nodeID)"
    connectTimeout = configuration.connectTimeout
    commandTimeout = configuration.commandTimeout
    self.tls = tls
  }
}

extension RedisConfiguration.Deployment {
  fileprivate init(_ configuration: NodeConfiguration.Redis, tls: TLSConfiguration?) {
    if let nodes = configuration.cluster.nodes {
      self = .cluster(nodes: nodes)
    } else if let nodes = configuration.sentinel.nodes {
      var sentinel = RedisConfiguration.Sentinel(masterName: configuration.sentinel.masterName ?? "", sentinels: nodes)
      sentinel.username = configuration.sentinel.username
      sentinel.password = configuration.sentinel.password
      sentinel.tls = tls
      self = .sentinel(sentinel)
    } else {
      guard let endpoint = configuration.endpoints.first else { preconditionFailure("there is no Redis in the configuration") }
      self = .standalone(endpoint)
    }
  }
}
