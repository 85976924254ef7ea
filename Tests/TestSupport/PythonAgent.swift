import Foundation

/// A process of the example agent in Python.
package struct PythonAgent: Sendable {
  package let id: String
  package let process: ChildProcess

  /// Starts an agent and waits until it is registered.
  ///
  /// The agent connects to the first reachable node, and to the next one after a failure.
  package static func start(
    urls: [String], capabilities: [String], id: String, arguments: [String] = [], environment: [String: String] = [:]
  ) async throws -> PythonAgent {
    let agent = try PythonAgent(
      id: id,
      process: ChildProcess(
        ProjectLayout.python,
        [ProjectLayout.pythonAgent.path, "--id", id] + urls.flatMap { ["--url", $0] } + capabilities.flatMap { ["--capability", $0] }
          + arguments,
        environment: environment))
    do {
      try await agent.waitForRegistrations(1)
      return agent
    } catch {
      await agent.process.stop()
      throw error
    }
  }

  /// Waits until the agent has registered a number of times, reconnections included.
  package func waitForRegistrations(_ count: Int, within limit: Duration = .seconds(30)) async throws {
    try await process.waitForOutput("registration \(count)", within: limit) { output, _ in
      lines(of: output, "registered").count >= count ? () : nil
    }
  }

  /// The tasks that this agent has finished, in order, with repeats.
  package var finishedTasks: [String] { lines(of: process.output, "task_result") }

  /// The tasks that this agent has failed, in order.
  package var failedTasks: [String] { lines(of: process.output, "task_error") }

  private func lines(of output: String, _ kind: String) -> [String] {
    output.split(separator: "\n").filter { $0.hasPrefix("\(kind) ") }.map { String($0.dropFirst(kind.count + 1)) }
  }
}

/// Starts agents of one node, passes them to the body, and always ends them.
package func withPythonAgents<Result>(
  _ count: Int, url: String, capabilities: [String], arguments: [String] = [], _ body: ([PythonAgent]) async throws -> Result
) async throws -> Result {
  try await withPythonAgents(
    at: Array(repeating: [url], count: count), capabilities: capabilities, arguments: arguments, body)
}

/// Starts an agent for each list of nodes, passes them to the body, and always ends them.
package func withPythonAgents<Result>(
  at nodes: [[String]], capabilities: [String], arguments: [String] = [], _ body: ([PythonAgent]) async throws -> Result
) async throws -> Result {
  var agents: [PythonAgent] = []
  do {
    for (index, urls) in nodes.enumerated() {
      agents.append(
        try await PythonAgent.start(urls: urls, capabilities: capabilities, id: "agent_python_\(index)", arguments: arguments))
    }
    let result = try await body(agents)
    for agent in agents { await agent.process.stop() }
    return result
  } catch {
    for agent in agents { await agent.process.stop() }
    throw error
  }
}
