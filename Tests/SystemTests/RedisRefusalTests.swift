import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// Nodes on a Redis that answers but refuses service.
  @Suite(.serialized, .timeLimit(.minutes(3)))
  struct RedisRefusals {
    private static func execution(key: String? = nil) -> ExecuteRequest {
      ExecuteRequest(input: ["text": "Is it so?"], options: key.map { ExecuteRequest.Options(idempotencyKey: $0) })
    }

    @Test func `with full memory nodes keep leading, refuse new executions with the reason, and become ready again`()
      async throws
    {
      try await ParallaxCluster.with(2) { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        let leader = try await cluster.leader()
        let term = try #require(try await cluster.nodes[0].haStatus().term)
        try cluster.redis.command("CONFIG", "SET", "maxmemory", "1")

        for (index, key) in ["a", nil, "b"].enumerated() {
          let response = try await cluster.nodes[index % 2].api.post("/api/patterns/analyze/execute", Self.execution(key: key))
          #expect(response.status == 503, "\(response.text)")
          let error = try response.decode(ErrorDocument.self).error
          #expect(error.code == "NOT_READY" && error.message.contains("OOM command not allowed"), "\(error)")
        }
        for node in cluster.nodes {
          try await eventually("a readiness that says why") {
            let (ready, health) = try await (node.api.get("/health/ready"), node.api.get("/health"))
            return [ready, health].allSatisfy { $0.status == 503 && $0.text.contains("OOM command not allowed") }
          }
        }
        // The sleep is longer than several leases.
        try await Task.sleep(for: .seconds(5))
        let status = try await cluster.nodes[1].haStatus()
        #expect(status.term == term && status.leader == ParallaxCluster.id(leader))

        try cluster.redis.command("CONFIG", "SET", "maxmemory", "0")
        for node in cluster.nodes { try await node.waitUntilReady() }
        let response = try await cluster.nodes[0].api.post("/api/patterns/analyze/execute?async=true", Self.execution(key: "a"))
        #expect(response.status == 202, "\(response.text)")
      }
    }

    @Test func `with full memory an execution ends although its store refuses the change before, and the log says so once`() async throws {
      try await ParallaxCluster.with(2) { cluster in
        try await cluster.nodes[0].apply(pattern("analyze", min: 2, Aggregation(strategy: .all)))
        let node = cluster.nodes[0]
        try await AgentSocket.withAgent("agent-a", at: node) { first in
          try await AgentSocket.withAgent("agent-b", at: node) { second in
            let id = try await node.submit("analyze").executionId
            let task = try await first.receiveTask()
            _ = try await second.receiveTask()
            try cluster.redis.command("CONFIG", "SET", "maxmemory", "1")
            try await first.complete(task, with: .string(String(repeating: "x", count: 10_000)))
            try await eventually("the refusal of its result") { node.process.errorOutput.contains("the store refuses writes") }

            let began = ContinuousClock.now
            let cancelled = try await node.api.send("POST", "/api/executions/\(id)/cancel", body: nil)
            #expect(cancelled.status == 200 && began.duration(to: .now) < .seconds(5), "\(cancelled.text)")
            #expect(try cluster.redis.command("HGET", "parallax:execution:\(id)", "status").text == "cancelled")
            // Its result no longer counts, and the agent may forget it.
            while try await first.receive("result_ack", ControlPlaneMessage.ResultAck.self).taskId != task.taskId {}
          }
        }
        for node in cluster.nodes {
          // The idle node notices the refusal at its next write.
          try await eventually("the refusal at each node") {
            let unready = try await node.api.get("/health/ready")
            return unready.status == 503 && unready.text.contains("OOM command not allowed")
          }
        }
        try cluster.redis.command("CONFIG", "SET", "maxmemory", "0")
        for node in cluster.nodes {
          try await node.waitUntilReady(within: .seconds(20))
          let lines = node.process.errorOutput.split(separator: "\n")
          #expect(lines.count { $0.contains("the store refuses writes") } == 1, "\(node.process.errorOutput)")
          #expect(lines.count { $0.contains("the store takes writes again") } == 1, "\(node.process.errorOutput)")
        }
      }
    }

    @Test func `an agent returns to a full store, and its result counts once there is memory`() async throws {
      let file = ["parallax.config.yaml": "agents: { resumeGrace: 3s }"]
      try await RedisServer.with { redis in
        try await withParallaxd(environment: ["PARALLAX_REDIS_URL": redis.url], files: file) { node in
          try await node.apply(pattern("analyze"))
          let id = try await node.submit("analyze").executionId
          let task = try await AgentSocket.withAgent("agent-a", at: node) { try await $0.receiveTask() }
          try await eventually("the task of its agent") { try await node.execution(id).status == .running }
          try redis.command("CONFIG", "SET", "maxmemory", "1")
          try await AgentSocket.withAgent("agent-a", at: node, activeTasks: [task.taskId]) { agent in
            try await agent.complete(task, with: "the result")
            // The time is longer than the grace.
            try await Task.sleep(for: .seconds(4))
            #expect(try await node.execution(id).status == .running)
            try redis.command("CONFIG", "SET", "maxmemory", "0")
            while try await agent.receive("result_ack", ControlPlaneMessage.ResultAck.self).taskId != task.taskId {}
          }
          let execution = try await node.end(of: id)
          #expect(execution.status == .completed && execution.result == "the result", "\(execution)")
        }
      }
    }

    @Test func `an agent that does not try to return during an outage keeps its task`() async throws {
      let file = """
        agents: { resumeGrace: 4s }
        highAvailability: { memberHealth: { checkInterval: 500ms, timeout: 300ms } }
        """
      try await RedisServer.with { redis in
        try await withParallaxd(environment: ["PARALLAX_REDIS_URL": redis.url], files: ["parallax.config.yaml": file]) { node in
          try await node.apply(pattern("analyze"))
          let id = try await node.submit("analyze").executionId
          let task = try await AgentSocket.withAgent("agent-a", at: node) { try await $0.receiveTask() }
          try await eventually("the task of its agent") { try await node.execution(id).status == .running }
          redis.pause()
          // The time is longer than the grace.
          try await eventually("an outage of eight seconds", within: .seconds(30)) {
            let health = try await node.api.get("/health").text
            return health.firstMatch(of: /unreachable for (\d+)(\.\d+)?s/).flatMap { Int($0.1) }.map { $0 >= 8 } ?? false
          }
          redis.resume()
          try await node.waitUntilReady(within: .seconds(20))
          try await AgentSocket.withAgent("agent-a", at: node, activeTasks: [task.taskId]) { agent in
            try await agent.complete(task, with: "the result")
            while try await agent.receive("result_ack", ControlPlaneMessage.ResultAck.self).taskId != task.taskId {}
          }
          let execution = try await node.end(of: id)
          #expect(execution.status == .completed && execution.result == "the result", "\(execution)")
        }
      }
    }

    @Test func `with a full disk, callers, agents and probes hear why, the log says so once, and no agent is given up`() async throws {
      let file = ["parallax.config.yaml": "agents: { resumeGrace: 3s }"]
      let redis = RedisServer.Options(arguments: ["--dbfilename", "blocked"])
      try await ParallaxCluster.with(2, redis: redis, files: file) { cluster in
        let node = cluster.nodes[0]
        try await node.apply(pattern("analyze"))
        let id = try await node.submit("analyze").executionId
        let task = try await AgentSocket.withAgent("agent-a", at: node) { try await $0.receiveTask() }
        try await eventually("the task of its agent") { try await node.execution(id).status == .running }
        try await breakSnapshots(of: cluster.redis)

        let end = ContinuousClock.now + .seconds(12)
        var refusals = 0
        while ContinuousClock.now < end {
          let answer = try await node.api.post("/api/patterns/analyze/execute", Self.execution())
          #expect(answer.status == 503 && answer.text.contains("NOT_READY") && answer.text.contains("MISCONF"), "\(answer.text)")
          do {
            try await AgentSocket.withConnection(port: node.port, headers: ["X-Agent-Id": "agent-a"]) { agent in
              try await agent.send(.register(.init(capabilities: ["analysis"], activeTasks: [task.taskId])), id: "register")
              let error = try await agent.receive("error", ControlPlaneMessage.ProtocolError.self)
              #expect(error.code == "NOT_READY" && error.message.contains("MISCONF"), "\(error)")
            }
          } catch let refused as AgentSocket.Refused {
            #expect(refused.response.contains("MISCONF"), "\(refused.response)")
          }
          refusals += 1
          try await Task.sleep(for: .milliseconds(500))
        }
        #expect(refusals > 3)
        for node in cluster.nodes {
          let (ready, health) = try await (node.api.get("/health/ready"), node.api.get("/health"))
          #expect([ready, health].allSatisfy { $0.status == 503 && $0.text.contains("MISCONF") }, "\(ready.text) \(health.text)")
        }
        try cluster.redis.command("CONFIG", "SET", "save", "")
        for node in cluster.nodes { try await node.waitUntilReady(within: .seconds(30)) }
        try await AgentSocket.withAgent("agent-a", at: node, activeTasks: [task.taskId]) { agent in
          try await agent.completeAcknowledged(task, with: "the result")
        }
        #expect(try await node.end(of: id).status == .completed)
        for node in cluster.nodes {
          let lines = node.process.errorOutput.split(separator: "\n")
          for text in ["\"the store refuses writes\"", "\"the election store refuses writes\"", "\"the election store does not answer\""] {
            #expect(lines.count { $0.contains(text) } <= 1, "\(text): \(node.process.errorOutput)")
          }
          #expect(lines.contains { $0.contains("the store refuses writes") && $0.contains("MISCONF") })
          #expect(lines.count { $0.contains("warning") || $0.contains("\"error\"") } < 20, "\(node.process.errorOutput)")
        }
      }
    }

    /// Makes the snapshots of a server, in a file named "blocked", fail, after which it refuses writes.
    private func breakSnapshots(of redis: RedisServer) async throws {
      try FileManager.default.createDirectory(atPath: "\(redis.directory)/blocked", withIntermediateDirectories: false)
      try redis.command("CONFIG", "SET", "save", "3600 1")
      try redis.command("BGSAVE")
      try await eventually("the failure of the snapshot") { try redis.info("persistence")["rdb_last_bgsave_status"] == "err" }
    }

    @Test func `a user without channels keeps a node unready, with Redis's message as the reason`() async throws {
      let user = "parallax on >password ~parallax:* ~{parallax:* resetchannels +@all"
      try await RedisServer.with(.init(users: [user])) { redis in
        let url = "redis://parallax:password@127.0.0.1:\(redis.port)"
        let node = try await ParallaxdProcess.start(environment: ParallaxCluster.environment(redis: url, node: 0))
        try await withChildProcess(node.process) { process in
          let ready = try await eventualValue("a readiness that names the right") {
            let response = try await node.api.get("/health/ready")
            return response.status == 503 && response.text.contains("PUBLISH on the channel") ? response : nil
          }
          #expect(ready.text.contains("NOPERM"))
          for path in ["/api/patterns", "/api/executions", "/api/agents"] {
            let response = try await node.api.get(path)
            #expect(response.status == 503 && response.text.contains("PUBLISH on the channel"), "\(path): \(response.text)")
          }
          #expect((process.output + process.errorOutput).contains("NOPERM"))
          #expect(try redis.command("EXISTS", "parallax:ha:leader").number == 0)
        }
      }
    }

    @Test func `a repeat of a request whose execution was removed does not run again`() async throws {
      try await RedisServer.with { redis in
        let environment = ["PARALLAX_REDIS_URL": redis.url]
        let file = "executions: { maxRetained: 1 }"
        let node = try await ParallaxdProcess.start(environment: environment, files: ["parallax.config.yaml": file])
        try await withChildProcess(node.process) { _ in
          try await node.waitUntilReady()
          try await node.apply(pattern("analyze"))
          try await withPythonAgents(1, url: node.agentURL, capabilities: ["analysis"]) { _ in
            let first = try await node.execute("analyze", options: .init(idempotencyKey: "key"))
            for _ in 0..<3 { _ = try await node.execute("analyze") }
            try await eventually("the first execution is removed", within: .seconds(60)) {
              try await node.api.get("/api/executions/\(first.executionId)").status == 404
            }
            let repeated = try await node.api.post("/api/patterns/analyze/execute", Self.execution(key: "key"))
            #expect(repeated.status == 409, "\(repeated.text)")
            #expect(repeated.text.contains("\"completed\"") && repeated.text.contains(first.executionId))
          }
        }
      }
    }
  }
}
