import ParallaxAPI
import Testing

@testable import ParallaxServer

/// The files of the dashboard, and the session of a browser.
@Suite(.timeLimit(.minutes(1))) struct DashboardTests {
  private static let reader = "reader-key-of-a-test-0123456789"
  private static let agent = "agent-key-of-a-test-0123456789"

  private static let ring = KeyRing([
    KeyRing.Key(name: "reader", digest: KeyDigest(of: reader), scopes: [.execute]),
    KeyRing.Key(name: "agents", digest: KeyDigest(of: agent), scopes: [.agent]),
  ])

  private func withKeys(change: (inout HTTPServer.Configuration) -> Void = { _ in }, _ test: (RunningServer) async throws -> Void)
    async throws
  {
    try await RunningServer.with(
      change: {
        $0.keys = Self.ring
        change(&$0)
      }, test)
  }

  /// The value of `Cookie` that a browser sends after an answer.
  private func cookie(of answer: RunningServer.Answer) -> String {
    String(answer.headers["set-cookie"]?.prefix { $0 != ";" } ?? "")
  }

  private func logIn(_ server: RunningServer, _ key: String = reader) async throws -> RunningServer.Answer {
    try await server.send("POST", "/ui/session", headers: [("Authorization", "Bearer \(key)")])
  }

  @Test func thePageNeedsNoKeyAndRunsNothingForeign() async throws {
    try await withKeys { server in
      let page = try await server.send("GET", "/ui/")
      #expect(page.status == 200 && page.headers["content-type"] == "text/html; charset=utf-8")
      #expect(page.text.hasPrefix("<!doctype html>"))
      let policy = try #require(page.headers["content-security-policy"])
      #expect(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"))
      #expect(page.headers["x-content-type-options"] == "nosniff")
      #expect(try await server.send("GET", "/ui/missing.js").status == 401, "a path that is none is hidden, as everywhere")
    }
  }

  @Test func everyFileHasATypeAndIsNotSentTwice() async throws {
    try await RunningServer.with { server in
      #expect(DashboardFile.all.contains { $0.path.isEmpty })
      for file in DashboardFile.all {
        let first = try await server.send("GET", "/ui/\(file.path)")
        let tag = try #require(first.headers["etag"])
        #expect(first.status == 200 && first.headers["content-length"] == String(first.text.utf8.count) && !first.text.isEmpty)
        for known in [tag, "W/\(tag)", "\"other\", \(tag)"] {
          let second = try await server.send("GET", "/ui/\(file.path)", headers: [("If-None-Match", known)])
          #expect(second.status == 304 && second.text.isEmpty && second.headers["etag"] == tag, "\(file.path), \(known)")
        }
        let changed = try await server.send("GET", "/ui/\(file.path)", headers: [("If-None-Match", "\"other\"")])
        #expect(changed.status == 200)
      }
    }
  }

  @Test func browsersFindThePage() async throws {
    try await withKeys { server in
      try await server.connect { connection in
        try await connection.send("GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html,*/*;q=0.8\r\n\r\n")
        let answer = try await connection.response()
        #expect(answer.hasPrefix("HTTP/1.1 302") && answer.contains("\r\nLocation: /ui/\r\n"))
        try await connection.send("GET /ui HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        let folder = try await connection.response()
        #expect(folder.hasPrefix("HTTP/1.1 301") && folder.contains("\r\nLocation: /ui/\r\n"))
      }
      let other = try await server.send("GET", "/")
      #expect(other.status == 200 && other.text.contains("GET /ui/"))
    }
  }

  @Test func aLogInOpensTheAPIAndALogOutClosesIt() async throws {
    try await withKeys { server in
      let before = try await server.send("GET", "/ui/session")
      #expect(before.status == 200 && before.text.contains(#""scopes":[]"#))
      let answer = try await logIn(server)
      #expect(answer.status == 204)
      let attributes = try #require(answer.headers["set-cookie"]).split(separator: ";").map { $0.drop { $0 == " " } }
      #expect(attributes.contains("HttpOnly") && attributes.contains("SameSite=Strict") && attributes.contains("Path=/"))
      #expect(!attributes.contains("Secure"), "a browser would not send it back over HTTP")
      let headers = [("Cookie", "other=1; \(cookie(of: answer))")]
      let session = try await server.send("GET", "/ui/session", headers: headers)
      #expect(session.text.contains(#""scopes":["read","execute"]"#) && session.text.contains(#""node":"node-1""#))
      #expect(try await server.send("GET", "/api/agents", headers: headers).status == 200)
      #expect(try await server.send("POST", "/ha/pause", headers: headers, body: "{}").status == 403)
      let out = try await server.send("DELETE", "/ui/session", headers: headers)
      #expect(out.status == 204 && out.headers["set-cookie"]?.contains("Max-Age=0") == true)
      #expect(cookie(of: out) == "parallax_session=")
      #expect(try await server.send("GET", "/api/agents", headers: [("Cookie", cookie(of: out))]).status == 401)
    }
  }

  @Test func aWrongKeyGetsNoCookie() async throws {
    try await withKeys { server in
      let wrong = try await logIn(server, Self.reader + "x")
      #expect(wrong.status == 401 && wrong.headers["set-cookie"] == nil && !wrong.text.contains(Self.reader))
      let agent = try await logIn(server, Self.agent)
      #expect(agent.status == 403 && agent.headers["set-cookie"] == nil)
      let none = try await server.send("POST", "/ui/session")
      #expect(none.status == 401)
    }
  }

  @Test func theCookieIsSecureBehindAProxyWithTLS() async throws {
    try await withKeys { server in
      for (forwarded, isSecure) in [("https", true), ("HTTPS, http", true), ("http", false), ("http, https", false)] {
        let headers = [("Authorization", "Bearer \(Self.reader)"), ("X-Forwarded-Proto", forwarded)]
        let answer = try await server.send("POST", "/ui/session", headers: headers)
        #expect(answer.headers["set-cookie"]?.hasSuffix("; Secure") == isSecure, "\(forwarded)")
      }
    }
  }

  @Test func theCookieServesNoPageOfAnotherOrigin() async throws {
    try await withKeys(change: { $0.allowedOrigins = ["http://console.example.org"] }) { server in
      let cookie = cookie(of: try await logIn(server))
      func status(origin: String) async throws -> Int {
        try await server.send("GET", "/api/agents", headers: [("Cookie", cookie), ("Origin", origin)]).status
      }
      #expect(try await status(origin: "http://127.0.0.1:\(server.port)") == 200)
      #expect(try await status(origin: "http://console.example.org") == 401, "an allowed origin brings credentials of its own")
      #expect(try await status(origin: "http://127.0.0.1:1") == 403)
    }
  }

  @Test func anEmptyCookieHidesNoOther() async throws {
    try await withKeys { server in
      let cookie = cookie(of: try await logIn(server))
      #expect(try await server.send("GET", "/api/agents", headers: [("Cookie", "parallax_session=; \(cookie)")]).status == 200)
    }
  }

  @Test func aLogInRefusesWhatNoCookieHolds() async throws {
    // Without access control any header reaches the route.
    try await RunningServer.with { server in
      for key in [String(repeating: "a", count: 3_801), "a;Domain=example.org", "a,b"] {
        let answer = try await logIn(server, key)
        #expect(answer.status == 400 && answer.headers["set-cookie"] == nil, "\(key.prefix(32))")
      }
      let token = "\(String(repeating: "a", count: 700)).\(String(repeating: "b", count: 700)).cc"
      #expect(cookie(of: try await logIn(server, token)) == "parallax_session=\(token)")
    }
  }

  @Test func theCookieConnectsNoAgents() async throws {
    try await withKeys { server in
      let text = try await server.connect { connection in
        try await connection.send(FrontChannelFixture.handshake(headers: "Cookie: parallax_session=\(Self.agent)\r\n"))
        return try await connection.response()
      }
      #expect(text.hasPrefix("HTTP/1.1 401"))
    }
  }

  @Test func aHeaderCountsBeforeTheCookie() async throws {
    try await withKeys { server in
      let cookie = cookie(of: try await logIn(server))
      let headers = [("Cookie", cookie), ("Authorization", "Bearer \(Self.agent)")]
      #expect(try await server.send("GET", "/api/agents", headers: headers).status == 403)
    }
  }

  @Test func eventsAreStreamedInTheFormatOfBrowsers() async throws {
    try await RunningServer.with { server in
      let answer = try await server.send("GET", "/api/events?channels=agent,cluster", headers: [("Last-Event-ID", "a-1")])
      #expect(answer.status == 200 && answer.headers["content-type"] == "text/event-stream")
      #expect(answer.headers["cache-control"] == "no-store")
      #expect(
        answer.text == """
          retry: 2000
          event: hello
          data: {"nodeId":"node-1"}

          event: agent
          id: a-1
          data: {}

          event: cluster
          id: a-1
          data: {}

          :

          """)
      let wrong = try await server.send("GET", "/api/events?channels=agents")
      #expect(wrong.status == 400 && wrong.error?.message == "channels: expected some of execution, agent, cluster, found agents")
    }
  }

  @Test func aStreamEndsWithTheServer() async throws {
    var plane = FakeControlPlane()
    let (stream, continuation) = AsyncStream.makeStream(of: ServerSentEvent.self)
    defer { continuation.finish() }
    plane.source = { stream }
    try await RunningServer.with(controlPlane: plane) { server in
      try await server.connect { connection in
        try await connection.send("GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try await connection.until("retry: 2000")
        await server.stop()
        #expect(try await connection.untilEnd().hasSuffix("0\r\n\r\n"), "the response is whole")
      }
    }
  }
}
