import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  @Suite(.serialized, .timeLimit(.minutes(2)))
  struct CommandLine {
    @Test func `runs a pattern and shows its execution`() async throws {
      try await withParallaxd(environment: shippedPatterns) { node in
        try await withPythonAgents(1, url: node.agentURL, capabilities: ["classification"]) { _ in
          let parallax = CommandLineTool(server: node.url)
          let executed = try await parallax("executions", "run", "content-classifier", "--input", #"{"text":"Why?"}"#)
          #expect(executed.exit == .code(0), "\(executed.errorOutput)")
          #expect(executed.output.contains("completed") && executed.output.contains(#""category":"question""#))
          #expect(!executed.output.contains("\u{1b}"), "color without a terminal")

          let json = try await parallax("executions", "list", "--output", "json")
          let list = try JSON.decode(ExecutionList.self, from: json.output)
          let id = try #require(list.executions.first?.executionId)
          let shown = try await parallax("executions", "get", id)
          #expect(shown.exit == .code(0) && shown.output.contains(id))
          let table = try await parallax("executions", "list", "--status", "completed", "--pattern", "content-classifier")
          #expect(table.output.split(separator: "\n").count == 2 && table.output.contains(id))
          let agents = try await parallax("agents", "list", "--capability", "classification")
          #expect(agents.output.contains("agent_python_0"))
          let patterns = try await parallax("patterns", "list")
          #expect(patterns.output.contains("content-classifier") && patterns.output.contains("voting"))
        }
      }
    }

    @Test func `reads input from a file and from standard input`() async throws {
      try await withParallaxd(environment: shippedPatterns) { node in
        try await withPythonAgents(1, url: node.agentURL, capabilities: ["analysis"]) { _ in
          let parallax = CommandLineTool(server: node.url)
          let fromFile = try await parallax(
            "executions", "run", "document-analysis", "--input", "@input.json", files: ["input.json": #"{"text":"a b"}"#])
          #expect(fromFile.output.contains(#"{"characters":3,"words":2}"#), "\(fromFile.errorOutput)")
          let fromInput = try await parallax("executions", "run", "document-analysis", "--input", "-", input: #"{"text":"a b c"}"#)
          #expect(fromInput.output.contains(#"{"characters":5,"words":3}"#), "\(fromInput.errorOutput)")
        }
      }
    }

    @Test func `applies a pattern, submits without waiting and cancels`() async throws {
      try await withParallaxd { node in
        let parallax = CommandLineTool(server: node.url)
        let file = "name: slow\nagents: { capabilities: [analysis] }\n"
        let applied = try await parallax("patterns", "apply", "slow.yaml", files: ["slow.yaml": file])
        #expect(applied.exit == .code(0), "\(applied.errorOutput)")
        let submitted = try await parallax("executions", "run", "slow", "--async", "--output", "json")
        let accepted = try JSON.decode(ExecutionAcceptance.self, from: submitted.output)
        let cancelled = try await parallax("executions", "cancel", accepted.executionId)
        #expect(cancelled.exit == .code(0) && cancelled.output.contains("cancelled"), "\(cancelled.errorOutput)")
        #expect(try await node.execution(accepted.executionId).status == .cancelled)
      }
    }

    @Test func `exits with 1 and the reason when the control plane refuses`() async throws {
      try await withParallaxd { node in
        let refused = try await CommandLineTool(server: node.url)("executions", "run", "nobody")
        #expect(refused.exit == .code(1))
        #expect(refused.errorOutput.contains("nobody") && refused.errorOutput.contains("NOT_FOUND"))
        #expect(refused.output.isEmpty)
      }
    }

    @Test(arguments: [
      ["executions", "run"], ["executions", "fly"], ["executions", "list", "--limit", "0"], ["executions", "list", "--status", "asleep"],
      ["executions", "run", "x", "--input", "{"], ["executions", "run", "x", "--input", "@no-such-file"],
      ["executions", "run", "x", "--timeout", "soon"], ["agents", "list", "--server", "ftp://x"],
    ])
    func `exits with 2 on wrong usage`(arguments: [String]) async throws {
      let outcome = try await run(ProjectLayout.executable("parallax"), arguments)
      #expect(outcome.exit == .code(2), "\(outcome.errorOutput)")
      #expect(!outcome.errorOutput.isEmpty && outcome.output.isEmpty)
    }

    @Test func `exits with 4 and a remedy if no node answers`() async throws {
      let port = try LoopbackPort.free()
      let outcome = try await CommandLineTool(server: "127.0.0.1:\(port)")("agents", "list")
      #expect(outcome.exit == .code(4))
      #expect(outcome.errorOutput.contains("127.0.0.1:\(port)") && outcome.errorOutput.contains("PARALLAX_SERVER"))
    }

    @Test func `asks the next server if one is unreachable`() async throws {
      let closed = try LoopbackPort.free()
      try await withParallaxd { node in
        let outcome = try await CommandLineTool(server: "127.0.0.1:\(closed),\(node.url)")("agents", "list")
        #expect(outcome.exit == .code(0), "\(outcome.errorOutput)")
      }
    }
  }
}
