import Foundation
import ParallaxAPI
import Synchronization
import TestSupport
import Testing

extension SystemTests {
  /// Agents that leave, crash, hang, or exceed sizes.
  @Suite(.serialized, .timeLimit(.minutes(4)))
  struct OddAgents {
    @Test func `an agent that leaves while Redis is away is unknown everywhere afterward`() async throws {
      try await ParallaxCluster.with(2, redis: .init(appendOnly: true)) { cluster in
        try await cluster.nodes[0].apply(pattern("analyze"))
        try await withPythonAgents(1, url: cluster.nodes[0].agentURL, capabilities: ["analysis"]) { agents in
          try await AgentSocket.withAgent("agent-ghost", at: cluster.nodes[1], places: 10) { ghost in
            try await eventually("the agent at the other node") {
              try await cluster.nodes[0].api.get("/api/agents/agent-ghost").status == 200
            }
            await cluster.redis.stop()
            try await ghost.send(.disconnect(.init(reason: "done")), id: "1")
            #expect(try await ghost.receive() == .close(code: 1000))
          }
          try await cluster.redis.start()
          for node in cluster.nodes {
            try await node.waitUntilReady()
            try await eventually("the agent's removal at \(node.url)") {
              try await node.api.get("/api/agents").decode(AgentList.self).agents.map(\.id) == [agents[0].id]
            }
          }
          // The epoch alone stays.
          try await eventually("the registration's removal") {
            try cluster.redis.command("HGET", "parallax:agent:agent-ghost", "nodeId") == .null
          }
          for node in cluster.nodes {
            let execution = try await node.execute("analyze")
            #expect(execution.status == .completed, "\(execution)")
          }
        }
      }
    }

    @Test func `a node whose subscription broke when an agent became idle gives it work`() async throws {
      try await ParallaxCluster.with(2) { cluster in
        let (node, home) = (cluster.nodes[0], cluster.nodes[1])
        try await node.apply(pattern("analyze", timeout: .seconds(20)))
        let arguments = ["--concurrency", "1", "--delay", "1.5"]
        try await withPythonAgents(1, url: home.agentURL, capabilities: ["analysis"], arguments: arguments) { agents in
          func knows(_ status: AgentStatus) async throws -> Bool {
            let response = try await node.api.get("/api/agents/\(agents[0].id)")
            return try response.status == 200 && response.decode(AgentDocument.self).status == status
          }
          let accepted = try await home.submit("analyze")
          try await eventually("the news that the agent is busy") { try await knows(.busy) }
          // Every subscription breaks until the announcement of the idle agent has passed.
          let cutting = Task { [redis = cluster.redis] in
            while !Task.isCancelled {
              try redis.command("CLIENT", "KILL", "TYPE", "pubsub")
              try? await Task.sleep(for: .milliseconds(1))
            }
          }
          _ = try await home.end(of: accepted.executionId)
          try await Task.sleep(for: .milliseconds(500))
          cutting.cancel()
          try await cutting.value
          // Loads are announced every ten seconds.
          try await eventually("the knowledge that the agent is idle") { try await knows(.idle) }
          // The node sends the task to the agent, and keeps the execution.
          let execution = try await node.execute("analyze")
          #expect(execution.status == .completed && execution.nodeId == "node-0", "\(execution)")
        }
      }
    }

    @Test func `an input that kills its agents fails after few deliveries, and the tasks beside it end elsewhere`() async throws {
      try await withParallaxd { node in
        try await node.apply(pattern("analyze"))
        let agents = [MortalAgent(id: "agent-a"), MortalAgent(id: "agent-b")]
        try await withThrowingTaskGroup(of: Void.self) { group in
          defer { group.cancelAll() }
          // All four wait for the first agent, which gets them together.
          var healthy: [String] = []
          for _ in 0..<3 { healthy.append(try await node.submit("analyze").executionId) }
          let deadly = try await node.submit("analyze", input: "deadly").executionId
          group.addTask { await agents[0].run(at: node) }
          try await eventually("the agent's death") { agents[0].deaths > 0 }
          group.addTask { await agents[1].run(at: node) }

          for id in healthy {
            let execution = try await node.end(of: id, within: .seconds(40))
            #expect(execution.status == .completed, "\(execution)")
          }
          let failed = try await node.end(of: deadly, within: .seconds(40))
          #expect(failed.status == .failed && failed.error?.code.hasPrefix("AGENT_LOST") == true, "\(failed)")
          let deaths = agents.map(\.deaths).reduce(0, +)
          #expect((2...5).contains(deaths), "the input killed \(deaths) agents")
        }
      }
    }

