import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// Redis itself fails over in the middle of the nodes' work.
  @Suite(.serialized, .timeLimit(.minutes(5)))
  struct RedisFailover {
    /// Replication is asynchronous: what a master acknowledged in this time before its death can be lost with it.
    private static let atRisk = Duration.milliseconds(250)

    @Test func `Sentinel: by command and by the master's death, election and executions go on`() async throws {
      try await RedisSentinelDeployment.with { redis in
        let nodes = redis.sentinelEndpoints.map { "\"\($0.host):\($0.port)\"" }.joined(separator: ", ")
        let file = "redis: { sentinel: { masterName: \(redis.masterName), nodes: [\(nodes)] } }\n"
        try await ParallaxCluster.with(environment: [:], files: ["parallax.config.yaml": file]) { cluster in
          try await goesOn(cluster, planned: { _ = try await redis.failover() }) {
            let master = try redis.primary()
            let killed = ContinuousClock.now
            master.kill()
            _ = try await redis.awaitPrimary(otherThan: master)
            return killed
          }
        }
      }
    }

    @Test func `Cluster: by command and by a master's death, election and executions go on`() async throws {
      try await RedisClusterDeployment.with { redis in
        let nodes = redis.endpoints.map { "\($0.host):\($0.port)" }.joined(separator: ",")
        try await ParallaxCluster.with(environment: ["PARALLAX_REDIS_CLUSTER_NODES": nodes], files: [:]) { cluster in
          // The master of the election record and of the members: the worst to lose.
          let slot = RedisHashSlot.of("parallax:ha:leader")
          try await goesOn(cluster, planned: { _ = try await redis.failover(ofSlot: slot) }) {
            let master = try redis.primary(ofSlot: slot)
            let killed = ContinuousClock.now
            master.kill()
            _ = try await redis.awaitPrimary(ofSlot: slot, otherThan: master)
            return killed
          }
        }
      }
    }

    /// Works while Redis fails over twice; then everything that was acknowledged is there, completed once.
    private func goesOn(
      _ cluster: ParallaxCluster, planned: @Sendable () async throws -> Void,
      death: @escaping @Sendable () async throws -> ContinuousClock.Instant
    ) async throws {
      try await cluster.nodes[0].apply(pattern("analyse", timeout: .seconds(120), retries: 3))
      let arguments = ["--concurrency", "32"]
      try await withPythonAgents(at: (0..<3).map { cluster.agentURLs(first: $0) }, capabilities: ["analysis"], arguments: arguments) {
        agents in
        let load = SubmittedLoad(cluster.nodes, pattern: "analyse")
        let (killed, sampler) = try await LeaderSampler.sampling(cluster.nodes) {
          let killed = try await load.run(callers: 6) {
            try await acknowledges(load, 100)
            try await planned()
            try await acknowledges(load, 100)
            let killed = try await death()
            try await acknowledges(load, 100)
            return killed
          }
          try await cluster.waitUntilWhole()
          return killed
        }
        #expect(await sampler.overlaps == [])

        let before = await load.acknowledged
        var lost = 0
        for execution in before {
          let isAtRisk = execution.time > killed - Self.atRisk && execution.time < killed + .seconds(1)
          do {
            let found = try await cluster.nodes[1].end(of: execution.id, within: isAtRisk ? .seconds(2) : .seconds(60))
            #expect(found.status == .completed, "\(found)")
          } catch {
            if !isAtRisk { Issue.record("\(execution.id), acknowledged \(killed - execution.time) before the kill: \(error)") }
            lost += 1
          }
        }
        let refused = await load.refused
        #expect(refused.keys.allSatisfy { $0.hasPrefix("503") }, "\(refused)")
        print("\(before.count) acknowledged, \(lost) of them lost with the master, refused: \(refused)")
      }
    }

    /// Waits until so many more executions were acknowledged.
    private func acknowledges(_ load: SubmittedLoad, _ count: Int) async throws {
      let goal = await load.acknowledged.count + count
      try await eventually("\(count) more executions are acknowledged", within: .seconds(30)) { await load.acknowledged.count >= goal }
    }
  }
}
