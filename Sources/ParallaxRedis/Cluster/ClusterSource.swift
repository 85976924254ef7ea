import NIOCore

/// A server that is asked for its view of the cluster.
enum ClusterSource: Sendable {
  /// Asks on the server's shared connection.
  case node(RedisNode)
  /// Asks on a connection for this one question.
  case endpoint(RedisConfiguration.Endpoint)

  /// Asks the server.
  func report(to router: ClusterRouter) async -> Result<ClusterView.Report, RedisError> {
    do throws(RedisError) {
      switch self {
      case .node(let node):
        guard let connection = node.current else { throw RedisError(.connectionFailed, message: "\(node.locator.name) is not connected.") }
        return .success(try await Self.ask(connection, router.configuration))
      case .endpoint(let endpoint):
        let connection = try await router.connector.connect(to: endpoint, role: .commands)
        defer { connection.close() }
        return .success(try await Self.ask(connection, router.configuration))
      }
    } catch {
      return .failure(error)
    }
  }

  private static func ask(_ connection: RedisConnection, _ configuration: RedisConfiguration) async throws(RedisError) -> ClusterView.Report
  {
    let replyTimeout = TimeAmount(clamping: min(.seconds(1), configuration.connectTimeout))
    let outcome = await connection.execute([RedisCommand("CLUSTER", "SHARDS"), RedisCommand("CLUSTER", "INFO")], timeout: replyTimeout)
    guard outcome.failure == nil else { throw late(connection) }
    let info = outcome.replies[1].string ?? ""
    if let message = outcome.replies[0].errorMessage, message.contains("cluster support disabled") {
      throw RedisError(
        .invalidConfiguration, command: "CLUSTER",
        message: "\(connection.endpoint) is not a server of a cluster: configure it as a single server.",
        serverMessage: message)
    }
    let shards = try? ClusterMap(shards: outcome.replies[0], from: connection.endpoint, usesTLS: configuration.tls != nil)
    if let shards { return .init(map: shards, info: info) }
    // Redis has CLUSTER SHARDS since 7.0, and its reply does not always identify one master of a shard.
    guard case .reply(let slots) = await connection.execute(RedisCommand("CLUSTER", "SLOTS"), timeout: replyTimeout) else {
      throw late(connection)
    }
    if let message = slots.errorMessage { throw refused(by: connection, message) }
    return .init(map: try ClusterMap(slots: slots, from: connection.endpoint), info: info)
  }

  private static func late(_ connection: RedisConnection) -> RedisError {
    RedisError(.connectionFailed, command: "CLUSTER", message: "\(connection.endpoint) did not report its map of the cluster in time.")
  }

  private static func refused(by connection: RedisConnection, _ message: String) -> RedisError {
    guard message.hasPrefix("NOPERM") else {
      return RedisError(
        .serverError, command: "CLUSTER", message: "\(connection.endpoint) refuses to report its map of the cluster.",
        serverMessage: message)
    }
    return RedisError(
      .invalidConfiguration, command: "CLUSTER",
      message:
        "The user may not ask \(connection.endpoint) for its map of the cluster: grant +cluster|slots, +cluster|shards and +cluster|info.",
      serverMessage: message)
  }
}
