import Foundation
import NIOSSL
import ParallaxRedis
import TestSupport
import Testing

/// The deployments of Redis on which all features must work.
enum Deployment: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case sentinel = "Sentinel"
  case cluster = "Cluster"
  case protected = "a single server by TLS, as a user with the least rights"
  case protectedCluster = "Cluster by TLS, as a user with the least rights"
  case protectedSentinel = "Sentinel, as users with the least rights"

  /// Those that the server of the tests can be.
  static let possible = allCases.filter { RedisServer.hasTLS || ($0 != .protected && $0 != .protectedCluster) }

  var testDescription: String { rawValue }

  /// Starts the servers, and passes a configuration for them to the body.
  func with<Value: Sendable>(_ body: @Sendable (RedisConfiguration) async throws -> Value) async throws -> Value {
    switch self {
    case .sentinel:
      return try await RedisSentinelDeployment.with { deployment in try await body(Self.impatient(deployment.configuration)) }
    case .cluster:
      return try await RedisClusterDeployment.with(.init(replicasPerPrimary: 0)) { deployment in
        try await body(Self.impatient(deployment.configuration))
      }
    case .protected:
      let certificates = try await TestCertificates()
      return try await RedisServer.with(.init(users: [try Self.rule("parallax")], tls: .init(certificates))) { server in
        var configuration = try RedisConfiguration(url: server.url)
        configuration.tls = Self.tls(certificates)
        return try await body(Self.impatient(Self.leastRights(configuration)))
      }
    case .protectedCluster:
      let certificates = try await TestCertificates()
      let options = RedisClusterDeployment.Options(
        replicasPerPrimary: 0, users: [try Self.rule("parallax")], tls: .init(certificates))
      return try await RedisClusterDeployment.with(options) { deployment in
        var configuration = deployment.configuration
        configuration.tls = Self.tls(certificates)
        return try await body(Self.impatient(Self.leastRights(configuration)))
      }
    case .protectedSentinel:
      return try await RedisSentinelDeployment.with { deployment in
        try Self.addUser("parallax", to: deployment.nodes)
        try Self.addUser("watcher", to: deployment.sentinels)
        var configuration = Self.leastRights(deployment.configuration)
        if case .sentinel(var sentinel) = configuration.deployment {
          sentinel.username = "watcher"
          sentinel.password = "password"
          configuration.deployment = .sentinel(sentinel)
        }
        return try await body(Self.impatient(configuration))
      }
    }
  }

  private static func leastRights(_ configuration: RedisConfiguration) -> RedisConfiguration {
    var configuration = configuration
    configuration.username = "parallax"
    configuration.password = "password"
    return configuration
  }

  private static func impatient(_ configuration: RedisConfiguration) -> RedisConfiguration {
    var configuration = configuration
    configuration.commandTimeout = .seconds(10)
    configuration.backoff = .init(base: .milliseconds(10), maximum: .milliseconds(50))
    return configuration
  }

  private static func tls(_ certificates: TestCertificates) -> TLSConfiguration {
    var tls = TLSConfiguration.makeClientConfiguration()
    tls.trustRoots = .file(certificates.authority)
    return tls
  }

  private static func addUser(_ name: String, to servers: [RedisServer]) throws {
    let words = try rule(name).split(separator: " ").map(String.init)
    for server in servers { _ = try server.withConnection { try $0.command(["ACL", "SETUSER"] + words) } }
  }

  /// The rule of a user from the documentation.
  private static func rule(_ name: String) throws -> String {
    let text = try String(contentsOf: ProjectLayout.root.appending(path: "docs/redis.md"), encoding: .utf8)
    guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("user \(name) ") }) else {
      throw ProcessFailure("docs/redis.md has no rule for the user \(name)")
    }
    return String(line.dropFirst("user ".count))
  }
}

extension RedisSentinelDeployment {
  /// A configuration for the master of the sentinels.
  var configuration: RedisConfiguration {
    let sentinels = sentinelEndpoints.map { RedisConfiguration.Endpoint.host($0.host, port: $0.port) }
    return RedisConfiguration(deployment: .sentinel(.init(masterName: masterName, sentinels: sentinels)))
  }
}

extension RedisClusterDeployment {
  /// A configuration for the cluster.
  var configuration: RedisConfiguration {
    RedisConfiguration(deployment: .cluster(nodes: endpoints.map { .host($0.host, port: $0.port) }))
  }
}
