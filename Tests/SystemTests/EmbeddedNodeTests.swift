import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  @Suite(.serialized, .timeLimit(.minutes(2)))
  struct EmbeddedNode {
    @Test func `executes a shipped pattern on the Python agent and shows the result`() async throws {
      try await withParallaxd(environment: shippedPatterns) { node in
        try await withPythonAgents(3, url: node.agentURL, capabilities: ["classification"]) { agents in
          let execution = try await node.execute("content-classifier", input: ["text": "Is this a question?"])
          #expect(execution.status == .completed)
          #expect(execution.result?["category"] == "question")
          #expect(execution.result?["votes"] == ["question": 3])
          #expect(Set(execution.agents.map(\.id)) == Set(agents.map(\.id)))
          #expect(try await node.execution(execution.executionId) == execution)

          let list = try await node.api.get("/api/executions").decode(ExecutionList.self)
          #expect(list.executions.map(\.executionId) == [execution.executionId])
          #expect(list.total == 1)
          let listed = try await node.api.get("/api/agents").decode(AgentList.self)
          #expect(Set(listed.agents.map(\.id)) == Set(agents.map(\.id)))
          #expect(listed.agents.allSatisfy { $0.capabilities == ["classification"] && $0.tasksCompleted == 1 })
        }
      }
    }

    @Test func `answers an asynchronous request at once and finishes it later`() async throws {
      try await withParallaxd { node in
        try await node.apply(pattern("analyze"))
        try await withPythonAgents(1, url: node.agentURL, capabilities: ["analysis"], arguments: ["--delay", "0.3"]) { _ in
          let accepted = try await node.submit("analyze", input: ["text": "one two three"])
          #expect(!accepted.status.isTerminal)
          #expect(accepted.statusUrl == "/api/executions/\(accepted.executionId)")
          let execution = try await node.end(of: accepted.executionId)
          #expect(execution.status == .completed)
          #expect(execution.result == ["words": 3, "characters": 13])
        }
      }
    }

    @Test func `aggregates the results of several agents`() async throws {
      try await withParallaxd { node in
        try await node.apply(pattern("all", min: 2, Aggregation(strategy: .all)))
        try await node.apply(pattern("merge", min: 2, Aggregation(strategy: .merge)))
        try await node.apply(pattern("first", min: 1, max: 2))
        try await withPythonAgents(2, url: node.agentURL, capabilities: ["analysis"]) { _ in
          let part: JSONValue = ["words": 2, "characters": 3]
          let all = try await node.execute("all", input: ["text": "a b"])
          #expect(all.result == ["results": [part, part]])
          let merged = try await node.execute("merge", input: ["text": "a b"])
          #expect(merged.result == part)
          let first = try await node.execute("first", input: ["text": "a b"])
          #expect(first.result == part)
        }
      }
    }

    @Test func `gives a task to another agent after a retryable error`() async throws {
      try await withParallaxd { node in
        try await node.apply(pattern("analyze", retries: 3))
        try await withPythonAgents(1, url: node.agentURL, capabilities: ["analysis"]) { good in
          let bad = try await PythonAgent.start(
            urls: [node.agentURL], capabilities: ["analysis"], id: "agent_failing", arguments: ["--fail-rate", "1"])
          try await withChildProcess(bad.process) { _ in
            for _ in 0..<6 {
              let execution = try await node.execute("analyze")
              #expect(execution.status == .completed)
              #expect(execution.agents.last?.id == good[0].id)
            }
            #expect(!bad.failedTasks.isEmpty, "the failing agent was never asked")
            #expect(good[0].finishedTasks.count == 6)
          }
        }
      }
    }

    @Test func `cancels an execution that runs`() async throws {
      try await withParallaxd { node in
        try await node.apply(pattern("analyze"))
        try await withPythonAgents(1, url: node.agentURL, capabilities: ["analysis"], arguments: ["--delay", "30"]) { _ in
          let accepted = try await node.submit("analyze")
          let cancelled = try await node.api.send("POST", accepted.statusUrl + "/cancel", body: nil).decode(CancellationDocument.self)
          #expect(cancelled.status == .cancelled)
          #expect(try await node.execution(accepted.executionId).status == .cancelled)
        }
      }
    }

    @Test func `ends an execution at its deadline`() async throws {
      try await withParallaxd { node in
        try await node.apply(pattern("analyze", timeout: .milliseconds(300)))
        try await withPythonAgents(1, url: node.agentURL, capabilities: ["analysis"], arguments: ["--delay", "30"]) { _ in
          let response = try await node.api.post("/api/patterns/analyze/execute", ExecuteRequest(input: nil))
          #expect(response.status == 408)
          #expect(try response.decode(ErrorDocument.self).error.code == "TIMEOUT")
        }
      }
    }

    @Test func `answers NO_AGENTS without a capable agent`() async throws {
      try await withParallaxd(files: ["parallax.config.yaml": "executions:\n  agentWait: 100ms\n"]) { node in
        try await node.apply(pattern("analyze"))
        let response = try await node.api.post("/api/patterns/analyze/execute", ExecuteRequest(input: nil))
        #expect(response.status == 503)
        #expect(try response.decode(ErrorDocument.self).error.code == "NO_AGENTS")
      }
    }

    @Test func `a repeat with the same idempotency key finds the same execution`() async throws {
      try await withParallaxd { node in
        try await node.apply(pattern("analyze"))
        try await withPythonAgents(1, url: node.agentURL, capabilities: ["analysis"]) { agents in
          let options = ExecuteRequest.Options(idempotencyKey: "order-17")
          let first = try await node.execute("analyze", options: options)
          let repeated = try await node.execute("analyze", options: options)
          #expect(first.executionId == repeated.executionId)
          #expect(agents[0].finishedTasks.count == 1)
          let other = try await node.api.post("/api/patterns/analyze/execute", ExecuteRequest(input: ["text": "other"], options: options))
          #expect(other.status == 409)
        }
      }
    }

    @Test func `its metrics satisfy promtool`() async throws {
      try await withParallaxd { node in
        try await node.apply(pattern("analyze"))
        try await withPythonAgents(1, url: node.agentURL, capabilities: ["analysis"]) { _ in
          _ = try await node.execute("analyze")
          let metrics = try await node.api.get("/metrics")
          #expect(metrics.status == 200)
          #expect(metrics.text.contains(#"parallax_executions_total{"#))
          #expect(metrics.text.contains("parallax_agents_connected 1"))
          let check = try await run(ProjectLayout.program("promtool"), ["check", "metrics"], input: metrics.text)
          #expect(check.exit == .code(0), "\(check.output)\(check.errorOutput)")
        }
      }
    }
  }
}