    @Test func `a task is lost if one process after the other reports it and dies, and kept if only connections break`() async throws {
      try await withParallaxd { node in
        try await node.apply(pattern("analyze"))
        let id = try await node.submit("analyze").executionId
        let task = try await AgentSocket.withAgent("agent-a", at: node, process: "p-0") { agent in try await agent.receiveTask() }
        func live(as process: String) async throws {
          try await AgentSocket.withAgent("agent-a", at: node, activeTasks: [task.taskId], process: process) { _ in }
        }
        for _ in 0..<6 { try await live(as: "p-0") }
        for number in 1...2 { try await live(as: "p-\(number)") }
        #expect(try await node.execution(id).status == .running)
        try await live(as: "p-3")
        let execution = try await node.end(of: id)
        #expect(execution.status == .failed && execution.error?.code == "AGENT_LOST_AGAIN", "\(execution)")
      }
    }

    @Test func `an agent that cannot stop what has timed out gets no further task before it says so`() async throws {
      try await withParallaxd { node in
        try await node.apply(pattern("analyze", timeout: .seconds(1)))
        try await AgentSocket.withAgent("agent-a", at: node) { agent in
          var ids: [String] = []
          for _ in 0..<10 { ids.append(try await node.submit("analyze").executionId) }
          let task = try await agent.receiveTask()
          for id in ids {
            let execution = try await node.end(of: id)
            #expect(execution.status == .timedOut, "\(execution)")
          }
          let received = try await agent.receivedTypes(activeTasks: [task.taskId])
          #expect(received == ["task_cancelled"])
          let shown: AgentDocument = try await node.api.get("/api/agents/agent-a").decode()
          #expect(shown.status == .busy, "\(shown)")

          try await agent.complete(task, with: "too late")
          async let answer = node.execute("analyze")
          let next = try await agent.receiveTask()
          try await agent.complete(next, with: "in time")
          #expect(try await answer.result == "in time")
        }
      }
    }

    @Test func `an error that an agent calls a loss counts as an attempt`() async throws {
      try await withParallaxd { node in
        try await node.apply(pattern("analyze"))
        try await AgentSocket.withAgent("agent-a", at: node) { agent in
          let id = try await node.submit("analyze").executionId
          let task = try await agent.receiveTask()
          let failure = ExecutionFailure(code: "AGENT_LOST_UNSENT", message: "the agent's words")
          let error = AgentMessage.TaskError(taskId: task.taskId, executionId: id, error: failure, retryable: true)
          try await agent.send(.taskError(error), id: "error")
          let execution = try await node.end(of: id)
          #expect(execution.status == .failed && execution.attempt == 1, "\(execution)")
          #expect(execution.error == ExecutionFailure(code: "TASK_AGENT_LOST_UNSENT", message: "the agent's words"))
          let received = try await agent.receivedTypes(activeTasks: [])
          #expect(received == ["result_ack"])
        }
      }
    }

    // MARK: Sizes

    private static let smallMessages = ["parallax.config.yaml": "agents: { maxMessageSize: 64KiB }"]

    @Test func `a task that its agent could not take fails, and its agent stays`() async throws {
      try await withParallaxd { node in
        try await node.apply(pattern("analyze"))
        try await AgentSocket.withAgent("agent-a", at: node, maxMessageSize: 16 << 10) { agent in
          let refused = try await node.execute("analyze", input: .string(String(repeating: "x", count: 20_000)))
          #expect(refused.status == .failed && refused.error?.code == "MESSAGE_TOO_LARGE", "\(refused.status) \(refused.error as Any)")
          let next = try await node.submit("analyze")
          let task = try await agent.receiveTask()
          #expect(task.executionId == next.executionId)
          try await agent.completeAcknowledged(task, with: "small")
        }
        #expect(node.process.errorOutput.components(separatedBy: "a message is too large").count == 2)
      }
    }

