package import Logging
import NIOPosix
import NIOSSL
import ParallaxRedis
import ParallaxRedisStores
package import ParallaxState

extension NodeConfiguration {
  /// Makes the backend that the configuration asks for: the one place that chooses between them.
  ///
  /// - Parameter logger: Where outages of the stores are reported, each once.
  /// - Returns: The backend; it connects when its services run.
  /// - Throws: ``ConfigurationError`` if a file for TLS cannot be used, or `RedisError` if a value is out of the client's bounds.
  package func makeBackend(logger: Logger) throws -> any Backend {
    guard redis.isConfigured else { return InMemoryBackend() }
    return try RedisBackend(
      configuration: RedisConfiguration(redis, nodeID: node.id), keyPrefix: redis.keyPrefix, requiredReplicas: redis.requireReplicas,
      eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger)
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
