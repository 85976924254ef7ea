import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// Nodes whose store grows, is full, or does not answer.
  @Suite(.serialized, .timeLimit(.minutes(4)))
  struct StoreLimits {
    /// Executions end at once for lack of agents.
    private static func files(_ executions: String) -> [String: String] {
      ["parallax.config.yaml": "executions: { agentWait: 0s, \(executions) }"]
    }

    @Test func `retention follows thousands of executions, and frees a full Redis`() async throws {
      async let emptied: Void = emptiesAFullRedis()
      try await followsThousandsOfExecutions()
      try await emptied
    }

    /// In memory and on Redis, one round removes more than one batch.
    private func followsThousandsOfExecutions() async throws {
      try await RedisServer.with { redis in
        let files = Self.files("maxRetained: 100")
        try await withParallaxd(files: files) { inMemory in
          try await withParallaxd(environment: ["PARALLAX_REDIS_URL": redis.url], files: files) { onRedis in
            for node in [inMemory, onRedis] { try await node.apply(pattern("analyze")) }
            try await withThrowingTaskGroup(of: Void.self) { group in
              for node in [inMemory, onRedis] {
                for _ in 0..<8 {
                  group.addTask {
                    for _ in 0..<375 {
                      let response = try await node.api.post("/api/patterns/analyze/execute", ExecuteRequest(input: nil))
                      #expect(response.status == 503 && response.text.contains("NO_AGENTS"), "\(response.text)")
                    }
                  }
                }
              }
              try await group.waitForAll()
            }
            for node in [inMemory, onRedis] {
              try await eventually("3,000 executions but 100 removed at \(node.url)", within: .seconds(20), every: .milliseconds(100)) {
                try await (node.api.get("/api/executions?limit=1").decode(ExecutionList.self).total ?? 0) <= 100
              }
            }
            let keys = try redis.command("KEYS", "parallax:execution:*").texts
            #expect(keys.count <= 300, "\(keys.count) keys of executions are left, such as \(keys.prefix(5))")
          }
        }
      }
    }

    /// Redis is full of ended executions: the nodes alone free memory, and become ready again.
    private func emptiesAFullRedis() async throws {
      try await ParallaxCluster.with(2, files: Self.files("retention: 2s")) { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        let term = try await cluster.nodes[0].haStatus().term
        let used = try #require(cluster.redis.info("memory")["used_memory"].flatMap { Int($0) })
        try cluster.redis.command("CONFIG", "SET", "maxmemory", "\(used + (4 << 20))")
        let input = JSONValue.string(String(repeating: "x", count: 200_000))
        try await eventually("a full Redis") {
          let response = try await cluster.nodes[0].api.post("/api/patterns/analyze/execute", ExecuteRequest(input: input))
          return response.text.contains("OOM command not allowed")
        }
        for node in cluster.nodes { try await node.waitUntilReady(within: .seconds(30)) }
        let accepted = try await cluster.nodes[1].api.post("/api/patterns/analyze/execute?async=true", ExecuteRequest(input: "small"))
        #expect(accepted.status == 202, "\(accepted.text)")
        #expect(try await cluster.nodes[1].haStatus().term == term)
      }
    }

    @Test func `a page of executions costs few commands of Redis`() async throws {
      try await RedisServer.with { redis in
        try await withParallaxd(environment: ["PARALLAX_REDIS_URL": redis.url], files: Self.files("retention: 30d")) { node in
          try await node.apply(pattern("analyze"))
          for _ in 0..<10 { _ = try await node.submit("analyze") }
          try redis.command("CONFIG", "RESETSTAT")
          let page: ExecutionList = try await node.api.get("/api/executions").decode()
          #expect(page.total == 10 && page.executions.count == 10)
          let statistics = try redis.info("commandstats")
          let calls = statistics.values.compactMap { line in
            line.firstMatch(of: /calls=([0-9]+)/).flatMap { Int($0.1) }
          }
          #expect(calls.reduce(0, +) < 100, "\(statistics)")
        }
      }
    }

    @Test func `asked to stop with work under way while Redis hangs, nodes end long before drainTimeout`() async throws {
      let environment = ["PARALLAX_DRAIN_TIMEOUT": "60s", "PARALLAX_HA_CHECK_TIMEOUT": "500ms"]
      let files = ["parallax.config.yaml": "redis: { commandTimeout: 500ms }"]
      try await ParallaxCluster.with(2, lease: .seconds(2), environment: environment, files: files) { cluster in
        let nodes = cluster.nodes
        try await nodes[0].apply(pattern("analyze"))
        try await withPythonAgents(at: nodes.map { [$0.agentURL] }, capabilities: ["analysis"], arguments: ["--delay", "60"]) { _ in
          for node in nodes {
            for _ in 0..<10 {
              let accepted = try await node.submit("analyze")
              try await eventually("a task at an agent") { try await node.execution(accepted.executionId).status == .running }
            }
          }
          cluster.redis.pause()
          let began = ContinuousClock.now
          for node in nodes { node.process.send(signal: SIGTERM) }
          for node in nodes { #expect(try await node.process.waitForExit(within: .seconds(30)) == .code(0)) }
          let took = began.duration(to: .now)
          guard took < .seconds(20) else { throw ProcessFailure("the nodes took \(took)") }
          for node in nodes {
            let warnings = node.process.errorOutput.split(separator: "\n").filter { $0.contains("\"warning\"") }
            #expect(warnings.count < 20, "\(warnings.prefix(30).joined(separator: "\n"))")
          }
        }
      }
    }
  }
}