    @Test func `a result that its node could not take fails its task once, and its agent may return`() async throws {
      try await withParallaxd(files: Self.smallMessages) { node in
        try await node.apply(pattern("analyze"))
        let accepted = try await node.submit("analyze")
        let task = try await AgentSocket.withAgent("agent-a", at: node) { agent in
          let task = try await agent.receiveTask()
          try await agent.send(.text, [], announcedLength: 100_000)
          #expect(try await agent.receive() == .close(code: 1009))
          return task
        }
        let failed = try await node.end(of: accepted.executionId, within: .seconds(5))
        #expect(failed.status == .failed && failed.error?.code == "MESSAGE_TOO_LARGE", "\(failed)")
        // The agent has kept the result, and sends it again.
        try await AgentSocket.withAgent("agent-a", at: node, activeTasks: [task.taskId]) { agent in
          #expect(try await agent.receive("result_ack", ControlPlaneMessage.ResultAck.self).taskId == task.taskId)
          try await agent.send(.text, [], announcedLength: 100_000)
          #expect(try await agent.receive() == .close(code: 1009))
        }
        try await AgentSocket.withAgent("agent-a", at: node) { agent in
          let next = try await node.submit("analyze")
          let task = try await agent.receiveTask()
          try await agent.completeAcknowledged(task, with: "small")
          #expect(try await node.end(of: next.executionId).result == "small")
        }
        #expect(node.process.errorOutput.components(separatedBy: "a message is too large").count == 2)
      }
    }

