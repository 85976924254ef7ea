import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  @Suite(.serialized, .timeLimit(.minutes(2)))
  struct Daemon {
    @Test func `answers its probes`() async throws {
      try await withParallaxd(environment: ["PARALLAX_NODE_ID": "node-a"]) { node in
        for path in ["/health", "/health/live", "/health/ready"] {
          let response = try await node.api.get(path)
          #expect(response.status == 200, "\(path): \(response.text)")
        }
        let health = try await node.api.get("/health").decode(HealthDocument.self)
        #expect(health.nodeId == "node-a")
        #expect(health.status == .healthy)
      }
    }

    @Test(arguments: [SIGTERM, SIGINT])
    func `exits with 0 on a signal to stop`(signal: Int32) async throws {
      try await withParallaxd { node in
        try await withPythonAgents(1, url: node.agentURL, capabilities: ["analysis"]) { _ in
          node.process.send(signal: signal)
          let exit = try await node.process.waitForExit()
          #expect(exit == .code(0))
        }
      }
    }

    @Test func `prints where it listens and how to submit`() async throws {
      try await withParallaxd(environment: shippedPatterns) { node in
        #expect(node.process.output.contains(node.url))
        #expect(node.process.output.contains("curl"))
        #expect(node.process.output.contains("content-classifier"))
      }
    }

    @Test func `names every mistake of a configuration, with its place and the nearest key`() async throws {
      let file = "server:\n  prot: 8080\n  host: 127.0.0.1\nagents:\n  heartbeatInterval: soon\n"
      let check = try await run(
        ProjectLayout.executable("parallaxd"), ["--check-config"], files: ["parallax.config.yaml": file])
      #expect(check.exit == .code(78))
      let lines = check.errorOutput.split(separator: "\n")
      #expect(lines.contains { $0.contains("parallax.config.yaml:2") && $0.contains("server.prot") && $0.contains("server.port") })
      #expect(lines.contains { $0.contains("parallax.config.yaml:5") && $0.contains("agents.heartbeatInterval") && $0.contains("soon") })
    }

    @Test func `does not start as a cluster without a Redis that its nodes share`() async throws {
      let start = try await run(ProjectLayout.executable("parallaxd"), [], environment: ["PARALLAX_HA_ENABLED": "true"])
      #expect(start.exit == .code(78))
      #expect(start.errorOutput.contains("highAvailability.enabled") && start.errorOutput.contains("redis.url"))
    }

    @Test func `does not start with an invalid TLS file`() async throws {
      let file = "redis: { url: \"rediss://127.0.0.1:1\", tls: { ca: nowhere.pem } }"
      let start = try await run(ProjectLayout.executable("parallaxd"), [], files: ["parallax.config.yaml": file])
      #expect(start.exit == .code(78))
      #expect(start.errorOutput.contains("nowhere.pem: redis.tls.ca: the file does not exist"), "\(start.errorOutput)")
    }

    @Test func `does not start with timings that could let two nodes lead`() async throws {
      let start = try await run(
        ProjectLayout.executable("parallaxd"), [],
        environment: [
          "PARALLAX_HA_ENABLED": "true", "PARALLAX_REDIS_URL": "redis://127.0.0.1:1", "PARALLAX_HA_LEASE_DURATION": "5s",
          "PARALLAX_HA_RENEW_DEADLINE": "6s", "PARALLAX_HA_RETRY_PERIOD": "1s",
        ])
      #expect(start.exit == .code(78))
      #expect(start.errorOutput.contains("leaseDuration (5s)") && start.errorOutput.contains("renewDeadline"))
    }

    @Test func `says once and alone that its port is taken`() async throws {
      try await withParallaxd { first in
        let second = try await run(ProjectLayout.executable("parallaxd"), [], environment: ["PARALLAX_PORT": "\(first.port)"])
        #expect(second.exit == .code(1))
        let lines = (second.output + second.errorOutput).split(separator: "\n")
        #expect(lines.count == 1, "\(lines)")
        #expect(lines.first?.contains("cannot listen on 127.0.0.1:\(first.port): Address already in use; stop") == true, "\(lines)")
      }
    }

    @Test func `does not start with a misspelled variable, or with a folder for a pattern`() async throws {
      let misspelled = try await run(ProjectLayout.executable("parallaxd"), [], environment: ["PARALLAX_PROT": "8081"])
      #expect(misspelled.exit == .code(78) && misspelled.errorOutput.contains("did you mean PARALLAX_PORT?"), "\(misspelled.errorOutput)")
      let folder = try await run(
        ProjectLayout.executable("parallaxd"), ["--patterns", "p"], files: ["p/x.yaml/y": "", "p/a.txt": ""])
      #expect(folder.exit == .code(78) && folder.errorOutput.contains("p/x.yaml: the file is a folder"), "\(folder.errorOutput)")
    }

    @Test func `its help has the exit codes`() async throws {
      let help = try await run(ProjectLayout.executable("parallaxd"), ["--help"])
      #expect(help.exit == .code(0) && help.output.contains("Exit codes: 0") && help.output.contains("78"), "\(help.output)")
    }

    @Test func `does not start with a wrong environment variable`() async throws {
      let start = try await run(
        ProjectLayout.executable("parallaxd"), [], environment: ["PARALLAX_PORT": "eighty"])
      #expect(start.exit == .code(78))
      #expect(start.errorOutput.contains("PARALLAX_PORT") && start.errorOutput.contains("eighty"))
    }

    @Test func `finds no fault in a valid configuration`() async throws {
      let check = try await run(
        ProjectLayout.executable("parallaxd"), ["--check-config"], files: ["parallax.config.yaml": "server:\n  port: 8080\n"])
      #expect(check.exit == .code(0), "\(check.errorOutput)")
    }

    @Test func `hides secrets in the configuration that it prints`() async throws {
      let printed = try await run(
        ProjectLayout.executable("parallaxd"), ["--print-config"],
        environment: ["PARALLAX_REDIS_URL": "redis://:verysecret@127.0.0.1:6379"])
      #expect(printed.exit == .code(0))
      #expect(printed.output.contains("127.0.0.1:6379"))
      #expect(!printed.output.contains("verysecret"))
    }
  }
}
