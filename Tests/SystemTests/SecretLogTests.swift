import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  @Suite(.serialized, .timeLimit(.minutes(2)))
  struct SecretsInTheLog {
    @Test func `a node at debug logs none of its configuration's and its callers' secrets, and no dumps, from start to end`() async throws {
      let (password, sentinelPassword) = ("pa/ss-of-the-servers@1", "pass-of-the-sentinels-1")
      let (key, agentKey, other) = ("key-of-the-operator-0123456789", "key-of-the-agents-0123456789", "key-of-the-reader-0123456789")
      let hashed = try await CommandLineTool(server: nil)("keys", "hash", input: other)
      let hash = String(try #require(hashed.output.firstMatch(of: /sha256:[0-9a-f]{64}/)).output)
      let certificates = try await TestCertificates()
      let publicKey = try await run(ProjectLayout.program("openssl"), ["ec", "-in", certificates.client.key, "-pubout"]).output
      func secondLine(of pem: String) throws -> String { String(try #require(pem.split(separator: "\n").dropFirst().first)) }
      let privateKey = try secondLine(of: String(contentsOfFile: certificates.server.key, encoding: .utf8))
      // A node of a cluster has a witness, which gets the credentials too.
      let cluster = ["PARALLAX_HA_ENABLED": "true", "PARALLAX_HA_CLUSTER_ID": "c", "PARALLAX_HA_LEASE_DURATION": "1s"]
      try await RedisSentinelDeployment.with(
        .init(replicas: 1, sentinels: 1, password: password, sentinelPassword: sentinelPassword)
      ) { redis in
        let file = """
          server: { tls: { certificate: \(certificates.server.certificate), privateKey: \(certificates.server.key) } }
          logging: { level: debug, accessLog: all }
          redis:
            password: "\(password)"
            sentinel:
              masterName: \(redis.masterName)
              nodes: ["127.0.0.1:\(redis.sentinels[0].port)"]
              password: "\(sentinelPassword)"
          security:
            authentication:
              apiKeys:
                - { name: operator, key: "\(key)", scopes: [admin] }
                - { name: agents, key: "\(agentKey)", scopes: [agent] }
                - { name: reader, hash: "\(hash)", scopes: [read] }
              jwt: { publicKey: public.pem, issuer: "https://id.example.org", audience: [parallax] }
          """
        let node = try await ParallaxdProcess.start(
          environment: shippedPatterns.merging(cluster) { $1 }, files: ["parallax.config.yaml": file, "public.pem": publicKey])
        let log = try await withChildProcess(node.process) { process in
          let caller = ["PARALLAX_CA": certificates.authority, "PARALLAX_API_KEY": key]
          let parallax = CommandLineTool(server: "https://127.0.0.1:\(node.port)")
          try await eventually("readiness") {
            try await parallax("executions", "list", environment: caller).exit == .code(0)
          }
          let agent = try await PythonAgent.start(
            urls: ["wss://127.0.0.1:\(node.port)/ws/agent"], capabilities: ["classification"], id: "agent_1",
            environment: ["PARALLAX_API_KEY": agentKey, "SSL_CERT_FILE": certificates.authority])
          try await withChildProcess(agent.process) { _ in
            let done = try await parallax(
              "executions", "run", "content-classifier", "--input", #"{"text":"Why?"}"#, environment: caller)
            #expect(done.exit == .code(0), "\(done.errorOutput)")
            // Keys that fit and that do not.
            for wrong in [agentKey, other, key + "0"] {
              let refused = try await parallax("ha", "pause", "--api-key", wrong, environment: ["PARALLAX_CA": certificates.authority])
              #expect(refused.exit == .code(1), "\(refused.errorOutput)")
            }
          }
          process.send(signal: SIGHUP)
          try await process.waitForOutput("a reload") { output, errorOutput in (output + errorOutput).contains("reloaded") ? () : nil }
          process.send(signal: SIGTERM)
          #expect(try await process.waitForExit() == .code(0))
          return process.log
        }
        #expect(log.contains("\"level\":\"debug\"") && log.contains("/api/patterns") && log.contains("stopped"), "the whole log")
        let encoded = password.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
        let secrets = [
          "password of Redis": password, "password in a URL": encoded, "password of the sentinels": sentinelPassword, "operator's key": key,
          "agents' key": agentKey, "reader's key": other, "digits of a hash": String(hash.dropFirst("sha256:".count)),
          "private key": privateKey, "key of the tokens": try secondLine(of: publicKey),
        ]
        for (what, secret) in secrets {
          #expect(!secret.isEmpty && !log.contains(secret), "the log has the \(what)")
        }
        for line in log.split(separator: "\n") where line.utf8.count > 2_000 {
          Issue.record("a line of \(line.utf8.count) bytes: \(line.prefix(300))")
        }
      }
    }
  }
}
