import ParallaxAPI
import ParallaxHA
import ParallaxState
import Testing

/// The format of messages must not change by accident, because nodes of different versions exchange them.
@Suite struct NodeMessageTests {
  private static let task = ControlPlaneMessage.Task(
    taskId: "task_1", executionId: "exec_1", patternName: "p", patternVersion: "1.0.0", capability: "c", input: nil,
    timeout: .seconds(2), priority: .normal, context: .init(stepIndex: 0, totalSteps: 1))

  private static let forms: [(NodeMessage, String)] = [
    (
      .deliver(task, agent: "agent_1", owner: NodeSession(nodeID: "host:8080", incarnation: "a1")),
      #"{"agent":"agent_1","owner":"host:8080:a1","task":{"capability":"c","context":{"stepIndex":0,"totalSteps":1},"#
        + #""executionId":"exec_1","input":null,"patternName":"p","patternVersion":"1.0.0","priority":"normal","taskId":"task_1","#
        + #""timeout":2000},"type":"deliver","version":1}"#
    ),
    (
      .deliver(
        task, agent: "agent_1", owner: NodeSession(nodeID: "host:8080", incarnation: "a1"), deadline: Timestamp(milliseconds: 250)),
      #"{"agent":"agent_1","deadline":"1970-01-01T00:00:00.250Z","owner":"host:8080:a1","task":{"capability":"c","#
        + #""context":{"stepIndex":0,"totalSteps":1},"executionId":"exec_1","input":null,"patternName":"p","patternVersion":"1.0.0","#
        + #""priority":"normal","taskId":"task_1","timeout":2000},"type":"deliver","version":1}"#
    ),
    (
      .withdraw(.init(taskId: "task_1", executionId: "exec_1", reason: "r"), agent: "agent_1"),
      #"{"agent":"agent_1","cancellation":{"executionId":"exec_1","reason":"r","taskId":"task_1"},"type":"withdraw","version":1}"#
    ),
    (
      .recorded(execution: "exec_1", task: "task_1"), #"{"execution":"exec_1","task":"task_1","type":"recorded","version":1}"#
    ),
    (.cancel(execution: "exec_1"), #"{"execution":"exec_1","type":"cancel","version":1}"#),
    (
      .adopt(execution: "exec_1", owner: NodeSession(nodeID: "n", incarnation: "a1")),
      #"{"execution":"exec_1","owner":"n:a1","type":"adopt","version":1}"#
    ),
    (.adopted(execution: "exec_1"), #"{"execution":"exec_1","type":"adopted","version":1}"#),
    (.declined(execution: "exec_1"), #"{"execution":"exec_1","type":"declined","version":1}"#),
    (
      .watch(execution: "exec_1", watcher: NodeSession(nodeID: "n", incarnation: "a1")),
      #"{"execution":"exec_1","type":"watch","version":1,"watcher":"n:a1"}"#
    ),
    (.ended(execution: "exec_1"), #"{"execution":"exec_1","type":"ended","version":1}"#),
    (.disconnect(agent: "agent_1"), #"{"agent":"agent_1","type":"disconnect","version":1}"#),
  ]

  @Test(arguments: forms) func aMessageHasItsFormat(message: NodeMessage, text: String) throws {
    #expect(try message.jsonText == text)
    #expect(try JSON.text(message) == text)
    #expect(try JSON.decode(NodeMessage.self, from: text) == message)
  }

  @Test(arguments: [
    #"{"execution":"exec_1","type":"cancel","version":2}"#, #"{"execution":"exec_1","type":"cancel"}"#,
    #"{"execution":"exec_1","type":"explode","version":1}"#, #"{"type":"cancel","version":1}"#, "[]",
    #"{"agent":"a","owner":"nobody","task":{},"type":"deliver","version":1}"#,
  ])
  func newerAndMalformedMessagesAreRefused(text: String) {
    #expect(throws: DecodingError.self) { try JSON.decode(NodeMessage.self, from: text) }
  }

  @Test(arguments: ["", "{"]) func invalidJSONIsRefused(text: String) {
    #expect(throws: JSONFault.self) { try JSON.decode(NodeMessage.self, from: text) }
  }
}
