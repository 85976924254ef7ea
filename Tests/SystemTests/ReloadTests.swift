import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// SIGHUP: the configuration is read again while the node runs.
  @Suite(.serialized, .timeLimit(.minutes(2)))
  struct Reload {
    private static let first = "first-key-of-a-test-0123456789"
    private static let second = "second-key-of-a-test-0123456789"
    private static let agent = "agent-key-of-a-test-0123456789"

    private static func file(_ keys: (name: String, key: String, scope: AccessScope)..., rest: String = "") -> String {
      let entries = keys.map { "      - { name: \($0.name), key: \($0.key), scopes: [\($0.scope.rawValue)] }\n" }.joined()
      return "security:\n  authentication:\n    apiKeys:\n" + entries + rest
    }

    /// Runs a node with a configuration file in a folder of its own, which the test can change.
    private func withNode(
      _ configuration: String, environment: [String: String] = [:], _ test: (ParallaxdProcess, URL) async throws -> Void
    ) async throws {
      let folder = FileManager.default.temporaryDirectory.appending(path: "reload-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder.appending(path: "patterns"), withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let file = folder.appending(path: "node.yaml")
      try Data(configuration.utf8).write(to: file)
      let variables = [
        "PARALLAX_CONFIG": file.path, "PARALLAX_PATTERNS_DIR": folder.appending(path: "patterns").path, "PARALLAX_NODE_ID": "n",
      ]
      try await withParallaxd(environment: variables.merging(environment) { $1 }) { node in try await test(node, folder) }
    }

    private func reload(_ node: ParallaxdProcess, until text: String) async throws {
      node.process.send(signal: SIGHUP)
      try await eventually("\(text) in the log") { node.process.errorOutput.contains(text) }
    }

    private func status(_ node: ParallaxdProcess, _ key: String, _ path: String = "/api/agents") async throws -> Int {
      try await node.api.send("GET", path, body: nil, headers: ["Authorization": "Bearer \(key)"]).status
    }

    @Test func `keys, level and limits change without a restart, and an agent whose key is gone is disconnected`() async throws {
      let before = Self.file(("first", Self.first, .read), ("agents", Self.agent, .agent))
      try await withNode(before) { node, folder in
        #expect(try await status(node, Self.first) == 200)
        try await AgentSocket.withConnection(port: node.port, headers: ["Authorization": "Bearer \(Self.agent)"]) { socket in
          let after = Self.file(
            ("second", Self.second, .read),
            rest: "server: { maxConnections: 7 }\nlogging: { level: debug }\nlimits: { requestsPerMinute: 50 }\n")
          try Data(after.utf8).write(to: folder.appending(path: "node.yaml"))
          try await reload(node, until: "changed settings wait for a restart")
          #expect(try await socket.receive() == .close(code: 1008))
        }
        #expect(try await status(node, Self.first) == 401)
        let answer = try await node.api.send("GET", "/api/agents", body: nil, headers: ["Authorization": "Bearer \(Self.second)"])
        #expect(answer.status == 200 && answer.headers.contains { $0.key.lowercased() == "ratelimit" })
        let log = node.process.errorOutput
        #expect(log.contains(#""changed":"security.authentication.apiKeys, limits.requestsPerMinute, logging.level""#), "\(log)")
        #expect(log.contains(#""keys":"server.maxConnections""#), "\(log)")
        #expect(log.contains(#""level":"debug""#), "the level has changed")
        for key in [Self.first, Self.second, Self.agent] { #expect(!log.contains(key)) }
      }
    }

    @Test func `a faulty configuration changes nothing, and all its faults are logged`() async throws {
      try await withNode(Self.file(("first", Self.first, .read))) { node, folder in
        let faulty = Self.file(("second", Self.second, .read), rest: "logging: { level: loud }\nserver: { prot: 1 }\n")
        try Data(faulty.utf8).write(to: folder.appending(path: "node.yaml"))
        try await reload(node, until: "server.prot")
        let log = node.process.errorOutput
        #expect(log.contains("node.yaml:5: logging.level: found") && log.contains("node.yaml:6: server.prot: unknown key"), "\(log)")
        #expect(try await status(node, Self.first) == 200)
        #expect(try await status(node, Self.second) == 401)
        try Data(Self.file(("second", Self.second, .read)).utf8).write(to: folder.appending(path: "node.yaml"))
        try await reload(node, until: "configuration reloaded")
        #expect(try await status(node, Self.second) == 200)
      }
    }

    @Test func `new and changed patterns are stored`() async throws {
      try await withNode(Self.file(("first", Self.first, .admin))) { node, folder in
        let pattern = "name: fresh\nversion: 1.0.0\nagents: { capabilities: [a] }\naggregation: { strategy: first }\n"
        let file = folder.appending(path: "patterns/fresh.yaml")
        try Data(pattern.utf8).write(to: file)
        try await reload(node, until: "fresh 1.0.0")
        try await eventually("the pattern") { try await status(node, Self.first, "/api/patterns/fresh") == 200 }
        try Data(pattern.replacing("a]", with: "a").utf8).write(to: file)
        try await reload(node, until: "fresh.yaml:")
        #expect(node.process.exit == nil)
        #expect(try await status(node, Self.first, "/api/patterns/fresh") == 200)
      }
    }

    @Test func `a hang-up before the node is ready neither ends it nor is lost`() async throws {
      let unreachable = ["PARALLAX_REDIS_URL": "redis://127.0.0.1:1"]
      let node = try await ParallaxdProcess.start(environment: unreachable)
      try await withChildProcess(node.process) { _ in
        for count in 1...3 {
          node.process.send(signal: SIGHUP)
          try await eventually("reload \(count)") {
            node.process.errorOutput.components(separatedBy: "configuration reloaded").count == count + 1
          }
        }
        let live = try await node.api.get("/health/live")
        let isReady = try await node.isReady
        #expect(live.status == 200 && !isReady && node.process.exit == nil)
        #expect(node.process.errorOutput.contains(#""changed":"nothing""#))
        node.process.send(signal: SIGTERM)
        #expect(try await node.process.waitForExit() == .code(0))
      }
    }

    @Test func `renewed certificates are used at once`() async throws {
      let certificates = try await TestCertificates()
      let folder = FileManager.default.temporaryDirectory.appending(path: "certificates-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let (certificate, key) = (folder.appending(path: "c.pem"), folder.appending(path: "k.pem"))
      func write(_ identity: TestCertificates.Identity) throws {
        try Data(contentsOf: URL(filePath: identity.certificate)).write(to: certificate)
        try Data(contentsOf: URL(filePath: identity.key)).write(to: key)
      }
      try write(certificates.server)
      let file = "server: { tls: { certificate: \"\(certificate.path)\", privateKey: \"\(key.path)\" } }"
      let node = try await ParallaxdProcess.start(files: ["parallax.config.yaml": file])
      try await withChildProcess(node.process) { _ in
        try write(certificates.client)
        node.process.send(signal: SIGHUP)
        try await eventually("other certificates", within: .seconds(3)) { node.process.errorOutput.contains("certificates reloaded") }
        try await eventually("the reload") { node.process.errorOutput.contains("configuration reloaded") }
      }
    }
  }
}
