import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// The hazards of witnessed deaths, with real processes and a real Redis.
  ///
  /// The lease is the daemon's default unless a test waits for its end: what takes less than that is the work of the witness.
  @Suite(.serialized, .timeLimit(.minutes(5)))
  struct Witness {
    private func withCluster<Result>(
      _ count: Int = 3, lease: Duration = ParallaxCluster.longLease, _ body: (ParallaxCluster) async throws -> Result
    ) async throws -> Result {
      try await ParallaxCluster.withWitnesses(count, lease: lease, body)
    }

    // MARK: Leadership

    @Test func `W1: a killed leader is replaced at once, whatever the lease, and never beside its successor`() async throws {
      try await withCluster { cluster in
        let (took, sampler) = try await LeaderSampler.sampling(cluster.nodes) {
          let leader = try await cluster.leader()
          let before = try await cluster.record()
          let began = ContinuousClock.now
          cluster.nodes[leader].process.send(signal: SIGKILL)
          let next = try await cluster.waitForLeader(otherThan: leader, asking: cluster.others(than: leader)[0])
          let took = began.duration(to: .now)
          let after = try await cluster.record()
          #expect(try #require(after["term"]?.integerValue) > #require(before["term"]?.integerValue))
          #expect(after["transitions"]?.integerValue == before["transitions"]?.integerValue.map { $0 + 1 })
          #expect(after["witnessed"] == nil)
          try await eventually("the reason in the log") {
            cluster.nodes[next].process.errorOutput.contains("the death of the former leader was witnessed")
          }
          for other in cluster.others(than: leader) {
            try await eventually("the death in the metrics") {
              try await cluster.nodes[other].metric("parallax_ha_deaths_witnessed_total") == 1
            }
            let dead = try await cluster.nodes[other].haStatus().members.first { $0.id == ParallaxCluster.id(leader) }
            #expect(dead?.status == .unhealthy && dead?.role == .standby)
          }
          return took
        }
        // On an idle machine it takes 30 to 60 ms; the bound is for a busy one.
        #expect(took < .seconds(2), "\(took)")
        #expect(await sampler.overlaps == [])
        #expect(await sampler.greatestSum <= 1)
      }
    }

    @Test func `W2: a stopped leader is not reported, and goes on leading`() async throws {
      try await withCluster { cluster in
        let leader = try await cluster.leader()
        let before = try await cluster.record()
        cluster.nodes[leader].process.send(signal: SIGSTOP)
        // Two renewals are missing, which come every two seconds.
        try await eventually("a silent leader") {
          let status = try await cluster.nodes[cluster.others(than: leader)[0]].haStatus()
          return try #require(status.leaseRemaining).duration < ParallaxCluster.longLease - .seconds(4)
        }
        let during = try await cluster.record()
        #expect(during["leader"] == before["leader"] && during["witnessed"] == nil)
        cluster.nodes[leader].process.send(signal: SIGCONT)
        try await eventually("a renewal") { try await cluster.record()["renewal"] != during["renewal"] }
        let after = try await cluster.record()
        #expect(after["leader"] == before["leader"] && after["term"] == before["term"])
        #expect(try await cluster.nodes[cluster.others(than: leader)[0]].metric("parallax_ha_deaths_witnessed_total") == 0)
      }
    }

    @Test func `W3: a restart under the same id is not touched by the report of its former life`() async throws {
      // The witness repeats its report for a lease.
      let lease = Duration.seconds(6)
      try await withCluster(lease: lease) { cluster in
        let leader = try await cluster.leader()
        let node = cluster.nodes[leader]
        let before = try await cluster.record()
        node.process.send(signal: SIGKILL)
        _ = try await node.process.waitForExit()
        var environment = ParallaxCluster.environment(redis: cluster.redis.url, node: leader, lease: lease)
        environment.merge(ParallaxCluster.slowHeartbeats) { _, given in given }
        let again = try await ParallaxdProcess.start(environment: environment, files: ParallaxCluster.soonElected, port: node.port)
        try await withChildProcess(again.process) { _ in
          try await again.waitUntilReady()
          try await eventually("the end of the former witness") {
            let members = try await again.haStatus().members
            #expect(members.first { $0.id == ParallaxCluster.id(leader) }?.status == .healthy)
            return node.witness == nil
          }
          let after = try await cluster.record()
          #expect(after["leader"]?.stringValue != nil && after["incarnation"] != before["incarnation"])
          #expect(after["transitions"]?.integerValue == before["transitions"]?.integerValue.map { $0 + 1 })
        }
      }
    }

    @Test func `W6: a store that is back within the lease is told then`() async throws {
      try await withCluster { cluster in
        let leader = try await cluster.leader()
        let before = try await cluster.record()
        cluster.redis.pause()
        cluster.nodes[leader].process.send(signal: SIGKILL)
        try await eventually("a report in vain") {
          cluster.nodes[leader].process.errorOutput.contains("No connection to Redis; trying again")
        }
        cluster.redis.resume()
        let began = ContinuousClock.now
        _ = try await cluster.waitForLeader(otherThan: leader, asking: cluster.others(than: leader)[0])
        #expect(began.duration(to: .now) < .seconds(6), "\(began.duration(to: .now))")
        let after = try await cluster.record()
        #expect(try #require(after["term"]?.integerValue) > #require(before["term"]?.integerValue))
      }
    }

    @Test func `W6: a store that stays away costs the lease, and the witness ends`() async throws {
      try await withCluster(lease: .seconds(2)) { cluster in
        let leader = try await cluster.leader()
        cluster.redis.pause()
        cluster.nodes[leader].process.send(signal: SIGKILL)
        try await eventually("the end of the witness") { cluster.nodes[leader].witness == nil }
        cluster.redis.resume()
        _ = try await cluster.waitForLeader(otherThan: leader, asking: cluster.others(than: leader)[0])
      }
    }

    @Test func `W9: after a loss of the store's data there is nothing to release, and no record is made`() async throws {
      try await withCluster(lease: .seconds(2)) { cluster in
        let leader = try await cluster.leader()
        let before = try await cluster.record()
        let witness = try #require(cluster.nodes[leader].witness)
        kill(witness, SIGSTOP)
        cluster.nodes[leader].process.send(signal: SIGKILL)
        _ = try await cluster.nodes[leader].process.waitForExit()
        #expect(try await cluster.redisCommand("FLUSHALL") == "OK")
        let began = ContinuousClock.now
        kill(witness, SIGCONT)
        _ = try await cluster.waitForLeader(otherThan: leader, asking: cluster.others(than: leader)[0])
        // The other nodes know the election, so they wait for the leader that might live.
        #expect(began.duration(to: .now) > .seconds(1), "\(began.duration(to: .now))")
        let after = try await cluster.record()
        #expect(try #require(after["term"]?.integerValue) > #require(before["term"]?.integerValue))
      }
    }

    @Test func `W11: the record of a paused cluster is released, and nobody takes it until the pause ends`() async throws {
      try await withCluster(lease: .seconds(4)) { cluster in
        let leader = try await cluster.leader()
        let other = cluster.others(than: leader)[0]
        #expect(try await cluster.nodes[other].api.post("/ha/pause", text: "").status == 200)
        cluster.nodes[leader].process.send(signal: SIGKILL)
        try await eventually("the release") { try await cluster.record()["witnessed"] == true }
        // A lease and some retry periods later.
        try await eventually("the end of the witness") { cluster.nodes[leader].witness == nil }
        let paused = try await cluster.record()
        #expect(paused["leader"] == .null && paused["paused"] == true)
        #expect(try await cluster.nodes[other].api.post("/ha/resume", text: "").status == 200)
        let began = ContinuousClock.now
        _ = try await cluster.waitForLeader(otherThan: leader, asking: other)
        #expect(began.duration(to: .now) < .seconds(3), "\(began.duration(to: .now))")
      }
    }

    // MARK: The witness itself

    @Test func `W7: a witness that dies is noted once and replaced, and the next death is reported`() async throws {
      try await withCluster { cluster in
        let leader = try await cluster.leader()
        let node = cluster.nodes[leader]
        let first = try #require(node.witness)
        kill(first, SIGKILL)
        try await eventually("another witness") { node.witness.map { $0 != first } ?? false }
        #expect(try await node.metric("parallax_ha_witnesses_lost_total") == 1)
        #expect(node.process.errorOutput.components(separatedBy: "the witness of this node has ended").count == 2)
        let began = ContinuousClock.now
        node.process.send(signal: SIGKILL)
        _ = try await cluster.waitForLeader(otherThan: leader, asking: cluster.others(than: leader)[0])
        #expect(began.duration(to: .now) < .seconds(2), "\(began.duration(to: .now))")
      }
    }

    @Test func `W7: without its witness a killed leader costs the lease`() async throws {
      try await withCluster(lease: .seconds(2)) { cluster in
        let leader = try await cluster.leader()
        kill(try #require(cluster.nodes[leader].witness), SIGKILL)
        cluster.nodes[leader].process.send(signal: SIGKILL)
        _ = try await cluster.nodes[leader].process.waitForExit()
        let last = try await cluster.record()
        _ = try await cluster.waitForLeader(otherThan: leader, asking: cluster.others(than: leader)[0])
        let next = try await cluster.record()
        let renewed = try #require(last["renewedAt"]?.stringValue.flatMap { Timestamp($0) })
        let acquired = try #require(next["acquiredAt"]?.stringValue.flatMap { Timestamp($0) })
        #expect(acquired - renewed >= .seconds(2), "\(acquired - renewed)")
      }
    }

    @Test func `a node that stops in order leaves no witness and no mark`() async throws {
      try await withCluster { cluster in
        let leader = try await cluster.leader()
        let node = cluster.nodes[leader]
        node.process.send(signal: SIGTERM)
        #expect(try await node.process.waitForExit() == .code(0))
        try await eventually("the end of the witness", within: .seconds(2)) { node.witness == nil }
        #expect(!node.process.errorOutput.contains("whose process has ended"))
        let other = cluster.nodes[cluster.others(than: leader)[0]]
        #expect(try await other.metric("parallax_ha_deaths_witnessed_total") == 0)
        #expect(try await other.haStatus().members.count == 2)
      }
    }

    @Test func `a witness keeps no secret in its arguments or variables, and nothing that its node had open`() async throws {
      try await RedisServer.with(.init(password: "hunter2hunter2")) { redis in
        let variables = ["PARALLAX_REDIS_PASSWORD": "hunter2hunter2", "UNRELATED_TOKEN": "s3cret"]
        try await ParallaxCluster.with(1, on: redis, environment: variables, files: ParallaxCluster.soonElected) { cluster in
          let node = cluster.nodes[0]
          let witness = try await eventualValue("a witness") { node.witness }
          // Root may read all; to other processes of its own user the kernel shows the arguments only.
          for file in ["cmdline"] + (geteuid() == 0 ? ["environ"] : []) {
            let text = String(decoding: try Data(contentsOf: URL(filePath: "/proc/\(witness)/\(file)")), as: UTF8.self)
            #expect(!text.contains("hunter2") && !text.contains("s3cret"), "\(file): \(text)")
          }
          if geteuid() == 0 {
            try await eventually("three descriptors") {
              try FileManager.default.contentsOfDirectory(atPath: "/proc/\(witness)/fd").count <= 4
            }
          }
          node.process.send(signal: SIGKILL)
          try await eventually("the report, with the password of Redis") { node.process.errorOutput.contains("released the term") }
        }
      }
    }

    @Test func `with witness: off a node has none`() async throws {
      try await ParallaxCluster.with(1, environment: ["PARALLAX_HA_WITNESS": "off"]) { cluster in
        #expect(cluster.nodes[0].witness == nil)
        #expect(!cluster.nodes[0].process.errorOutput.contains("witness"))
      }
    }
  }
}
