import Foundation
import ParallaxAPI

/// The agent protocol as values, without a connection: an agent's answers to the messages of the control plane.
///
/// `swift run AgentProtocol` reads frames from standard input, one per line, and writes the answers. With any WebSocket client between it
/// and `/ws/agent` it is a complete agent.
@main struct AgentProtocol {
  static func main() throws {
    var agent = GreetingAgent()
    try write(agent.hello())
    while let line = readLine() {
      let (id, message) = try ControlPlaneMessage.decode(line.utf8)
      if let answer = agent.answer(to: message) { try write(answer, inAnswerTo: id) }
    }
  }

  private static func write(_ message: AgentMessage, inAnswerTo id: String? = nil) throws {
    print(String(decoding: try message.encoded(id: id ?? UUID().uuidString, timestamp: .now), as: UTF8.self))
  }
}

/// Decides the answers, without any I/O.
struct GreetingAgent {
  /// The unacknowledged results, which must be sent again on the next connection.
  private(set) var unacknowledged: [String: AgentMessage.TaskResult] = [:]

  func hello() -> AgentMessage {
    .register(
      AgentMessage.Register(
        capabilities: ["greeting"], metadata: ["name": "greeter"], config: AgentMessage.Register.Config(maxConcurrentTasks: 4),
        activeTasks: unacknowledged.keys.sorted()))
  }

  mutating func answer(to message: ControlPlaneMessage) -> AgentMessage? {
    switch message {
    case .task(let task):
      let name = task.input["name"]?.stringValue ?? "world"
      let result = AgentMessage.TaskResult(
        taskId: task.taskId, executionId: task.executionId, result: ["greeting": .string("Hello, \(name)")])
      unacknowledged[task.taskId] = result
      return .taskResult(result)
    case .resultAck(let acknowledgement):
      unacknowledged[acknowledgement.taskId] = nil
      return nil
    case .registered, .taskCancelled, .heartbeatAck, .reconnect, .error:
      return nil
    }
  }
}
