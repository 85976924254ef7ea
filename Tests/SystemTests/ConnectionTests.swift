import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  /// Connections beyond the limit, at the node's stop, and of silent agents.
  @Suite(.serialized, .timeLimit(.minutes(2)))
  struct Connections {
    @Test func `pauses and logs once when it has no descriptor left`() async throws {
      let parallaxd = try ProjectLayout.executable("parallaxd")
      let process = try ChildProcess(
        ProjectLayout.program("bash"), ["-c", "ulimit -n 64; exec \"$0\"", parallaxd.path], environment: ["PARALLAX_PORT": "0"])
      try await withChildProcess(process) { process in
        let port = try await process.waitForOutput("the address it listens on") { output, errorOutput in
          (output + errorOutput).firstMatch(of: /http:\/\/127\.0\.0\.1:([0-9]+)/).flatMap { Int($0.1) }
        }
        try await withOpenConnections(80, port: port) {
          _ = try await process.waitForOutput("the warning") { output, errorOutput in
            (output + errorOutput).contains("accepting no connection") ? true : nil
          }
          let before = try processorTime(of: process.pid)
          try await Task.sleep(for: .seconds(2))
          let used = try processorTime(of: process.pid) - before
          #expect(used < .milliseconds(500), "\(used) of processor time in 2 s")
        }
        let api = APIClient(base: "http://127.0.0.1:\(port)")
        try await eventually("an answer after the others have gone") { try await api.get("/health/live").status == 200 }
        #expect((process.output + process.errorOutput).components(separatedBy: "accepting no connection").count == 2)
      }
    }

    @Test func `asks idle agents to reconnect before it closes their connections with 1001`() async throws {
      try await withParallaxd { node in
        try await AgentSocket.withConnection(port: node.port) { agent in
          try await agent.send(.register(AgentMessage.Register(capabilities: ["analysis"])), id: "1")
          _ = try await agent.receive("registered", ControlPlaneMessage.Registered.self)
          node.process.send(signal: SIGTERM)
          #expect(try await agent.receive("reconnect", ControlPlaneMessage.Reconnect.self).reason == "drain")
          #expect(try await agent.receive() == .close(code: 1001))
          // The node may have closed the connection by then: it stops 2 s later at most.
          try? await agent.send(.close, [])
        }
        #expect(try await node.process.waitForExit() == .code(0))
      }
    }

    @Test func `keeps an agent that only answers pings`() async throws {
      let file = "agents: { heartbeatInterval: 1s, heartbeatTimeout: 3s }"
      try await withParallaxd(files: ["parallax.config.yaml": file]) { node in
        try await AgentSocket.withConnection(port: node.port) { agent in
          try await agent.send(.register(AgentMessage.Register(capabilities: ["analysis"])), id: "1")
          _ = try await agent.receive("registered", ControlPlaneMessage.Registered.self)
          for _ in 0..<5 {
            #expect(try await agent.receivePing())
            try await agent.send(.pong, [])
          }
          // Without pongs the agent is disconnected.
          while try await agent.receivePing() {}
        }
      }
    }

    private func processorTime(of pid: pid_t) throws -> Duration {
      let stat = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
      let fields = stat.drop { $0 != ")" }.split(separator: " ")
      let ticks = [fields[12], fields[13]].compactMap { Int($0) }.reduce(0, +)
      return .seconds(ticks) / sysconf(Int32(_SC_CLK_TCK))
    }
  }
}
