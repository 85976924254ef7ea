import Synchronization

/// Changes of the nodes of a running cluster.
extension RedisClusterDeployment {
  /// Starts a node without slots and introduces it to all others.
  package func join() async throws -> RedisServer {
    let node = try await LoopbackPort.retrying {
      let node = try RedisServer(serverOptions)
      try await node.start()
      return node
    }
    try node.withConnection { connection in try connection.pipeline(nodes.map { ["CLUSTER", "MEET", "127.0.0.1", "\($0.port)"] }) }
    members.withLock { $0.append(node) }
    try await awaitHealthy()
    return node
  }

  /// Makes all other nodes forget a node without slots, and ends it.
  package func remove(_ node: RedisServer) async throws {
    let identifier = try identifier(of: node)
    members.withLock { $0.removeAll { $0 === node } }
    for other in nodes { try other.command("CLUSTER", "FORGET", identifier) }
    node.kill()
    try await awaitHealthy()
  }
}
