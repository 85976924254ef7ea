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
  /// Where nodes show that they live; nil if the state ends with the process, and so is nobody else's.
  let members: RedisMembershipStore?

  /// Whether the state survives the process.
  var isDurable: Bool { members != nil }

  init(configuration: NodeConfiguration.Redis, nodeID: String, eventLoop: any EventLoop, logger: Logger) throws {
    guard let url = configuration.url else {
      store = InMemoryStateStore(now: { NodeClock.wall })
      services = []
      status = { .reachable }
      members = nil
      return
    }
    let keys = try KeySpace(prefix: configuration.keyPrefix)
    let client = try RedisClient(
      configuration: RedisConfiguration(configuration, url: url, nodeID: nodeID),
      scripts: RedisStateStore.scripts + RedisMembershipStore.scripts,
      eventLoopGroup: eventLoop, logger: logger)
    store = RedisStateStore(client: client, keys: keys, logger: logger)
    members = RedisMembershipStore(client: client, keys: keys)
    services = [client]
    status = {
      let status = client.status
      guard let time = status.disconnectedFor else { return .reachable }
      return .unreachable(for: time, reason: status.lastError.map { "\($0)" } ?? "connecting")
    }
  }
}

extension RedisConfiguration {
  fileprivate init(_ configuration: NodeConfiguration.Redis, url: RedisURL, nodeID: String) {
    self.init(endpoint: url.endpoint)
    username = configuration.username ?? url.username
    password = configuration.password ?? url.password
    database = url.database
    clientName = "parallaxd-\(nodeID)"
    connectTimeout = configuration.connectTimeout
    commandTimeout = configuration.commandTimeout
    if url.isTLS { tls = .makeClientConfiguration() }
  }
}
