import Foundation
import ParallaxAPI
import TestSupport
import Testing

extension SystemTests {
  @Suite(.serialized, .timeLimit(.minutes(2)))
  struct BadInput {
    struct BadRequest: Sendable, CustomTestStringConvertible {
      var testDescription: String
      var method: String
      var path: String
      var body: String?
      var status: Int
      var code: String

      init(_ description: String, _ method: String, _ path: String, _ body: String? = nil, _ status: Int, _ code: String) {
        testDescription = description
        self.method = method
        self.path = path
        self.body = body
        self.status = status
        self.code = code
      }
    }

    static let requests = [
      BadRequest("malformed JSON", "POST", "/api/patterns/analyze/execute", #"{"input": "#, 400, "VALIDATION_ERROR"),
      BadRequest("deep nesting", "POST", "/api/patterns/analyze/execute", #"{"input":\#(deep)}"#, 400, "VALIDATION_ERROR"),
      BadRequest("no object", "POST", "/api/patterns/analyze/execute", "[1]", 400, "VALIDATION_ERROR"),
      BadRequest(
        "an option of a wrong type", "POST", "/api/patterns/analyze/execute", #"{"options":{"timeout":true}}"#, 400, "VALIDATION_ERROR"),
      BadRequest(
        "an unknown priority", "POST", "/api/patterns/analyze/execute", #"{"options":{"priority":"top"}}"#, 400, "VALIDATION_ERROR"),
      BadRequest("a flag that is none", "POST", "/api/patterns/analyze/execute?async=maybe", "{}", 400, "VALIDATION_ERROR"),
      BadRequest("an unknown pattern", "POST", "/api/patterns/nobody/execute", "{}", 404, "NOT_FOUND"),
      BadRequest("an unknown version", "POST", "/api/patterns/analyze/execute?version=9.9.9", "{}", 404, "NOT_FOUND"),
      BadRequest("an unknown execution", "GET", "/api/executions/exec_nobody", nil, 404, "NOT_FOUND"),
      BadRequest("cancelling an unknown execution", "POST", "/api/executions/exec_nobody/cancel", nil, 404, "NOT_FOUND"),
      BadRequest("an unknown agent", "GET", "/api/agents/agent_nobody", nil, 404, "NOT_FOUND"),
      BadRequest("an unknown path", "GET", "/api/nothing", nil, 404, "NOT_FOUND"),
      BadRequest("a wrong method", "DELETE", "/api/executions", nil, 405, "METHOD_NOT_ALLOWED"),
      BadRequest("a limit out of bounds", "GET", "/api/executions?limit=1000", nil, 400, "VALIDATION_ERROR"),
      BadRequest("an unknown parameter", "GET", "/api/executions?patern=x", nil, 400, "VALIDATION_ERROR"),
      BadRequest("a cursor that is none", "GET", "/api/executions?cursor=xyz", nil, 400, "VALIDATION_ERROR"),
      BadRequest("a misspelt member", "POST", "/api/patterns/analyze/execute", #"{"inptu": {}}"#, 400, "VALIDATION_ERROR"),
      BadRequest("an unknown status", "GET", "/api/executions?status=asleep", nil, 400, "VALIDATION_ERROR"),
      BadRequest("a pattern without agents", "POST", "/api/patterns", #"{"name":"x"}"#, 400, "VALIDATION_ERROR"),
      BadRequest(
        "a pattern with an unknown strategy", "POST", "/api/patterns",
        #"{"name":"x","agents":{"capabilities":["a"]},"aggregation":{"strategy":"guess"}}"#, 400, "VALIDATION_ERROR"),
      BadRequest("a pattern that is no YAML", "POST", "/api/patterns", "a: [1", 400, "VALIDATION_ERROR"),
      BadRequest(
        "an oversized body", "POST", "/api/patterns/analyze/execute", #"{"input":""# + String(repeating: "x", count: 9 << 20) + #""}"#, 413,
        "PAYLOAD_TOO_LARGE"),
    ]

    @Test func `each wrong request gets its error document, and the node continues`() async throws {
      try await withParallaxd { node in
        try await node.apply(pattern("analyze"))
        for request in Self.requests {
          let response = try await node.api.send(request.method, request.path, body: request.body.map { Data($0.utf8) })
          #expect(response.status == request.status, "\(request.testDescription): \(response.text)")
          let error = try response.decode(ErrorDocument.self)
          #expect(error.error.code == request.code, "\(request.testDescription): \(response.text)")
          #expect(error.error.message.count > 10 && error.requestId?.isEmpty == false, "\(request.testDescription): \(response.text)")
        }
        try await withPythonAgents(1, url: node.agentURL, capabilities: ["analysis"]) { _ in
          let execution = try await node.execute("analyze")
          #expect(execution.status == .completed)
        }
      }
    }

    /// A nesting that would cost minutes in a decoder that tries one type after another.
    private static let deep = String(repeating: "[", count: 4_000) + String(repeating: "]", count: 4_000)

    @Test func `an agent's wrong messages are answered and end nothing`() async throws {
      try await withParallaxd { node in
        try await AgentSocket.withConnection(port: node.port) { agent in
          let wrong = [
            (#"{"type":"#, "INVALID_MESSAGE"), ("[]", "INVALID_MESSAGE"), (#"{"type":"dance","id":"7","payload":{}}"#, "UNKNOWN_TYPE"),
            (#"{"type":"heartbeat","payload":{"metrics":\#(Self.deep)}}"#, "INVALID_MESSAGE"),
            (#"{"type":"heartbeat","payload":{"status":"\ud800"}}"#, "INVALID_MESSAGE"),
            (#"{"type":"register","payload":{"capabilities":"all"}}"#, "INVALID_MESSAGE"),
            (#"{"type":"register","payload":{"capabilities":[]}}"#, "INVALID_MESSAGE"),
            (#"{"type":"task_result","payload":{"taskId":"t","executionId":"e"}}"#, "NOT_REGISTERED"),
          ]
          for (text, code) in wrong {
            try await agent.send(text: text)
            let error: ControlPlaneMessage.ProtocolError = try await agent.receive("error")
            #expect(error.code == code, "\(text): \(error.message)")
            #expect(!error.fatal)
          }
          try await agent.send(.register(.init(capabilities: ["analysis"])), id: "1")
          _ = try await agent.receive("registered", ControlPlaneMessage.Registered.self)
        }
      }
    }

    @Test func `a result for a task that was never given changes nothing`() async throws {
      try await withParallaxd { node in
        try await node.apply(pattern("analyze"))
        try await AgentSocket.withConnection(port: node.port) { agent in
          try await agent.send(.register(.init(capabilities: ["analysis"])), id: "1")
          _ = try await agent.receive("registered", ControlPlaneMessage.Registered.self)
          let accepted = try await node.submit("analyze")
          let task: ControlPlaneMessage.Task = try await agent.receive("task")
          #expect(task.executionId == accepted.executionId)

          let forged = [("task_never", accepted.executionId), ("task_never", "exec_never"), (task.taskId, "exec_never")]
          for (taskID, executionID) in forged {
            try await agent.send(.taskResult(.init(taskId: taskID, executionId: executionID, result: "forged")), id: "2")
            let error: ControlPlaneMessage.ProtocolError = try await agent.receive("error")
            #expect(error.code == "UNKNOWN_TASK")
          }
          #expect(try await node.execution(accepted.executionId).status == .running)

          try await agent.send(.taskResult(.init(taskId: task.taskId, executionId: task.executionId, result: "real")), id: "3")
          let acknowledged: ControlPlaneMessage.ResultAck = try await agent.receive("result_ack")
          #expect(acknowledged.taskId == task.taskId)
          #expect(try await node.end(of: accepted.executionId).result == "real")
        }
      }
    }

    @Test func `an oversized message closes the connection with 1009`() async throws {
      try await withParallaxd { node in
        try await AgentSocket.withConnection(port: node.port) { agent in
          try await agent.send(.text, [], announcedLength: 2 << 20)
          #expect(try await agent.receive() == .close(code: 1009))
        }
      }
    }

    @Test func `frames that violate the protocol close the connection with 1002`() async throws {
      try await withParallaxd { node in
        try await AgentSocket.withConnection(port: node.port) { agent in
          try await agent.send(.text, Array("{}".utf8), masked: false)
          #expect(try await agent.receive() == .close(code: 1002))
        }
        try await AgentSocket.withConnection(port: node.port) { agent in
          try await agent.send(.continuation, Array("{}".utf8))
          #expect(try await agent.receive() == .close(code: 1002))
        }
      }
    }

    @Test(arguments: [false, true])
    func `a result right before a frame that violates the protocol is recorded`(onRedis: Bool) async throws {
      try await RedisServer.with { redis in
        try await withParallaxd(environment: onRedis ? ["PARALLAX_REDIS_URL": redis.url] : [:]) { node in
          try await node.apply(pattern("analyze"))
          let headers = ["X-Agent-Id": "agent-a"]
          let result = try await AgentSocket.withConnection(port: node.port, headers: headers) { agent in
            try await agent.send(.register(.init(capabilities: ["analysis"])), id: "1")
            _ = try await agent.receive("registered", ControlPlaneMessage.Registered.self)
            let accepted = try await node.submit("analyze")
            let task: ControlPlaneMessage.Task = try await agent.receive("task")
            let result = AgentMessage.TaskResult(taskId: task.taskId, executionId: accepted.executionId, result: "real")
            try await agent.send(.taskResult(result), id: "2")
            try await agent.send(.text, [0xff, 0xfe])
            return result
          }
          #expect(try await node.end(of: result.executionId).result == "real")
          // The acknowledgment may have been lost with the connection: the agent repeats its result.
          try await AgentSocket.withConnection(port: node.port, headers: headers) { agent in
            try await agent.send(.register(.init(capabilities: ["analysis"], activeTasks: [result.taskId])), id: "1")
            _ = try await agent.receive("registered", ControlPlaneMessage.Registered.self)
            try await agent.send(.taskResult(result), id: "2")
            let acknowledged: ControlPlaneMessage.ResultAck = try await agent.receive("result_ack")
            #expect(acknowledged.taskId == result.taskId)
          }
        }
      }
    }

    @Test func `a text that is not UTF-8 closes the connection with 1007`() async throws {
      try await withParallaxd { node in
        try await AgentSocket.withConnection(port: node.port) { agent in
          try await agent.send(.text, [0xff, 0xfe])
          #expect(try await agent.receive() == .close(code: 1007))
        }
      }
    }
  }
}
