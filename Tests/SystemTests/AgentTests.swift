import Foundation
import Logging
import ParallaxAPI
import ParallaxAgent
import ServiceLifecycle
import TestSupport
import Testing

extension SystemTests {
  /// `ParallaxAgent` and `parallax agent run` at real nodes.
  @Suite(.serialized, .timeLimit(.minutes(3)))
  struct Agents {
    private struct Text: Codable, Sendable { var text: String }

    private static let quiet = Logger(label: "agent") { _ in SwiftLogNoOpLogHandler() }

    private func configuration(_ urls: [String], id: String = "agent_swift") -> AgentConfiguration {
      var configuration = AgentConfiguration(urls: urls, id: id, capabilities: ["analysis"])
      configuration.reconnection = .init(maxRetries: 0, initial: .milliseconds(50), max: .milliseconds(500))
      return configuration
    }

    /// Runs an agent beside the body, and stops it gracefully; returns its end.
    @discardableResult
    private func with(
      _ configuration: AgentConfiguration, _ handler: @escaping ParallaxAgent.Handler, _ body: () async throws -> Void
    ) async throws -> Result<Void, any Error> {
      let agent = ParallaxAgent(configuration: configuration, logger: Self.quiet, onTask: handler)
      let group = ServiceGroup(services: [agent], logger: Self.quiet)
      let run = Task { try await group.run() }
      do {
        try await body()
      } catch {
        run.cancel()
        _ = await run.result
        throw error
      }
      await group.triggerGracefulShutdown()
      return await run.result
    }

    private func untilRegistered(_ node: ParallaxdProcess, _ id: String = "agent_swift") async throws {
      try await eventually("the agent at the node") {
        let agents = try await node.api.get("/api/agents").decode(AgentList.self).agents
        return agents.contains { $0.id == id && $0.status != .disconnected }
      }
    }

    /// Registers again and again until it is refused for its id; returns the code by which the node closes the last connection.
    private func fight(at node: ParallaxdProcess, as id: String) async throws -> UInt16? {
      while true {
        try Task.checkCancellation()
        let refusal: UInt16?? = try await AgentSocket.withConnection(port: node.port, headers: ["X-Agent-Id": id]) { socket in
          try await socket.send(.register(AgentMessage.Register(capabilities: ["analysis"])), id: "register")
          var isRefused = false
          while true {
            switch try await socket.receive() {
            case .text(let text): isRefused = isRefused || text.contains("AGENT_ID_IN_USE")
            case .close(let code): return isRefused ? .some(code) : nil
            case .end: return nil
            }
          }
        }
        if let refusal { return refusal }
      }
    }

    private static let pattern = "name: analyze\nagents: { capabilities: [analysis] }\ntimeout: 30s\n"

    private func apply(to node: ParallaxdProcess) async throws {
      let answer = try await node.api.post("/api/patterns", text: Self.pattern, contentType: "application/x-yaml")
      #expect(answer.status == 201)
    }

    @Test func `of two processes with one id one keeps it, and the log says it once`() async throws {
      try await withParallaxd { node in
        try await apply(to: node)
        // No pause between the connections, as the worst of clients would do.
        let fighters = (0..<2).map { _ in Task { try await fight(at: node, as: "agent_1") } }
        try await eventually("a refusal in the log") { node.process.log.contains("several processes use one agent id") }
        for fighter in fighters { fighter.cancel() }
        var codes: [UInt16?] = []
        for fighter in fighters { codes.append(try? await fighter.value) }
        #expect(codes.contains(1_008))
        let registrations = node.process.log.components(separatedBy: "agent registered").count - 1
        #expect(registrations <= 10, "\(registrations) registrations")
        #expect(node.process.log.components(separatedBy: "several processes use one agent id").count == 2, "once")
      }
    }

    @Test func `the example agent backs off from another process with its id`() async throws {
      try await withParallaxd { node in
        try await apply(to: node)
        let agents = [
          try await PythonAgent.start(urls: [node.agentURL], capabilities: ["analysis"], id: "agent_1"),
          try await PythonAgent.start(urls: [node.agentURL], capabilities: ["analysis"], id: "agent_1"),
        ]
        do {
          try await eventually("the refusal of one of the two", within: .seconds(60)) {
            agents.contains { $0.process.output.contains("error AGENT_ID_IN_USE") }
          }
          // The other one keeps the id, and works.
          let execution = try await node.execute("analyze")
          #expect(execution.status == .completed)
          let refusals = agents.map { $0.process.output.components(separatedBy: "error AGENT_ID_IN_USE").count - 1 }
          #expect(refusals.sorted() == [0, 1], "\(refusals)")
        } catch {
          for agent in agents { await agent.process.stop() }
          throw error
        }
        for agent in agents { await agent.process.stop() }
      }
    }

