package import NIOSSL
package import ParallaxRedis
package import ParallaxText

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The way to a node's Redis, in a form that can be handed to another process.
///
/// Files are named, not included: they are read again when a connection is made, so that rotated certificates and passwords apply.
package struct RedisAccess: Sendable, Codable, Equatable {
  /// The files for TLS, PEM.
  package struct TLS: Sendable, Codable, Equatable {
    package var ca: String?
    package var certificate: String?
    package var privateKey: String?

    package init(ca: String? = nil, certificate: String? = nil, privateKey: String? = nil) {
      self.ca = ca
      self.certificate = certificate
      self.privateKey = privateKey
    }
  }

  /// A master that sentinels watch.
  package struct Sentinel: Sendable, Codable, Equatable {
    package var masterName: String
    package var username: String?
    package var password: Secret?

    package init(masterName: String, username: String? = nil, password: Secret? = nil) {
      self.masterName = masterName
      self.username = username
      self.password = password
    }
  }

  /// The servers for the first connection, each `host:port` or the path of a socket.
  package var servers: [String]
  /// Whether the servers are nodes of a Redis Cluster.
  package var isCluster = false
  /// The sentinels' master, if the servers are sentinels.
  package var sentinel: Sentinel?
  package var username: String?
  package var password: Secret?
  package var usernameFile: String?
  package var passwordFile: String?
  package var database = 0
  package var clientName: String?
  package var tls: TLS?
  package var connectMilliseconds: Int64 = 2_000
  package var commandMilliseconds: Int64 = 3_000

  package init(servers: [String]) {
    self.servers = servers
  }

  /// Makes the client's settings.
  ///
  /// - Parameter tls: The settings of TLS, as by ``tlsConfiguration()``.
  /// - Returns: The settings.
  /// - Throws: `RedisError` for an invalid server.
  package func configuration(tls: TLSConfiguration?) throws -> RedisConfiguration {
    var configuration = RedisConfiguration(deployment: try deployment(tls))
    configuration.username = username
    configuration.password = password?.text
    configuration.database = database
    configuration.clientName = clientName
    configuration.connectTimeout = .milliseconds(connectMilliseconds)
    configuration.commandTimeout = .milliseconds(commandMilliseconds)
    configuration.tls = tls
    configuration.credentials = credentials
    return configuration
  }

  private func deployment(_ tls: TLSConfiguration?) throws -> RedisConfiguration.Deployment {
    let endpoints = try servers.map { server in
      server.hasPrefix("/")
        ? .unixSocket(path: server)
        : try RedisConfiguration.Endpoint(server, defaultPort: sentinel == nil ? 6_379 : 26_379)
    }
    if let sentinel {
      var settings = RedisConfiguration.Sentinel(masterName: sentinel.masterName, sentinels: endpoints)
      settings.username = sentinel.username
      settings.password = sentinel.password?.text
      settings.tls = tls
      return .sentinel(settings)
    }
    // The client refuses an empty list.
    guard !isCluster, let endpoint = endpoints.first else { return .cluster(nodes: endpoints) }
    return .standalone(endpoint)
  }

  /// Reads the files for TLS; nil without TLS.
  ///
  /// - Throws: The error of an unusable file.
  package func tlsConfiguration() throws -> TLSConfiguration? {
    guard let files = tls else { return nil }
    var settings = TLSConfiguration.makeClientConfiguration()
    if let ca = files.ca { settings.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(ca)) }
    if let certificate = files.certificate, let privateKey = files.privateKey {
      settings.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) }
      settings.privateKey = .privateKey(try NIOSSLPrivateKey(file: privateKey, format: .pem))
    }
    return settings
  }

  private var credentials: (@Sendable () throws -> RedisConfiguration.Credentials)? {
    guard usernameFile != nil || passwordFile != nil else { return nil }
    return { [username, password, usernameFile, passwordFile] in
      RedisConfiguration.Credentials(
        username: try usernameFile.map(Self.line(inFile:)) ?? username,
        password: try passwordFile.map(Self.line(inFile:)) ?? password?.text ?? "")
    }
  }

  /// The contents of a file without trailing line breaks.
  private static func line(inFile path: String) throws -> String {
    var contents = Substring(try String(contentsOfFile: path, encoding: .utf8))
    while contents.last?.isNewline ?? false { contents.removeLast() }
    return String(contents)
  }
}
