import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// Several nodes without faults: every node answers for the whole cluster.
  @Suite(.serialized, .timeLimit(.minutes(4)))
  struct Cluster {
    @Test func `prints the status of the specification, from any node`() async throws {
      try await ParallaxCluster.with { cluster in
        let leader = try await cluster.leader()
        for node in cluster.nodes {
          let printed = try await CommandLineTool(server: node.url)("ha", "status")
          #expect(printed.exit == .code(0), "\(printed.errorOutput)")
          let lines = printed.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
          #expect(
            lines.prefix(5) == ["Cluster: production", "Members: 3", "Leader: node-\(leader)", "", "Node    Status    Role      Last Seen"])
          for index in 0..<3 {
            let role = index == leader ? "leader " : "standby"
            #expect(lines[5 + index].contains(try Regex("^node-\(index)  healthy   \(role)   [0-9]+s ago$")), "\(printed.output)")
          }
        }
        let document = try await cluster.nodes[0].haStatus()
        #expect(document.clusterId == "production" && document.leader == "node-\(leader)" && document.transitions == 1)
        #expect(document.members.map(\.address) == cluster.nodes.map { "127.0.0.1:\($0.port)" })
        let record = try await cluster.redisCommand("GET", "parallax:ha:leader")
        let fields = try JSON.decode([String: JSONValue].self, from: record)
        #expect(fields["leader"] == .string("node-\(leader)") && fields["clusterId"] == "production")
        #expect(fields["address"] == .string("127.0.0.1:\(cluster.nodes[leader].port)"))
        #expect(fields["term"]?.integerValue == document.term)
      }
    }

    @Test func `gives work to agents at any node, several at once`() async throws {
      try await ParallaxCluster.with { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        try await cluster.nodes[0].apply(pattern("vote", capability: "analysis", min: 3, max: 3, Aggregation(strategy: .all)))
        // All agents are at the last node.
        try await withPythonAgents(1, url: cluster.nodes[2].agentURL, capabilities: ["analysis"]) { agents in
          for node in cluster.nodes {
            let execution = try await node.execute("analyze", input: ["text": "one two"])
            #expect(execution.status == .completed && execution.result == ["words": 2, "characters": 7])
            #expect(execution.agents.map(\.id) == [agents[0].id])
          }
          let listed = try await cluster.nodes[0].api.get("/api/agents").decode(AgentList.self)
          #expect(listed.agents.map(\.nodeId) == ["node-2"] && listed.agents[0].status == .idle)
        }
        try await withPythonAgents(at: cluster.nodes.map { [$0.agentURL] }, capabilities: ["analysis"]) { agents in
          let execution = try await cluster.nodes[1].execute("vote")
          #expect(execution.status == .completed && Set(execution.agents.map(\.id)) == Set(agents.map(\.id)))
        }
      }
    }

    @Test func `a waiting execution goes to the node that has the agents, and its caller gets the result`() async throws {
      try await ParallaxCluster.with { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        try await withPythonAgents(
          1, url: cluster.nodes[1].agentURL, capabilities: ["analysis"], arguments: ["--concurrency", "1", "--delay", "0.2"]
        ) { agents in
          // Ten callers at a node without agents compete for one agent that accepts one task at a time.
          let results = try await withThrowingTaskGroup(of: ExecutionDocument.self) { group in
            for number in 0..<10 {
              group.addTask { try await cluster.nodes[0].execute("analyze", input: ["text": .string("number \(number)")]) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
          }
          #expect(results.allSatisfy { $0.status == .completed })
          #expect(results.contains { $0.nodeId == "node-1" }, "nothing was given to the node that has the agent")
          #expect(agents[0].finishedTasks.count == 10)
        }
      }
    }

    @Test func `an execution is cancelled, attached to and read at any node`() async throws {
      try await ParallaxCluster.with { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        try await withPythonAgents(1, url: cluster.nodes[0].agentURL, capabilities: ["analysis"], arguments: ["--delay", "1"]) { agents in
          let accepted = try await cluster.nodes[0].submit("analyze")
          try await eventually("a task at the agent") { try await cluster.nodes[0].execution(accepted.executionId).status == .running }
          let cancelled = try await cluster.nodes[2].api.send("POST", accepted.statusUrl + "/cancel", body: nil)
          #expect(cancelled.status == 200, "\(cancelled.text)")
          #expect(try await cluster.nodes[1].execution(accepted.executionId).status == .cancelled)

          let options = ExecuteRequest.Options(idempotencyKey: "order-17")
          async let first = cluster.nodes[1].execute("analyze", options: options)
          async let repeated = cluster.nodes[2].execute("analyze", options: options)
          let (one, other) = try await (first, repeated)
          #expect(one.executionId == other.executionId && one.status == .completed && other.result == one.result)
          #expect(agents[0].finishedTasks.count == 1)
        }
      }
    }

    @Test func `a pattern and its next version are known everywhere`() async throws {
      try await ParallaxCluster.with { cluster in
        for version in ["1.0.0", "1.1.0"] {
          var definition = pattern("analyze")
          definition.version = version
          try await cluster.nodes[1].apply(definition)
          for node in cluster.nodes {
            // Without events the other nodes would notice after a minute.
            try await eventually("version \(version) at \(node.url)") {
              try await node.api.get("/api/patterns/analyze").decode(PatternDefinition.self).version == version
            }
          }
        }
      }
    }

    @Test func `an agent is disconnected by any node, and may register at another`() async throws {
      try await ParallaxCluster.with { cluster in
        try await withPythonAgents(at: [cluster.agentURLs(first: 0)], capabilities: ["analysis"]) { agents in
          let path = "/api/agents/\(agents[0].id)"
          try await eventually("the agent at all nodes") {
            try await cluster.nodes[2].api.get(path).decode(AgentDocument.self).status == .idle
          }
          let answer = try await cluster.nodes[2].api.send("POST", path + "/disconnect", body: nil).decode(AgentDisconnected.self)
          #expect(answer.disconnected)
          try await agents[0].waitForRegistrations(2)
          try await eventually("the agent at its next node") {
            try await cluster.nodes[2].api.get(path).decode(AgentDocument.self).nodeId == "node-1"
          }
        }
      }
    }

    @Test func `publishes events of executions, agents and members on its channels`() async throws {
      try await ParallaxCluster.with { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        let channels = ["parallax:events:execution", "parallax:events:agent", "parallax:events:cluster"]
        let subscriber = try ChildProcess(
          ProjectLayout.program("redis-cli"), ["-p", "\(cluster.redis.port)", "SUBSCRIBE"] + channels)
        try await withChildProcess(subscriber) { subscriber in
          try await subscriber.waitForOutput("three subscriptions") { output, _ in
            output.components(separatedBy: "subscribe\n").count > 3 ? () : nil
          }
          try await withPythonAgents(1, url: cluster.nodes[1].agentURL, capabilities: ["analysis"]) { agents in
            let execution = try await cluster.nodes[2].execute("analyze")
            let leader = try await cluster.leader()
            _ = try await CommandLineTool(server: cluster.nodes[0].url)("ha", "stepdown")
            for (type, id) in [
              ("registered", agents[0].id), ("running", execution.executionId), ("completed", execution.executionId),
              ("stepped_down", "node-\(leader)"), ("elected", "node-"),
            ] {
              try await subscriber.waitForOutput("\(type) of \(id)") { output, _ in
                output.split(separator: "\n").contains { $0.contains("\"type\":\"\(type)\"") && $0.contains("\"id\":\"\(id)") } ? () : nil
              }
            }
          }
        }
      }
    }

    @Test func `shows the metrics of the specification`() async throws {
      try await ParallaxCluster.with { cluster in
        let leader = try await cluster.leader()
        for (index, node) in cluster.nodes.enumerated() {
          let text = try await eventualValue("a measured sync latency") {
            let text = try await node.api.get("/metrics").text
            return text.contains(#"parallax_ha_sync_latency_seconds{quantile="0.99"} NaN"#) ? nil : text
          }
          for line in [
            "# TYPE parallax_ha_is_leader gauge", "parallax_ha_is_leader{node=\"node-\(index)\"} \(index == leader ? 1 : 0)",
            "# TYPE parallax_ha_cluster_members gauge", "parallax_ha_cluster_members 3", "# TYPE parallax_ha_healthy_members gauge",
            "parallax_ha_healthy_members 3", "# TYPE parallax_ha_elections_total counter", "parallax_ha_elections_total 1",
            "# TYPE parallax_ha_sync_latency_seconds summary",
          ] {
            #expect(text.split(separator: "\n").contains { $0 == line }, "\(line) is not there")
          }
          let checked = try await run(ProjectLayout.program("promtool"), ["check", "metrics"], input: text)
          #expect(checked.exit == .code(0), "\(checked.output)\(checked.errorOutput)")
        }
      }
    }
  }
}

extension ParallaxCluster {
  /// The output of redis-cli for a command.
  func redisCommand(_ arguments: String...) async throws -> String {
    let outcome = try await run(ProjectLayout.program("redis-cli"), ["-p", "\(redis.port)"] + arguments)
    return outcome.output.trimmingCharacters(in: .newlines)
  }
}
