import Foundation
import NIOCore
package import ParallaxAPI

/// Several node processes on one Redis.
package struct ParallaxCluster: Sendable {
  private let server: RedisServer?
  package let nodes: [ParallaxdProcess]

  /// The single Redis server of the nodes.
  package var redis: RedisServer {
    guard let server else { preconditionFailure("these nodes are on several servers of Redis") }
    return server
  }

  package init(redis: RedisServer?, nodes: [ParallaxdProcess]) {
    server = redis
    self.nodes = nodes
  }

  /// The id of the node at an index.
  package static func id(_ index: Int) -> String { "node-\(index)" }

  /// The variables of nodes without witnesses, whose crashes cost a lease and a silence.
  package static let leaseAlone = ["PARALLAX_HA_WITNESS": "off"]

  /// The variables of a node, with a short lease and frequent heartbeats for short tests.
  package static func environment(redis: String, node: Int, lease: Duration = .seconds(2)) -> [String: String] {
    environment(node: node, lease: lease).merging(["PARALLAX_REDIS_URL": redis]) { _, given in given }
  }

  private static func environment(node: Int, lease: Duration) -> [String: String] {
    [
      "PARALLAX_HA_ENABLED": "true", "PARALLAX_HA_CLUSTER_ID": "production", "PARALLAX_NODE_ID": id(node),
      "PARALLAX_HA_LEASE_DURATION": "\(lease / .milliseconds(1))".prefix { $0 != "." } + "ms", "PARALLAX_HA_CHECK_INTERVAL": "500ms",
    ]
  }

  /// Starts a cluster on a Redis server of its own, waits until it is whole, passes it to the body, and always ends it.
  package static func with<Result>(
    _ count: Int = 3, lease: Duration = .seconds(2), redis options: RedisServer.Options = .init(), environment: [String: String] = [:],
    files: [String: String] = [:], _ body: (ParallaxCluster) async throws -> Result
  ) async throws -> Result {
    try await RedisServer.with(options) { redis in
      try await with(count, on: redis, lease: lease, environment: environment, files: files, body)
    }
  }

  /// Starts a cluster on a running Redis server, waits until it is whole, passes it to the body, and always ends it.
  ///
  /// `urls` has other addresses of Redis for single nodes, by index; `variables` has additional variables for single nodes. Of nodes inside
  /// their witnesses, ``ParallaxdProcess/process`` is the witness.
  package static func with<Result>(
    _ count: Int = 3, on redis: RedisServer, urls: [Int: String] = [:], lease: Duration = .seconds(2), environment: [String: String] = [:],
    variables: (Int) -> [String: String] = { _ in [:] }, files: [String: String] = [:], areInsideWitnesses: Bool = false,
    _ body: (ParallaxCluster) async throws -> Result
  ) async throws -> Result {
    try await with(
      count, server: redis, lease: lease, environment: environment, files: files, areInsideWitnesses: areInsideWitnesses
    ) { index in
      ["PARALLAX_REDIS_URL": urls[index] ?? redis.url].merging(variables(index)) { _, given in given }
    } _: { cluster in
      try await body(cluster)
    }
  }

  /// Starts a cluster on the Redis of a configuration file or the environment, waits until it is whole, passes it to the body, and always
  /// ends it.
  package static func with<Result>(
    _ count: Int = 3, environment: [String: String], files: [String: String], _ body: (ParallaxCluster) async throws -> Result
  ) async throws -> Result {
    try await with(
      count, server: nil, lease: .seconds(2), environment: environment, files: files, areInsideWitnesses: false, variables: { _ in [:] },
      body)
  }

  private static func with<Result>(
    _ count: Int, server: RedisServer?, lease: Duration, environment: [String: String], files: [String: String], areInsideWitnesses: Bool,
    variables: (Int) -> [String: String], _ body: (ParallaxCluster) async throws -> Result
  ) async throws -> Result {
    var nodes: [ParallaxdProcess] = []
    do {
      for index in 0..<count {
        var all = Self.environment(node: index, lease: lease)
        for more in [environment, variables(index)] { all.merge(more) { _, given in given } }
        nodes.append(try await ParallaxdProcess.start(environment: all, files: files, isInsideWitness: areInsideWitnesses))
      }
      let cluster = ParallaxCluster(redis: server, nodes: nodes)
      try await cluster.waitUntilWhole()
      let result = try await body(cluster)
      for node in nodes { await node.process.stop() }
      return result
    } catch {
      let logs = nodes.enumerated().map { "--- \(Self.id($0.offset))\n\($0.element.process.errorOutput.suffix(6_000))" }
      for node in nodes { await node.process.stop() }
      throw ProcessFailure("\(error)\n\(logs.joined(separator: "\n"))")
    }
  }

  /// Waits until all nodes see all others healthy, and the same leader.
  package func waitUntilWhole() async throws {
    try await eventually("a cluster of \(nodes.count) with a leader", within: .seconds(30)) {
      var leaders: Set<String?> = []
      for node in nodes {
        guard let status = try? await node.haStatus(), status.members.count == nodes.count,
          status.members.allSatisfy({ $0.status == .healthy })
        else { return false }
        leaders.insert(status.leader)
      }
      return leaders.count == 1 && leaders.first != .some(nil)
    }
  }

  /// The index of the leader in the view of `node`.
  package func leader(asking node: Int = 0) async throws -> Int {
    guard let id = try await nodes[node].haStatus().leader, let index = nodes.indices.first(where: { Self.id($0) == id }) else {
      throw ProcessFailure("nobody leads")
    }
    return index
  }

  /// Waits until `node` observes a leader other than `former`; returns its index.
  package func waitForLeader(otherThan former: Int, asking node: Int, within limit: Duration = .seconds(20)) async throws -> Int {
    try await eventualValue("a leader other than \(Self.id(former))", within: limit, every: .milliseconds(5)) {
      guard let id = try await nodes[node].haStatus().leader, id != Self.id(former) else { return nil }
      return nodes.indices.first { Self.id($0) == id }
    }
  }

  /// The indices of all nodes but one.
  package func others(than index: Int) -> [Int] { nodes.indices.filter { $0 != index } }

  /// The addresses for agents, that of the node at `index` first.
  package func agentURLs(first index: Int) -> [String] {
    nodes.indices.map { nodes[(index + $0) % nodes.count].agentURL }
  }
}

extension ParallaxdProcess {
  /// The node's status of its cluster.
  package func haStatus() async throws -> HAStatusDocument {
    try await api.get("/ha/status").decode()
  }
}
