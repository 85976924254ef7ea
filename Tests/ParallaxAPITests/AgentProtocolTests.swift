import ParallaxAPI
import Testing

@Suite struct AgentMessageTests {
  private func decode(_ text: String) throws -> ReceivedAgentMessage { try AgentMessage.decode(text.utf8) }

  private func fault(_ text: String) throws -> AgentProtocolFault {
    try #require(#expect(throws: AgentProtocolFault.self) { try decode(text) })
  }

  static let messages: [(String, AgentMessage)] = [
    (
      #"{"type":"register","id":"m1","payload":{"capabilities":["a"],"metadata":{"name":"n"},"config":{"maxConcurrentTasks":3,"taskTimeout":"30s"},"activeTasks":[]}}"#,
      .register(
        AgentMessage.Register(
          capabilities: ["a"], metadata: ["name": "n"],
          config: AgentMessage.Register.Config(maxConcurrentTasks: 3, taskTimeout: .seconds(30)),
          activeTasks: []))
    ),
    (
      #"{"type":"task_result","id":"m1","payload":{"taskId":"t","executionId":"e","status":"completed","result":{"x":1},"confidence":0.5,"duration":12}}"#,
      .taskResult(
        AgentMessage.TaskResult(taskId: "t", executionId: "e", result: ["x": 1], confidence: 0.5, duration: .milliseconds(12)))
    ),
    (
      #"{"type":"task_error","id":"m1","payload":{"taskId":"t","executionId":"e","error":{"code":"C","message":"M"},"retryable":true}}"#,
      .taskError(
        AgentMessage.TaskError(taskId: "t", executionId: "e", error: ExecutionFailure(code: "C", message: "M"), retryable: true))
    ),
    (
      #"{"type":"task_cancelled_ack","id":"m1","payload":{"taskId":"t"}}"#,
      .taskCancelledAck(AgentMessage.TaskCancelledAck(taskId: "t"))
    ),
    (
      #"{"type":"heartbeat","id":"m1","payload":{"status":"idle","activeTasks":2,"metrics":{"cpu":0.5}}}"#,
      .heartbeat(AgentMessage.Heartbeat(status: "idle", activeTasks: 2, metrics: ["cpu": 0.5]))
    ),
    (
      #"{"type":"status_update","id":"m1","payload":{"status":"draining","capabilities":["b"],"maxTasks":2,"reason":"r"}}"#,
      .statusUpdate(AgentMessage.StatusUpdate(status: "draining", capabilities: ["b"], maxTasks: 2, reason: "r"))
    ),
    (
      #"{"type":"disconnect","id":"m1","payload":{"reason":"r","graceful":false}}"#,
      .disconnect(AgentMessage.Disconnect(reason: "r", graceful: false))
    ),
  ]

  @Test(arguments: messages)
  func eachTypeIsRead(_ text: String, _ message: AgentMessage) throws {
    #expect(try decode(text) == ReceivedAgentMessage(id: "m1", message: message))
  }

  @Test(arguments: messages.map(\.1))
  func messagesOfAnAgentSurviveARoundTrip(_ message: AgentMessage) throws {
    let bytes = try message.encoded(id: "m2", timestamp: Timestamp(milliseconds: 0))
    #expect(try AgentMessage.decode(bytes) == ReceivedAgentMessage(id: "m2", message: message))
  }

