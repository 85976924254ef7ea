import Logging

/// Where a connection goes, found anew for each attempt to connect.
struct ServerLocator: Sendable {
  /// What is looked for, as messages and logs name it.
  let name: String

  /// How bad it is that there is no connection, for the log.
  var outageLevel = Logger.Level.error

  /// Whether the server has to be a master, which it is asked for after the log-in.
  let mustBeMaster: Bool

  /// Finds the server.
  let locate: @Sendable () async throws(RedisError) -> RedisConfiguration.Endpoint

  /// Whether a server that was found is still the right one.
  ///
  /// Asked once a connection is ready: connecting may take long enough for another to have taken over, and a master that was stopped and
  /// goes on does not know that yet.
  let isCurrent: @Sendable (RedisConfiguration.Endpoint) -> Bool

  /// A server that is always found at the same place.
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
