import Dispatch
import Foundation
import NIOCore
import NIOPosix
import ParallaxAPI
import Testing

@testable import ParallaxServer

@Suite struct HTTPServerTests {
  private func post(_ body: String, _ headers: String = "") -> String {
    "POST /api/patterns/p/execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\(headers)\r\n\(body)"
  }

  @Test func answersPipelinedRequestsOfAllKindsInTheirOrder() async throws {
    try await RunningServer.with { server in
      try await server.connect { connection in
        let get = { FrontChannelFixture.get($0) }
        try await connection.send(
          get("/api/agents/a1") + get("/health") + post("{}") + get("/nothing") + get("/api/agents/a2") + get("/health/live"))
        let answers = [
          try await connection.response(), try await connection.response(), try await connection.response(),
          try await connection.response(), try await connection.response(), try await connection.response(),
        ]
        for (answer, part) in zip(answers, ["\"a1\"", "health", "completed", "NOT_FOUND", "\"a2\"", "live"]) {
          #expect(answer.contains(part), "\(answer)")
        }
      }
    }
  }

  @Test func becomesAWebSocketAfterRoutedRequests() async throws {
    let gateway = RecordingGateway.echo()
    try await RunningServer.with(gateway: gateway) { server in
      try await server.connect { connection in
        try await connection.send(FrontChannelFixture.get("/api/agents"))
        #expect(try await connection.response().hasPrefix("HTTP/1.1 200"))
        try await connection.send(post("{}"))
        #expect(try await connection.response().hasPrefix("HTTP/1.1 200"))
        try await connection.send(Array(FrontChannelFixture.handshake().utf8) + ClientFrame.text("early"))
        #expect(try await connection.response().hasPrefix("HTTP/1.1 101"))
        #expect(try await connection.frame() == .text("early"))
        for index in 0..<100 {
          try await connection.send(ClientFrame.text("message \(index)"))
          #expect(try await connection.frame() == .text("message \(index)"))
        }
        try await connection.send(ClientFrame.close(1000))
        #expect(try await connection.frame()?.closeCode == 1000)
        #expect(try await connection.frame() == nil, "the server ends the connection")
      }
      await gateway.waitFor { $0 == .closed(.closedByAgent(code: .normal, reason: "")) }
    }
  }

  @Test func becomesAWebSocketBehindAPipelinedRoutedRequest() async throws {
    try await RunningServer.with { server in
      try await server.connect { connection in
        try await connection.send(
          Array((FrontChannelFixture.get("/api/agents") + FrontChannelFixture.handshake()).utf8) + ClientFrame.text("early"))
        #expect(try await connection.response().hasPrefix("HTTP/1.1 200"))
        #expect(try await connection.response().hasPrefix("HTTP/1.1 101"))
        #expect(try await connection.frame() == .text("early"))
      }
    }
  }

  @Test func sendsFromAnyThread() async throws {
    let gateway = RecordingGateway()
    try await RunningServer.with(gateway: gateway) { server in
      try await server.connect { connection in
        try await connection.send(FrontChannelFixture.handshake())
        #expect(try await connection.response().hasPrefix("HTTP/1.1 101"))
        let agent = try #require(gateway.connections.first)
        await withTaskGroup(of: Void.self) { group in
          for sender in 0..<4 {
            group.addTask { for index in 0..<500 { agent.send(ByteBuffer(string: "\(sender) \(index)")) } }
          }
        }
        var next = [0, 0, 0, 0]
        for _ in 0..<2000 {
          let frame = try #require(try await connection.frame())
          let parts = String(decoding: frame.payload, as: UTF8.self).split(separator: " ").compactMap { Int($0) }
          #expect(parts[1] == next[parts[0]], "each sender's messages keep their order")
          next[parts[0]] += 1
        }
      }
    }
  }