  @Test func unknownFieldsAreIgnored() throws {
    let received = try decode(
      #"{"type":"heartbeat","version":7,"timestamp":"whenever","payload":{"status":"busy","mood":"good"},"extra":{}}"#)
    #expect(received == ReceivedAgentMessage(id: nil, message: .heartbeat(AgentMessage.Heartbeat(status: "busy"))))
  }

  @Test func heartbeatAndDisconnectNeedNoPayload() throws {
    #expect(try decode(#"{"type":"heartbeat","id":"1"}"#).message == .heartbeat(AgentMessage.Heartbeat()))
    #expect(try decode(#"{"type":"disconnect"}"#).message == .disconnect(AgentMessage.Disconnect()))
  }

  @Test func missingActiveTasksDifferFromNone() throws {
    guard case .register(let register) = try decode(#"{"type":"register","payload":{}}"#).message else {
      Issue.record("no register"); return
    }
    #expect(register.activeTasks == nil)
    #expect(register.capabilities == nil)
  }

  @Test func anUnknownTypeIsAnsweredWithTheKnownOnes() throws {
    #expect(
      try fault(#"{"type":"hello","id":"m9","payload":{}}"#)
        == AgentProtocolFault(
          id: "m9", code: "UNKNOWN_TYPE",
          message: "unknown message type \"hello\"; expected one of register, task_result, task_error, task_cancelled_ack, heartbeat, "
            + "status_update, disconnect"
        ))
    let long = try fault(#"{"type":"\#(String(repeating: "x", count: 100_000))"}"#)
    #expect(long.message.utf8.count < 300)
  }

  @Test(arguments: ["", "{", "not json", "[1", "{\"type\":\"heartbeat\""])
  func brokenJSONIsAnInvalidMessage(_ text: String) throws {
    let fault = try fault(text)
    #expect(fault.code == "INVALID_MESSAGE")
    #expect(fault.message.hasPrefix("message is not valid JSON: line 1, column "))
  }

  @Test(arguments: [
    (
      #"{"type":"task_result","id":"m1","payload":{"taskId":7,"executionId":"e"}}"#,
      "task_result: payload.taskId: expected a string, found 7"
    ),
    (#"{"type":"task_result","id":"m1","payload":{"executionId":"e"}}"#, "task_result: payload.taskId: is missing"),
    (
      #"{"type":"task_error","id":"m1","payload":{"taskId":"t","executionId":"e","error":"bad"}}"#,
      "task_error: payload.error: expected an object, found \"bad\""
    ),
    (#"{"type":"register","id":"m1","payload":{"capabilities":"a"}}"#, "register: payload.capabilities: expected an array, found \"a\""),
    (
      #"{"type":"register","id":"m1","payload":{"config":{"maxConcurrentTasks":"2"}}}"#,
      "register: payload.config.maxConcurrentTasks: expected a whole number, found \"2\""
    ),
    (#"{"type":"status_update","id":"m1"}"#, "status_update: payload: is missing"),
    (#"{"type":"heartbeat","id":"m1","payload":[]}"#, "heartbeat: payload: expected an object, found an array"),
  ])
  func aWrongFieldIsNamedUnderTheMessagesID(_ text: String, _ message: String) throws {
    #expect(try fault(text) == AgentProtocolFault(id: "m1", code: "INVALID_MESSAGE", message: message))
  }

  @Test func aMessageWithoutATypeOrOfAnotherShapeIsInvalid() throws {
    #expect(try fault(#"{"id":"m1","payload":{}}"#).message == "message: type: is missing")
    #expect(try fault(#"{"type":1}"#).message == "message: type: expected a string, found 1")
    #expect(try fault(#"{"type":"heartbeat","id":1}"#).message == "message: id: expected a string, found 1")
    #expect(try fault("[]").message == "message: expected an object, found an array")
  }
}

@Suite struct ControlPlaneMessageTests {
  static let messages: [(ControlPlaneMessage, String)] = [
    (
      .registered(
        ControlPlaneMessage.Registered(
          agentId: "agent_1", capabilities: ["a"],
          config: ControlPlaneMessage.Registered.Config(heartbeatInterval: .seconds(10), taskTimeout: .seconds(300)))),
      #""payload":{"agentId":"agent_1","capabilities":["a"],"config":{"heartbeatInterval":10000,"taskTimeout":300000}}"#
    ),
    (
      .task(
        ControlPlaneMessage.Task(
          taskId: "t", executionId: "e", patternName: "p", patternVersion: "1.0.0", capability: "a", input: ["x": 1], timeout: .seconds(30),
          priority: .high, context: ControlPlaneMessage.Task.Context(stepIndex: 0, totalSteps: 1))),
      #""payload":{"capability":"a","context":{"stepIndex":0,"totalSteps":1},"executionId":"e","input":{"x":1},"patternName":"p","#
        + #""patternVersion":"1.0.0","priority":"high","taskId":"t","timeout":30000}"#
    ),
    (
      .taskCancelled(ControlPlaneMessage.TaskCancelled(taskId: "t", executionId: "e", reason: "timeout")),
      #""payload":{"executionId":"e","reason":"timeout","taskId":"t"}"#
    ),
    (
      .heartbeatAck(ControlPlaneMessage.HeartbeatAck(serverTime: Timestamp(milliseconds: 0), nextHeartbeat: .seconds(10))),
      #""payload":{"nextHeartbeat":10000,"serverTime":"1970-01-01T00:00:00.000Z"}"#
    ),
    (.resultAck(ControlPlaneMessage.ResultAck(taskId: "t")), #""payload":{"taskId":"t"}"#),
    (.reconnect(ControlPlaneMessage.Reconnect(reason: "drain", afterMs: 5)), #""payload":{"afterMs":5,"reason":"drain"}"#),
    (
      .error(ControlPlaneMessage.ProtocolError(code: "C", message: "M", fatal: true)),
      #""payload":{"code":"C","fatal":true,"message":"M"}"#
    ),
  ]

  @Test(arguments: messages)
  func eachMessageHasItsShapeOnTheWire(_ message: ControlPlaneMessage, _ payload: String) throws {
    let bytes = try message.encoded(id: "m1", timestamp: Timestamp(milliseconds: 250))
    let text = String(decoding: bytes, as: UTF8.self)
    #expect(text == #"{"id":"m1",\#(payload),"timestamp":"1970-01-01T00:00:00.250Z","type":"\#(message.kind.rawValue)"}"#)
  }

  @Test(arguments: messages.map(\.0))
  func messagesToAnAgentSurviveARoundTrip(_ message: ControlPlaneMessage) throws {
    let decoded = try ControlPlaneMessage.decode(try message.encoded(id: nil, timestamp: nil))
    #expect(decoded.id == nil)
    #expect(decoded.message == message)
  }

  @Test func everyKindIsCovered() {
    #expect(Set(Self.messages.map(\.0.kind)) == Set(ControlPlaneMessage.Kind.allCases))
    #expect(Set(AgentMessageTests.messages.map(\.1.kind)) == Set(AgentMessage.Kind.allCases))
  }

  @Test func anAgentRefusesAnUnknownType() {
    #expect(throws: DecodingError.self) { try ControlPlaneMessage.decode(#"{"type":"dance","payload":{}}"#.utf8) }
  }
}
