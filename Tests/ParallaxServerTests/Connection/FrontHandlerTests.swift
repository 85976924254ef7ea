import Foundation
import NIOCore
import NIOEmbedded
import ParallaxAPI
import Testing

@testable import ParallaxServer

@Suite struct FrontHandlerTests {
  typealias Fixture = FrontChannelFixture

  // MARK: Probes

  @Test func answersProbesWithoutARouter() throws {
    let fixture = try Fixture()
    try fixture.send(Fixture.get("/health/live"))
    let text = fixture.takeText()
    #expect(text.hasPrefix("HTTP/1.1 200 OK\r\ndate: "))
    #expect(text.hasSuffix(" GMT\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nlive"))
    try fixture.send(Fixture.get("/api/health/ready?verbose=1"))
    #expect(fixture.takeText().hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
    try fixture.send(Fixture.get("/api/metrics", headers: "Accept: application/openmetrics-text\r\n"))
    #expect(fixture.takeText().contains("content-type: application/openmetrics-text\r\n"))
    #expect(fixture.channel.isActive)
  }

  @Test func answersPipelinedRequestsInTheirOrder() throws {
    let fixture = try Fixture()
    try fixture.send(Fixture.get("/health/live") + Fixture.get("/metrics") + Fixture.get("/ws/agent") + Fixture.get("/health"))
    let bodies = fixture.takeText().components(separatedBy: "HTTP/1.1 ").dropFirst().map { $0.prefix(3) }
    #expect(bodies == ["200", "200", "426", "200"])
  }

