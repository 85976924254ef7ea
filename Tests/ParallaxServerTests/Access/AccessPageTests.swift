import Foundation
import NIOSSL
import ParallaxAPI
import TestSupport
import Testing

@testable import ParallaxServer

/// Holds the tables of docs/operations/access.md against a server: every declared route, with every kind of credentials.
@Suite(.timeLimit(.minutes(3))) struct AccessPageTests {
  private static let columns = ["no key", "wrong key", "other certificate"] + AccessScope.allCases.map(\.rawValue)

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

  /// A certificate whose identity has one scope is answered as a key with that scope; a key beside a certificate counts alone.
  @Test(arguments: [false, true])
  func everyRouteAnswersEveryCertificateAsThePageSays(protectStatus: Bool) async throws {
    var table = try Self.table(behind: "Who may call what")
    if protectStatus { table.merge(try Self.table(behind: "Metrics and status")) { $1 } }
    let certificates = try await TestCertificates()
    var callers: [(column: String, tls: NIOSSLContext, header: String?)] = try [
      ("no key", Self.client(of: certificates), nil), ("other certificate", Self.client(of: certificates, certificates.client), nil),
    ]
    for scope in AccessScope.allCases {
      let identity = try await certificates.issue(scope.rawValue, names: "URI:\(Self.identity(scope))")
      callers.append((scope.rawValue, try Self.client(of: certificates, identity), nil))
      if scope == .admin { callers.append(("wrong key", try Self.client(of: certificates, identity), "Bearer \(Self.key("wrong"))")) }
    }
    let tls = try Self.server(of: certificates, verification: .optionalVerification)
    try await RunningServer.with(change: { ($0.tls, $0.keys, $0.protectStatus) = (tls, Self.ring, protectStatus) }) { server in
      for route in Self.declarations {
        let expected = try #require(table[Self.name(route)], "\(Self.name(route))")
        for caller in callers {
          let answer = try await answer(of: server, to: route, route.method, caller.header, tls: caller.tls)
          #expect(answer == expected[caller.column], "\(Self.name(route)), \(caller.column), protectStatus: \(protectStatus)")
        }
      }
    }
  }

  /// `security.mtls.clientAuth: require`: without a certificate there is no connection, not even for a probe or with a key.
  @Test func whereCertificatesAreRequiredNobodyIsAnsweredWithoutOne() async throws {
    let certificates = try await TestCertificates()
    let tls = try Self.server(of: certificates, verification: .noHostnameVerification)
    try await RunningServer.with(change: { ($0.tls, $0.keys) = (tls, Self.ring) }) { server in
      let header = "Bearer \(Self.key("admin"))"
      let health = try #require(Self.declarations.first { $0.path == "/health" })
      for route in Self.declarations {
        for identity in [nil, certificates.wrong] {
          let client = try Self.client(of: certificates, identity)
          let answer = try? await answer(of: server, to: route, route.method, header, tls: client)
          #expect(answer == nil, "\(Self.name(route))")
        }
      }
      let client = try Self.client(of: certificates, certificates.client)
      #expect(try await answer(of: server, to: health, "GET", nil, tls: client) == "yes")
    }
  }

  private static func identity(_ scope: AccessScope) -> String { "spiffe://example.org/\(scope.rawValue)" }

  private static func server(of certificates: TestCertificates, verification: CertificateVerification) throws -> ServerTLS {
    var settings = TLSConfiguration.makeServerConfiguration(
      certificateChain: try NIOSSLCertificate.fromPEMFile(certificates.server.certificate).map { .certificate($0) },
      privateKey: .privateKey(try NIOSSLPrivateKey(file: certificates.server.key, format: .pem)))
    settings.trustRoots = .file(certificates.authority)
    settings.certificateVerification = verification
    let scopes = AccessScope.allCases.map { (identity($0), Set([$0])) }
    return try ServerTLS(settings, identities: ClientIdentities(Dictionary(uniqueKeysWithValues: scopes)))
  }

  private static func client(of certificates: TestCertificates, _ identity: TestCertificates.Identity? = nil) throws -> NIOSSLContext {
    var settings = TLSConfiguration.makeClientConfiguration()
    settings.trustRoots = .file(certificates.authority)
    settings.certificateVerification = .noHostnameVerification
    if let identity {
      settings.certificateChain = try NIOSSLCertificate.fromPEMFile(identity.certificate).map { .certificate($0) }
      settings.privateKey = .privateKey(try NIOSSLPrivateKey(file: identity.key, format: .pem))
    }
    return try NIOSSLContext(configuration: settings)
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

  private struct NoAnswer: Error {}

  /// `yes`, or the status of a refusal.
  private func answer(
    of server: RunningServer, to route: RouteDeclaration, _ method: String, _ header: String?, tls: NIOSSLContext? = nil
  ) async throws -> String {
    let path = route.path.replacing(/:[a-z]+/, with: "x")
    let headers = header.map { "Authorization: \($0)\r\n" } ?? ""
    let request =
      path == WebSocketHandshake.path
      ? FrontChannelFixture.handshake(headers: headers)
      : "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\(headers)\r\n"
    let response = try await server.connect(tls: tls) { connection in
      try await connection.send(request)
      // The response to HEAD announces the length of a body that does not follow.
      return try await method == "HEAD" ? connection.untilEnd() : connection.response()
    }
    guard response.hasPrefix("HTTP/1.1 ") else { throw NoAnswer() }
    let status = response.dropFirst("HTTP/1.1 ".count).prefix(3)
    if status == "401" { #expect(response.contains("\r\nWWW-Authenticate: Bearer") || response.contains("\r\nwww-authenticate: Bearer")) }
    return ["401", "403"].contains(status) ? String(status) : "yes"
  }
}