    @Test(arguments: [true, false])
    func `a result that its node could not take fails its task beside others, also after a return`(answersAtOnce: Bool) async throws {
      try await withParallaxd(files: Self.smallMessages) { node in
        try await node.apply(pattern("analyze"))
        let ids = [try await node.submit("analyze").executionId, try await node.submit("analyze").executionId]
        let large = "\"\(String(repeating: "x", count: 100_000))\""
        var agent = LoyalAgent(id: "agent-a", node: node, results: [ids[0]: Array(large.utf8), ids[1]: Array(#""small""#.utf8)])
        try await agent.run(answersAtOnce: answersAtOnce)
        try await expect(ids[0], at: node, failsWith: "MESSAGE_TOO_LARGE")
        #expect(try await node.end(of: ids[1], within: .seconds(5)).result == "small")
        #expect(node.process.errorOutput.components(separatedBy: "a message is too large").count == 2)
      }
    }

    // MARK: Invalid results

    /// Results that the node refuses to read.
    private static let invalidResults: [String: [UInt8]] = [
      "nested too deeply": Array((String(repeating: "[", count: 70) + String(repeating: "]", count: 70)).utf8),
      "a number of more than 64 bits": Array("12345678901234567890123".utf8),
      "half of a surrogate pair": Array(#""\ud800""#.utf8),
      "a member given twice": Array(#"{"a":1,"a":2}"#.utf8),
      "not a number": Array("NaN".utf8),
      "no confidence": Array(#"1,"confidence":"high""#.utf8),
      "no UTF-8": [UInt8(ascii: "\""), 0xE9, UInt8(ascii: "\"")],
    ]

    @Test(arguments: Self.invalidResults.keys.sorted())
    func `a result that its node cannot read fails its task once, and its agent goes on`(_ kind: String) async throws {
      try await withParallaxd { node in
        try await node.apply(pattern("analyze"))
        let ids = [try await node.submit("analyze").executionId, try await node.submit("analyze").executionId]
        let invalid = try #require(Self.invalidResults[kind])
        var agent = LoyalAgent(id: "agent-a", node: node, results: [ids[0]: invalid, ids[1]: Array(#""valid""#.utf8)])
        try await agent.run(answersAtOnce: true)
        try await expect(ids[0], at: node, failsWith: "INVALID_RESULT")
        #expect(try await node.end(of: ids[1], within: .seconds(5)).result == "valid")
        let shown: AgentDocument = try await node.api.get("/api/agents/agent-a").decode()
        #expect(shown.activeTasks == 0, "\(shown)")
      }
    }

    private func expect(_ id: String, at node: ParallaxdProcess, failsWith code: String) async throws {
      let execution = try await node.end(of: id, within: .seconds(5))
      #expect(execution.status == .failed && execution.error?.code == code, "\(execution)")
    }

    @Test func `ten large tasks that wait for an agent reach it over one connection, however slowly it reads`() async throws {
      try await withParallaxd { node in
        try await node.apply(pattern("analyze"))
        let input = JSONValue.string(String(repeating: "x", count: 900_000))
        var ids: [String] = []
        for _ in 0..<10 { ids.append(try await node.submit("analyze", input: input).executionId) }
        try await AgentSocket.withAgent("agent-a", at: node, places: 10) { agent in
          // All tasks are sent, and exceed the buffers of the sockets.
          try await Task.sleep(for: .seconds(1))
          for _ in ids {
            let task = try await agent.receiveTask()
            try await agent.complete(task, with: "read")
          }
          for id in ids { #expect(try await node.end(of: id).status == .completed) }
        }
      }
    }
  }
}

/// An agent that keeps its answers until their acknowledgement, and sends all of them after each registration.
private struct LoyalAgent {
  /// The connections within which all answers are acknowledged; the failure of a task may be stored after the first return.
  private static let patience = 5

  let id: String
  let node: ParallaxdProcess
  /// The results by execution, as JSON or something else.
  let results: [String: [UInt8]]
  /// The messages with the answers, by task.
  private var answers: [String: [UInt8]] = [:]

  init(id: String, node: ParallaxdProcess, results: [String: [UInt8]]) {
    (self.id, self.node, self.results) = (id, node, results)
  }

  /// Receives all tasks over one connection, and answers them over that or over further ones, until each answer is acknowledged.
  mutating func run(answersAtOnce: Bool) async throws {
    let (results, agentID) = (results, id)
    let (received, early) = try await AgentSocket.withAgent(agentID, at: node, places: results.count, within: .seconds(5)) { agent in
      var answers: [String: [UInt8]] = [:]
      while answers.count < results.count {
        let task = try await agent.receiveTask()
        let head = #"{"type":"task_result","payload":{"taskId":"\#(task.taskId)","executionId":"\#(task.executionId)","result":"#
        answers[task.taskId] = head.utf8 + (results[task.executionId] ?? []) + Array("}}".utf8)
      }
      return (answers, answersAtOnce ? try await Self.send(answers, over: &agent) : [])
    }
    answers = received.filter { !early.contains($0.key) }
    for _ in 1...Self.patience where !answers.isEmpty {
      let kept = answers
      let acknowledged = try await AgentSocket.withAgent(
        agentID, at: node, places: results.count, activeTasks: kept.keys.sorted(), within: .seconds(5)
      ) { try await Self.send(kept, over: &$0) }
      answers = kept.filter { !acknowledged.contains($0.key) }
    }
    #expect(answers.isEmpty, "the node does not acknowledge \(answers.keys.sorted())")
  }

  /// Sends answers in the order of their tasks, and returns the tasks that are acknowledged before the end of the connection.
  private static func send(_ answers: [String: [UInt8]], over agent: inout AgentSocket) async throws -> Set<String> {
    for (_, message) in answers.sorted(by: { $0.key < $1.key }) { try? await agent.send(.text, message) }
    var acknowledged: Set<String> = []
    while acknowledged.count < answers.count, case .text(let text) = try await agent.receive() {
      if case .resultAck(let answer) = try ControlPlaneMessage.decode(text.utf8).message { acknowledged.insert(answer.taskId) }
    }
    return acknowledged
  }
}

/// An agent that crashes on the input `"deadly"` and restarts without its tasks; every other task takes half a second.
private final class MortalAgent: Sendable {
  let id: String
  private let deathCount = Mutex(0)

  init(id: String) { self.id = id }

  var deaths: Int { deathCount.withLock { $0 } }

  /// Restarts after each crash until the task is cancelled.
  func run(at node: ParallaxdProcess) async {
    while !Task.isCancelled {
      try? await live(at: node)
      try? await Task.sleep(for: .milliseconds(100))
    }
  }

  private func live(at node: ParallaxdProcess) async throws {
    try await AgentSocket.withAgent(id, at: node, places: 4) { agent in
      let sender = agent.sender
      try await withThrowingTaskGroup(of: Void.self) { group in
        defer { group.cancelAll() }
        while true {
          let task = try await agent.receiveTask()
          if task.input == "deadly" {
            deathCount.withLock { $0 += 1 }
            return
          }
          group.addTask {
            try await Task.sleep(for: .milliseconds(500))
            try await sender.complete(task, with: "done")
          }
        }
      }
    }
  }
}
