import ParallaxAPI
import Testing

@testable import ParallaxServer

@Suite struct APITests {
  @Test func answersEveryRoute() async throws {
    try await RunningServer.with { server in
      let cases = [
        ("GET", "/", 200, "\"metrics\""), ("POST", "/api/patterns/p/execute", 200, #""status":"completed""#),
        ("POST", "/api/patterns/p/execute?async=true", 202, #""statusUrl":"/api/executions/exec_1""#),
        ("GET", "/api/executions?status=failed&pattern=x&limit=7&offset=2", 200, #""limit":7,"offset":2"#),
        ("GET", "/api/executions?cursor=exec_01kcz5xq2r0123456789abcdef", 200, #""nextCursor":"exec_01kcz5xq2r0123456789abcdef""#),
        ("GET", "/api/executions/exec_9", 200, #""executionId":"exec_9""#), ("POST", "/api/executions/exec_9/cancel", 200, "cancelled"),
        ("GET", "/api/patterns?limit=3", 200, #""limit":3"#), ("POST", "/api/patterns", 201, #""created":true"#),
        ("POST", "/api/patterns?dryRun=true", 200, #""changed":true"#), ("GET", "/api/patterns/p/versions", 200, #""versions":[{"#),
        ("GET", "/api/patterns/a%2Db?version=2.0.0", 200, #""name":"a-b""#),
        ("GET", "/api/agents?status=busy&capabilities=a,b", 200, #""capabilities":["a","b"]"#),
        ("GET", "/api/agents/agent_3", 200, "agent_3"), ("POST", "/api/agents/agent_3/disconnect", 200, #""disconnected":true"#),
        ("GET", "/ha/status", 200, #""clusterId":"default""#), ("POST", "/ha/stepdown", 200, #""term":2"#),
        ("POST", "/ha/elect", 200, #""milliseconds":5"#), ("POST", "/ha/pause", 200, #""paused":true"#),
        ("POST", "/ha/resume", 200, #""paused":false"#), ("GET", "/health", 200, "health"), ("GET", "/api/metrics", 200, "metrics"),
      ]
      for (method, path, status, part) in cases {
        let answer = try await server.send(method, path, body: method == "POST" ? "{}" : nil)
        #expect(answer.status == status, "\(method) \(path)")
        #expect(answer.text.contains(part), "\(method) \(path): \(answer.text)")
      }
    }
  }

  @Test func answersHEADLikeGET() async throws {
    try await RunningServer.with { server in
      let answer = try await server.send("HEAD", "/api/agents/agent_3")
      #expect(answer.status == 200 && answer.text.isEmpty)
      let length = try #require(answer.headers["content-length"].flatMap { Int($0) })
      #expect(length > 0)
    }
  }

  @Test func namesTheFaultsOfABody() async throws {
    try await RunningServer.with { server in
      let cases = [
        ("{\"input\":\n tru}", "line 2"), (#"{"input": 1"#, "JSON"), (#"{"options": {"timeout": "soon"}}"#, "options.timeout"),
        (#"{"options": {"priority": "urgent"}}"#, "options.priority"), (#"{"options": 5}"#, "options"), ("[]", "an object"),
        (#"{"options": {"idempotencyKey": 7}}"#, "options.idempotencyKey: expected a string"),
      ]
      for (body, part) in cases {
        let answer = try await server.send("POST", "/api/patterns/p/execute", body: body)
        #expect(answer.status == 400, "\(body)")
        let error = try #require(answer.error, "\(answer.text)")
        #expect(error.code == "VALIDATION_ERROR")
        #expect(error.message.contains(part), "\(body): \(error.message)")
      }
    }
  }

  @Test func acceptsJSONWithAnyContentType() async throws {
    try await RunningServer.with { server in
      for type in ["application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded"] {
        let answer = try await server.send("POST", "/api/patterns/p/execute", headers: [("Content-Type", type)], body: #"{"input":"in"}"#)
        #expect(answer.status == 200 && answer.text.contains(#""input":"in""#))
      }
      let answer = try await server.send(
        "POST", "/api/patterns", headers: [("Content-Type", "Application/X-YAML ; charset=utf-8")], body: "name: x")
      #expect(answer.text.contains(#""name":"application/x-yaml""#))
    }
  }

  @Test func answersErrorsWithTheirStatusAndDocument() async throws {
    try await RunningServer.with { server in
      let cases = [
        ("GET", "/nothing", 404, "NOT_FOUND"), ("GET", "/api/executions/", 200, ""),
        ("POST", "/api/patterns/unknown/execute", 404, "NOT_FOUND"),
        ("GET", "/api/executions/broken", 500, "INTERNAL_ERROR"), ("GET", "/api/executions?limit=x", 400, "VALIDATION_ERROR"),
        ("DELETE", "/api/agents/1", 405, "METHOD_NOT_ALLOWED"),
        ("PUT", "/api/patterns/x/execute", 405, "METHOD_NOT_ALLOWED"), ("GET", "/ws/agent", 426, "UPGRADE_REQUIRED"),
      ]
      for (method, path, status, code) in cases {
        let answer = try await server.send(method, path, headers: [("X-Request-Id", "my-id")])
        #expect(answer.status == status, "\(method) \(path): \(answer.text)")
        #expect(answer.headers["x-request-id"] == "my-id")
        if !code.isEmpty {
          #expect(answer.error?.code == code)
          #expect(answer.text.contains(#""requestId":"my-id""#))
        }
      }
      #expect(try await server.send("DELETE", "/api/patterns").headers["allow"] == "GET, HEAD, POST")
      #expect(try await server.send("GET", "/nothing").headers["x-request-id"]?.hasPrefix("req_") == true)
      #expect(!(try await server.send("GET", "/api/executions/broken").text.contains("Failure")), "what failed inside is for the log")
    }
  }

  @Test func refusesPathsThatAreNotPercentEncoded() async throws {
    try await RunningServer.with { server in
      try await server.connect { connection in
        try await connection.send(FrontChannelFixture.get("/api/executions/%zz"))
        let answer = try await connection.response()
        #expect(answer.hasPrefix("HTTP/1.1 400 ") && answer.contains("percent-encoded"))
      }
    }
  }

  @Test func answersUnstartedExecutionsWithTheStatusOfTheirError() async throws {
    let cases: [(ExecutionStatus, ExecutionFailure?, Int)] = [
      (.failed, ExecutionFailure(code: "NO_AGENTS", message: ""), 503), (.timedOut, ExecutionFailure(code: "TIMEOUT", message: ""), 408),
      (.failed, ExecutionFailure(code: "TASK_FAILED", message: ""), 200), (.cancelled, nil, 200),
    ]
    for (status, failure, expected) in cases {
      let controlPlane = FakeControlPlane(execute: { _ in .finished(FakeControlPlane.document(status: status, error: failure)) })
      try await RunningServer.with(controlPlane: controlPlane) { server in
        let answer = try await server.send("POST", "/api/patterns/p/execute")
        #expect(answer.status == expected)
      }
    }
  }
}
