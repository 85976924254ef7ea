import Foundation
import ParallaxAPI
import TestSupport
import Testing

@testable import parallax

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

    @Test func `cancels, retries and waits for executions by their ids and by a filter`() async throws {
      try await withParallaxd { node in
        let parallax = CommandLineTool(server: node.url)
        let file = "name: slow\nagents: { capabilities: [analysis] }\n"
        _ = try await parallax("patterns", "apply", "slow.yaml", files: ["slow.yaml": file])
        for _ in 0..<3 { _ = try await parallax("executions", "run", "slow", "--async") }
        let pending = "status=pending,pattern=slow"
        let unasked = try await parallax("executions", "cancel", "--filter", pending)
        #expect(unasked.exit == .code(2) && unasked.errorOutput.contains("3 executions match; add --yes"), "\(unasked.errorOutput)")
        let foreseen = try await parallax("executions", "cancel", "--filter", pending, "--dry-run")
        #expect(foreseen.exit == .code(0) && foreseen.output.split(separator: "\n").count == 3)
        let listed = try await parallax("executions", "list", "--filter", pending, "--output", "json")
        #expect(try JSON.decode(ExecutionList.self, from: listed.output).executions.count == 3, "nothing was done before")
        let cancelled = try await parallax("executions", "cancel", "--filter", pending, "--yes", "--output", "json")
        let changes = try JSON.decode([ExecutionChange].self, from: cancelled.output)
        #expect(changes.count == 3 && changes.allSatisfy { $0.status == "cancelled" }, "\(cancelled.errorOutput)")

        let id = try #require(changes.first?.executionId)
        let retried = try await parallax("executions", "retry", id, "--output", "json")
        let new = try #require(try JSON.decode([ExecutionChange].self, from: retried.output).first?.newExecutionId)
        let tooLong = try await parallax("executions", "wait", new, "--timeout", "300ms")
        #expect(tooLong.exit == .code(1) && tooLong.errorOutput.contains("pending"))
        let some = try await parallax("executions", "cancel", new, "exec_none")
        #expect(some.exit == .code(1) && some.output.contains("\(new)  cancelled") && some.errorOutput.contains("1 of 2 failed"))
        let ended = try await parallax("executions", "wait", new)
        #expect(ended.exit == .code(1) && ended.output.contains("cancelled") && ended.errorOutput.contains("\(new) cancelled"))
      }
    }

    @Test func `prints changes of executions as they come`() async throws {
      try await withParallaxd(environment: shippedPatterns) { node in
        let parallax = CommandLineTool(server: node.url)
        let watch = try ChildProcess(
          ProjectLayout.executable("parallax"), ["--server", node.url, "executions", "watch", "--output", "json"])
        try await withChildProcess(watch) { watch in
          // News that came before the subscription are not shown, so that executions come until one is.
          try await eventually("a change") {
            _ = try await parallax("executions", "run", "content-classifier", "--async")
            return watch.output.contains("\"status\":\"pending\"")
          }
          let news = try #require(watch.output.split(separator: "\n").first)
          #expect(try JSON.decode(ExecutionNews.self, from: String(news)).pattern == "content-classifier")
        }
        try await withPythonAgents(1, url: node.agentURL, capabilities: ["classification"]) { _ in
          let submitted = try await parallax(
            "executions", "run", "content-classifier", "--input", #"{"text":"a"}"#, "--async", "--output", "json")
          let id = try JSON.decode(ExecutionAcceptance.self, from: submitted.output).executionId
          let followed = try await parallax("executions", "watch", id)
          #expect(followed.exit == .code(0) && followed.output.contains("\(id)  completed"), "\(followed.errorOutput)")
        }
      }
    }

    @Test func `checks and applies the patterns of several files, and shows their history`() async throws {
      try await withParallaxd { node in
        let parallax = CommandLineTool(server: node.url)
        func pattern(_ version: String, _ rest: String = "") -> String {
          "name: p\nversion: \(version)\nagents: { capabilities: [a] }\n\(rest)"
        }
        let checked = try await parallax("patterns", "validate", "p.yaml", files: ["p.yaml": pattern("1.0.0")])
        #expect(checked.exit == .code(0) && checked.output.contains("created"), "\(checked.errorOutput)")
        let empty = try await parallax("patterns", "list")
        #expect(empty.output.isEmpty && empty.errorOutput.contains("No pattern matches."), "a check stores nothing")
        let files = ["a/1.yaml": pattern("1.0.0"), "a/2.yml": pattern("2.0.0"), "a/notes.txt": "x", "bad.yaml": "name: bad\n"]
        let applied = try await parallax("patterns", "apply", "bad.yaml", "a", files: files)
        #expect(applied.exit == .code(1) && applied.errorOutput.contains("bad.yaml: ") && applied.errorOutput.contains("agents"))
        #expect(applied.output.components(separatedBy: "created").count == 3, "\(applied.output)")
        let again = try await parallax(
          "patterns", "apply", "1.yaml", "2.yaml", files: ["1.yaml": pattern("1.0.0"), "2.yaml": pattern("2.0.0", "retries: 1\n")])
        #expect(again.output.contains("1.0.0  unchanged") && again.output.contains("2.0.0  updated"), "\(again.output)")
        let history = try await parallax("patterns", "history", "p")
        #expect(history.output.split(separator: "\n").map { $0.split(separator: " ")[1] } == ["VERSION", "2.0.0", "1.0.0"])
        let latest = try await parallax("patterns", "get", "p", "--output", "json")
        #expect(try JSON.decode(PatternDefinition.self, from: latest.output).retries == 1)
        let first = try await parallax("patterns", "get", "p", "--version", "1.0.0")
        #expect(first.output.contains("1.0.0"))
      }
    }

    @Test func `lists more executions than a page has`() async throws {
      try await withParallaxd(environment: shippedPatterns) { node in
        try await withThrowingTaskGroup(of: Void.self) { group in
          for _ in 0..<130 {
            group.addTask { _ = try await node.api.post("/api/patterns/content-classifier/execute?async=true", text: #"{"input":{}}"#) }
          }
          try await group.waitForAll()
        }
        let parallax = CommandLineTool(server: node.url)
        for (arguments, count) in [(["--limit", "120"], 120), (["--all"], 130), ([], 20)] {
          let outcome = try await run(
            ProjectLayout.executable("parallax"), ["--server", node.url, "executions", "list"] + arguments)
          #expect(outcome.output.split(separator: "\n").count == count + 1, "\(outcome.errorOutput)")
        }
        let json = try await parallax("executions", "list", "--all", "--output", "json")
        let list = try JSON.decode(ExecutionList.self, from: json.output)
        #expect(Set(list.executions.map(\.executionId)).count == 130 && !list.hasMore)
      }
    }

    @Test func `tells a node that is not ready from one that does not answer`() async throws {
      let node = try await ParallaxdProcess.start(environment: ["PARALLAX_REDIS_URL": "redis://127.0.0.1:1"])
      try await withChildProcess(node.process) { _ in
        try await eventually("an answer") { (try? await node.api.get("/health/live").status) == 200 }
        let outcome = try await CommandLineTool(server: node.url)("executions", "list")
        #expect(outcome.exit == .code(4) && outcome.errorOutput.contains("no node is ready for the request"), "\(outcome.errorOutput)")
        #expect(!outcome.errorOutput.contains("Is parallaxd running?"))
      }
    }

    @Test func `disconnects an agent`() async throws {
      try await withParallaxd(environment: shippedPatterns) { node in
        try await withPythonAgents(1, url: node.agentURL, capabilities: ["classification"]) { agents in
          let parallax = CommandLineTool(server: node.url)
          let outcome = try await parallax("agents", "disconnect", "agent_python_0")
          #expect(outcome.exit == .code(0) && outcome.output.contains("disconnected"), "\(outcome.errorOutput)")
          // The example comes back, as a program that is restarted would.
          try await eventually("another registration") {
            agents[0].process.output.components(separatedBy: "registered").count == 3
          }
        }
        let unknown = try await CommandLineTool(server: node.url)("agents", "disconnect", "agent_none")
        #expect(unknown.exit == .code(1) && unknown.errorOutput.contains("agent_none"))
      }
    }

    @Test func `has a version, and completions for three shells`() async throws {
      let commit = parallax.BuildCommit.current
      let hasGit = FileManager.default.fileExists(atPath: ProjectLayout.root.appending(path: ".git").path)
      #expect((commit != nil) == hasGit)
      for program in ["parallax", "parallaxd", "parallax-witness"] {
        let version = try await run(ProjectLayout.executable(program), ["--version"])
        #expect(version.exit == .code(0) && version.output == ParallaxVersion.text(commit: commit) + "\n", "\(program): \(version.output)")
      }
      for shell in ["bash", "zsh", "fish"] {
        let script = try await run(ProjectLayout.executable("parallax"), ["--generate-completion-script", shell])
        #expect(script.exit == .code(0) && script.output.contains("stepdown"), "\(shell)")
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
      ["executions", "cancel"], ["executions", "cancel", "x", "--filter", "status=pending"], ["executions", "list", "--filter", "x"],
      ["executions", "watch", "--filter", "since=1h"], ["agents", "list", "--watch", "--interval", "1ms"], ["--server"],
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
