import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// Leadership under operations on the nodes and on Redis.
  @Suite(.serialized, .timeLimit(.minutes(5)))
  struct Leadership {
    // MARK: Operators

    @Test func `hands over on request in milliseconds, to the requested node`() async throws {
      try await ParallaxCluster.with { cluster in
        let (_, sampler) = try await LeaderSampler.sampling(cluster.nodes) {
          var leader = try await cluster.leader()
          for round in 0..<6 {
            let asked = cluster.nodes[round % 3]
            let target = cluster.others(than: leader)[round % 2]
            let request = StepDownRequest(to: round.isMultiple(of: 2) ? ParallaxCluster.id(target) : nil)
            let handover: HandoverDocument = try await asked.api.post("/ha/stepdown", request).decode()
            #expect(handover.old == ParallaxCluster.id(leader) && handover.new != handover.old)
            if let to = request.to { #expect(handover.new == to) }
            #expect(handover.milliseconds < 1_000, "\(handover)")
            leader = try await cluster.leader(asking: round % 3)
            #expect(handover.new == ParallaxCluster.id(leader))
          }
        }
        #expect(await sampler.overlaps == [])
      }
    }

    @Test func `refuses to hand over to an unknown node, and names the members`() async throws {
      try await ParallaxCluster.with { cluster in
        let refused = try await CommandLineTool(server: cluster.nodes[1].url)("ha", "stepdown", "--to", "node-9")
        #expect(refused.exit == .code(1))
        #expect(refused.errorOutput.contains("node-9") && refused.errorOutput.contains("node-0, node-1, node-2"))
        #expect(try await cluster.nodes[0].haStatus().transitions == 1)
      }
    }

    @Test func `a forced election is carried out once per term`() async throws {
      try await ParallaxCluster.with { cluster in
        let leader = try await cluster.leader()
        let forced = try await CommandLineTool(server: cluster.nodes[0].url)("ha", "elect", "--force")
        #expect(forced.exit == .code(0) && forced.output.contains("node-\(leader) handed over to"), "\(forced.errorOutput)")
        let term = try #require(try await cluster.nodes[0].haStatus().term)
        let repeated: HandoverDocument = try await cluster.nodes[1].api.post("/ha/elect", ElectRequest(force: true, term: term - 1))
          .decode()
        #expect(repeated.term == term)
        #expect(try await cluster.nodes[0].haStatus().transitions == 2)
      }
    }

    @Test func `elects no leader while paused`() async throws {
      try await ParallaxCluster.with(lease: .seconds(1)) { cluster in
        let leader = try await cluster.leader()
        let other = cluster.others(than: leader)[0]
        let parallax = CommandLineTool(server: cluster.nodes[other].url)
        #expect(try await parallax("ha", "pause").exit == .code(0))
        #expect(try await parallax("ha", "status").output.contains("Paused"))
        cluster.nodes[leader].process.send(signal: SIGKILL)
        try await eventually("a cluster without leader") { try await cluster.nodes[other].haStatus().leader == nil }
        // The sleep is longer than any standby would wait.
        try await Task.sleep(for: .seconds(2))
        let status = try await parallax("ha", "status")
        #expect(status.exit == .code(3) && status.output.contains("Leader: none"), "\(status.output)")
        #expect(try await parallax("ha", "resume").exit == .code(0))
        _ = try await cluster.waitForLeader(otherThan: leader, asking: other)
      }
    }

    // MARK: Nodes that stop

    @Test func `a stopping leader hands over at once, exits with 0 and fails no request`() async throws {
      try await ParallaxCluster.with(environment: ["PARALLAX_DRAIN_DELAY": "1s"]) { cluster in
        try await cluster.nodes[0].apply(pattern("analyze", retries: 3))
        try await withPythonAgents(
          at: (0..<3).map { cluster.agentURLs(first: $0) }, capabilities: ["analysis"], arguments: ["--delay", "0.02"]
        ) { _ in
          let load = BalancedLoad(cluster.nodes, pattern: "analyze")
          let leader = try await cluster.leader()
          let other = cluster.others(than: leader)[0]
          try await load.run(callers: 8) {
            try await eventually("load") { await load.completed >= 50 }
            let began = ContinuousClock.now
            cluster.nodes[leader].process.send(signal: SIGTERM)
            _ = try await cluster.waitForLeader(otherThan: leader, asking: other)
            let took = began.duration(to: .now)
            #expect(took < .milliseconds(1_000), "\(took)")
            let exit = try await cluster.nodes[leader].process.waitForExit()
            #expect(exit == .code(0))
            let before = await load.completed
            try await eventually("load after the stop") { await load.completed >= before + 50 }
          }
          #expect(await load.failures == [])
          let members = try await cluster.nodes[other].haStatus().members.map(\.id)
          #expect(!members.contains(ParallaxCluster.id(leader)))
        }
      }
    }

    @Test func `a leader paused for two leases has one successor, and returns as a standby`() async throws {
      try await ParallaxCluster.with { cluster in
        let leader = try await cluster.leader()
        let other = cluster.others(than: leader)[0]
        let term = try #require(try await cluster.nodes[other].haStatus().term)
        let (successor, sampler) = try await LeaderSampler.sampling(cluster.nodes) {
          cluster.nodes[leader].process.send(signal: SIGSTOP)
          let successor = try await cluster.waitForLeader(otherThan: leader, asking: other)
          try await Task.sleep(for: .seconds(2))
          cluster.nodes[leader].process.send(signal: SIGCONT)
          try await eventually("the old leader's standing by") {
            let status = try await cluster.nodes[leader].haStatus()
            return status.leader == ParallaxCluster.id(successor) && status.members.allSatisfy { $0.status == .healthy }
          }
          return successor
        }
        #expect(await sampler.overlaps == [])
        let status = try await cluster.nodes[leader].haStatus()
        #expect(status.leader == ParallaxCluster.id(successor) && status.term == term + 1 && status.transitions == 2)
      }
    }

    // MARK: Redis

    @Test func `FLUSHALL does not depose the leader, and work continues`() async throws {
      try await ParallaxCluster.with { cluster in
        try await withPythonAgents(1, url: cluster.nodes[1].agentURL, capabilities: ["analysis"]) { agents in
          try await cluster.nodes[0].apply(pattern("analyze"))
          let before = try await cluster.nodes[0].haStatus()
          let (_, sampler) = try await LeaderSampler.sampling(cluster.nodes) {
            for _ in 0..<3 {
              #expect(try await cluster.redisCommand("FLUSHALL") == "OK")
              try await eventually("the record again") { try await cluster.redisCommand("GET", "parallax:ha:leader").contains("node-") }
              // The sleep is longer than any standby would wait.
              try await Task.sleep(for: .milliseconds(2_500))
            }
          }
          #expect(await sampler.overlaps == [])
          try await cluster.waitUntilWhole()
          let after = try await cluster.nodes[0].haStatus()
          #expect(after.leader == before.leader && after.term == before.term && after.transitions == before.transitions)
          // The nodes rewrite their agents and patterns.
          try await eventually("the agent's registration", within: .seconds(20)) {
            try await cluster.nodes[2].api.get("/api/agents/\(agents[0].id)").status == 200
          }
          let execution = try await cluster.nodes[2].execute("analyze")
          #expect(execution.status == .completed)
        }
      }
    }

    @Test func `a restart of a Redis without persistence does not depose the leader`() async throws {
      try await ParallaxCluster.with { cluster in
        let before = try await cluster.nodes[0].haStatus()
        try await cluster.redis.restart()
        try await eventually("the record again") { try await cluster.redisCommand("GET", "parallax:ha:leader").contains("node-") }
        try await cluster.waitUntilWhole()
        let after = try await cluster.nodes[0].haStatus()
        #expect(after.leader == before.leader && after.term == before.term && after.transitions == before.transitions)
      }
    }

    @Test func `without Redis no node leads, and the status shows the last leader`() async throws {
      try await ParallaxCluster.with(lease: .seconds(1)) { cluster in
        let leader = try await cluster.leader()
        cluster.redis.kill()
        try await eventually("the end of the term") {
          try await cluster.nodes[leader].api.get("/metrics").text.contains("parallax_ha_is_leader{node=\"node-\(leader)\"} 0")
        }
        let status = try await cluster.nodes[leader].haStatus()
        #expect(status.stale && status.staleSince != nil && status.members.count == 3 && status.leader == nil)
        #expect(try await cluster.nodes[leader].api.get("/health/live").status == 200)
        try await eventually("not ready") { try await !cluster.nodes[leader].isReady }
        try await cluster.redis.start()
        for node in cluster.nodes { try await node.waitUntilReady(within: .seconds(20)) }
        try await cluster.waitUntilWhole()
      }
    }

    @Test func `a node that starts without Redis does not lead, and joins when Redis starts`() async throws {
      let redis = try RedisServer(.init())
      defer { redis.kill() }
      let node = try await ParallaxdProcess.start(environment: ParallaxCluster.environment(redis: redis.url, node: 0, lease: .seconds(1)))
      try await withChildProcess(node.process) { _ in
        #expect(try await node.api.get("/health/live").status == 200)
        #expect(try await node.api.get("/health/ready").status == 503)
        #expect(try await node.api.get("/metrics").text.contains("parallax_ha_is_leader{node=\"node-0\"} 0"))
        let refused = try await node.api.post("/ha/stepdown", StepDownRequest())
        #expect(refused.status == 503, "\(refused.text)")
        try await redis.start()
        try await node.waitUntilReady(within: .seconds(20))
        try await eventually("a leader") { try await node.haStatus().leader == "node-0" }
      }
    }

    // MARK: Mistakes

    @Test func `a node of another cluster on the same keys does not start, and names both clusters`() async throws {
      try await ParallaxCluster.with { cluster in
        var environment = ParallaxCluster.environment(redis: cluster.redis.url, node: 9)
        environment["PARALLAX_HA_CLUSTER_ID"] = "staging"
        let stranger = try await ParallaxdProcess.start(environment: environment)
        try await withChildProcess(stranger.process) { process in
          let exit = try await process.waitForExit()
          #expect(exit == .code(1))
          #expect(process.errorOutput.contains("staging") && process.errorOutput.contains("production"), "\(process.errorOutput)")
        }
        let status = try await cluster.nodes[0].haStatus()
        #expect(status.transitions == 1 && status.leader != nil)
      }
    }

    @Test func `a stopped cluster keeps its keys from another one`() async throws {
      try await RedisServer.with { redis in
        var environment = ParallaxCluster.environment(redis: redis.url, node: 0, lease: .seconds(1))
        let first = try await ParallaxdProcess.start(environment: environment)
        try await withChildProcess(first.process) { process in
          try await eventually("a leader") { try await first.haStatus().leader != nil }
          process.send(signal: SIGTERM)
          let exit = try await process.waitForExit()
          #expect(exit == .code(0))
        }
        environment["PARALLAX_HA_CLUSTER_ID"] = "staging"
        let second = try await ParallaxdProcess.start(environment: environment)
        try await withChildProcess(second.process) { process in
          let exit = try await process.waitForExit()
          #expect(exit == .code(1))
          #expect(process.errorOutput.contains("staging") && process.errorOutput.contains("production"))
        }
      }
    }

    @Test func `two processes with one id never both lead, and the older one ends with an error`() async throws {
      try await RedisServer.with { redis in
        let environment = ParallaxCluster.environment(redis: redis.url, node: 0, lease: .seconds(1))
        let older = try await ParallaxdProcess.start(environment: environment)
        try await withChildProcess(older.process) { process in
          try await eventually("a leader") { try await older.haStatus().leader == "node-0" }
          let newer = try await ParallaxdProcess.start(environment: environment)
          try await withChildProcess(newer.process) { _ in
            let (_, sampler) = try await LeaderSampler.sampling([older, newer]) {
              let exit = try await process.waitForExit()
              #expect(exit == .code(1))
              try await eventually("the newer one's term") {
                try await newer.api.get("/metrics").text.contains("parallax_ha_is_leader{node=\"node-0\"} 1")
              }
            }
            #expect(await sampler.overlaps == [])
            #expect(process.errorOutput.contains("another process") && process.errorOutput.contains("node-0"))
          }
        }
      }
    }
  }
}
