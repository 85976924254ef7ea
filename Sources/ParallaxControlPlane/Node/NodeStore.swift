import Logging
import NIOCore
import ParallaxHA
import ParallaxRedis
import NIOSSL
import ParallaxRedisStores
import ParallaxState
import ServiceLifecycle

/// The store that a node's configuration asks for, with what keeps it running.
struct NodeStore: Sendable {
  /// Where the state is, for people.
  let name: String
  let store: any StateStore
  /// The services behind the store, if it has any.
  let services: [any Service]
  let status: @Sendable () -> NodeHealth.StoreStatus
  /// Whether the state survives the process.
  let isDurable: Bool

  init(configuration: NodeConfiguration.Redis, nodeID: String, eventLoop: any EventLoop, logger: Logger) throws {
    guard let url = configuration.url else {
      name = "in memory"
      store = InMemoryStateStore(now: { NodeClock.wall })
      services = []
      status = { .reachable }
      isDurable = false
      return
    }
    let client = try RedisClient(
      configuration: RedisConfiguration(configuration, url: url, nodeID: nodeID), scripts: RedisStateStore.scripts,
      eventLoopGroup: eventLoop, logger: logger)
    name = url.text(secretsHidden: true)
    store = RedisStateStore(client: client, keys: try KeySpace(prefix: configuration.keyPrefix), logger: logger)
    services = [client]
    status = {
      let status = client.status
      guard let time = status.disconnectedFor else { return .reachable }
      return .unreachable(for: time, reason: status.lastError.map { "\($0)" } ?? "connecting")
    }
    isDurable = true
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