    @Test func `an agent in Swift works with values of its program`() async throws {
      try await withParallaxd { node in
        try await apply(to: node)
        let handler: ParallaxAgent.Handler = { task in
          let input = try task.decodeInput(as: Text.self)
          if input.text == "fail" { throw AgentTaskFailure(code: "NO_MODEL", message: "no model", isRetryable: false) }
          return AgentResult(["length": .integer(Int64(input.text.count))], confidence: 0.5)
        }
        let end = try await with(configuration([node.url]), handler) {
          try await untilRegistered(node)
          func run(_ input: JSONValue) async throws -> ExecutionDocument {
            try await node.api.post("/api/patterns/analyze/execute", ExecuteRequest(input: input)).decode(ExecutionDocument.self)
          }
          let done = try await run(["text": "four"])
          #expect(done.status == .completed && done.agents.first?.result == ["length": 4] && done.agents.first?.confidence == 0.5)
          #expect(try await run(["text": "fail"]).agents.first?.error?.code == "NO_MODEL")
          let invalid = try await run(["text": 5]).agents.first?.error
          #expect(invalid?.code == "INVALID_INPUT" && invalid?.message.contains("text") == true)
        }
        #expect(throws: Never.self) { try end.get() }
        #expect(try await node.api.get("/api/agents?status=idle").decode(AgentList.self).agents.isEmpty, "it has said good-bye")
      }
    }

    @Test(arguments: [SIGTERM, SIGKILL])
    func `a running task survives the end of its node, and is worked on once`(signal: Int32) async throws {
      try await RedisServer.with { redis in
        let environment = [
          "PARALLAX_REDIS_URL": redis.url, "PARALLAX_HA_ENABLED": "true", "PARALLAX_HA_LEASE_DURATION": "1s",
          "PARALLAX_HA_CHECK_INTERVAL": "300ms", "PARALLAX_HA_CHECK_TIMEOUT": "200ms",
        ]
        func named(_ id: String) -> [String: String] { environment.merging(["PARALLAX_NODE_ID": id]) { $1 } }
        try await withParallaxd(environment: named("first")) { first in
          try await withParallaxd(environment: named("second")) { second in
            try await apply(to: second)
            let begun = Recorder<String>()
            let (gate, opener) = AsyncStream<Void>.makeStream()
            let handler: ParallaxAgent.Handler = { task in
              begun.add(task.id)
              for await _ in gate { break }
              return AgentResult("done")
            }
            try await with(configuration([first.url, second.url]), handler) {
              try await untilRegistered(first)
              let accepted = try await second.api.post("/api/patterns/analyze/execute?async=true", ExecuteRequest(input: nil))
                .decode(ExecutionAcceptance.self)
              try await eventually("the task") { begun.count == 1 }
              first.process.send(signal: signal)
              try await eventually("the agent at the other node", within: .seconds(30)) {
                let agent = try await second.api.get("/api/agents/agent_swift")
                guard agent.status == 200 else { return false }
                return try agent.decode(AgentDocument.self).nodeId == "second"
              }
              opener.finish()
              try await eventually("the result", within: .seconds(30)) {
                try await second.execution(accepted.executionId).status == .completed
              }
              #expect(begun.count == 1)
            }
          }
        }
      }
    }

    @Test func `of two processes with one id the former ends`() async throws {
      try await withParallaxd { node in
        let first = ParallaxAgent(configuration: configuration([node.url]), logger: Self.quiet) { _ in AgentResult(.null) }
        let run = Task { try await first.run() }
        try await untilRegistered(node)
        try await with(configuration([node.url]), { _ in AgentResult(.null) }) {
          let error = await #expect(throws: ParallaxAgentError.self) { try await run.value }
          #expect(error?.code == .replaced && error?.description.contains("agent_swift") == true)
        }
      }
    }

