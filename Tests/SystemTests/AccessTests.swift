import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// API keys: from their making to the callers who use them.
  @Suite(.serialized, .timeLimit(.minutes(2)))
  struct Access {
    /// A key as `parallax keys generate --output json` prints it.
    private struct Key: Decodable {
      var name: String
      var key: String
      var hash: String
      var scopes: [AccessScope]
    }

    private static let parallax = CommandLineTool(server: nil)

    private func generate(_ name: String, _ scopes: AccessScope...) async throws -> Key {
      let outcome = try await run(
        ProjectLayout.executable("parallax"),
        ["keys", "generate", "--output", "json", "--name", name] + scopes.flatMap { ["--scope", $0.rawValue] })
      return try JSON.decode(Key.self, from: outcome.output)
    }

    @Test func `generated keys open a node to the tool and to agents, by their scopes`() async throws {
      let user = try await generate("user", .execute)
      let boss = try await generate("boss", .admin)
      let agents = try await generate("agents", .agent)
      let entries = [user, boss, agents].map { key in
        "      - { name: \(key.name), hash: \"\(key.hash)\", scopes: [\(key.scopes.map(\.rawValue).joined())] }\n"
      }
      let file = "security:\n  authentication:\n    apiKeys:\n" + entries.joined()
      try await withParallaxd(environment: shippedPatterns, files: ["parallax.config.yaml": file]) { node in
        let parallax = CommandLineTool(server: node.url)
        let agent = try await PythonAgent.start(
          urls: [node.agentURL], capabilities: ["classification"], id: "agent_1", environment: ["PARALLAX_API_KEY": agents.key])
        try await withChildProcess(agent.process) { _ in
          let done = try await parallax(
            "executions", "run", "content-classifier", "--input", #"{"text":"Why?"}"#, environment: ["PARALLAX_API_KEY": user.key])
          #expect(done.exit == .code(0) && done.output.contains("question"), "\(done.errorOutput)")
          let given = try await parallax("ha", "pause", "--api-key", user.key)
          #expect(given.exit == .code(1) && given.errorOutput.contains("the scope admin"), "\(given.errorOutput)")
          let paused = try await parallax("ha", "pause", environment: ["PARALLAX_API_KEY": boss.key])
          #expect(paused.exit == .code(0), "\(paused.errorOutput)")
        }
        let without = try await parallax("executions", "list")
        #expect(without.exit == .code(1) && without.errorOutput.contains("PARALLAX_API_KEY"), "\(without.errorOutput)")
        await #expect(throws: AgentSocket.Refused.self) {
          try await AgentSocket.withConnection(port: node.port, headers: ["Authorization": "Bearer \(boss.key)"]) { _ in }
        }
        let log = node.process.output + node.process.errorOutput
        #expect(log.contains("administrative action") && log.contains("the key boss") && log.contains("POST /ha/pause"))
        for key in [user, boss, agents] { #expect(!log.contains(key.key)) }
      }
    }

    @Test func `a node that others can reach serves the holders of keys, and without keys open routes only`() async throws {
      let key = try await generate("user", .read)
      let reachable = ["PARALLAX_HOST": "0.0.0.0"]
      try await withParallaxd(environment: reachable.merging(["PARALLAX_API_KEYS": key.key]) { $1 }) { node in
        let without = try await node.api.get("/api/agents")
        #expect(without.status == 401)
        let with = try await node.api.send("GET", "/api/agents", body: nil, headers: ["Authorization": "Bearer \(key.key)"])
        #expect(with.status == 200)
        #expect(node.process.output.contains("API keys: key-1"))
      }
      try await withParallaxd(environment: reachable) { node in
        let refused = try await node.api.get("/api/agents")
        #expect(refused.status == 403)
        let open = try await node.api.get("/ha/status")
        #expect(open.status == 200)
        #expect(node.process.output.contains("protected mode"))
      }
    }

    @Test func `keys are neither printed nor logged`() async throws {
      let key = try await generate("user", .admin)
      let environment = ["PARALLAX_API_KEYS": "user:admin:\(key.key)", "PARALLAX_LOG_LEVEL": "trace"]
      let printed = try await run(ProjectLayout.executable("parallaxd"), ["--print-config"], environment: environment)
      #expect(printed.output.contains("user") && !printed.output.contains(key.key) && !printed.output.contains(key.hash))
      let refused = try await run(
        ProjectLayout.executable("parallaxd"), ["--check-config"], environment: ["PARALLAX_API_KEYS": "user:\(key.key)"])
      #expect(refused.exit == .code(78) && !refused.errorOutput.contains(key.key) && refused.errorOutput.contains("PARALLAX_API_KEYS"))
      try await withParallaxd(environment: environment) { node in
        for (sent, status) in [(key.key, 200), (key.key + "x", 401)] {
          let answer = try await node.api.send("POST", "/ha/pause", body: nil, headers: ["Authorization": "Bearer \(sent)"])
          #expect(answer.status == status && !answer.text.contains(key.key))
        }
        #expect(!(node.process.output + node.process.errorOutput).contains(key.key))
      }
    }

    @Test func `a key is hashed from standard input, and an unknown scope is refused`() async throws {
      let key = try await generate("user", .read)
      let hashed = try await Self.parallax("keys", "hash", input: key.key + "\n")
      #expect(hashed.output == key.hash + "\n")
      let other = try await generate("user", .read)
      #expect(other.key != key.key && other.key.hasPrefix("plx_") && other.key.count == 68)
      #expect(try await Self.parallax("keys", "generate", "--scope", "everything").exit == .code(2))
    }
  }
}
