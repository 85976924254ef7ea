import Foundation
import ParallaxAPI

/// The agent protocol as values, without a connection: what an agent answers to each message of the control plane.
///
/// `swift run AgentProtocol` reads frames from standard input, one on each line, and writes the answers. With any WebSocket client between
/// it and `/ws/agent` it is an agent that greets.
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

/// Decides what to say; does nothing itself.
struct GreetingAgent {
  /// Results that the control plane has not acknowledged: to be sent again on the next connection.
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
