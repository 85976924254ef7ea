import Logging
import NIOPosix
import ParallaxRedis
import ParallaxRedisStores
import ParallaxState
import ParallaxText
import ParallaxWitness

extension NodeConfiguration {
  /// Makes the backend that the configuration selects.
  ///
  /// - Parameter logger: Logs each outage of the stores once.
  /// - Returns: The backend, which connects when its services run.
  /// - Throws: ``ConfigurationError`` if a TLS file is unusable, or `RedisError` if a value is out of the client's bounds.
  func makeBackend(logger: Logger) throws -> any Backend {
    guard redis.isConfigured else { return InMemoryBackend() }
    return try RedisBackend(
      configuration: RedisConfiguration(redis, nodeID: node.id), keyPrefix: redis.keyPrefix, requiredReplicas: redis.requireReplicas,
      eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger)
  }
}

extension Backend {
  /// What asks the Redis of the stores for the facts of a diagnosis; nil for other stores.
  var redisSurvey: RedisSurvey? { (self as? RedisBackend)?.survey }

  /// Why there is no ``redisSurvey``.
  var withoutSurvey: String {
    self is InMemoryBackend ? "the state is in the memory of this process" : "the stores are not on Redis, but the program's own"
  }
}

extension RedisConfiguration {
  /// Makes the client's settings; throws ``ConfigurationError`` if a TLS file is unusable.
  fileprivate init(_ configuration: NodeConfiguration.Redis, nodeID: String) throws {
    self = try RedisAccess(configuration, clientName: "parallaxd-\(nodeID)").configuration(tls: try configuration.tlsConfiguration())
  }
}

extension RedisAccess {
  /// The way to the Redis of a node.
  ///
  /// - Parameters:
  ///   - redis: The node's settings.
  ///   - clientName: The name of the connections.
  init(_ redis: NodeConfiguration.Redis, clientName: String) {
    self.init(servers: redis.endpoints.map(\.description))
    isCluster = redis.cluster.nodes != nil
    if redis.sentinel.nodes != nil {
      sentinel = Sentinel(
        masterName: redis.sentinel.masterName ?? "", username: redis.sentinel.username,
        password: redis.sentinel.password.map { Secret($0) })
    }
    username = redis.username ?? redis.url?.username
    password = (redis.password ?? redis.url?.password).map { Secret($0) }
    usernameFile = redis.usernameFile
    passwordFile = redis.passwordFile
    database = redis.url?.database ?? 0
    self.clientName = clientName
    if redis.usesTLS { tls = TLS(ca: redis.tls.ca, certificate: redis.tls.certificate, privateKey: redis.tls.privateKey) }
    connectMilliseconds = Int64(redis.connectTimeout / .milliseconds(1))
    commandMilliseconds = Int64(redis.commandTimeout / .milliseconds(1))
  }
}