    @Test func `an agent that no node takes ends with the reason`() async throws {
      let key = "agent-key-of-a-test-0123456789"
      let file = "security: { authentication: { apiKeys: [{ name: agents, key: \(key), scopes: [agent] }] } }"
      try await withParallaxd(environment: ["PARALLAX_CONFIG": "node.yaml"], files: ["node.yaml": file]) { node in
        var refused = configuration([node.url])
        refused.reconnection.maxRetries = 1
        refused.credential = { "wrong-key-of-a-test-0123456789" }
        let agent = ParallaxAgent(configuration: refused, logger: Self.quiet) { _ in AgentResult(.null) }
        let error = await #expect(throws: ParallaxAgentError.self) { try await agent.run() }
        #expect(error?.code == .unreachable && error?.description.contains("401") == true)
        #expect(error?.description.contains("UNAUTHORIZED") == true && error?.description.contains("wrong-key") == false)
      }
      var nobody = configuration(["ws://127.0.0.1:\(try LoopbackPort.free())"])
      nobody.reconnection.maxRetries = 2
      let alone = ParallaxAgent(configuration: nobody, logger: Self.quiet) { _ in AgentResult(.null) }
      let error = await #expect(throws: ParallaxAgentError.self) { try await alone.run() }
      #expect(error?.description.contains("connection refused") == true && error?.description.contains("3 failed attempts") == true)
    }

    @Test func `a command works as an agent`() async throws {
      try await withParallaxd { node in
        try await apply(to: node)
        let script = """
          input=$(cat)
          case $input in
            *fail*) echo "cannot do that" >&2; exit 65;;
            *text*) echo "$PARALLAX_CAPABILITY ${PARALLAX_API_KEY:-no key}";;
            *) echo "{\\"echo\\": $input}";;
          esac
          """
        let tool = try ChildProcess(
          ProjectLayout.executable("parallax"),
          ["--server", node.url, "agent", "run", "--capability", "analysis", "--", "sh", "-c", script],
          environment: ["PARALLAX_API_KEY": "some-key-of-a-test-0123456789"])
        try await withChildProcess(tool) { tool in
          try await eventually("the agent") { tool.errorOutput.contains("registered") }
          func run(_ input: JSONValue) async throws -> ExecutionDocument {
            try await node.api.post("/api/patterns/analyze/execute", ExecuteRequest(input: input)).decode(ExecutionDocument.self)
          }
          #expect(try await run([1, 2]).agents.first?.result == ["echo": [1, 2]])
          #expect(try await run("text").agents.first?.result == "analysis no key")
          let failed = try await run("fail").agents.first?.error
          #expect(failed?.code == "EXIT_65" && failed?.message == "cannot do that")
          tool.send(signal: SIGTERM)
          #expect(try await tool.waitForExit() == .code(0))
        }
      }
      let missing = try await run(ProjectLayout.executable("parallax"), ["agent", "run", "--capability", "a", "--", "no-such-command"])
      #expect(missing.exit == .code(2) && missing.errorOutput.contains("no-such-command"))
    }

    @Test func `a cancelled task ends its command`() async throws {
      try await withParallaxd { node in
        try await apply(to: node)
        let tool = try ChildProcess(
          ProjectLayout.executable("parallax"),
          [
            "--server", node.url, "agent", "run", "--capability", "analysis", "--", "sh", "-c",
            "trap 'echo stopped > stopped; exit 1' TERM; sleep 300 & wait",
          ])
        try await withChildProcess(tool) { tool in
          try await eventually("the agent") { tool.errorOutput.contains("registered") }
          let accepted = try await node.api.post("/api/patterns/analyze/execute?async=true", ExecuteRequest(input: nil))
            .decode(ExecutionAcceptance.self)
          try await eventually("a running task") { try await node.execution(accepted.executionId).status == .running }
          _ = try await node.api.post("/api/executions/\(accepted.executionId)/cancel", text: "")
          // The place is free when the command has ended, far before its five minutes.
          let next = try await node.api.post("/api/patterns/analyze/execute?async=true", ExecuteRequest(input: nil))
            .decode(ExecutionAcceptance.self)
          try await eventually("the next task") { try await node.execution(next.executionId).status == .running }
          // The command had the time to end in its own way, and its child, which holds its output, is gone too.
          try await eventually("a farewell") { tool.text(of: "stopped") == "stopped\n" }
        }
      }
    }
  }
}
