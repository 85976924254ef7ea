import Foundation
import Logging
import ParallaxAPI
import Synchronization
import Testing

@testable import ParallaxServer

/// Keys on connections: which caller gets which answer, and what is logged.
@Suite(.timeLimit(.minutes(1))) struct AuthenticationTests {
  private static let reader = "reader-key-of-a-test-0123456789"
  private static let operatorKey = "operator-key-of-a-test-0123456789"
  private static let agent = "agent-key-of-a-test-0123456789"

  private static let ring = KeyRing([
    KeyRing.Key(name: "reader", digest: KeyDigest(of: reader), scopes: [.read]),
    KeyRing.Key(name: "operator", digest: KeyDigest(of: operatorKey), scopes: [.admin]),
    KeyRing.Key(name: "agents", digest: KeyDigest(of: agent), scopes: [.agent]),
  ])

  private func withServer(logger: Logger? = nil, _ test: (RunningServer) async throws -> Void) async throws {
    try await RunningServer.with(change: { $0.keys = Self.ring }, logger: logger, test)
  }

  private func bearer(_ key: String) -> [(String, String)] { [("Authorization", "Bearer \(key)")] }

  @Test func aRefusalSaysWhatIsMissing() async throws {
    try await withServer { server in
      let without = try await server.send("GET", "/api/agents")
      #expect(without.status == 401 && without.error?.code == "UNAUTHORIZED")
      #expect(without.headers["www-authenticate"] == #"Bearer realm="parallax""#)
      #expect(without.error?.message.contains("Authorization: Bearer KEY") == true)
      let wrong = try await server.send("GET", "/api/agents", headers: bearer(Self.reader + "x"))
      #expect(wrong.status == 401 && wrong.headers["www-authenticate"]?.contains("invalid_token") == true)
      #expect(!wrong.text.contains(Self.reader), "the key is not repeated")
      let basic = try await server.send("GET", "/api/agents", headers: [("Authorization", "Basic cmVhZGVyOng=")])
      #expect(basic.status == 401 && basic.headers["www-authenticate"]?.contains("invalid_request") == true)
      let less = try await server.send("POST", "/ha/stepdown", headers: bearer(Self.reader))
      #expect(less.status == 403 && less.error?.code == "FORBIDDEN")
      #expect(less.error?.message == "The request needs the scope admin; the key reader has read.")
      #expect(less.error?.details == ["scope": "admin"])
      #expect(less.headers["www-authenticate"]?.contains(#"scope="admin""#) == true)
    }
  }

  @Test func unknownPathsAndMethodsAreHiddenFromCallersWithoutKeys() async throws {
    try await withServer { server in
      let cases = [
        ("GET", "/nothing", 404), ("DELETE", "/api/agents", 405), ("POST", "/ha/status", 405), ("GET", "//ha/status", 200),
      ]
      for (method, path, status) in cases {
        let without = try await server.send(method, path)
        #expect(without.status == 401, "\(method) \(path)")
        let with = try await server.send(method, path, headers: bearer(Self.agent))
        #expect(with.status == status, "\(method) \(path)")
      }
      #expect(try await server.send("GET", "/ha/status/").status == 200, "a slash at the end means nothing")
    }
  }

  /// The escaped spellings of a path have its access.
  @Test(arguments: [
    "/ha/%73tepdown", "/h%61/stepdown", "/ha/stepdown/", "/ha//stepdown", "/ha/stepdown?to=x", "http://localhost/ha/stepdown",
  ])
  func otherSpellingsOfAPathHaveItsAccess(path: String) async throws {
    try await withServer { server in
      try await server.connect { connection in
        for (key, status) in [(nil, "401"), (Self.reader, "403"), (Self.agent, "403")] {
          let header = key.map { "Authorization: Bearer \($0)\r\n" } ?? ""
          try await connection.send("POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\(header)\r\n")
          #expect(try await connection.response().hasPrefix("HTTP/1.1 \(status) "), "\(path) \(key ?? "")")
        }
      }
    }
  }

  @Test func eachRequestOfAConnectionHasItsOwnPrincipal() async throws {
    try await withServer { server in
      try await server.connect { connection in
        let keys = [Self.reader, nil, Self.operatorKey, Self.agent, nil, Self.operatorKey, Self.reader]
        let requests = keys.map { key in
          "POST /ha/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n" + (key.map { "Authorization: Bearer \($0)\r\n" } ?? "")
            + "\r\n"
        }
        try await connection.send(requests.joined())
        var statuses: [Substring] = []
        for _ in requests { statuses.append(try await connection.response().dropFirst(9).prefix(3)) }
        #expect(statuses == ["403", "401", "200", "403", "401", "200", "403"])
      }
    }
  }

  @Test func anAgentNeedsItsScopeOnAnyRequestOfAConnection() async throws {
    let gateway = RecordingGateway.echo()
    try await RunningServer.with(gateway: gateway, change: { $0.keys = Self.ring }) { server in
      try await server.connect { connection in
        for (key, status) in [(nil, "401"), (Self.agent + "x", "401"), (Self.operatorKey, "403"), (Self.agent, "101")] {
          let header = key.map { "Authorization: Bearer \($0)\r\n" } ?? ""
          try await connection.send(FrontChannelFixture.handshake(headers: header))
          let response = try await connection.response()
          #expect(response.hasPrefix("HTTP/1.1 \(status) "), "\(response)")
          if status == "403" { #expect(response.contains(#""code":"FORBIDDEN""#) && response.contains("the scope agent")) }
          if status == "401" { #expect(response.contains(#""code":"UNAUTHORIZED""#)) }
        }
        try await connection.send(ClientFrame.text("hello"))
        #expect(try await connection.frame() == .text("hello"))
      }
    }
    #expect(gateway.handshakes.count == 1)
  }

  @Test func aNodeWithKeysServesOnAnyAddress() throws {
    var access = AccessGuard(isLoopback: false, keys: Self.ring)
    #expect(!access.isProtected)
    access.keys = KeyRing()
    #expect(access.isProtected)
  }

  @Test func hostAndOriginAreCheckedBesideTheKey() async throws {
    try await withServer { server in
      let key = bearer(Self.operatorKey)
      let foreign = try await server.send("GET", "/api/agents", headers: key + [("Origin", "http://evil.example")])
      #expect(foreign.status == 403)
      let own = try await server.send("GET", "/api/agents", headers: key + [("Origin", "http://127.0.0.1:\(server.port)")])
      #expect(own.status == 200)
    }
  }

  @Test func administrativeActionsAreLogged() async throws {
    let log = RecordedLog()
    try await withServer(logger: log.logger(level: .notice)) { server in
      for key in [Self.operatorKey, Self.reader] {
        _ = try await server.send("POST", "/api/agents/agent_1/disconnect", headers: bearer(key) + [("X-Request-Id", "id-1")])
      }
      _ = try await server.send("POST", "/ha/elect", headers: bearer(Self.operatorKey), body: "{")
      _ = try await server.send("GET", "/api/agents", headers: bearer(Self.operatorKey))
    }
    #expect(
      log.lines == [
        "administrative action action=POST /api/agents/agent_1/disconnect address=127.0.0.1 principal=the key operator requestId=id-1 result=200",
        "administrative action action=POST /api/agents/agent_1/disconnect address=127.0.0.1 principal=the key reader requestId=id-1 result=FORBIDDEN",
        "administrative action action=POST /ha/elect address=127.0.0.1 principal=the key operator requestId=* result=VALIDATION_ERROR",
      ])
  }

  @Test func theLogOfActionsHasTheAddressThatTrustedProxiesTell() async throws {
    let log = RecordedLog()
    let change = { @Sendable (configuration: inout HTTPServer.Configuration) in
      configuration.keys = Self.ring
      configuration.trustedProxies = [IPNetwork("127.0.0.1"), IPNetwork("10.0.0.0/8")].compactMap(\.self)
    }
    let key = bearer(Self.operatorKey)
    try await RunningServer.with(change: change, logger: log.logger(level: .notice)) { server in
      for forwarded in ["192.0.2.7", "192.0.2.6, 192.0.2.7:4711, 10.1.1.1", "10.0.0.1", "unknown"] {
        _ = try await server.send("POST", "/ha/pause", headers: key + [("X-Forwarded-For", forwarded)])
      }
      _ = try await server.send("POST", "/ha/pause", headers: key)
      server.update {
        $0.keys = Self.ring
        $0.trustedProxies = []
      }
      _ = try await server.send("POST", "/ha/pause", headers: key + [("X-Forwarded-For", "192.0.2.7")])
    }
    let addresses = log.lines.map { $0.split(separator: " ").first { $0.hasPrefix("address=") }.map { String($0.dropFirst(8)) } ?? "" }
    #expect(addresses == ["192.0.2.7", "192.0.2.7", "127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"])
  }

  @Test func keysReachNoLog() async throws {
    let log = RecordedLog()
    try await withServer(logger: log.logger(level: .trace)) { server in
      for key in [Self.operatorKey, Self.operatorKey + "x"] {
        for path in ["/ha/pause", "/api/agents", "/nothing"] { _ = try await server.send("POST", path, headers: bearer(key)) }
      }
    }
    #expect(log.lines.contains { $0.contains("/ha/pause") } && !log.lines.contains { $0.contains(Self.operatorKey) })
  }
}

/// A log in memory, one text per line; ids that the server makes are written as `*`.
final class RecordedLog: Sendable {
  private let recorded = Mutex<[String]>([])

  var lines: [String] { recorded.withLock { $0 } }

  func logger(level: Logger.Level) -> Logger {
    var logger = Logger(label: "test") { _ in Handler(log: self) }
    logger.logLevel = level
    return logger
  }

  private struct Handler: LogHandler {
    let log: RecordedLog
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let all = metadata.merging(event.metadata ?? [:]) { _, last in last }
      let pairs = all.sorted { $0.key < $1.key }.map { " \($0.key)=\("\($0.value)".hasPrefix("req_") ? "*" : "\($0.value)")" }
      log.recorded.withLock { $0.append("\(event.message)" + pairs.joined()) }
    }
  }
}
