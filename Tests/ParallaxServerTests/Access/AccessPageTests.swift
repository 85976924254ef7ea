import Foundation
import ParallaxAPI
import Testing

@testable import ParallaxServer

/// Holds the tables of docs/operations/access.md against a server: every declared route, with every kind of credentials.
@Suite(.timeLimit(.minutes(3))) struct AccessPageTests {
  private static let columns = ["no key", "wrong key"] + AccessScope.allCases.map(\.rawValue)

  /// The callers of a column, each with the `Authorization` header that it sends: a key and a token have the same answers.
  private static func callers(_ signer: TokenSigner) throws -> [(column: String, header: String?)] {
    let expired = TokenSigner.claims("alice", "admin", at: Timestamp(milliseconds: 0))
    let wrong: [(String, String?)] = try [
      ("no key", nil), ("wrong key", "Bearer \(key("wrong"))"), ("wrong key", "Bearer \(signer.token(expired))"),
      ("wrong key", "Bearer \(TokenSigner(signer.algorithm).token("alice", .admin))"),
    ]
    return try wrong
      + AccessScope.allCases.flatMap { scope in
        try [(scope.rawValue, "Bearer \(key(scope.rawValue))"), (scope.rawValue, "Bearer \(signer.token("alice", scope))")]
      }
  }

  private static let ring = KeyRing(
    AccessScope.allCases.map { KeyRing.Key(name: $0.rawValue, digest: KeyDigest(of: key($0.rawValue)), scopes: [$0]) })

  private static func key(_ name: String) -> String { "key-of-a-test-\(name)-0123456789" }

  private static let declarations = RouteDeclaration.all(
    APIRoutes(service: FakeControlPlane(), protectStatus: false, bodyLimit: RequestBodyLimit(1_024)))

  /// A table's rows: for each route the answer to each caller, `yes` or a status.
  private static func table(behind heading: String) throws -> [String: [String: String]] {
    let page = URL(filePath: #filePath).appending(path: "../../../../docs/operations/access.md").standardized
    let text = try String(contentsOf: page, encoding: .utf8)
    let section = try #require(text.components(separatedBy: "\n## ").first { $0.hasPrefix(heading + "\n") }, "no section \(heading)")
    let rows = section.split(separator: "\n").filter { $0.hasPrefix("| ") }.map { row in
      row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    }
    let head = try #require(rows.first)
    #expect(head.dropFirst() == columns[...])
    var table: [String: [String: String]] = [:]
    for row in rows.dropFirst() {
      let cells = Dictionary(uniqueKeysWithValues: zip(columns, row.dropFirst()))
      for route in row[0].matches(of: /`([^`]+)`/) { table[String(route.1)] = cells }
    }
    return table
  }

  private static func name(_ route: RouteDeclaration) -> String {
    if isFile(route) { return "GET /ui/{file}" }
    return "\(route.method) "
      + route.path.split(separator: "/", omittingEmptySubsequences: false)
      .map { $0.hasPrefix(":") ? "{\($0.dropFirst())}" : String($0) }.joined(separator: "/")
  }

  private static func isFile(_ route: RouteDeclaration) -> Bool { DashboardFile.all.contains { route.path == "/ui/\($0.path)" } }

  @Test func thePageHasEveryRoute() throws {
    let documented = try Self.table(behind: "Who may call what").keys.sorted()
    #expect(documented == Set(Self.declarations.map(Self.name)).sorted())
  }

  @Test(arguments: [false, true])
  func everyRouteAnswersEveryCallerAsThePageSays(protectStatus: Bool) async throws {
    var table = try Self.table(behind: "Who may call what")
    if protectStatus { table.merge(try Self.table(behind: "Metrics and status")) { $1 } }
    let signer = try TokenSigner(.es256)
    let tokens = TokenVerifier(keys: try TokenKeys(jwks: TokenSigner.jwks(signer)), rules: TokenSigner.rules)
    let callers = try Self.callers(signer)
    let change = { @Sendable (configuration: inout HTTPServer.Configuration) in
      configuration.keys = Self.ring
      configuration.tokens = tokens
      configuration.protectStatus = protectStatus
    }
    try await RunningServer.with(change: change) { server in
      for route in Self.declarations {
        let expected = try #require(table[Self.name(route)], "\(Self.name(route))")
        for caller in callers {
          for method in route.method == "GET" && route.path != WebSocketHandshake.path ? ["GET", "HEAD"] : [route.method] {
            let answer = try await answer(of: server, to: route, method, caller.header)
            #expect(answer == expected[caller.column], "\(method) \(route.path), \(caller.column), protectStatus: \(protectStatus)")
          }
        }
      }
    }
  }

  @Test func withoutKeysEveryRouteAnswersEverybody() async throws {
    try await RunningServer.with(change: { $0.protectStatus = true }) { server in
      for route in Self.declarations {
        let answer = try await answer(of: server, to: route, route.method, nil)
        #expect(answer == "yes", "\(route)")
      }
    }
  }

  @Test(arguments: [false, true])
  func inProtectedModeOnlyOpenRoutesAnswer(protectStatus: Bool) throws {
    var access = AccessGuard(isLoopback: false, protectStatus: protectStatus)
    access.open(Self.declarations)
    for route in Self.declarations {
      let fixture = try FrontChannelFixture(access: access)
      try fixture.send("\(route.method) \(route.path) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(Self.key("admin"))\r\n\r\n")
      let isRefused = fixture.takeText().contains("protected mode")
      #expect(isRefused == (route.access.scope(protectStatus: protectStatus) != nil), "\(route)")
    }
  }

  /// `yes`, or the status of a refusal.
  private func answer(of server: RunningServer, to route: RouteDeclaration, _ method: String, _ header: String?) async throws -> String {
    let path = route.path.replacing(/:[a-z]+/, with: "x")
    let headers = header.map { "Authorization: \($0)\r\n" } ?? ""
    let request =
      path == WebSocketHandshake.path
      ? FrontChannelFixture.handshake(headers: headers)
      : "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\(headers)\r\n"
    let response = try await server.connect { connection in
      try await connection.send(request)
      // The response to HEAD announces the length of a body that does not follow.
      return try await method == "HEAD" ? connection.untilEnd() : connection.response()
    }
    let status = response.dropFirst("HTTP/1.1 ".count).prefix(3)
    if status == "401" { #expect(response.contains("\r\nWWW-Authenticate: Bearer") || response.contains("\r\nwww-authenticate: Bearer")) }
    return ["401", "403"].contains(status) ? String(status) : "yes"
  }
}
