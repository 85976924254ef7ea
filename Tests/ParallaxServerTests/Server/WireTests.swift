import Foundation
import NIOCore
import ParallaxAPI
import Synchronization
import Testing

@testable import ParallaxServer

/// The bytes on a connection, by RFC 9110, RFC 9112 and the rules of browsers.
@Suite(.timeLimit(.minutes(1))) struct WireTests {
  /// Sends bytes, ends the output, and returns the whole response.
  private func exchange(
    _ text: String, change: @Sendable (inout HTTPServer.Configuration) -> Void = { _ in }, isLeaving: Bool = false
  ) async throws -> String {
    var answer = ""
    try await RunningServer.with(change: change, isLeaving: { isLeaving }) { server in
      answer = try await server.connect { connection in
        try await connection.send(text)
        connection.finish()
        return try await connection.untilEnd()
      }
    }
    return answer
  }

  private func statuses(_ answer: String) -> [String] {
    answer.components(separatedBy: "HTTP/1.1 ").dropFirst().map { String($0.prefix(3)) }
  }

  private func get(_ path: String, _ headers: String = "") -> String {
    "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(headers)\r\n"
  }

  // MARK: Pipelining

  @Test func answersAllPipelinedRequestsAfterTheEndOfTheInput() async throws {
    #expect(statuses(try await exchange(get("/health") + get("/health") + get("/health"))) == ["200", "200", "200"])
    let mixed = get("/api/agents") + get("/health") + get("/nothing") + get("/api/agents") + get("/metrics")
    #expect(statuses(try await exchange(mixed)) == ["200", "200", "404", "200", "200"])
    // An incomplete request at the end is answered too, with an error.
    #expect(statuses(try await exchange(get("/health") + get("/api/agents") + "GET /health HT")) == ["200", "200", "400"])
  }

  @Test func answersAllRoutedRequestsAfterTheEndOfTheInput() async throws {
    try await RunningServer.with { server in
      try await server.connect { connection in
        try await connection.send(get("/api/agents"))
        #expect(try await connection.response().hasPrefix("HTTP/1.1 200 "))
        try await connection.send(get("/api/agents/a") + get("/api/agents/b") + get("/health") + get("/api/agents/c"))
        connection.finish()
        let answers = try await connection.untilEnd()
        #expect(statuses(answers) == ["200", "200", "200", "200"] && answers.contains(#""id":"c""#), "\(answers)")
      }
    }
  }

  @Test(.timeLimit(.minutes(1))) func readsPipelinedRequestsAsFastAsTheirResponsesAreRead() async throws {
    let count = 2_000
    let answered = Mutex(0)
    let body = ByteBuffer(repeating: UInt8(ascii: "x"), count: 32 * 1024)
    try await RunningServer.with(
      probes: { _, _ in
        answered.withLock { $0 += 1 }
        return ProbeAnswer(status: 200, contentType: "text/plain", body: body)
      }
    ) { server in
      try await server.connect { connection in
        // A few bytes each, so all requests arrive long before the responses of 66 MB are read.
        try await connection.send(String(repeating: get("/metrics"), count: count))
        var mostAhead = 0
        for index in 0..<count {
          #expect(try await connection.response().hasPrefix("HTTP/1.1 200 "))
          mostAhead = max(mostAhead, answered.withLock { $0 } - index)
        }
        // The capacity of sockets and buffers, several megabytes.
        #expect(mostAhead < count / 2, "\(mostAhead) answers were ahead of the reader")
        #expect(answered.withLock { $0 } == count)
      }
    }
  }

  // MARK: HEAD and Expect

  @Test func sendsNoBodyToHEADWithAnyStatus() async throws {
    let paths = ["/nothing", "/api/patterns/p/execute", "/api/executions?limit=0", "/api/agents/a", "/health", "/ws/agent", "/metrics?x"]
    let requests = paths.map { get($0).replacing("GET", with: "HEAD") }.joined() + get("/health/live")
    let answer = try await exchange(requests)
    let parts = answer.components(separatedBy: "\r\n\r\n")
    #expect(statuses(answer) == ["404", "405", "400", "200", "200", "405", "200", "200"])
    #expect(parts.count == 9 && parts[8] == "live")
    #expect(parts.prefix(7).allSatisfy { $0.hasPrefix("HTTP/1.1 ") && !$0.lowercased().contains("content-length: 0") }, "\(answer)")
  }

  @Test(arguments: [
    ("POST /health", "", "405"), ("GET /health", "", "200"), ("POST /ws/agent", "", "405"),
    ("POST /api/patterns/p/execute", "evil.example", "403"),
    ("POST /api/patterns/p/execute", "a b", "400"),
  ])
  func answersAtOnceARequestWhoseBodyIsNotRead(line: String, host: String, status: String) async throws {
    try await RunningServer.with { server in
      let answer = try await server.connect { connection in
        let host = host.isEmpty ? "localhost" : host
        try await connection.send("\(line) HTTP/1.1\r\nHost: \(host)\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        return try await connection.untilEnd()
      }
      #expect(statuses(answer) == [status] && answer.lowercased().contains("connection: close"), "\(answer)")
    }
  }

  @Test func refusesOtherExpectations() async throws {
    #expect(statuses(try await exchange(get("/api/agents", "Expect: wonders\r\n"))) == ["417"])
  }

  // MARK: Targets, hosts and methods

  @Test(arguments: [
    ("GET http://localhost/health HTTP/1.1\r\nHost: other\r\n\r\n", "200"), ("GET HTTP://localhost:80 HTTP/1.1\r\nHost: x\r\n\r\n", "200"),
    ("GET http://localhost/api/agents?status=idle HTTP/1.1\r\nHost: localhost\r\n\r\n", "200"),
    ("GET http://evil.example/api/agents HTTP/1.1\r\nHost: localhost\r\n\r\n", "403"),
    ("GET http:///api/agents HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"), ("GET api/agents HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"),
    ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"), ("GET /health HTTP/1.1\r\n\r\n", "400"),
    ("GET /health HTTP/1.0\r\n\r\n", "200"),
    ("GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"), ("GET /health HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
    ("GET /metrics HTTP/1.1\r\nHost: a@b\r\n\r\n", "400"), ("GET /health HTTP/1.1\r\nHost: any.example\r\n\r\n", "200"),
    ("GET /api/agents HTTP/1.1\r\nHost: 127.0.0.1:abc\r\n\r\n", "400"), ("GET /api/agents HTTP/1.1\r\nHost: [::1]name\r\n\r\n", "400"),
    ("GET /api/agents HTTP/1.1\r\nHost:\tlocalhost\t\r\n\r\n", "200"), ("GET /api/%61gents HTTP/1.1\r\nHost: localhost\r\n\r\n", "200"),
    ("GET /%68ealth HTTP/1.1\r\nHost: localhost\r\n\r\n", "200"), ("GET /api/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"),
    ("GET /api/agents/%2Fa%41 HTTP/1.1\r\nHost: localhost\r\n\r\n", "200"), ("PROPFIND / HTTP/1.1\r\nHost: localhost\r\n\r\n", "501"),
    ("BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", "501"), ("TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", "405"),
    ("CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", "501"), ("PATCH /api/agents HTTP/1.1\r\nHost: localhost\r\n\r\n", "405"),
    ("POST /api/agents HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"),
    ("POST /api/agents HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
  ])
  func readsRequestsAsTheRFCsSpecify(request: String, status: String) async throws {
    let answer = try await exchange(request)
    #expect(statuses(answer) == [status], "\(answer)")
  }

  @Test(arguments: ["GET /api/agents", "GET /health", "POST /nothing"])
  func boundsUnreadBodies(line: String) async throws {
    let request =
      "\(line) HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
      + String(repeating: "64\r\n\(String(repeating: "y", count: 100))\r\n", count: 20)
    try await RunningServer.with(change: { $0.limits.requestBody = 1_000 }) { server in
      let answer = try await server.connect { connection in
        try await connection.send(request)
        return try await connection.untilEnd()
      }
      // A route that reads no body has already answered; in both cases nothing further is read.
      #expect(["413", "200", "404"].contains(statuses(answer).first ?? ""), "\(answer)")
      #expect(statuses(answer).count == 1)
    }
  }

  // MARK: Web pages

  private let console = "https://console.example.org"

  private func withConsole(_ configuration: inout HTTPServer.Configuration) {
    configuration.allowedOrigins = ["https://console.example.org"]
  }

  @Test func letsAPageOfAnAllowedOriginUseTheAPI() async throws {
    let preflight = try await exchange(
      "OPTIONS /api/patterns/p/execute HTTP/1.1\r\nHost: localhost\r\nOrigin: \(console)\r\nAccess-Control-Request-Method: POST\r\n"
        + "Access-Control-Request-Headers: content-type, x-request-id\r\n\r\n", change: withConsole)
    #expect(preflight.hasPrefix("HTTP/1.1 204 ") && !preflight.lowercased().contains("content-length"))
    for header in [
      "Access-Control-Allow-Origin: \(console)", "Access-Control-Allow-Headers: content-type, x-request-id", "Vary: Origin",
      "Access-Control-Allow-Methods: GET, HEAD, POST",
    ] {
      #expect(preflight.contains("\r\n\(header)"), "\(preflight)")
    }
    let requests = ["/api/agents", "/nothing", "/health", "/api/executions?limit=x"].map { get($0, "Origin: \(console)\r\n") }.joined()
    let answers = try await exchange(requests, change: withConsole).components(separatedBy: "HTTP/1.1 ").dropFirst()
    #expect(answers.map { $0.prefix(3) } == ["200", "404", "200", "400"])
    #expect(answers.allSatisfy { $0.lowercased().contains("\r\naccess-control-allow-origin: \(console)\r\n") }, "\(answers)")
  }

  @Test func hidesResponsesFromAPageOfAnotherOrigin() async throws {
    let evil = "Origin: https://evil.example\r\n"
    let answer = try await exchange(
      "OPTIONS /api/agents HTTP/1.1\r\nHost: localhost\r\n\(evil)Access-Control-Request-Method: GET\r\n\r\n" + get("/api/agents", evil)
        + get("/health", evil), change: withConsole)
    #expect(statuses(answer) == ["403", "403", "200"])
    #expect(!answer.lowercased().contains("access-control-allow-origin"))
  }

  @Test func acceptsTheHostOfATrustedProxy() async throws {
    let request = get("/api/agents", "Origin: https://parallax.example.org\r\nX-Forwarded-Host: parallax.example.org\r\n")
    #expect(statuses(try await exchange(request)) == ["403"])
    let trusting: @Sendable (inout HTTPServer.Configuration) -> Void = {
      $0.trustedProxies = [IPNetwork("127.0.0.0/8")].compactMap(\.self)
      $0.knownHosts = ["parallax.example.org"]
    }
    #expect(statuses(try await exchange(request, change: trusting)) == ["200"])
    let trustingOthers: @Sendable (inout HTTPServer.Configuration) -> Void = {
      $0.trustedProxies = [IPNetwork("10.0.0.0/8")].compactMap(\.self)
      $0.knownHosts = ["parallax.example.org"]
    }
    #expect(statuses(try await exchange(request, change: trustingOthers)) == ["403"])
  }

  // MARK: Connections

  @Test func refusesConnectionsBeyondTheLimitExceptForProbes() async throws {
    try await RunningServer.with(change: { $0.limits.connections = 1 }) { server in
      try await server.connect { first in
        try await first.send(get("/api/agents"))
        #expect(try await first.response().hasPrefix("HTTP/1.1 200 "))
        let answer = try await server.connect { second in
          try await second.send(get("/health") + get("/api/agents"))
          return try await second.untilEnd()
        }
        #expect(statuses(answer) == ["200", "503"] && answer.contains("server.maxConnections"), "\(answer)")
        try await first.send(get("/api/agents"))
        #expect(try await first.response().hasPrefix("HTTP/1.1 200 "))
      }
    }
  }

  @Test func endsConnectionsWithTheirResponsesWhileTheNodeLeaves() async throws {
    for path in ["/api/agents", "/health", "/nothing"] {
      try await RunningServer.with(isLeaving: { true }) { server in
        let answer = try await server.connect { connection in
          try await connection.send(get(path))
          return try await connection.untilEnd()
        }
        #expect(answer.lowercased().contains("\r\nconnection: close\r\n"), "\(answer)")
      }
    }
  }

  // MARK: JSON

  @Test func refusesDeepBodiesAndUnknownMembersByName() async throws {
    let deep = #"{"input":"# + String(repeating: "[", count: 4_000) + String(repeating: "]", count: 4_000) + "}"
    for (body, part) in [
      (deep, "arrays and objects may be nested 64 deep at most"),
      (#"{"inptu":{}}"#, "inptu: there is no such member; known are input, options"),
      (#"{"input":1,"input":2}"#, "given twice"), (#"{"input":"\ud800"}"#, "half of a surrogate pair"),
      (#"{"options":{"priority":"urgent"}}"#, "expected one of low, normal, high"),
    ] {
      let answer = try await exchange(
        "POST /api/patterns/p/execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
      #expect(statuses(answer) == ["400"] && answer.contains(part), "\(answer)")
    }
  }
}
