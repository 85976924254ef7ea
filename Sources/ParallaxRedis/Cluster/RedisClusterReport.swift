/// The masters and the slots of a cluster, as one of its servers sees them.
package struct RedisClusterReport: Sendable, Hashable {
  /// The masters, those without slots included.
  package var masters: [RedisConfiguration.Endpoint]
  /// The number of slots with a master.
  package var coveredSlots: Int
  /// The number of slots whose master counts as failed.
  package var failedSlots: Int
  /// The state of the cluster: `ok` or `fail`.
  package var state: String

  /// The number of slots of every cluster.
  package static let slotCount = HashSlot.count

  /// Creates a report.
  package init(masters: [RedisConfiguration.Endpoint], coveredSlots: Int, failedSlots: Int = 0, state: String) {
    self.masters = masters
    self.coveredSlots = coveredSlots
    self.failedSlots = failedSlots
    self.state = state
  }

  /// Asks a server.
  ///
  /// - Parameters:
  ///   - connection: A connection to the server.
  ///   - usesTLS: Whether the clients of the cluster use its TLS ports.
  /// - Throws: ``RedisError`` if the server is in no cluster or denies the answer, or `CancellationError`.
  package init(asking connection: RedisLeasedConnection, usesTLS: Bool) async throws {
    let info = RedisInfoText(try await connection.send(RedisCommand("CLUSTER", "INFO")).string ?? "")
    let map: ClusterMap
    do {
      map = try ClusterMap(
        shards: try await connection.send(RedisCommand("CLUSTER", "SHARDS")), from: connection.endpoint, usesTLS: usesTLS)
    } catch is RedisError {
      // Redis has CLUSTER SHARDS since 7.0, and its reply does not always identify one master of a shard.
      map = try ClusterMap(slots: try await connection.send(RedisCommand("CLUSTER", "SLOTS")), from: connection.endpoint)
    }
    self.init(
      masters: map.masters, coveredSlots: map.coveredSlots, failedSlots: info["cluster_slots_fail"].flatMap { Int($0) } ?? 0,
      state: info["cluster_state"] ?? "unknown")
  }
}

/// Lines of `name:value`, as CLUSTER INFO has them.
private struct RedisInfoText {
  private var values: [Substring: String] = [:]

  init(_ text: String) {
    for line in text.split(whereSeparator: \.isNewline) {
      if let colon = line.firstIndex(of: ":") { values[line[..<colon]] = String(line[line.index(after: colon)...]) }
    }
  }

  subscript(name: Substring) -> String? { values[name] }
}
