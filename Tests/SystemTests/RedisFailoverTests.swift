import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// Failovers of Redis during executions.
  @Suite(.serialized, .timeLimit(.minutes(5)))
  struct RedisFailover {
    @Test func `Sentinel: election and executions survive a failover by command and by the master's death`() async throws {
      try await withNodesOnSentinel { redis, cluster in
        try await goesOn(cluster) { acknowledges in
          try await acknowledges(100)
          try await redis.failover()
          try await acknowledges(100)
          let master = try redis.killPrimary()
          try await redis.awaitPrimary(otherThan: master)
          try await acknowledges(100)
        }
      }
    }

    @Test func `a promoted replica without the last acknowledged writes gets them from the nodes`() async throws {
      try await withNodesOnSentinel { redis, cluster in
        try await goesOn(cluster) { acknowledges in
          try await acknowledges(100)
          let nowhere = try LoopbackPort.free()
          // The replicas stop replicating, while the master keeps acknowledging writes.
          for replica in try redis.replicas() { try replica.command("REPLICAOF", "127.0.0.1", "\(nowhere)") }
          try await acknowledges(100)
          let master = try redis.killPrimary()
          try await redis.awaitPrimary(otherThan: master)
          try await acknowledges(100)
        }
        var restored = 0
        for node in cluster.nodes {
          let line = try #require(try await node.api.get("/metrics").text.firstMatch(of: /\nparallax_executions_restored_total ([0-9]+)/))
          restored += Int(line.1) ?? 0
        }
        print("\(restored) executions restored")
        #expect(restored > 0)
        try await eventually("a line in a log") {
          cluster.nodes.contains { $0.process.errorOutput.contains("restored executions that the store had acknowledged and lost") }
        }
      }
    }

    @Test func `Cluster: election and executions survive a failover by command and by a master's death`() async throws {
      try await RedisClusterDeployment.with { redis in
        let nodes = redis.endpoints.map { "\($0.host):\($0.port)" }.joined(separator: ",")
        try await ParallaxCluster.with(environment: ["PARALLAX_REDIS_CLUSTER_NODES": nodes], files: [:]) { cluster in
          // The worst master to lose is that of the election record and the members.
          let slot = RedisHashSlot.of("parallax:ha:leader")
          try await goesOn(cluster) { acknowledges in
            try await acknowledges(100)
            try await redis.failover(ofSlot: slot)
            try await acknowledges(100)
            let master = try redis.primary(ofSlot: slot)
            master.kill()
            try await redis.awaitPrimary(ofSlot: slot, otherThan: master)
            try await acknowledges(100)
          }
        }
      }
    }

    @Test func `a restarted Redis without persistence gets running and recently ended executions from the nodes`() async throws {
      try await ParallaxCluster.with { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        try await cluster.nodes[0].apply(pattern("translate", capability: "translation", timeout: .seconds(120)))
        var waiting: [String] = []
        var ended: [String] = []
        try await withPythonAgents(1, url: cluster.nodes[1].agentURL, capabilities: ["analysis"]) { agents in
          for node in cluster.nodes {
            for _ in 0..<5 {
              ended.append(try await node.execute("analyze").executionId)
              waiting.append(try await node.submit("translate").executionId)
            }
          }
          try await cluster.redis.restart()
          try await cluster.waitUntilWhole()
          for id in ended {
            let execution = try await cluster.nodes[2].end(of: id, within: .seconds(20))
            #expect(execution.status == .completed)
          }
          try await eventually("all executions in the list") {
            let page: ExecutionList = try await cluster.nodes[0].api.get("/api/executions?limit=100").decode()
            return Set(page.executions.map(\.executionId)) == Set(waiting + ended)
          }
          try await eventually("the agent's registration") {
            try await cluster.nodes[2].api.get("/api/agents/\(agents[0].id)").status == 200
          }
          try await withPythonAgents(1, url: cluster.nodes[2].agentURL, capabilities: ["translation"]) { _ in
            for id in waiting {
              let execution = try await cluster.nodes[0].end(of: id, within: .seconds(20))
              #expect(execution.status == .completed)
            }
          }
        }
      }
    }

    private func withNodesOnSentinel(_ body: (RedisSentinelDeployment, ParallaxCluster) async throws -> Void) async throws {
      try await RedisSentinelDeployment.with { redis in
        let nodes = redis.sentinelEndpoints.map { "\"\($0.host):\($0.port)\"" }.joined(separator: ", ")
        let file = "redis: { sentinel: { masterName: \(redis.masterName), nodes: [\(nodes)] } }\n"
        try await ParallaxCluster.with(environment: [:], files: ["parallax.config.yaml": file]) { try await body(redis, $0) }
      }
    }

    /// Submits executions during `faults`, which may wait for further acknowledgements, and checks that all acknowledged executions
    /// complete.
    private func goesOn(
      _ cluster: ParallaxCluster, _ faults: @escaping @Sendable (_ acknowledges: @Sendable (Int) async throws -> Void) async throws -> Void
    ) async throws {
      try await cluster.nodes[0].apply(pattern("analyze", timeout: .seconds(120), retries: 3))
      let arguments = ["--concurrency", "32"]
      try await withPythonAgents(at: (0..<3).map { cluster.agentURLs(first: $0) }, capabilities: ["analysis"], arguments: arguments) {
        agents in
        let load = SubmittedLoad(cluster.nodes, pattern: "analyze")
        let (_, sampler) = try await LeaderSampler.sampling(cluster.nodes) {
          try await load.run(callers: 6) {
            try await faults { count in
              let goal = await load.acknowledged.count + count
              try await eventually("\(count) more executions are acknowledged", within: .seconds(30)) {
                await load.acknowledged.count >= goal
              }
            }
          }
          try await cluster.waitUntilWhole()
        }
        #expect(await sampler.overlaps == [])

        let acknowledged = await load.acknowledged
        for execution in acknowledged {
          let found = try await cluster.nodes[1].end(of: execution.id, within: .seconds(60))
          #expect(found.status == .completed, "\(found)")
        }
        let refused = await load.refused
        #expect(refused.keys.allSatisfy { $0.hasPrefix("503") }, "\(refused)")
        print("\(acknowledged.count) acknowledged, refused: \(refused)")
      }
    }
  }
}