  @Test func boundsBodies() async throws {
    try await RunningServer.with(change: { $0.limits.requestBody = 1000 }) { server in
      let long = #"{"input":""# + String(repeating: "x", count: 2000) + #""}"#
      let declared = try await server.connect { connection in
        try await connection.send(post(long))
        return try await connection.untilEnd()
      }
      let chunked = try await server.connect { connection in
        try await connection.send("POST /api/patterns/p/execute HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in 0..<20 { try await connection.send("64\r\n\(String(repeating: "y", count: 100))\r\n") }
        return try await connection.untilEnd()
      }
      for answer in [declared, chunked] {
        #expect(answer.hasPrefix("HTTP/1.1 413 "), "\(answer)")
        #expect(answer.contains("PAYLOAD_TOO_LARGE") && answer.lowercased().contains("connection: close"))
      }
    }
  }

  @Test func answersAMalformedBody() async throws {
    try await RunningServer.with { server in
      let answer = try await server.connect { connection in
        try await connection.send(
          "POST /api/patterns/p/execute HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        return try await connection.untilEnd()
      }
      #expect(answer.hasPrefix("HTTP/1.1 400 ") && answer.contains("VALIDATION_ERROR"), "\(answer)")
      #expect(answer.components(separatedBy: "HTTP/1.1").count == 2, "one answer")
    }
  }

  @Test func answersATruncatedBody() async throws {
    try await RunningServer.with { server in
      let answer = try await server.connect { connection in
        try await connection.send(post("{}").replacing("Content-Length: 2", with: "Content-Length: 10"))
        connection.finish()
        return try await connection.untilEnd()
      }
      #expect(answer.hasPrefix("HTTP/1.1 400 "), "\(answer)")
    }
  }

  @Test func answersAClientThatClosedItsOutput() async throws {
    try await RunningServer.with { server in
      let answer = try await server.connect { connection in
        try await connection.send(post("{}"))
        connection.finish()
        return try await connection.untilEnd()
      }
      #expect(answer.hasPrefix("HTTP/1.1 200 ") && answer.contains("completed"), "\(answer)")
    }
  }

  @Test func endsConnectionsOfHTTP10() async throws {
    try await RunningServer.with { server in
      let answer = try await server.connect { connection in
        try await connection.send("GET /api/agents HTTP/1.0\r\n\r\n")
        return try await connection.untilEnd()
      }
      #expect(answer.hasPrefix("HTTP/1.1 200 ") && answer.lowercased().contains("connection: close"))
    }
  }

  @Test func answersAnExpectationWithContinue() async throws {
    try await RunningServer.with { server in
      try await server.connect { connection in
        try await connection.send(
          "POST /api/patterns/p/execute HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        #expect(try await connection.response() == "HTTP/1.1 100 Continue\r\n\r\n")
        try await connection.send("{}")
        #expect(try await connection.response().hasPrefix("HTTP/1.1 200"))
      }
    }
  }

  @Test func staysHTTPWhenARoutedRequestAsksForAnotherProtocol() async throws {
    try await RunningServer.with { server in
      try await server.connect { connection in
        try await connection.send(
          post("{}", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n") + FrontChannelFixture.get("/api/agents"))
        #expect(try await connection.response().contains("completed"))
        #expect(try await connection.response().contains("\"agents\""))
      }
    }
  }

  @Test func protectsItselfUntilAccessIsConfigured() async throws {
    try await RunningServer.with(change: { $0.host = "0.0.0.0" }) { server in
      for path in ["/api/agents", "/api/events", "/nothing"] {
        let answer = try await server.send("GET", path)
        #expect(answer.status == 403 && answer.error?.message.contains("protected mode") == true)
      }
      for path in ["/health", "/health/live", "/health/ready", "/metrics", "/", "/ui/", "/ui/session"] {
        #expect(try await server.send("GET", path).status == 200)
      }
      let handshake = try await server.connect { connection in
        try await connection.send(FrontChannelFixture.handshake())
        return try await connection.response()
      }
      #expect(handshake.hasPrefix("HTTP/1.1 403 "))
    }
  }

  @Test func refusesPagesOfOtherOrigins() async throws {
    try await RunningServer.with { server in
      let cases = [
        ("Origin", "http://evil.example", 403), ("Host", "evil.example", 403), ("Origin", "http://127.0.0.1:\(server.port)", 200),
      ]
      for (name, value, status) in cases {
        let answer = try await server.send("POST", "/api/patterns/p/execute", headers: [(name, value)])
        #expect(answer.status == status, "\(name): \(value)")
      }
    }
  }

  // MARK: Stopping

  @Test(.timeLimit(.minutes(1))) func finishesRequestsAndWaitsForAgentsWhenItStops() async throws {
    let (began, beganContinuation) = AsyncStream<Void>.makeStream()
    let (proceed, proceedContinuation) = AsyncStream<Void>.makeStream()
    let (stopped, stoppedContinuation) = AsyncStream<Void>.makeStream()
    let controlPlane = FakeControlPlane(execute: { _ in
      beganContinuation.finish()
      for await _ in proceed {}
      return .finished(FakeControlPlane.document(status: .completed))
    })
    let gateway = RecordingGateway()
    try await RunningServer.with(controlPlane: controlPlane, gateway: gateway, onStopAccepting: { stoppedContinuation.finish() }) {
      server in
      try await server.connect { agent in
        try await agent.send(FrontChannelFixture.handshake())
        _ = try await agent.response()
        try await server.connect { client in
          try await client.send(post("{}"))
          for await _ in began {}
          await server.stop()
          for await _ in stopped {}
          await server.untilNothingIsAccepted()
          proceedContinuation.finish()
          let answer = try await client.untilEnd()
          #expect(answer.hasPrefix("HTTP/1.1 200 ") && answer.lowercased().contains("connection: close"))
        }
        try #require(gateway.connections.first).close(code: .goingAway, reason: "drained")
        #expect(try await agent.frame()?.closeCode == 1001)
      }
    }
  }

  /// A proxy has sent a request by then, and does not send it to another node.
  @Test(.timeLimit(.minutes(1))) func servesConnectionsThatWaitToBeAcceptedWhenItStops() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    try await RunningServer.with(group: group) { server in
      let isHeld = DispatchSemaphore(value: 0)
      group.next().execute { isHeld.wait() }
      try await withThrowingTaskGroup(of: String.self) { clients in
        let (sent, sentContinuation) = AsyncStream<Void>.makeStream()
        for _ in 0..<30 {
          clients.addTask {
            try await server.connect { client in
              try await client.send(post("{}"))
              sentContinuation.yield()
              return try await client.untilEnd()
            }
          }
        }
        var arrivals = sent.makeAsyncIterator()
        for _ in 0..<30 { await arrivals.next() }
        async let stopped: Void = server.stop()
        isHeld.signal()
        await stopped
        for try await answer in clients { #expect(answer.hasPrefix("HTTP/1.1 200 ")) }
      }
    }
    try await group.shutdownGracefully()
  }

  @Test func closesRemainingConnectionsAfterTheDrainTimeout() async throws {
    let gateway = RecordingGateway()
    try await RunningServer.with(gateway: gateway, change: { $0.closeTimeout = .milliseconds(50) }) { server in
      try await server.connect { agent in
        try await agent.send(FrontChannelFixture.handshake())
        _ = try await agent.response()
        await server.stop()
        #expect(try await agent.frame()?.closeCode == 1001)
      }
    }
  }

  @Test func reportsWhyItCannotListen() async throws {
    try await RunningServer.with { first in
      let error = await #expect(throws: HTTPServerError.self) {
        try await RunningServer.with(change: { $0.port = first.port }) { _ in }
      }
      #expect(error?.code == .bindFailed)
      #expect(
        error.map { "\($0)" } == "cannot listen on 127.0.0.1:\(first.port): Address already in use; stop the process that listens there, "
          + "or set another server.port")
    }
  }

  @Test(arguments: [
    (EACCES, "Permission denied; set server.port"), (EADDRNOTAVAIL, "this machine has no such address; set server.host"),
    (EMFILE, "Too many open files; set"),
  ])
  func eachReasonNotToListenReadsDifferently(code: Int32, reason: String) {
    let error = HTTPServerError.bindFailed(host: "::1", port: 80, IOError(errnoCode: code, reason: "bind"))
    #expect(error.description.hasPrefix("cannot listen on [::1]:80: \(reason)"), "\(error)")
    #expect(!error.description.contains("("), "\(error)")
  }
}
