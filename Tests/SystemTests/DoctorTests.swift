import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// `parallax doctor` against real servers, each with one fault.
  @Suite(.serialized, .timeLimit(.minutes(4)))
  struct DoctorRuns {
    private static let password = "a-password-that-no-output-has"

    /// What the command printed as JSON.
    private struct Report: Decodable {
      struct Node: Decodable {
        var server: String?
        var nodeId: String?
        var status: DiagnosisStatus
        var checks: [DiagnosisFinding]
      }

      var status: DiagnosisStatus
      var nodes: [Node]
    }

    /// The findings of a run, by the check's id.
    private struct Run {
      var exit: ChildProcess.Exit
      var output: String
      var errorOutput: String
      var report: Report

      func finding(_ id: String, node: Int = 0) throws -> DiagnosisFinding {
        try #require(report.nodes[node].checks.first { $0.id == id }, "there is no \(id): \(output)")
      }

      /// The ids of the findings with an outcome; without the warnings of slowness, which a busy machine may cause.
      func ids(_ status: DiagnosisStatus, node: Int = 0) -> [String] {
        let timed = status == .warn ? ["redis.latency", "redis.pubsub", "sync.lag"] : []
        return report.nodes[node].checks.filter { $0.status == status && !timed.contains($0.id) }.map(\.id)
      }
    }

    private func doctor(_ arguments: [String], server: String? = nil, environment: [String: String] = [:]) async throws -> Run {
      var variables = environment
      variables["PARALLAX_SERVER"] = server
      let began = ContinuousClock.now
      let (exit, output, errorOutput) = try await run(
        ProjectLayout.executable("parallax"), ["doctor", "--output", "json"] + arguments, environment: variables)
      #expect(began.duration(to: .now) < .seconds(20), "a check held the whole")
      #expect(!output.contains(Self.password) && !errorOutput.contains(Self.password))
      let report = try JSON.decode(Report.self, from: output)
      return Run(exit: exit, output: output, errorOutput: errorOutput, report: report)
    }

    /// Examines a Redis without a node.
    private func offline(_ url: String, _ environment: [String: String] = [:]) async throws -> Run {
      try await doctor(["--offline"], environment: ["PARALLAX_REDIS_URL": url].merging(environment) { $1 })
    }

    // MARK: Healthy

    @Test func `a healthy cluster passes, and so does its Redis before the first start`() async throws {
      try await RedisServer.with(.init(password: Self.password, appendOnly: true)) { redis in
        let before = try await doctor(["--offline", "--fail-on", "fail"], environment: ["PARALLAX_REDIS_URL": redis.url])
        #expect(before.exit == .code(0) && before.ids(.warn) == [], "\(before.output)")
        #expect(
          before.ids(.ok).contains("redis.rights")
            && before.ids(.skip) == ["redis.replica-lag", "redis.slots", "clock.nodes", "ha.lease", "sync.lag", "recovery.backlog"])
        try await ParallaxCluster.with(2, on: redis) { cluster in
          let run = try await doctor(["--fail-on", "fail"], server: cluster.nodes.map(\.url).joined(separator: ","))
          #expect(run.exit == .code(0), "\(run.output)\(run.errorOutput)")
          #expect(run.report.nodes.map(\.nodeId) == ["node-0", "node-1"])
          for node in 0..<2 {
            #expect(
              run.ids(.skip, node: node) == ["redis.replica-lag", "redis.slots"] && run.ids(.warn, node: node) == [], "\(run.output)")
          }
          let leader = ParallaxCluster.id(try await cluster.leader())
          #expect(try run.finding("ha.leader").summary.hasPrefix("\(leader) leads"))
          #expect(try redis.command("KEYS", "*diagnosis*").texts.isEmpty)
        }
      }
    }

    @Test func `a node without Redis passes, and the text has a line per check`() async throws {
      try await withParallaxd { node in
        let run = try await doctor(["--fail-on", "fail"], server: node.url)
        #expect(run.exit == .code(0), "\(run.output)")
        #expect(try run.finding("redis.reachable").summary == "the state is in the memory of this process")
        let text = try await CommandLineTool(server: node.url)("doctor")
        for finding in run.report.nodes[0].checks {
          #expect(text.output.contains("\(finding.status.rawValue.uppercased())") && text.output.contains(finding.id))
        }
        let quiet = try await CommandLineTool(server: node.url)("doctor", "--quiet")
        #expect(!quiet.output.contains("ha.leader") && quiet.output.contains("23 checks"))
      }
    }

    // MARK: Redis

    @Test func `no Redis: the check says why, the others are skipped, with a node and without`() async throws {
      let port = try LoopbackPort.free()
      let run = try await offline("redis://:\(Self.password)@127.0.0.1:\(port)")
      #expect(run.exit == .code(1))
      #expect(run.ids(.fail) == ["redis.reachable"])
      #expect(try run.finding("redis.reachable").summary == "127.0.0.1:\(port) does not answer")
      try await ParallaxCluster.with(1) { cluster in
        cluster.redis.kill()
        let online = try await doctor([], server: cluster.nodes[0].url)
        #expect(online.exit == .code(1) && online.ids(.fail).first == "redis.reachable", "\(online.output)")
        #expect(try online.finding("redis.memory").status == .skip)
      }
    }

    @Test func `a hung Redis ends no check and no diagnosis`() async throws {
      try await RedisServer.with { redis in
        redis.pause()
        let run = try await offline(redis.url)
        redis.resume()
        #expect(run.ids(.fail) == ["redis.reachable"], "\(run.output)")
      }
    }

    @Test func `a wrong password is a refused login`() async throws {
      try await RedisServer.with(.init(password: "right")) { redis in
        let run = try await offline("redis://:\(Self.password)@127.0.0.1:\(redis.port)")
        let finding = try run.finding("redis.reachable")
        #expect(
          finding.summary == "127.0.0.1:\(redis.port) refuses the login" && finding.cause?.contains("WRONGPASS") == true, "\(finding)")
      }
    }

    @Test func `the remedy of a missing right mends it`() async throws {
      let rule = "parallax on >\(Self.password) ~parallax:* ~{parallax:* &parallax:* +@all -hset -xgroup|create -info"
      try await RedisServer.with(.init(users: [rule], appendOnly: true)) { redis in
        let url = "redis://parallax:\(Self.password)@127.0.0.1:\(redis.port)"
        let node = try await ParallaxdProcess.start(environment: ParallaxCluster.environment(redis: url, node: 0))
        try await withChildProcess(node.process) { _ in
          for run in [try await offline(url), try await doctor([], server: node.url)] {
            let finding = try run.finding("redis.rights")
            #expect(finding.status == .fail && finding.summary.contains("HSET on parallax:execution:%probe"), "\(finding)")
            #expect(try run.finding("redis.memory").summary.contains("grant it with ACL SETUSER parallax +info"))
          }
          let remedy = try #require(try await offline(url).finding("redis.rights").remedy)
          let words = try #require(remedy.split(separator: "ACL SETUSER ").last).replacing("\"", with: "").split(separator: " ").map(
            String.init)
          try redis.withConnection { _ = try $0.command(["ACL", "SETUSER"] + words) }
          try await node.waitUntilReady()
          #expect(try await offline(url).finding("redis.rights").status == .ok)
        }
      }
    }

    @Test func `full memory, an evicting Redis and one without a disk are three findings`() async throws {
      try await ParallaxCluster.with(1) { cluster in
        try cluster.redis.command("CONFIG", "SET", "maxmemory", "1")
        let full = try await doctor([], server: cluster.nodes[0].url)
        #expect(full.ids(.fail).contains("redis.memory") && full.ids(.warn).contains("redis.persistence"), "\(full.output)")
        #expect(full.exit == .code(1))
        try cluster.redis.command("CONFIG", "SET", "maxmemory", "1gb")
        let roomy = try await doctor([], server: cluster.nodes[0].url)
        #expect(roomy.ids(.warn) == ["redis.persistence"] && roomy.exit == .code(5), "\(roomy.output)")
        #expect(try await doctor(["--fail-on", "fail"], server: cluster.nodes[0].url).exit == .code(0))
        try cluster.redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        let evicting = try await doctor([], server: cluster.nodes[0].url)
        #expect(evicting.ids(.fail) == ["redis.eviction-policy"], "\(evicting.output)")
      }
    }

    @Test func `a failed snapshot is a disk that refuses writes`() async throws {
      try await RedisServer.with { redis in
        try redis.command("CONFIG", "SET", "save", "3600 1")
        try redis.command("SET", "parallax:ballast", String(repeating: "x", count: 400_000))
        try redis.command("CONFIG", "SET", "rdbcompression", "no")
        let pid = try #require(redis.processIdentifier)
        let limited = try await TestSupport.run(ProjectLayout.program("prlimit"), ["--fsize=100000", "--pid", "\(pid)"])
        #expect(limited.exit == .code(0), "\(limited.errorOutput)")
        try redis.command("BGSAVE")
        try await eventually("the failure of the snapshot") { try redis.info("persistence")["rdb_last_bgsave_status"] == "err" }
        let run = try await offline(redis.url)
        #expect(run.ids(.fail).contains("redis.disk"), "\(run.output)")
        #expect(try run.finding("redis.disk").cause?.contains("MISCONF") == true)
      }
    }

    @Test func `a replica is no master, and its master shows it`() async throws {
      try await RedisServer.with(.init(appendOnly: true)) { master in
        try await RedisServer.with(.init(replicaOf: master.port)) { replica in
          try await eventually("the replica's link") { try replica.info("replication")["master_link_status"] == "up" }
          let wrong = try await offline(replica.url)
          #expect(wrong.ids(.fail) == ["redis.role"], "\(wrong.output)")
          #expect(try wrong.finding("redis.role").summary.contains("127.0.0.1:\(master.port)"))
          let right = try await offline(master.url)
          #expect(right.ids(.warn) == ["redis.min-replicas"], "\(right.output)")
          #expect(try right.finding("redis.replica-lag").status == .ok)
          try master.command("CONFIG", "SET", "min-replicas-to-write", "2")
          #expect(try await offline(master.url).ids(.fail) == ["redis.min-replicas"])
          replica.pause()
          try await eventually("the replica's lag", within: .seconds(30), every: .seconds(1)) {
            try await offline(master.url).finding("redis.replica-lag").status == .warn
          }
          replica.resume()
        }
      }
    }

    private static let oldServer = ProcessInfo.processInfo.environment["PARALLAX_TEST_OLD_REDIS_SERVER"]

    @Test("Redis 6.2 is named, with what it lacks", .enabled(if: oldServer != nil))
    func oldRedis() async throws {
      try await RedisServer.with(.init(executable: Self.oldServer)) { redis in
        let run = try await offline(redis.url)
        #expect(run.ids(.fail) == ["redis.version"], "\(run.output)")
        #expect(try run.finding("redis.version").summary.contains("Redis 6.2"))
      }
    }

    // MARK: The cluster

    @Test func `two leaders written by hand overlap, at a node and without one`() async throws {
      try await ParallaxCluster.with(1) { cluster in
        let term = try #require(try await cluster.nodes[0].haStatus().term)
        let own = try JSON.decode(
          JSONValue.self, from: try #require(try cluster.redis.command("HGET", "parallax:ha:members", "node-0").text))
        guard case .object(var members) = own else { throw ProcessFailure("the field of node-0 is no object: \(own)") }
        members["id"] = "ghost"
        members["incarnation"] = "byhand"
        members["role"] = "leader"
        members["term"] = .integer(term)
        // Nodes take a member that is silent for dead; this one is written once.
        members["checkInterval"] = 60_000
        try cluster.redis.command("HSET", "parallax:ha:members", "ghost", try JSON.text(JSONValue.object(members)))
        let online = try await doctor([], server: cluster.nodes[0].url)
        let offline = try await offline(cluster.redis.url, ["PARALLAX_HA_ENABLED": "true", "PARALLAX_HA_CLUSTER_ID": "production"])
        for run in [online, offline] {
          #expect(run.ids(.fail) == ["ha.claims"], "\(run.output)")
          #expect(try run.finding("ha.claims").summary.contains("ghost (term \(term))"))
        }
      }
    }

    @Test func `a clock that is off by a minute is seen by its node and by the others`() async throws {
      try await WallClockShift.with { clocks in
        try clocks.shift("node-1", by: .seconds(60))
        try await RedisServer.with(.init(appendOnly: true)) { redis in
          try await ParallaxCluster.with(2, on: redis, variables: { clocks.variables("node-\($0)") }) { cluster in
            let run = try await doctor([], server: cluster.nodes.map(\.url).joined(separator: ","))
            #expect(
              run.ids(.warn) == ["clock.nodes"] && run.ids(.warn, node: 1) == ["clock.store", "clock.nodes"], "\(run.output)")
            #expect(try run.finding("clock.nodes").summary.contains("node-1 is at least"))
            #expect(try run.finding("clock.store", node: 1).summary.contains("behind this machine's"))
          }
        }
      }
    }

    @Test func `a paused cluster without a leader is told to resume, and a second user of the keys is named`() async throws {
      try await ParallaxCluster.with(2) { cluster in
        let leader = try await cluster.leader()
        let other = cluster.nodes[cluster.others(than: leader)[0]]
        _ = try await other.api.post("/ha/pause", JSONValue.object([:]))
        let taken = ["PARALLAX_HA_ENABLED": "true", "PARALLAX_HA_CLUSTER_ID": "staging", "PARALLAX_NODE_ID": "node-0"]
        let stranger = try await offline(cluster.redis.url, taken)
        #expect(stranger.ids(.fail) == ["store.shared"] && stranger.ids(.warn).contains("node.twin"), "\(stranger.output)")
        cluster.nodes[leader].process.send(signal: SIGKILL)
        try await eventually("the end of the lease") { try await other.haStatus().leader == nil }
        let run = try await doctor([], server: other.url)
        let finding = try run.finding("ha.leader")
        #expect(finding.status == .fail && finding.remedy == "parallax ha resume", "\(finding)")
        #expect(run.ids(.fail).contains("ha.leader") && run.exit == .code(1))
      }
    }

    @Test func `a node that does not answer is a finding, and none an exit code of its own`() async throws {
      let port = try LoopbackPort.free()
      try await withParallaxd { node in
        let run = try await doctor(["--server", "127.0.0.1:\(port)", "--server", node.url])
        #expect(run.exit == .code(1) && run.ids(.fail) == ["node.answers"])
        #expect(run.ids(.fail, node: 1) == [])
      }
      let none = try await doctor(["--server", "127.0.0.1:\(port)"])
      #expect(none.exit == .code(4) && none.errorOutput.contains("--offline"))
    }

    @Test func `a faulty configuration and options without --offline are refused`() async throws {
      let parallax = CommandLineTool(server: nil)
      let faulty = try await parallax("doctor", "--offline", environment: ["PARALLAX_REDIS_URL": "redis:/:x"])
      #expect(faulty.exit == .code(1) && faulty.errorOutput.contains("redis.url"), "\(faulty)")
      let options = try await parallax("doctor", "--config", "x.yaml")
      #expect(options.exit == .code(2) && options.errorOutput.contains("--offline"))
    }
  }
}