  @Test func answersHEADWithTheLengthAndWithoutTheBody() throws {
    let fixture = try Fixture()
    try fixture.send("HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    #expect(fixture.takeText().hasSuffix("\r\ncontent-length: 6\r\n\r\n"))
  }

  @Test func refusesOtherMethodsOnProbes() throws {
    let fixture = try Fixture()
    try fixture.send("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi" + Fixture.get("/health"))
    let text = fixture.takeText()
    #expect(text.hasPrefix("HTTP/1.1 405 Method Not Allowed\r\n"))
    #expect(text.contains("Allow: GET, HEAD\r\n"))
    #expect(text.contains("METHOD_NOT_ALLOWED"))
    #expect(text.hasSuffix("\r\n\r\nhealth"), "the connection stays open")
  }

  @Test func endsTheConnectionWhenTheClientWantsItAndForHTTP10() throws {
    for head in ["HTTP/1.1\r\nHost: a\r\nConnection: close", "HTTP/1.0"] {
      let fixture = try Fixture()
      try fixture.send("GET /health \(head)\r\n\r\n")
      #expect(fixture.takeText().contains("\r\nconnection: close\r\n"))
      #expect(!fixture.channel.isActive)
    }
    let fixture = try Fixture()
    try fixture.send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    #expect(fixture.takeText().contains("\r\nconnection: keep-alive\r\n"))
    #expect(fixture.channel.isActive)
  }

  @Test func repeatsTheRequestIDOfTheClient() throws {
    let fixture = try Fixture()
    try fixture.send(Fixture.get("/health", headers: "X-Request-Id: abc-1\r\n"))
    #expect(fixture.takeText().contains("\r\nX-Request-Id: abc-1\r\n"))
    try fixture.send(Fixture.get("/ws/agent", headers: "X-Request-Id: abc-2\r\n"))
    let text = fixture.takeText()
    #expect(text.contains("\r\nX-Request-Id: abc-2\r\n"))
    #expect(text.contains(#""requestId":"abc-2""#))
  }

  @Test func waitsForTheRouterBeforeItReadsARequestForIt() throws {
    let fixture = try Fixture()
    try fixture.send(Fixture.get("/api/agents") + Fixture.get("/health"))
    #expect(fixture.takeText() == "", "a probe behind it has to wait")
    var negotiated: FrontHandler.Negotiated?
    fixture.negotiated.assumeIsolated().whenSuccess { negotiated = $0 }
    #expect(negotiated == .http)
  }

  // MARK: WebSocket

  @Test func becomesAWebSocketOnTheFirstRequestAndLeavesOneHandler() throws {
    let fixture = try Fixture()
    try fixture.send(
      Fixture.handshake(headers: "X-Agent-Id: agent_1\r\nX-Agent-Capabilities: a, b ,,c\r\n"))
    let response = fixture.takeText()
    #expect(response.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n"))
    #expect(response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
    let handshake = try #require(fixture.gateway.handshakes.first)
    #expect(response.contains("\r\nX-Connection-Id: \(handshake.connectionID)\r\n"))
    #expect(handshake.agentID == "agent_1")
    #expect(handshake.capabilities == ["a", "b", "c"])
    #expect(handshake.remoteAddress == "127.0.0.1")
    #expect(fixture.gateway.events == [.opened])
    #expect(throws: (any Error).self) { try fixture.channel.pipeline.syncOperations.handler(type: FrontHandler.self) }

    try fixture.send(ClientFrame.text("hello"))
    #expect(fixture.takeFrames() == [.text("hello")])
    #expect(fixture.gateway.events == [.opened, .received("hello")])
  }

  @Test func becomesAWebSocketOnTheThirdRequest() throws {
    let fixture = try Fixture()
    try fixture.send(Fixture.get("/health"))
    try fixture.send(Fixture.get("/ws/agent"))
    _ = fixture.takeText()
    try fixture.send(Fixture.handshake())
    #expect(fixture.takeText().hasPrefix("HTTP/1.1 101 "))
    try fixture.send(ClientFrame.text("hello"))
    #expect(fixture.takeFrames() == [.text("hello")])
  }

  @Test func becomesAWebSocketBehindPipelinedRequests() throws {
    let fixture = try Fixture()
    try fixture.send(Array((Fixture.get("/health") + Fixture.handshake()).utf8) + ClientFrame.text("early"))
    let parts = fixture.takeText().components(separatedBy: "HTTP/1.1 ")
    #expect(parts.count == 3 && parts[1].hasPrefix("200") && parts[2].hasPrefix("101"))
    #expect(fixture.gateway.events == [.opened, .received("early")])
  }

  @Test func keepsBytesBehindTheHandshake() throws {
    let frames = ClientFrame.text("one") + ClientFrame.text("two") + ClientFrame.text("three")
    let bytes = Array(Fixture.handshake().utf8) + frames
    for cut in (bytes.count - frames.count - 2)...bytes.count {
      let fixture = try Fixture()
      try fixture.channel.writeInbound(ByteBuffer(bytes: bytes[..<cut]))
      try fixture.send(Array(bytes[cut...]))
      #expect(fixture.gateway.events == [.opened, .received("one"), .received("two"), .received("three")], "cut at \(cut)")
      try fixture.collect()
      fixture.skipHead()
      #expect(fixture.takeFrames() == [.text("one"), .text("two"), .text("three")])
    }
  }

  @Test(arguments: [
    (APIError(.unauthorized, "no key"), "401"), (APIError(.forbidden, "no scope"), "403"), (APIError(.notReady, "draining"), "503"),
  ])
  func refusesAgentsThatTheGatewayRefusesAndContinues(error: APIError, status: String) throws {
    let fixture = try Fixture(gateway: RecordingGateway(refusal: error))
    try fixture.send(Fixture.handshake())
    let text = fixture.takeText()
    #expect(text.hasPrefix("HTTP/1.1 \(status) "))
    #expect(text.contains(#""code":"\#(error.code.rawValue)""#))
    try fixture.send(Fixture.get("/health"))
    #expect(fixture.takeText().hasSuffix("health"), "the connection is still HTTP")
    try fixture.send(Fixture.handshake() + Fixture.get("/health"))
    #expect(fixture.takeText().hasSuffix("health"), "also when requests are pipelined")
  }

  @Test(arguments: [
    ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", "426"), ("Sec-WebSocket-Version: 13", "X-Nothing: 1", "426"),
    ("dGhlIHNhbXBsZSBub25jZQ==", "short", "400"), ("Sec-WebSocket-Key: ", "X-Key: ", "400"), ("keep-alive, Upgrade", "keep-alive", "426"),
    ("Upgrade: websocket", "Upgrade: h2c", "426"), ("GET /ws", "POST /ws", "405"), ("Host: localhost:8080\r\n", "", "400"),
    ("localhost:8080", "evil.example", "403"), ("HTTP/1.1", "HTTP/1.0", "400"),
  ])
  func refusesBadHandshakes(part: String, replacement: String, status: String) throws {
    let fixture = try Fixture()
    try fixture.send(Fixture.handshake().replacingOccurrences(of: part, with: replacement))
    #expect(fixture.takeText().hasPrefix("HTTP/1.1 \(status) "))
    #expect(fixture.gateway.handshakes.isEmpty)
  }

  @Test(arguments: ["Origin: http://evil.example", "Origin: null", "X-Forwarded-Host: evil.example\r\nOrigin: http://evil.example"])
  func refusesPagesOfOtherOriginsAsAgents(headers: String) throws {
    let fixture = try Fixture()
    try fixture.send(Fixture.handshake(headers: headers + "\r\n"))
    #expect(fixture.takeText().hasPrefix("HTTP/1.1 403 "))
    #expect(fixture.gateway.handshakes.isEmpty)
    try fixture.send(Fixture.handshake(headers: "Origin: http://localhost:8080\r\n"))
    #expect(fixture.takeText().hasPrefix("HTTP/1.1 101 "))
  }

  @Test func namesTheVersionItSpeaks() throws {
    let fixture = try Fixture()
    try fixture.send(Fixture.handshake().replacingOccurrences(of: "Version: 13", with: "Version: 12"))
    #expect(fixture.takeText().contains("\r\nSec-WebSocket-Version: 13\r\n"))
  }

  @Test func answersInHTTPWhenAProbeAsksForAnotherProtocol() throws {
    let fixture = try Fixture()
    let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    try fixture.send(Fixture.get("/health", headers: upgrade) + Fixture.get("/metrics"))
    try fixture.send(Fixture.get("/health/live"))
    let text = fixture.takeText()
    #expect(text.contains("\r\n\r\nhealth"))
    #expect(text.contains("\r\n\r\nmetrics"))
    #expect(text.hasSuffix("\r\n\r\nlive"))
  }

  // MARK: Bad requests

  @Test(arguments: [
    "nonsense\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n bad header\r\n\r\n", "\u{16}\u{03}\u{01}\u{02}", "GET /\u{0}x HTTP/1.1\r\n\r\n",
  ])
  func answersMalformedHTTPAndCloses(text: String) throws {
    let fixture = try Fixture()
    try fixture.send(text)
    let answer = fixture.takeText()
    #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
    #expect(answer.contains("VALIDATION_ERROR") && answer.contains("connection: close"))
    #expect(!fixture.channel.isActive)
  }

  @Test func answersRequestsBeforeMalformedBytes() throws {
    let fixture = try Fixture()
    try fixture.send(Fixture.get("/health") + "nonsense\r\n\r\n")
    let text = fixture.takeText()
    #expect(text.hasPrefix("HTTP/1.1 200 OK"))
    #expect(text.contains("health" + "HTTP/1.1 400"))
  }

  @Test(arguments: [
    "GET /\(String(repeating: "a", count: 100)) HTTP/1.1\r\nHost: localhost\r\n", "CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n",
    "POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n",
    "POST /health HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n",
  ])
  func refusesAnUnknownUpgrade(head: String) throws {
    var limits = ConnectionLimits()
    limits.uriSize = 50
    limits.requestBody = 10
    let fixture = try Fixture(limits: limits)
    try fixture.send(head + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + Fixture.get("/health"))
    #expect(fixture.takeText().components(separatedBy: "HTTP/1.1 ").count == 2)
    #expect(!fixture.channel.isActive)
  }

  @Test func boundsTheSizesOfARequest() throws {
    var limits = ConnectionLimits()
    limits.uriSize = 100
    limits.headerFieldSize = 200
    limits.headerCount = 5
    limits.requestBody = 10
    let cases = [
      (Fixture.get("/" + String(repeating: "a", count: 100)), "414"), (Fixture.get("/" + String(repeating: "a", count: 300)), "431"),
      (Fixture.get("/health", headers: "X-Long: \(String(repeating: "b", count: 300))\r\n"), "431"),
      (Fixture.get("/health", headers: (0..<6).map { "X-\($0): 1\r\n" }.joined()), "431"),
      ("POST /api/patterns HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n", "413"),
    ]
    for (request, status) in cases {
      let fixture = try Fixture(limits: limits)
      try fixture.send(request)
      #expect(fixture.takeText().hasPrefix("HTTP/1.1 \(status) "))
      #expect(!fixture.channel.isActive)
    }
  }

  @Test func closesSilentConnections() throws {
    var limits = ConnectionLimits()
    limits.idleTimeout = .seconds(0)
    let fixture = try Fixture(limits: limits)
    fixture.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
    #expect(!fixture.channel.isActive)
  }

  // MARK: Requests that do not end

  private func advance(_ fixture: Fixture, _ time: TimeAmount) throws {
    fixture.channel.embeddedEventLoop.advanceTime(by: time)
    try fixture.collect()
  }

  @Test(arguments: [false, true]) func answersAHeadThatDripsAfterHalfAMinute(isSecond: Bool) throws {
    let fixture = try Fixture()
    try advance(fixture, .seconds(10))
    if isSecond {
      try fixture.send(Fixture.get("/health"))
      _ = fixture.takeText()
      try advance(fixture, .seconds(15))
    }
    try fixture.send("GET /health HTTP/1.1\r\nHost: localhost\r\n")
    for _ in 0..<29 {
      try advance(fixture, .seconds(1))
      try fixture.send("X")
    }
    try advance(fixture, .milliseconds(999))
    #expect(fixture.takeText() == "" && fixture.channel.isActive)
    try advance(fixture, .milliseconds(1))
    let text = fixture.takeText()
    #expect(text.hasPrefix("HTTP/1.1 408 ") && text.contains("\r\nconnection: close\r\n") && text.contains(#""code":"TIMEOUT""#), "\(text)")
    #expect(!fixture.channel.isActive)
  }

  /// Ten KiB earn ten seconds.
  @Test func aBodyHasTheTimeThatItsBytesEarn() throws {
    let fixture = try Fixture()
    try fixture.send("POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
    for _ in 0..<10 {
      try fixture.send(String(repeating: "x", count: 1_024))
      try advance(fixture, .seconds(3))
    }
    try advance(fixture, .milliseconds(9_999))
    #expect(fixture.takeText() == "" && fixture.channel.isActive)
    try advance(fixture, .milliseconds(1))
    #expect(fixture.takeText().hasPrefix("HTTP/1.1 408 "))
    #expect(!fixture.channel.isActive)
  }

  @Test func noBodyTakesLongerThanFiveMinutes() throws {
    let fixture = try Fixture()
    try fixture.send("POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n")
    for _ in 0..<299 {
      try fixture.send(String(repeating: "x", count: 4_096))
      try advance(fixture, .seconds(1))
    }
    #expect(fixture.takeText() == "" && fixture.channel.isActive)
    try advance(fixture, .seconds(1))
    #expect(fixture.takeText().hasPrefix("HTTP/1.1 408 "))
  }

  @Test func aBodyThatStopsIsNotAwaitedForThatTime() throws {
    let fixture = try Fixture()
    try fixture.send("POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n")
    for _ in 0..<100 { try fixture.send(String(repeating: "x", count: 4_096)) }
    try advance(fixture, .milliseconds(59_999))
    #expect(fixture.takeText() == "" && fixture.channel.isActive)
    try advance(fixture, .milliseconds(1))
    #expect(fixture.takeText().hasPrefix("HTTP/1.1 408 "))
  }

  @Test func anIdleConnectionIsClosedWithoutAnAnswerAfterAMinute() throws {
    let fixture = try Fixture()
    try fixture.send(Fixture.get("/health"))
    _ = fixture.takeText()
    try advance(fixture, .milliseconds(59_999))
    #expect(fixture.channel.isActive)
    try advance(fixture, .milliseconds(1))
    #expect(fixture.takeText() == "" && !fixture.channel.isActive)
  }

  // MARK: Stopping

  @Test func closesIdleConnectionsSoonAfterTheServerStops() throws {
    let fixture = try Fixture()
    fixture.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    #expect(fixture.channel.isActive, "a request may be on its way")
    fixture.channel.embeddedEventLoop.advanceTime(by: ConnectionLimits().stopGrace)
    #expect(!fixture.channel.isActive)
  }

  @Test func answersARequestInTransitWhenTheServerStops() throws {
    let fixture = try Fixture()
    try fixture.send(Fixture.get("/health"))
    _ = fixture.takeText()
    fixture.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    try fixture.send(Fixture.get("/health"))
    let text = fixture.takeText()
    #expect(text.hasSuffix("health") && text.contains("\r\nconnection: close\r\n"))
    #expect(!fixture.channel.isActive)
  }

  @Test func announcesTheEndOfTheConnectionWhileTheNodeLeaves() throws {
    let fixture = try Fixture(isLeaving: true)
    try fixture.send(Fixture.get("/health") + Fixture.get("/metrics"))
    let text = fixture.takeText()
    #expect(text.hasSuffix("health") && text.contains("\r\nconnection: close\r\n"))
    #expect(!fixture.channel.isActive)
  }

  // MARK: Back-pressure

  @Test func readsNoRequestWhileThePeerReadsNoResponses() throws {
    let fixture = try Fixture()
    fixture.channel.isWritable = false
    let requests = (0..<1_000).map { Fixture.get("/health?\($0)") }.joined()
    try fixture.send(requests)
    #expect(fixture.takeText() == "")
    fixture.channel.isWritable = true
    fixture.channel.pipeline.fireChannelWritabilityChanged()
    fixture.channel.embeddedEventLoop.run()
    try fixture.collect()
    #expect(fixture.takeText().components(separatedBy: "\r\n\r\nhealth").count == 1_001)
  }

  @Test func answersOnlyProbesBeyondTheLimitOfConnections() throws {
    let fixture = try Fixture(isBeyondLimit: true)
    try fixture.send(Fixture.get("/health") + Fixture.get("/api/agents"))
    let answers = fixture.takeText().components(separatedBy: "HTTP/1.1 ")
    try #require(answers.count == 3)
    #expect(answers[1].hasPrefix("200 "))
    #expect(answers[2].hasPrefix("503 ") && answers[2].contains("server.maxConnections") && answers[2].contains("Retry-After: 1"))
    #expect(!fixture.channel.isActive)
  }

  @Test func tellsATemporarilyRefusedAgentWhenToRetry() throws {
    let fixture = try Fixture(gateway: RecordingGateway(refusal: APIError(.notReady, "draining")))
    try fixture.send(Fixture.handshake())
    #expect(fixture.takeText().contains("\r\nRetry-After: 1\r\n"))
  }

  @Test func readsEveryAcceptHeader() throws {
    let fixture = try Fixture()
    try fixture.send(Fixture.get("/metrics", headers: "Accept: text/html\r\nAccept: application/openmetrics-text\r\n"))
    #expect(fixture.takeText().contains("content-type: text/html, application/openmetrics-text\r\n"))
  }
}
