import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// The owners and outcomes of executions when nodes are paused, killed, or have wrong clocks.
  @Suite(.serialized, .timeLimit(.minutes(4)))
  struct Ownership {
    /// A silence longer than the failure detection of members, and long enough for a node to notice its own pause.
    private static let silence = Duration.milliseconds(5_500)

    @Test func `a node that was paused drives the executions that others took over and gave back`() async throws {
      // The others notice a pause that is too short for the node to notice, which would read everything again.
      try await ParallaxCluster.with(2, environment: ["PARALLAX_HA_CHECK_INTERVAL": "300ms"]) { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        let paused = cluster.others(than: try await cluster.leader())[0]
        let node = cluster.nodes[paused]
        // The agent is busy from the beginning, so that all other executions wait for it at its node, before and after the pause.
        let ids = try await AgentSocket.withAgent("agent-a", at: node) { agent in
          var ids = [try await node.submit("analyze").executionId]
          var task = try await agent.receiveTask()
          ids += try await submit(100, to: node)
          try await whilePaused(paused, of: cluster, silentFor: .seconds(2), untilOwnerChanges: ids[100])
          for id in ids.dropFirst() {
            try await eventually("the return of \(id)") { try await node.execution(id).nodeId == ParallaxCluster.id(paused) }
          }
          for number in ids.indices {
            if number > 0 { task = try await agent.receiveTask() }
            // The next task may precede the acknowledgement.
            try await agent.complete(task, with: "done")
          }
          return ids
        }
        for id in ids {
          let execution = try await node.end(of: id)
          #expect(execution.status == .completed, "\(execution)")
        }
        // A node that kept the state from before the pause would lose each of them once more.
        let count = try executionsOfOthers(in: node.process.errorOutput)
        #expect(count < 20, "\(node.process.errorOutput.suffix(4_000))")
      }
    }

    @Test func `a result that reaches a former owner counts, and is acknowledged`() async throws {
      try await ParallaxCluster.with(2) { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        let paused = cluster.others(than: try await cluster.leader())[0]
        let node = cluster.nodes[paused]
        try await AgentSocket.withAgent("agent-a", at: node) { agent in
          let accepted = try await node.submit("analyze")
          let task = try await agent.receiveTask()
          try await whilePaused(paused, of: cluster, untilOwnerChanges: accepted.executionId) { _ in
            // The node reads this message first when it continues.
            try await agent.complete(task, with: "of the former owner's agent")
          }
          let acknowledged: ControlPlaneMessage.ResultAck = try await agent.receive("result_ack")
          #expect(acknowledged.taskId == task.taskId)
          let execution = try await cluster.nodes[1 - paused].end(of: accepted.executionId, within: .seconds(5))
          #expect(execution.status == .completed && execution.result == "of the former owner's agent", "\(execution)")
        }
      }
    }

    @Test func `the callers of a paused node get the results that others recorded meanwhile`() async throws {
      try await ParallaxCluster.with(2) { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        let paused = cluster.others(than: try await cluster.leader())[0]
        let node = cluster.nodes[paused]
        async let waited = node.execute("analyze")
        let task = try await AgentSocket.withAgent("agent-a", at: node) { agent in
          let task = try await agent.receiveTask()
          try await whilePaused(paused, of: cluster, untilOwnerChanges: task.executionId) { other in
            // The agent leaves the node, which does not answer its heartbeats.
            try await AgentSocket.withAgent("agent-a", at: other, activeTasks: [task.taskId]) { moved in
              try await moved.completeAcknowledged(task, with: "elsewhere")
            }
            let ended = try await other.end(of: task.executionId, within: .seconds(5))
            #expect(ended.status == .completed, "\(ended)")
          }
          return task
        }
        let resumed = ContinuousClock.now
        let answer = try await waited
        #expect(answer.executionId == task.executionId && answer.status == .completed && answer.result == "elsewhere", "\(answer)")
        #expect(resumed.duration(to: .now) < .seconds(10), "the caller waited for \(resumed.duration(to: .now))")
      }
    }

    @Test(arguments: [true, false])
    func `a result that was recorded without its owner's knowledge is kept, whether or not its agent returns`(returns: Bool) async throws {
      try await RedisServer.with { redis in
        // The reply to the node's last write is lost.
        try await ChokeProxy.with(to: redis.port, at: "recorded-in-silence") { proxy in
          let files = ["parallax.config.yaml": "agents: { resumeGrace: 2s }"]
          try await ParallaxCluster.with(2, on: redis, urls: [1: "redis://127.0.0.1:\(proxy.port)"], files: files) { cluster in
            let (owner, other) = (cluster.nodes[0], cluster.nodes[1])
            try await owner.apply(pattern("analyze"))
            let (id, task) = try await AgentSocket.withAgent("agent-a", at: other) { agent in
              try await eventually("the agent at the owner") { try await owner.api.get("/api/agents/agent-a").status == 200 }
              let accepted = try await owner.submit("analyze")
              let task = try await agent.receiveTask()
              #expect(try await owner.execution(accepted.executionId).nodeId == "node-0")
              try await agent.complete(task, with: "recorded-in-silence")
              try await eventually("the record") { proxy.isSilent }
              try await eventually("the record in the store") {
                try redis.command("HGETALL", "parallax:execution:\(accepted.executionId)").texts
                  .contains { $0.contains("recorded-in-silence") }
              }
              other.process.send(signal: SIGKILL)
              return (accepted.executionId, task)
            }
            if returns {
              // The agent dropped the task after the acknowledgement of its result.
              try await AgentSocket.withAgent("agent-a", at: owner) { agent in
                let execution = try await owner.end(of: id, within: .seconds(20))
                #expect(execution.status == .completed && execution.result == "recorded-in-silence", "\(execution)")
                let received = try await agent.receivedTypes(activeTasks: [])
                #expect(!received.contains("task"), "the task \(task.taskId) was sent again: \(received)")
              }
            } else {
              let execution = try await owner.end(of: id, within: .seconds(20))
              #expect(execution.status == .completed && execution.result == "recorded-in-silence", "\(execution)")
            }
          }
        }
      }
    }

    @Test func `a repeat of a request after FLUSHALL gets the execution of the first`() async throws {
      try await ParallaxCluster.with(2) { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        let request = ExecuteRequest(input: ["text": "Is it so?"], options: .init(idempotencyKey: "order-19"))
        let path = "/api/patterns/analyze/execute?async=true"
        let first: ExecutionAcceptance = try await cluster.nodes[0].api.post(path, request).decode()
        try cluster.redis.command("FLUSHALL")
        let repeated = try await eventualValue("an answer to the repeat", within: .seconds(30)) {
          let response = try await cluster.nodes[1].api.post(path, request)
          return response.status == 202 ? try response.decode(ExecutionAcceptance.self) : nil
        }
        #expect(repeated.executionId == first.executionId)
        #expect(try await cluster.nodes[1].api.get("/api/executions").decode(ExecutionList.self).executions.count == 1)
      }
    }

    /// Redis lost the entry of the node among its last writes.
    @Test func `an execution of a killed node that is listed nowhere goes on`() async throws {
      try await ParallaxCluster.with(2) { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        let owner = try await cluster.leader()
        let other = cluster.nodes[1 - owner]
        let accepted = try await cluster.nodes[owner].submit("analyze")
        cluster.nodes[owner].process.send(signal: SIGKILL)
        for session in try cluster.redis.command("HKEYS", "parallax:nodes").texts where session.hasPrefix("\(ParallaxCluster.id(owner)):") {
          try cluster.redis.command("HDEL", "parallax:nodes", session)
        }
        try await withPythonAgents(1, url: other.agentURL, capabilities: ["analysis"]) { _ in
          let execution = try await other.end(of: accepted.executionId)
          #expect(execution.status == .completed, "\(execution)")
        }
        #expect(other.process.errorOutput.contains("listed nowhere"))
      }
    }

    @Test(arguments: [2 * 86_400, -600])
    func `a node whose wall clock is wrong gives executions the time that is left`(shift: Int) async throws {
      try await WallClockShift.with { clocks in
        try clocks.shift("node-1", by: .seconds(shift))
        try await RedisServer.with { redis in
          try await ParallaxCluster.with(2, on: redis, variables: { clocks.variables("node-\($0)") }) { cluster in
            let (sound, shifted) = (cluster.nodes[0], cluster.nodes[1])
            try await sound.apply(pattern("analyze"))
            try await sound.apply(pattern("translate", capability: "translation"))
            let waiting = try await sound.submit("translate")
            let own = try await shifted.submit("analyze")
            try await finish(own.executionId, at: shifted, capability: "analysis")

            sound.process.send(signal: SIGKILL)
            try await eventually("the takeover") { try await shifted.execution(waiting.executionId).nodeId == "node-1" }
            try await finish(waiting.executionId, at: shifted, capability: "translation")
            // The retention of a day has passed by the clock of the new leader.
            #expect(try await shifted.api.get("/api/executions/\(own.executionId)").status == 200)
          }
        }
      }
    }

    // MARK: Steps

    /// Completes the only task of an execution, and checks the times that its agent and its caller receive.
    private func finish(_ id: String, at node: ParallaxdProcess, capability: String) async throws {
      try await AgentSocket.withAgent("agent-\(capability)", at: node, capability: capability) { agent in
        let task = try await agent.receiveTask()
        #expect(task.executionId == id)
        #expect(task.timeout.duration > .seconds(25) && task.timeout.duration <= .seconds(60), "\(task.timeout)")
        try await agent.completeAcknowledged(task, with: "done")
      }
      let execution = try await node.end(of: id, within: .seconds(5))
      #expect(execution.status == .completed, "\(execution)")
      let duration = try #require(execution.duration?.duration)
      #expect(duration >= .zero && duration < .seconds(35), "\(execution)")
    }

    /// Pauses a node until another has taken over an execution and has not seen it for a time; by default long enough for the paused node
    /// to notice.
    private func whilePaused(
      _ index: Int, of cluster: ParallaxCluster, silentFor silence: Duration = Self.silence, untilOwnerChanges id: String,
      _ body: (_ other: ParallaxdProcess) async throws -> Void = { _ in }
    ) async throws {
      let other = cluster.nodes[1 - index]
      cluster.nodes[index].process.send(signal: SIGSTOP)
      try await eventually("the takeover of \(id)") {
        try await other.execution(id).nodeId == ParallaxCluster.id(1 - index)
      }
      try await body(other)
      try await eventually("a silence of \(silence)") {
        let member = try await other.haStatus().members.first { $0.id == ParallaxCluster.id(index) }
        return try #require(member?.lastSeen).duration >= silence
      }
      cluster.nodes[index].process.send(signal: SIGCONT)
    }

    /// The number of executions that a node's log reports as lost to other nodes.
    private func executionsOfOthers(in log: String) throws -> Int {
      try log.split(separator: "\n").filter { $0.contains("have another owner now") }.reduce(0) { sum, line in
        let count = try #require(line.firstMatch(of: /"count":"?([0-9]+)/))
        return sum + (Int(count.1) ?? 0)
      }
    }

    private func submit(_ count: Int, to node: ParallaxdProcess) async throws -> [String] {
      try await withThrowingTaskGroup(of: String.self) { group in
        for number in 0..<count {
          group.addTask { try await node.submit("analyze", input: ["text": .string("execution \(number)")]).executionId }
        }
        return try await group.reduce(into: []) { $0.append($1) }.sorted()
      }
    }
  }
}
