import Logging

/// Finds the server of a connection anew for each attempt to connect.
struct ServerLocator: Sendable {
  /// The server's name in messages and logs.
  let name: String

  /// The log level of an outage.
  var outageLevel = Logger.Level.error

  /// Whether the server must be a master, which the handshake verifies.
  let mustBeMaster: Bool

  /// Finds the server.
  let locate: @Sendable () async throws(RedisError) -> RedisConfiguration.Endpoint

  /// Whether a found server is still the right one.
  ///
  /// The client asks once a connection is ready: another server may have taken over meanwhile, and a master that was suspended and resumes
  /// does not know that yet.
  let isCurrent: @Sendable (RedisConfiguration.Endpoint) -> Bool

  /// A server with a fixed address.
  static func fixed(
    _ endpoint: RedisConfiguration.Endpoint, name: String? = nil, outageLevel: Logger.Level = .error
  ) -> ServerLocator {
    ServerLocator(name: name ?? "\(endpoint)", outageLevel: outageLevel, mustBeMaster: false) { () async throws(RedisError) in
      endpoint
    } isCurrent: { _ in
      true
    }
  }
}
