import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// A node without high availability is a cluster of one.
  ///
  /// "At once" is within ten seconds: a node that waited would wait for a lease of 15 s.
  @Suite(.serialized, .timeLimit(.minutes(3)))
  struct LoneNode {
    @Test func `in memory it leads at once, and shows itself as its cluster`() async throws {
      try await withParallaxd(environment: ["PARALLAX_NODE_ID": "node-a"]) { node in
        try await eventually("its leadership", within: .seconds(10)) { try await node.haStatus().leader == "node-a" }
        let status = try await node.haStatus()
        #expect(!status.stale && status.transitions == 1 && status.members.map(\.id) == ["node-a"])
        #expect(status.members.map(\.role) == [.leader] && status.members.map(\.status) == [.healthy])
        #expect(status.members.map(\.address) == ["127.0.0.1:\(node.port)"])
        let metrics = try await node.api.get("/metrics").text.split(separator: "\n")
        for line in [
          "parallax_ha_is_leader{node=\"node-a\"} 1", "parallax_ha_cluster_members 1", "parallax_ha_healthy_members 1",
          "parallax_ha_elections_total 1",
        ] {
          #expect(metrics.contains { $0 == line }, "\(line) is not there")
        }
        let printed = try await CommandLineTool(server: node.url)("ha", "status")
        #expect(printed.exit == .code(0) && printed.output.contains("Leader: node-a"), "\(printed.output)\(printed.errorOutput)")
      }
    }

    @Test func `it is paused and resumed like any cluster, and names itself as the only member`() async throws {
      try await withParallaxd(environment: ["PARALLAX_NODE_ID": "node-a"]) { node in
        try await eventually("its leadership", within: .seconds(10)) { try await node.haStatus().leader == "node-a" }
        let parallax = CommandLineTool(server: node.url)
        #expect(try await parallax("ha", "pause").exit == .code(0))
        let paused = try await node.haStatus()
        #expect(paused.paused && paused.leader == "node-a")
        #expect(try await parallax("ha", "resume").exit == .code(0))
        let refused = try await parallax("ha", "stepdown", "--to", "node-b")
        #expect(refused.exit == .code(1) && refused.errorOutput.contains("the members are node-a"), "\(refused.errorOutput)")
      }
    }

    @Test func `on Redis it leads at once, also after it was killed`() async throws {
      try await RedisServer.with { redis in
        let environment = ["PARALLAX_REDIS_URL": redis.url, "PARALLAX_NODE_ID": "node-a"]
        let first = try await ParallaxdProcess.start(environment: environment)
        let term = try await withChildProcess(first.process) { process in
          try await first.waitUntilReady()
          try await eventually("its leadership", within: .seconds(10)) { try await first.haStatus().leader == "node-a" }
          let term = try await first.haStatus().term
          process.send(signal: SIGKILL)
          #expect(try await process.waitForExit() == .signal(SIGKILL))
          return term
        }
        try await withParallaxd(environment: environment) { second in
          try await eventually("its leadership", within: .seconds(10)) { try await second.haStatus().leader == "node-a" }
          let status = try await second.haStatus()
          #expect(status.transitions == 2 && status.term == term.map { $0 + 1 })
          #expect(try redis.command("EXISTS", "parallax:ha:leader").number == 1)
        }
      }
    }

    @Test func `a cluster takes over from a node alone, and a node alone from a stopped cluster`() async throws {
      try await RedisServer.with { redis in
        let alone = ["PARALLAX_REDIS_URL": redis.url, "PARALLAX_NODE_ID": "node-a"]
        let cluster = ParallaxCluster.environment(redis: redis.url, node: 0, lease: .seconds(1))
        var terms: [Int64] = []
        for environment in [alone, cluster, alone] {
          let node = try await ParallaxdProcess.start(environment: environment)
          try await withChildProcess(node.process) { process in
            try await node.waitUntilReady()
            try await eventually("a leader", within: .seconds(20)) { try await node.haStatus().leader != nil }
            terms.append(try #require(try await node.haStatus().term))
            process.send(signal: SIGTERM)
            #expect(try await process.waitForExit() == .code(0))
          }
        }
        #expect(terms.count == 3 && terms == terms.sorted() && Set(terms).count == 3, "\(terms)")
      }
    }

    /// As the first contact with a time server does.
    @Test func `a wall clock that is set neither removes an execution nor lets a key run again`() async throws {
      try await WallClockShift.with { clocks in
        try clocks.shift("node-a", by: .zero)
        try await withParallaxd(environment: clocks.variables("node-a")) { node in
          try await node.apply(pattern("analyze"))
          try await withPythonAgents(1, url: node.agentURL, capabilities: ["analysis"]) { agents in
            let request = ExecuteRequest(input: ["text": "Is it so?"], options: .init(idempotencyKey: "order-20"))
            let execute = { try await node.api.post("/api/patterns/analyze/execute", request) }
            let first: ExecutionDocument = try await execute().decode()
            try clocks.shift("node-a", by: .seconds(2 * 86_400))
            let second: ExecutionDocument = try await execute().decode()
            #expect(first.executionId == second.executionId && second.status == .completed)
            #expect(agents[0].finishedTasks.count == 1)
          }
        }
      }
    }

    @Test(arguments: [false, true]) func `asked to stop, it keeps its agents until its work has ended`(onRedis: Bool) async throws {
      try await RedisServer.with { redis in
        let environment = onRedis ? ["PARALLAX_REDIS_URL": redis.url] : [:]
        try await withParallaxd(environment: environment) { node in
          try await node.apply(pattern("analyze"))
          try await withPythonAgents(1, url: node.agentURL, capabilities: ["analysis"], arguments: ["--delay", "2"]) { agents in
            async let waited = node.execute("analyze")
            let accepted = try await node.submit("analyze")
            try await eventually("both requests, and the agent at work") {
              let list: ExecutionList = try await node.api.get("/api/executions").decode()
              let status = try await node.execution(accepted.executionId).status
              return list.total == 2 && status == .running
            }
            node.process.send(signal: SIGTERM)
            // The node refuses new executions but still answers; the requests before the signal count as work too.
            var others = 0
            try await eventually("a node that refuses work") {
              let status = try await node.api.post("/api/patterns/analyze/execute?async=true", ExecuteRequest(input: nil)).status
              if status == 202 { others += 1 }
              return status == 503
            }
            #expect(try await node.execution(accepted.executionId).status == .running)
            #expect(try await waited.status == .completed)
            #expect(try await node.process.waitForExit() == .code(0))
            #expect(agents[0].finishedTasks.count == 2 + others)
          }
        }
      }
    }

    @Test func `asked to stop while idle, it asks its agents to reconnect before it disconnects them`() async throws {
      try await withParallaxd { node in
        try await AgentSocket.withConnection(port: node.port, headers: ["X-Agent-Capabilities": "analysis"]) { socket in
          try await socket.send(.register(AgentMessage.Register(capabilities: ["analysis"])), id: "1")
          _ = try await socket.receive("registered", JSONValue.self)
          node.process.send(signal: SIGTERM)
          let reconnect = try await socket.receive("reconnect", JSONValue.self)
          #expect(reconnect["reason"] == "drain")
          #expect(try await socket.receive() == .close(code: 1001))
        }
        #expect(try await node.process.waitForExit() == .code(0))
      }
    }
  }
}
