import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// TLS of the server, clients' certificates, and their renewal.
  @Suite(.serialized, .timeLimit(.minutes(2)))
  struct TLS {
    /// A response: its status and body; status 0 without a connection.
    private struct Answer {
      var status: Int
      var text: String
    }

    private static func curl(_ node: ParallaxdProcess, _ path: String, _ arguments: String...) async throws -> Answer {
      let (_, output, _) = try await run(
        ProjectLayout.program("curl"),
        ["-s", "--max-time", "10", "-w", "\n%{http_code}"] + arguments + ["https://127.0.0.1:\(node.port)\(path)"])
      let lines = output.split(separator: "\n", omittingEmptySubsequences: false)
      return Answer(status: lines.last.flatMap { Int($0) } ?? 0, text: lines.dropLast().joined(separator: "\n"))
    }

    /// Starts a node with a configuration, waits until it is ready, passes it to the body, and always ends it.
    private func withNode(
      _ file: String, ca: String, identity: TestCertificates.Identity? = nil, environment: [String: String] = [:],
      _ body: (ParallaxdProcess) async throws -> Void
    ) async throws {
      let node = try await ParallaxdProcess.start(environment: environment, files: ["parallax.config.yaml": file])
      try await withChildProcess(node.process) { process in
        do {
          let shown = identity.map { ["--cert", $0.certificate, "--key", $0.key] } ?? []
          try await eventually("the readiness of the node") {
            let (_, output, _) = try await run(
              ProjectLayout.program("curl"), ["-s", "--cacert", ca] + shown + ["https://127.0.0.1:\(node.port)/health/ready"])
            return output.contains(#""status":"healthy""#)
          }
          try await body(node)
        } catch {
          throw ProcessFailure("\(error)\n--- stdout\n\(process.output)\n--- stderr\n\(process.errorOutput)")
        }
      }
    }

    @Test func `callers, agents and the tool use a node over TLS`() async throws {
      let certificates = try await TestCertificates()
      let file = "server: { tls: { certificate: \(certificates.server.certificate), privateKey: \(certificates.server.key) } }\n"
      try await withNode(file, ca: certificates.authority, environment: shippedPatterns) { node in
        #expect(node.process.output.contains("https://127.0.0.1") && node.process.output.contains("wss://127.0.0.1"))
        let twice = try await run(
          ProjectLayout.program("curl"),
          [
            "-sv", "--cacert", certificates.authority, "https://127.0.0.1:\(node.port)/api/agents",
            "https://127.0.0.1:\(node.port)/ha/status",
          ])
        #expect(twice.exit == .code(0) && twice.errorOutput.contains("Re-using existing"), "\(twice.errorOutput)")
        let old = try await Self.curl(node, "/health/live", "--cacert", certificates.authority, "--tls-max", "1.1")
        #expect(old.status == 0, "TLS 1.1 is refused")
        let untrusted = try await Self.curl(node, "/health/live", "--cacert", certificates.wrongAuthority)
        #expect(untrusted.status == 0)
        let plain = try? await APIClient(base: "http://127.0.0.1:\(node.port)").get("/health/live")
        #expect(plain == nil, "no answer without TLS")

        let agent = try await PythonAgent.start(
          urls: ["wss://127.0.0.1:\(node.port)/ws/agent"], capabilities: ["classification"], id: "agent_1",
          environment: ["SSL_CERT_FILE": certificates.authority])
        try await withChildProcess(agent.process) { _ in
          let parallax = CommandLineTool(server: "https://127.0.0.1:\(node.port)")
          let done = try await parallax(
            "executions", "run", "content-classifier", "--input", #"{"text":"Why?"}"#, environment: ["PARALLAX_CA": certificates.authority])
          #expect(done.exit == .code(0) && done.output.contains("question"), "\(done.errorOutput)")
          let distrustful = try await parallax("executions", "list", environment: ["PARALLAX_CA": certificates.wrongAuthority])
          #expect(distrustful.exit == .code(4))
          // Larger than a record of TLS, and than what a socket takes at once.
          let text = String(repeating: "word ", count: 200_000)
          let large = try await parallax(
            "executions", "run", "content-classifier", "--input", "-", input: #"{"text":"\#(text)"}"#,
            environment: ["PARALLAX_CA": certificates.authority])
          #expect(large.exit == .code(0) && large.output.contains("statement"), "\(large.errorOutput.prefix(500))")
        }
        node.process.send(signal: SIGTERM)
        #expect(try await node.process.waitForExit() == .code(0))
      }
    }

    @Test func `a renewed certificate is used without a restart, an unusable one is not`() async throws {
      let certificates = try await TestCertificates()
      let folder = FileManager.default.temporaryDirectory.appending(path: "renewed-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let (certificate, key) = (folder.appending(path: "server.pem"), folder.appending(path: "server.key"))
      func install(_ identity: TestCertificates.Identity) throws {
        try Data(contentsOf: URL(filePath: identity.certificate)).write(to: certificate)
        try Data(contentsOf: URL(filePath: identity.key)).write(to: key)
      }
      try install(certificates.server)
      let file = "server: { tls: { certificate: \(certificate.path), privateKey: \(key.path) } }\n"
      try await withNode(file, ca: certificates.authority) { node in
        try Data("no certificate".utf8).write(to: certificate)
        try await eventually("the complaint", within: .seconds(20)) {
          node.process.errorOutput.contains("the changed certificates cannot be used")
            && node.process.errorOutput.contains("server.tls.certificate")
        }
        let kept = try await Self.curl(node, "/health/live", "--cacert", certificates.authority)
        #expect(kept.status == 200)
        try install(certificates.wrong)
        try await eventually("an answer with the other certificate", within: .seconds(20)) {
          try await Self.curl(node, "/health/live", "--cacert", certificates.wrongAuthority).status == 200
        }
        let former = try await Self.curl(node, "/health/live", "--cacert", certificates.authority)
        #expect(former.status == 0)
        #expect(node.process.errorOutput.components(separatedBy: "cannot be used").count == 2, "one complaint")
      }
    }

    @Test func `a client's certificate has the scopes of its name`() async throws {
      let certificates = try await TestCertificates()
      let secret = "key-of-a-test-0123456789"
      func file(_ clientAuth: String) -> String {
        """
        security:
          authentication: { apiKeys: [{ name: user, key: \(secret), scopes: [execute] }] }
          mtls:
            enabled: true
            serverCert: \(certificates.server.certificate)
            serverKey: \(certificates.server.key)
            clientCA: \(certificates.authority)
            clientAuth: \(clientAuth)
            identities: [{ name: localhost, scopes: [read] }]

        """
      }
      let client = ["--cert", certificates.client.certificate, "--key", certificates.client.key]
      let nameless = ["--cert", certificates.otherHost.certificate, "--key", certificates.otherHost.key]
      let stranger = ["--cert", certificates.wrong.certificate, "--key", certificates.wrong.key]
      func status(_ node: ParallaxdProcess, _ method: String, _ path: String, _ arguments: [String]) async throws -> Int {
        let (_, output, _) = try await run(
          ProjectLayout.program("curl"),
          ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", certificates.authority, "-X", method] + arguments
            + ["https://127.0.0.1:\(node.port)\(path)"])
        return Int(output) ?? -1
      }
      let bearer = ["-H", "Authorization: Bearer \(secret)"]

      try await withNode(file("request"), ca: certificates.authority) { node in
        let cases: [(String, String, [String], Int)] = [
          ("GET", "/api/agents", [], 401), ("GET", "/health/live", [], 200), ("GET", "/api/agents", client, 200),
          ("POST", "/ha/pause", client, 403), ("GET", "/api/agents", nameless, 401), ("GET", "/health/live", nameless, 200),
          ("GET", "/api/agents", stranger, 0), ("GET", "/api/agents", bearer, 200), ("GET", "/api/agents", nameless + bearer, 200),
          ("POST", "/api/patterns/none/execute", client, 403), ("POST", "/api/patterns/none/execute", client + bearer, 404),
          ("GET", "/api/agents", client + ["-H", "Authorization: Bearer \(secret)x"], 401),
        ]
        for (method, path, arguments, expected) in cases {
          let found = try await status(node, method, path, arguments)
          #expect(found == expected, "\(method) \(path) \(arguments)")
        }
        let parallax = CommandLineTool(server: "https://127.0.0.1:\(node.port)")
        let listed = try await parallax(
          "agents", "list",
          environment: [
            "PARALLAX_CA": certificates.authority, "PARALLAX_CERTIFICATE": certificates.client.certificate,
            "PARALLAX_PRIVATE_KEY": certificates.client.key,
          ])
        #expect(listed.exit == .code(0), "\(listed.errorOutput)")
      }
      try await withNode(file("require"), ca: certificates.authority, identity: certificates.client) { node in
        for (arguments, expected) in [([], 0), (bearer, 0), (client, 200), (nameless + bearer, 200), (stranger + bearer, 0)] {
          let found = try await status(node, "GET", "/api/agents", arguments)
          #expect(found == expected, "\(arguments)")
        }
      }
    }

    @Test func `a key of another certificate is refused at start`() async throws {
      let certificates = try await TestCertificates()
      let file = "server: { tls: { certificate: \(certificates.server.certificate), privateKey: \(certificates.client.key) } }\n"
      let check = try await run(ProjectLayout.executable("parallaxd"), ["--check-config"], files: ["parallax.config.yaml": file])
      #expect(check.exit == .code(78))
      #expect(
        check.errorOutput.contains("client.key: server.tls.privateKey: the file does not hold the private key of the certificate"))
    }
  }
}
