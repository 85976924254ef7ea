import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  @Suite(.serialized, .timeLimit(.minutes(3)))
  struct NodeOnRedis {
    @Test func `keeps executions and agents in the keys that operators know`() async throws {
      try await RedisServer.with { redis in
        try await withParallaxd(environment: ["PARALLAX_REDIS_URL": redis.url, "PARALLAX_NODE_ID": "node-a"]) { node in
          try await node.apply(pattern("analyze"))
          try await withPythonAgents(1, url: node.agentURL, capabilities: ["analysis", "classification"]) { agents in
            let execution = try await node.execute("analyze")
            let stored = try await hash("parallax:execution:\(execution.executionId)", on: redis)
            #expect(stored["status"] == "completed")
            #expect(stored["pattern"] == "analyze")
            #expect(stored["nodeId"] == "node-a")
            #expect(stored["startedAt"].flatMap(Timestamp.init) == execution.startedAt)
            let agent = try await hash("parallax:agent:\(agents[0].id)", on: redis)
            #expect(agent["nodeId"] == "node-a")
            #expect(agent["capabilities"] == #"["analysis","classification"]"#)
            #expect(agent["connectedAt"].flatMap(Timestamp.init) != nil)
          }
        }
      }
    }

    /// A probe that asked Redis would cost each kind of them a thousand commands; what is counted is the node's own rhythm.
    @Test func `a storm of probes costs Redis nothing`() async throws {
      try await RedisServer.with { redis in
        try await withParallaxd(environment: ["PARALLAX_REDIS_URL": redis.url]) { node in
          func commands() throws -> Int { try #require(Int(try redis.info("stats")["total_commands_processed"] ?? "")) }
          for path in ["/health", "/health/ready", "/health/live"] {
            let before = try commands()
            try await withThrowingTaskGroup(of: Void.self) { group in
              for _ in 0..<20 {
                group.addTask {
                  for _ in 0..<50 {
                    let answer = try await node.api.get(path)
                    #expect(answer.status == 200)
                  }
                }
              }
              try await group.waitForAll()
            }
            let used = try commands() - before
            #expect(used < 250, "\(path): \(used) commands during 1,000 probes")
          }
        }
      }
    }

    /// As when a whole deployment is deleted.
    @Test func `nodes that are asked to stop together end the work that they have`() async throws {
      // No heartbeat is due meanwhile.
      let environment = ["PARALLAX_DRAIN_DELAY": "1s", "PARALLAX_HA_CHECK_INTERVAL": "5s"]
      try await ParallaxCluster.with(2, environment: environment) { cluster in
        let node = cluster.nodes[0]
        try await node.apply(pattern("analyze"))
        let urls = cluster.nodes.map(\.agentURL)
        try await withPythonAgents(at: [urls], capabilities: ["analysis"], arguments: ["--delay", "4"]) { _ in
          let id = try await node.submit("analyze").executionId
          try await eventually("the agent at work") { try await node.execution(id).status == .running }
          for node in cluster.nodes { node.process.send(signal: SIGTERM) }
          for node in cluster.nodes { #expect(try await node.process.waitForExit() == .code(0)) }
          #expect(try await hash("parallax:execution:\(id)", on: cluster.redis)["status"] == "completed")
        }
      }
    }

    @Test func `uses password and database number`() async throws {
      try await RedisServer.with(.init(password: "open-sesame")) { redis in
        try await withParallaxd(environment: ["PARALLAX_REDIS_URL": redis.url + "/3"]) { node in
          try await node.apply(pattern("analyze"))
          #expect(try await command(["-n", "3", "EXISTS", "parallax:pattern:analyze"], on: redis, password: "open-sesame") == "1")
          #expect(try await command(["-n", "0", "DBSIZE"], on: redis, password: "open-sesame") == "0")
        }
      }
    }

    @Test func `speaks TLS, with the authority and the certificate that the configuration names`() async throws {
      let certificates = try await TestCertificates()
      try await RedisServer.with(.init(password: "secret", tls: .init(certificates, clientCertificates: .required))) { redis in
        let file = """
          redis:
            url: rediss://:secret@127.0.0.1:\(redis.port)
            tls: { ca: \(certificates.authority), certificate: \(certificates.client.certificate), privateKey: \(certificates.client.key) }
          """
        let node = try await ParallaxdProcess.start(files: ["parallax.config.yaml": file])
        try await withChildProcess(node.process) { _ in
          try await node.waitUntilReady()
          try await node.apply(pattern("analyze"))
          #expect(try redis.command("EXISTS", "parallax:pattern:analyze").number == 1)
        }
      }
    }

    @Test func `does not trust a server of another authority, and says so`() async throws {
      let certificates = try await TestCertificates()
      try await RedisServer.with(.init(tls: .init(certificates))) { redis in
        let file = "redis: { url: \"rediss://127.0.0.1:\(redis.port)\", tls: { ca: \(certificates.wrongAuthority) } }"
        let node = try await ParallaxdProcess.start(files: ["parallax.config.yaml": file])
        try await withChildProcess(node.process) { _ in
          try await eventually("a readiness that names the certificate") {
            let response = try await node.api.get("/health/ready")
            return response.status == 503 && response.text.lowercased().contains("certificate")
          }
        }
      }
    }

    @Test func `reaches Redis over a Unix socket`() async throws {
      try await RedisServer.with { redis in
        try await withParallaxd(environment: ["PARALLAX_REDIS_URL": "unix://\(redis.socketPath)?db=2"]) { node in
          try await node.apply(pattern("analyze"))
          #expect(try await command(["-n", "2", "EXISTS", "parallax:pattern:analyze"], on: redis) == "1")
        }
      }
    }

    @Test func `exports no metric that the page of all metrics lacks, and the queues that an autoscaler needs`() async throws {
      let page = try String(contentsOf: ProjectLayout.root.appending(path: "docs/operations/metrics.md"), encoding: .utf8)
      try await RedisServer.with { redis in
        let environment = ["PARALLAX_REDIS_URL": redis.url, "PARALLAX_HA_ENABLED": "true", "PARALLAX_HA_LEASE_DURATION": "1s"]
        try await withParallaxd(environment: environment) { node in
          try await node.apply(pattern("analyze"))
          try await withPythonAgents(1, url: node.agentURL, capabilities: ["analysis"]) { _ in
            let done = try await node.execute("analyze")
            #expect(done.status == .completed)
          }
          _ = try await node.api.post("/api/patterns/analyze/execute?async=true", ExecuteRequest(input: nil))
          let text = try await eventualValue("metrics of duties and of the queue", within: .seconds(20)) {
            let text = try await node.api.get("/metrics").text
            let isComplete =
              text.contains("parallax_ha_duty_runs_total{")
              && text.contains("parallax_queue_waiting_executions{capabilities=\"analysis\"} 1\n")
            return isComplete ? text : nil
          }
          #expect(text.contains("parallax_queue_running_executions{capabilities=\"analysis\"} 0\n"))
          #expect(text.contains("parallax_queue_oldest_wait_seconds{capabilities=\"analysis\"} "))
          #expect(text.contains("parallax_build_info{version=\"\(ParallaxVersion.current)\",commit=\""), "\(text)")
          let families = text.matches(of: /# TYPE (\S+) (\S+)/)
          #expect(families.count > 20)
          for family in families { #expect(page.contains("| `\(family.output.1)` | \(family.output.2) |"), "\(family.output.1)") }
          #expect(!text.contains("Reported through swift-metrics"))
        }
      }
    }

    @Test func `with a wrong password it is alive, not ready, and reports the reason without the password`() async throws {
      try await RedisServer.with(.init(password: "right")) { redis in
        let node = try await ParallaxdProcess.start(environment: ["PARALLAX_REDIS_URL": "redis://:wrongsecret@127.0.0.1:\(redis.port)"])
        try await withChildProcess(node.process) { process in
          let ready = try await eventualValue("a readiness that names Redis") {
            let response = try await node.api.get("/health/ready")
            return response.status == 503 && response.text.lowercased().contains("password") ? response : nil
          }
          #expect(!ready.text.contains("wrongsecret"))
          #expect(try await node.api.get("/health/live").status == 200)
          let refused = try await node.api.post("/api/patterns/any/execute", ExecuteRequest(input: nil))
          #expect(refused.status == 503)
          #expect(try refused.decode(ErrorDocument.self).error.code == "NOT_READY")
          #expect(!(process.output + process.errorOutput).contains("wrongsecret"))
        }
      }
    }

    @Test func `without Redis it is alive, not ready, and becomes ready when Redis starts`() async throws {
      let redis = try RedisServer(.init())
      defer { redis.kill() }
      let node = try await ParallaxdProcess.start(environment: ["PARALLAX_REDIS_URL": redis.url])
      try await withChildProcess(node.process) { _ in
        #expect(try await node.api.get("/health/live").status == 200)
        #expect(try await node.api.get("/health/ready").status == 503)
        try await redis.start()
        try await node.waitUntilReady(within: .seconds(20))
        try await node.apply(pattern("analyze"))
        try await withPythonAgents(1, url: node.agentURL, capabilities: ["analysis"]) { _ in
          let execution = try await node.execute("analyze")
          #expect(execution.status == .completed)
        }
      }
    }

    @Test func `exits with 0 during an outage of Redis`() async throws {
      try await RedisServer.with { redis in
        try await withParallaxd(environment: ["PARALLAX_REDIS_URL": redis.url]) { node in
          redis.kill()
          node.process.send(signal: SIGTERM)
          let exit = try await node.process.waitForExit()
          #expect(exit == .code(0))
        }
      }
    }

    @Test func `does not start on the Redis of another node, and names both`() async throws {
      try await RedisServer.with { redis in
        var environment = ["PARALLAX_REDIS_URL": redis.url, "PARALLAX_HA_CHECK_INTERVAL": "500ms", "PARALLAX_NODE_ID": "first"]
        try await withParallaxd(environment: environment) { first in
          environment["PARALLAX_NODE_ID"] = "second"
          let second = try await ParallaxdProcess.start(environment: environment)
          try await withChildProcess(second.process) { process in
            let exit = try await process.waitForExit()
            #expect(exit == .code(1))
            #expect(process.errorOutput.contains("cannot start") && process.errorOutput.contains("first"))
          }
          let status = try await CommandLineTool(server: first.url)("ha", "status")
          #expect(status.output.contains("Cluster: default") && status.output.contains("first"), "\(status.errorOutput)")
          #expect(status.exit == .code(0) && status.output.contains("Leader: first"), "\(status.output)")
        }
      }
    }

    @Test func `stops when another process starts under its id`() async throws {
      try await RedisServer.with { redis in
        let environment = ["PARALLAX_REDIS_URL": redis.url, "PARALLAX_HA_CHECK_INTERVAL": "500ms", "PARALLAX_NODE_ID": "twin"]
        let older = try await ParallaxdProcess.start(environment: environment)
        try await withChildProcess(older.process) { process in
          try await withParallaxd(environment: environment) { newer in
            let exit = try await process.waitForExit()
            #expect(exit == .code(1))
            #expect(process.errorOutput.contains("another process") && process.errorOutput.contains("twin"))
            let ready = try await newer.api.get("/health/ready")
            #expect(ready.status == 200)
          }
        }
      }
    }

    @Test func `logs once that Redis refuses the password`() async throws {
      try await RedisServer.with(.init(password: "right")) { redis in
        let node = try await ParallaxdProcess.start(environment: ["PARALLAX_REDIS_URL": "redis://:wrong@127.0.0.1:\(redis.port)"])
        try await withChildProcess(node.process) { process in
          try await eventually("several attempts to connect") {
            let statistics = try await command(["INFO", "errorstats"], on: redis, password: "right")
            return statistics.firstMatch(of: /errorstat_WRONGPASS:count=([0-9]+)/).flatMap { Int($0.1) } ?? 0 >= 4
          }
          let lines = (process.output + process.errorOutput).split(separator: "\n").filter { $0.contains("WRONGPASS") }
          #expect(lines.count == 1, "\(lines)")
        }
      }
    }

    private func hash(_ key: String, on redis: RedisServer) async throws -> [String: String] {
      let lines = try await command(["HGETALL", key], on: redis).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      return Dictionary(stride(from: 0, to: lines.count - 1, by: 2).map { (lines[$0], lines[$0 + 1]) }) { first, _ in first }
    }

    private func command(_ arguments: [String], on redis: RedisServer, password: String? = nil) async throws -> String {
      let outcome = try await run(
        ProjectLayout.program("redis-cli"), ["-p", "\(redis.port)"] + arguments, environment: password.map { ["REDISCLI_AUTH": $0] } ?? [:])
      return outcome.output.trimmingCharacters(in: .newlines)
    }
  }
}
