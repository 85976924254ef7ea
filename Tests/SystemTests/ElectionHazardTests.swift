import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// The hazards of the election's design, with real processes and a real Redis.
  @Suite(.serialized, .timeLimit(.minutes(5)))
  struct ElectionHazards {
    @Test func `a killed leader is replaced one lease after its last renewal`() async throws {
      try await ParallaxCluster.with(environment: ParallaxCluster.leaseAlone) { cluster in
        let leader = try await cluster.leader()
        cluster.nodes[leader].process.send(signal: SIGKILL)
        _ = try await cluster.nodes[leader].process.waitForExit()
        let last = try await cluster.record()
        _ = try await cluster.waitForLeader(otherThan: leader, asking: cluster.others(than: leader)[0])
        let next = try await cluster.record()
        let renewed = try #require(last["renewedAt"]?.stringValue.flatMap { Timestamp($0) })
        let acquired = try #require(next["acquiredAt"]?.stringValue.flatMap { Timestamp($0) })
        #expect(acquired - renewed >= .seconds(2), "a standby was impatient: \(acquired - renewed)")
        #expect(acquired - renewed < .milliseconds(2_500), "\(acquired - renewed)")
      }
    }

    @Test func `a leader whose Redis hangs stops by its own deadline`() async throws {
      try await ParallaxCluster.with { cluster in
        let leader = try await cluster.leader()
        let (_, sampler) = try await LeaderSampler.sampling(cluster.nodes) {
          cluster.redis.pause()
          let began = ContinuousClock.now
          try await eventually("the end of the term") {
            try await cluster.nodes[leader].api.get("/metrics").text.contains("parallax_ha_is_leader{node=\"node-\(leader)\"} 0")
          }
          // renewDeadline is two thirds of the lease.
          #expect(began.duration(to: .now) < .milliseconds(1_900))
          try await Task.sleep(for: .seconds(2))
          cluster.redis.resume()
          try await cluster.waitUntilWhole()
        }
        #expect(await sampler.overlaps == [])
      }
    }

    @Test func `a leader that is cut off from Redis stops, is replaced, and returns as a standby`() async throws {
      try await RedisServer.with { redis in
        try await ChokeProxy.with(to: redis.port) { proxy in
          try await ParallaxCluster.with(on: redis, urls: [2: "redis://127.0.0.1:\(proxy.port)"]) { cluster in
            if try await cluster.leader() != 2 {
              let moved: HandoverDocument = try await cluster.nodes[0].api.post("/ha/stepdown", StepDownRequest(to: "node-2")).decode()
              #expect(moved.new == "node-2")
            }
            let term = try #require(try await cluster.nodes[0].haStatus().term)
            let (successor, sampler) = try await LeaderSampler.sampling(cluster.nodes) {
              proxy.silence()
              let successor = try await cluster.waitForLeader(otherThan: 2, asking: 0)
              #expect(try await cluster.nodes[2].api.get("/metrics").text.contains("parallax_ha_is_leader{node=\"node-2\"} 0"))
              try await eventually("a node that takes no work") { try await !cluster.nodes[2].isReady }
              proxy.restore()
              try await cluster.waitUntilWhole()
              return successor
            }
            #expect(await sampler.overlaps == [])
            let status = try await cluster.nodes[2].haStatus()
            #expect(status.leader == ParallaxCluster.id(successor) && status.term == term + 1)
            try await cluster.nodes[2].waitUntilReady()
          }
        }
      }
    }

    @Test func `wall clocks that jump by hours change nothing`() async throws {
      try await WallClockShift.with { clocks in
        try await RedisServer.with { redis in
          try await ParallaxCluster.with(on: redis, variables: { clocks.variables("node-\($0)") }) { cluster in
            let before = try await cluster.nodes[0].haStatus()
            let (_, sampler) = try await LeaderSampler.sampling(cluster.nodes) {
              for shifts in [[3_600, -3_600, 0], [-3_600, 0, 3_600], [0, 7_200, -7_200]] {
                for (index, seconds) in shifts.enumerated() { try clocks.shift("node-\(index)", by: .seconds(seconds)) }
                // The sleep is longer than a lease.
                try await Task.sleep(for: .milliseconds(2_500))
                let record = try await cluster.record()
                let shown = try #require(record["renewedAt"]?.stringValue.flatMap { Timestamp($0) })
                let leader = try await cluster.leader()
                let shift = shown - Timestamp(milliseconds: Int64(Date.now.timeIntervalSince1970 * 1_000))
                #expect(abs(shift / .seconds(1) - Double(shifts[leader])) < 60, "the clock was not shifted: \(shift)")
              }
            }
            #expect(await sampler.overlaps == [])
            let after = try await cluster.nodes[0].haStatus()
            #expect(after.leader == before.leader && after.term == before.term && after.transitions == before.transitions)
            #expect(after.members.allSatisfy { $0.status == .healthy })
          }
        }
      }
    }

    @Test func `FLUSHALL during a pause of the leader, with a new node, causes no split`() async throws {
      try await ParallaxCluster.with(2) { cluster in
        let leader = try await cluster.leader()
        let term = try #require(try await cluster.nodes[leader].haStatus().term)
        let newcomer = try await ParallaxdProcess.start(environment: ParallaxCluster.environment(redis: cluster.redis.url, node: 2))
        try await withChildProcess(newcomer.process) { _ in
          let all = cluster.nodes + [newcomer]
          let other = cluster.others(than: leader)[0]
          let (_, sampler) = try await LeaderSampler.sampling(all) {
            cluster.nodes[leader].process.send(signal: SIGSTOP)
            #expect(try await cluster.redisCommand("FLUSHALL") == "OK")
            try await eventually("a new leader", within: .seconds(20)) {
              let status = try await cluster.nodes[other].haStatus()
              return status.leader != nil && status.leader != ParallaxCluster.id(leader) && (status.term ?? 0) > term
            }
            cluster.nodes[leader].process.send(signal: SIGCONT)
            try await eventually("the old leader's standing by") {
              let status = try await cluster.nodes[leader].haStatus()
              return status.leader != nil && status.leader != ParallaxCluster.id(leader)
            }
          }
          #expect(await sampler.overlaps == [])
        }
      }
    }

    @Test func `a leader that restarts under its id waits out its former lease and gets a new term`() async throws {
      try await RedisServer.with { redis in
        let environment = ParallaxCluster.environment(redis: redis.url, node: 0).merging(ParallaxCluster.leaseAlone) { $1 }
        let first = try await ParallaxdProcess.start(environment: environment)
        let before = try await withChildProcess(first.process) { process in
          try await eventually("a leader") { try await first.haStatus().leader != nil }
          let status = try await first.haStatus()
          process.send(signal: SIGKILL)
          return status
        }
        let last = try await ParallaxCluster(redis: redis, nodes: []).record()
        let second = try await ParallaxdProcess.start(environment: environment)
        try await withChildProcess(second.process) { _ in
          try await eventually("the next term") { try await (second.haStatus().term ?? 0) > (before.term ?? 0) }
          let next = try await ParallaxCluster(redis: redis, nodes: []).record()
          #expect(next["leader"] == "node-0" && next["incarnation"] != last["incarnation"])
          let renewed = try #require(last["renewedAt"]?.stringValue.flatMap { Timestamp($0) })
          let acquired = try #require(next["acquiredAt"]?.stringValue.flatMap { Timestamp($0) })
          // The former incarnation might still run, so its lease must expire.
          #expect(acquired - renewed >= .seconds(2))
        }
      }
    }

    @Test func `a step down to a node that has just died leaves the term to others`() async throws {
      // With slow heartbeats, and without a witness, the other nodes do not know of the death yet.
      let environment = ParallaxCluster.leaseAlone.merging(["PARALLAX_HA_CHECK_INTERVAL": "5s"]) { $1 }
      try await ParallaxCluster.with(environment: environment) { cluster in
        let leader = try await cluster.leader()
        let (dead, other) = (cluster.others(than: leader)[0], cluster.others(than: leader)[1])
        cluster.nodes[dead].process.send(signal: SIGKILL)
        let answer: HandoverDocument = try await cluster.nodes[other].api.post(
          "/ha/stepdown", StepDownRequest(to: ParallaxCluster.id(dead))
        ).decode()
        #expect(answer.old == ParallaxCluster.id(leader) && answer.new != ParallaxCluster.id(dead) && answer.new != nil)
      }
    }

    @Test func `a forced election with a hung leader waits for its lease, without two leaders`() async throws {
      try await ParallaxCluster.with { cluster in
        let leader = try await cluster.leader()
        let other = cluster.others(than: leader)[0]
        let (answer, sampler) = try await LeaderSampler.sampling(cluster.nodes) {
          cluster.nodes[leader].process.send(signal: SIGSTOP)
          let answer: HandoverDocument = try await cluster.nodes[other].api.post("/ha/elect", ElectRequest(force: true)).decode()
          cluster.nodes[leader].process.send(signal: SIGCONT)
          try await eventually("the old leader's standing by") { try await cluster.nodes[leader].haStatus().leader == answer.new }
          return answer
        }
        #expect(answer.old == ParallaxCluster.id(leader) && answer.new != answer.old && answer.new != nil)
        #expect(await sampler.overlaps == [])
      }
    }
  }
}

extension ParallaxCluster {
  /// The election record in Redis.
  func record() async throws -> [String: JSONValue] {
    try JSON.decode([String: JSONValue].self, from: try await redisCommand("GET", "parallax:ha:leader"))
  }
}
