import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// The recovery of a dead node's work by another node.
  @Suite(.serialized, .timeLimit(.minutes(5)))
  struct ClusterRecovery {
    private static let count = 200

    @Test func `200 executions in flight survive the kill of the leader, each completed once`() async throws {
      try await ParallaxCluster.with { cluster in
        try await cluster.nodes[0].apply(pattern("analyze", timeout: .seconds(180), retries: 3))
        let arguments = ["--delay", "0.5", "--concurrency", "8"]
        try await withPythonAgents(at: (0..<3).map { cluster.agentURLs(first: $0) }, capabilities: ["analysis"], arguments: arguments) {
          agents in
          let leader = try await cluster.leader()
          let survivor = cluster.others(than: leader)[0]
          let ids = try await submitAll(to: cluster.nodes)
          try await eventually("some results, but not all") { agents.flatMap(\.finishedTasks).count >= 24 }
          let (_, sampler) = try await LeaderSampler.sampling(cluster.nodes) {
            cluster.nodes[leader].process.send(signal: SIGKILL)
            #expect(agents.flatMap(\.finishedTasks).count < Self.count, "killed too late: nothing was in flight")
            _ = try await cluster.waitForLeader(otherThan: leader, asking: survivor)
            for id in ids {
              let execution = try await cluster.nodes[survivor].end(of: id, within: .seconds(90))
              #expect(execution.status == .completed, "\(execution)")
              #expect(execution.agents.count { $0.status == "completed" } == 1, "\(execution)")
            }
          }
          let list = try await cluster.nodes[survivor].api.get("/api/executions?limit=1").decode(ExecutionList.self)
          #expect(list.total == Self.count)
          // No agent has repeated a task that was in progress when the node died.
          let finished = agents.flatMap(\.finishedTasks)
          #expect(finished.count == Self.count && Set(finished).count == Self.count)
          #expect(await sampler.overlaps == [])
          #expect(await sampler.greatestSum == 1)
        }
      }
    }

    private func submitAll(to nodes: [ParallaxdProcess]) async throws -> [String] {
      try await withThrowingTaskGroup(of: String.self) { group in
        for number in 0..<Self.count {
          let node = nodes[number % nodes.count]
          group.addTask { try await node.submit("analyze", input: ["text": .string("execution \(number)")]).executionId }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
    }

    // MARK: The table of the specification

    @Test func `pending: queued again`() async throws {
      try await ParallaxCluster.with { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        let owner = try await follower(of: cluster)
        let other = cluster.others(than: owner)[0]
        let accepted = try await cluster.nodes[owner].submit("analyze")
        #expect(accepted.status == .pending)
        cluster.nodes[owner].process.send(signal: SIGKILL)
        try await withPythonAgents(1, url: cluster.nodes[other].agentURL, capabilities: ["analysis"]) { agents in
          let execution = try await cluster.nodes[other].end(of: accepted.executionId)
          #expect(execution.status == .completed && execution.nodeId != ParallaxCluster.id(owner))
          #expect(agents[0].finishedTasks.count == 1)
        }
      }
    }

    @Test func `running: continues at an agent of another node`() async throws {
      try await ParallaxCluster.with { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        let owner = try await follower(of: cluster)
        let other = cluster.others(than: owner)[0]
        try await withPythonAgents(1, url: cluster.nodes[other].agentURL, capabilities: ["analysis"], arguments: ["--delay", "4"]) {
          agents in
          let accepted = try await eventualValue("an execution that runs") {
            let accepted = try await cluster.nodes[owner].submit("analyze")
            return accepted.status == .running ? accepted : nil
          }
          cluster.nodes[owner].process.send(signal: SIGKILL)
          let execution = try await cluster.nodes[other].end(of: accepted.executionId)
          #expect(execution.status == .completed && execution.attempt == 1 && execution.nodeId != ParallaxCluster.id(owner))
          #expect(agents[0].finishedTasks.filter { $0.hasSuffix("_0") }.count == agents[0].finishedTasks.count)
        }
      }
    }

    @Test func `running: continues at an agent that loses its own node too`() async throws {
      try await ParallaxCluster.with { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        let owner = try await follower(of: cluster)
        let other = cluster.others(than: owner)[0]
        try await withPythonAgents(
          at: [cluster.agentURLs(first: owner)], capabilities: ["analysis"], arguments: ["--delay", "4"]
        ) { agents in
          let accepted = try await cluster.nodes[owner].submit("analyze")
          #expect(accepted.status == .running)
          cluster.nodes[owner].process.send(signal: SIGKILL)
          let execution = try await cluster.nodes[other].end(of: accepted.executionId)
          #expect(execution.status == .completed && execution.attempt == 1)
          #expect(agents[0].finishedTasks.count == 1)
        }
      }
    }

    /// Only earlier versions of the program leave an execution in this state; the test needs the time of a silence to write it.
    @Test func `aggregating: resumed from the recorded results`() async throws {
      try await ParallaxCluster.with(environment: ParallaxCluster.leaseAlone) { cluster in
        try await cluster.nodes[0].apply(pattern("merge", Aggregation(strategy: .merge)))
        let owner = try await follower(of: cluster)
        let other = cluster.others(than: owner)[0]
        try await withPythonAgents(1, url: cluster.nodes[owner].agentURL, capabilities: ["analysis"], arguments: ["--delay", "60"]) { _ in
          let accepted = try await eventualValue("an execution that runs") {
            let accepted = try await cluster.nodes[owner].submit("merge")
            return accepted.status == .running ? accepted : nil
          }
          cluster.nodes[owner].process.send(signal: SIGKILL)
          try await leaveAggregating(accepted.executionId, ["words": 2], in: cluster)
          let execution = try await cluster.nodes[other].end(of: accepted.executionId)
          #expect(execution.status == .completed && execution.result == ["words": 2])
          #expect(execution.nodeId != ParallaxCluster.id(owner))
          let recovered = try await recovered("resumed", by: cluster, except: owner)
          #expect(recovered == 1)
        }
      }
    }

    /// Records the result of an execution's only task as versions did that wrote the end separately.
    private func leaveAggregating(_ id: String, _ result: JSONValue, in cluster: ParallaxCluster) async throws {
      let key = "parallax:execution:\(id)"
      let task = try await cluster.redisCommand("HKEYS", "{\(key)}:tasks")
      let open = try await cluster.redisCommand("HVALS", "{\(key)}:tasks")
      let end = #""slot":0,"state":"open"}"#
      #expect(open.hasSuffix(end))
      let completed = open.dropLast(end.count) + #""result":\#(try result.jsonText),"slot":0,"state":"completed"}"#
      _ = try await cluster.redisCommand("HSET", "{\(key)}:tasks", task, String(completed))
      _ = try await cluster.redisCommand("HSET", key, "status", "aggregating")
    }

    @Test func `failed: reported as failed`() async throws {
      try await killed(at: "failed", with: pattern("merge"), arguments: ["--fail-rate", "1"]) { cluster, owner, other, id in
        let execution = try await cluster.nodes[other].end(of: id)
        #expect(execution.status == .failed && execution.error?.code == "FAILED" && execution.nodeId == ParallaxCluster.id(owner))
        try await eventually("the recovery of the lost session", within: .seconds(20)) {
          try await cluster.redisCommand("KEYS", "parallax:node:*:executions").isEmpty
        }
        #expect(try await cluster.nodes[other].execution(id).status == .failed)
      }
    }

    /// Runs an execution on a node that loses its Redis right after it has stored a status, and is then killed.
    private func killed(
      at status: String, with pattern: PatternDefinition, arguments: [String],
      _ check: (_ cluster: ParallaxCluster, _ owner: Int, _ other: Int, _ id: String) async throws -> Void
    ) async throws {
      try await RedisServer.with { redis in
        try await ChokeProxy.with(to: redis.port, at: "$\(status.utf8.count)\r\n\(status)\r\n") { proxy in
          let owner = 2
          // The owner is not the leader, but the last node to start, because the table is about owners.
          try await ParallaxCluster.with(on: redis, urls: [owner: "redis://127.0.0.1:\(proxy.port)"]) { cluster in
            try await cluster.nodes[0].apply(pattern)
            try await withPythonAgents(1, url: cluster.nodes[owner].agentURL, capabilities: ["analysis"], arguments: arguments) { _ in
              let accepted = try await cluster.nodes[owner].submit(pattern.name, input: ["text": "one two"])
              try await eventually("the status \(status)") { proxy.isSilent }
              try await eventually("the status \(status) in the store") {
                try await cluster.redisCommand("HGET", "parallax:execution:\(accepted.executionId)", "status") == status
              }
              cluster.nodes[owner].process.send(signal: SIGKILL)
              try await check(cluster, owner, cluster.others(than: owner)[0], accepted.executionId)
            }
          }
        }
      }
    }

    private func recovered(_ action: String, by cluster: ParallaxCluster, except lost: Int) async throws -> Int {
      var count = 0
      for index in cluster.others(than: lost) {
        let text = try await cluster.nodes[index].api.get("/metrics").text
        let line = try Regex("parallax_executions_recovered_total\\{action=\"\(action)\"\\} ([0-9]+)")
        count += text.firstMatch(of: line).flatMap { $0.output[1].substring.flatMap { Int($0) } } ?? 0
      }
      return count
    }

    // MARK: Restarts

    @Test func `the former session of a node that restarts at once is recovered like a dead node's`() async throws {
      try await ParallaxCluster.with { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        let owner = try await follower(of: cluster)
        let other = cluster.others(than: owner)[0]
        let accepted = try await cluster.nodes[owner].submit("analyze")
        cluster.nodes[owner].process.send(signal: SIGKILL)
        _ = try await cluster.nodes[owner].process.waitForExit()
        let again = try await ParallaxdProcess.start(
          environment: ParallaxCluster.environment(redis: cluster.redis.url, node: owner), port: cluster.nodes[owner].port)
        try await withChildProcess(again.process) { _ in
          try await again.waitUntilReady()
          try await withPythonAgents(1, url: cluster.nodes[other].agentURL, capabilities: ["analysis"]) { _ in
            let execution = try await again.end(of: accepted.executionId)
            #expect(execution.status == .completed)
          }
        }
      }
    }

    @Test func `a caller whose node dies repeats with its key and gets the one result`() async throws {
      try await ParallaxCluster.with { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        let owner = try await follower(of: cluster)
        let other = cluster.others(than: owner)[0]
        try await withPythonAgents(1, url: cluster.nodes[other].agentURL, capabilities: ["analysis"], arguments: ["--delay", "3"]) {
          agents in
          let options = ExecuteRequest.Options(idempotencyKey: "order-18")
          let lost = Task { try await cluster.nodes[owner].execute("analyze", options: options) }
          try await eventually("the execution") {
            try await cluster.nodes[other].api.get("/api/executions").decode(ExecutionList.self).executions.first?.status == .running
          }
          cluster.nodes[owner].process.send(signal: SIGKILL)
          await #expect(throws: (any Error).self) { try await lost.value }
          let execution = try await cluster.nodes[other].execute("analyze", options: options)
          #expect(execution.status == .completed)
          #expect(agents[0].finishedTasks.count == 1)
        }
      }
    }

    @Test func `the leader dies during a recovery, and its successor completes it`() async throws {
      try await ParallaxCluster.with(environment: ParallaxCluster.leaseAlone) { cluster in
        try await cluster.nodes[0].apply(pattern("analyze", timeout: .seconds(180), retries: 3))
        let leader = try await cluster.leader()
        let owner = cluster.others(than: leader)[0]
        let survivor = cluster.others(than: leader)[1]
        let ids = try await submitAll(to: [cluster.nodes[owner]])
        cluster.nodes[owner].process.send(signal: SIGKILL)
        try await eventually("the beginning of the recovery") {
          cluster.nodes[leader].process.errorOutput.contains("a member is silent")
        }
        cluster.nodes[leader].process.send(signal: SIGKILL)
        try await withPythonAgents(
          1, url: cluster.nodes[survivor].agentURL, capabilities: ["analysis"], arguments: ["--concurrency", "64"]
        ) {
          agents in
          for id in ids {
            let execution = try await cluster.nodes[survivor].end(of: id, within: .seconds(60))
            #expect(execution.status == .completed)
          }
          #expect(Set(agents[0].finishedTasks).count == Self.count && agents[0].finishedTasks.count == Self.count)
        }
      }
    }

    /// The index of a node that does not lead.
    private func follower(of cluster: ParallaxCluster) async throws -> Int {
      cluster.others(than: try await cluster.leader())[1]
    }
  }
}
