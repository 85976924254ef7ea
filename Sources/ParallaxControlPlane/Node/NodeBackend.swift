import Foundation
import Logging
import NIOPosix
import NIOSSL
import ParallaxRedis
import ParallaxRedisStores
import ParallaxState

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
    credentials = configuration.credentialFiles
  }
}

extension NodeConfiguration.Redis {
  /// Reads user and password from their files; nil if no file is configured.
  fileprivate var credentialFiles: (@Sendable () throws -> RedisConfiguration.Credentials)? {
    guard usernameFile != nil || passwordFile != nil else { return nil }
    let fixedUser = username ?? url?.username
    let fixedPassword = password ?? url?.password ?? ""
    return { [usernameFile, passwordFile] in
      RedisConfiguration.Credentials(
        username: try usernameFile.map(Self.line(inFile:)) ?? fixedUser,
        password: try passwordFile.map(Self.line(inFile:)) ?? fixedPassword)
    }
  }

  /// The contents of a file without trailing line breaks.
  private static func line(inFile path: String) throws -> String {
    var contents = Substring(try String(contentsOfFile: path, encoding: .utf8))
    while contents.last?.isNewline ?? false { contents.removeLast() }
    return String(contents)
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
