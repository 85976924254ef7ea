import Foundation
import ParallaxAPI
import TestSupport

extension ParallaxCluster {
  /// The daemon's default: what takes less than that is the work of a witness.
  static let longLease = Duration.seconds(15)
  /// Silence shows a death only after three of these.
  static let slowHeartbeats = ["PARALLAX_HA_CHECK_INTERVAL": "5s"]
  /// The files of a node whose first election does not take a lease.
  static let soonElected = ["parallax.config.yaml": "highAvailability: { leaderElection: { bootstrapWait: 0s } }"]

  /// Starts a cluster whose deaths only witnesses can show in time, on a Redis server of its own, passes it to the body, and always ends
  /// it.
  ///
  /// Nodes start their witnesses, or are inside them; see `with(_:on:)`.
  static func withWitnesses<Result>(
    _ count: Int = 3, lease: Duration = longLease, environment: [String: String] = [:], areInside: Bool = false,
    _ body: (ParallaxCluster) async throws -> Result
  ) async throws -> Result {
    try await RedisServer.with { redis in
      try await with(
        count, on: redis, lease: lease, environment: slowHeartbeats.merging(environment) { $1 }, files: soonElected,
        areInsideWitnesses: areInside
      ) { cluster in
        try await eventually("a witness of each node") {
          cluster.nodes.allSatisfy { areInside ? $0.node != nil : $0.witness != nil }
        }
        return try await body(cluster)
      }
    }
  }
}

extension ParallaxdProcess {
  /// The value of a metric, the first one with this name; nil if there is none.
  func metric(_ name: String) async throws -> Double? {
    let text = try await api.get("/metrics").text
    return text.split(separator: "\n").first { $0.hasPrefix(name + " ") || $0.hasPrefix(name + "{") }
      .flatMap { $0.split(separator: " ").last.flatMap { Double($0) } }
  }
}
