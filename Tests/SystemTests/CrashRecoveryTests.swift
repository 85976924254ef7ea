import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  @Suite(.serialized, .timeLimit(.minutes(4)))
  struct CrashRecovery {
    private static let count = 200

    @Test func `a node killed with 200 executions in flight completes all of them, each once, after its restart`() async throws {
      try await RedisServer.with(.init(appendOnly: true)) { redis in
        let environment = ["PARALLAX_REDIS_URL": redis.url, "PARALLAX_NODE_ID": "node-a"]
        let first = try await ParallaxdProcess.start(environment: environment)
        try await withChildProcess(first.process) { _ in
          try await first.waitUntilReady()
          try await first.apply(pattern("analyze", timeout: .seconds(180), retries: 3))
          let arguments = ["--delay", "0.3", "--concurrency", "8"]
          try await withPythonAgents(3, url: first.agentURL, capabilities: ["analysis"], arguments: arguments) { agents in
            let ids = try await submitAll(to: first)
            try await eventually("some results, but not all") { agents.flatMap(\.finishedTasks).count >= 40 }
            first.process.send(signal: SIGKILL)
            #expect(try await first.process.waitForExit() == .signal(SIGKILL))
            #expect(agents.flatMap(\.finishedTasks).count < Self.count, "killed too late: nothing was in flight")

            let second = try await ParallaxdProcess.start(environment: environment, port: first.port)
            try await withChildProcess(second.process) { _ in
              try await second.waitUntilReady()
              try await expectAllCompleted(ids, on: second)
            }
            // No agent has repeated a task that was in progress when the node died.
            let finished = agents.flatMap(\.finishedTasks)
            #expect(finished.count == Self.count)
            #expect(Set(finished).count == Self.count)
          }
        }
      }
    }

    /// Submits every execution; returns the acknowledged ids.
    private func submitAll(to node: ParallaxdProcess) async throws -> [String] {
      try await withThrowingTaskGroup(of: String.self) { group in
        for number in 0..<Self.count {
          group.addTask { try await node.submit("analyze", input: ["text": .string("execution \(number)")]).executionId }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
    }

    private func expectAllCompleted(_ ids: [String], on node: ParallaxdProcess) async throws {
      #expect(Set(ids).count == Self.count)
      for id in ids {
        let execution = try await node.end(of: id, within: .seconds(90))
        #expect(execution.status == .completed, "\(execution)")
        #expect(execution.agents.count { $0.status == "completed" } == 1, "\(execution)")
      }
      let list = try await node.api.get("/api/executions?limit=1").decode(ExecutionList.self)
      #expect(list.total == Self.count)
    }
  }
}
