import NIOSSL
import ParallaxRedis
import TestSupport

extension RedisSentinelDeployment {
  /// A configuration for this deployment, with short time-outs like ``RedisServer/configuration(_:)``.
  func configuration(
    _ change: (inout RedisConfiguration, inout RedisConfiguration.Sentinel) throws -> Void = { _, _ in }
  ) throws -> RedisConfiguration {
    var settings = RedisConfiguration.Sentinel(
      masterName: masterName, sentinels: sentinelEndpoints.map { .host($0.host, port: $0.port) })
    settings.password = sentinels[0].options.password
    settings.tls = try sentinels[0].options.tls.map { try $0.certificates.clientConfiguration() }
    var configuration = RedisConfiguration(deployment: .sentinel(settings))
    configuration.password = nodes[0].options.password
    configuration.tls = try nodes[0].options.tls.map { try $0.certificates.clientConfiguration() }
    configuration.commandTimeout = .seconds(10)
    configuration.backoff = .init(base: .milliseconds(10), maximum: .milliseconds(50))
    try change(&configuration, &settings)
    configuration.deployment = .sentinel(settings)
    return configuration
  }

  /// Runs a deployment and a client of it.
  static func withClient<Value: Sendable>(
    _ options: Options = .init(), _ change: @Sendable (inout RedisConfiguration) -> Void = { _ in },
    _ body: @Sendable (RedisSentinelDeployment, RedisClient) async throws -> Value
  ) async throws -> Value {
    try await with(options) { deployment in
      // The sentinels vote again after twice this time if none got a majority.
      for sentinel in deployment.sentinels {
        try sentinel.command("SENTINEL", "SET", deployment.masterName, "failover-timeout", "2000")
      }
      // A replica may get no writes during the first second of its connection.
      try await eventually("the replicas take writes") {
        try deployment.primary().withConnection { connection in
          try connection.command("SET", "first", "1")
          return try connection.command("WAIT", "\(options.replicas)", "100").number == options.replicas
        }
      }
      let configuration = try deployment.configuration { configuration, _ in change(&configuration) }
      return try await RedisIntegrationTests.withClient(configuration) { client in try await body(deployment, client) }
    }
  }
}

extension TestCertificates {
  /// The settings of a client that trusts the valid authority and presents the valid certificate, unless overridden.
  func clientConfiguration(authority: String? = nil, identity: Identity?) throws -> TLSConfiguration {
    var tls = TLSConfiguration.makeClientConfiguration()
    tls.trustRoots = .file(authority ?? self.authority)
    if let identity {
      tls.certificateChain = try NIOSSLCertificate.fromPEMFile(identity.certificate).map { .certificate($0) }
      tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: identity.key, format: .pem))
    }
    return tls
  }

  func clientConfiguration() throws -> TLSConfiguration { try clientConfiguration(identity: client) }
}

extension RedisCommand {
  /// Asks a server for its identity.
  static let whichServer = RedisCommand("INFO", "server").idempotent
}

extension RESPValue {
  /// The port in a server's reply to ``RedisCommand/whichServer``.
  var port: Int? {
    let line = string?.split(separator: "\r\n").first { $0.hasPrefix("tcp_port:") }
    return line.flatMap { Int($0.dropFirst("tcp_port:".count)) }
  }
}

extension RedisClient {
  /// The port of the server that receives the client's commands.
  func portInUse() async throws -> Int? { try await send(.whichServer).port }

  /// Whether a server receives the client's commands; false if it does not answer soon.
  func isUsing(_ server: RedisServer) async throws -> Bool {
    do { return try await send(.whichServer.withTimeout(.seconds(1))).port == server.port } catch is RedisError { return false }
  }
}
