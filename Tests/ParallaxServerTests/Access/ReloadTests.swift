import Foundation
import ParallaxAPI
import Testing

@testable import ParallaxServer

/// Other rules for a running server: they apply to the next request, and end the connections of agents that they would refuse.
@Suite(.timeLimit(.minutes(1))) struct ReloadTests {
  private static let first = "first-key-of-a-test-0123456789"
  private static let second = "second-key-of-a-test-0123456789"

  private static func ring(_ keys: (String, Set<AccessScope>)...) -> KeyRing {
    KeyRing(keys.enumerated().map { KeyRing.Key(name: "key-\($0.offset + 1)", digest: KeyDigest(of: $0.element.0), scopes: $0.element.1) })
  }

  private func status(_ server: RunningServer, _ key: String) async throws -> Int {
    try await server.send("GET", "/api/agents", headers: [("Authorization", "Bearer \(key)")]).status
  }

  /// The end of an agent's connection after other rules: the close code and its reason; nil if the agent can go on.
  private func end(
    of header: String?, before: @escaping @Sendable (inout HTTPServer.Configuration) -> Void,
    after: @escaping @Sendable (inout HTTPServer.Configuration) -> Void
  ) async throws -> String? {
    var end: String?
    try await RunningServer.with(change: before) { server in
      end = try await server.connect { connection -> String? in
        try await connection.send(FrontChannelFixture.handshake(headers: header.map { "Authorization: \($0)\r\n" } ?? ""))
        let response = try await connection.response()
        #expect(response.hasPrefix("HTTP/1.1 101 "), "\(response)")
        server.update(after)
        // The first message may be read before the event loop applies the rules, the second is not.
        for message in ["once", "twice"] {
          try await connection.send(ClientFrame.text(message))
          let frame = try await connection.frame()
          if frame == .text(message) { continue }
          return frame.map { "\($0.closeCode ?? 0) " + String(decoding: $0.payload.dropFirst(2), as: UTF8.self) }
        }
        return nil
      }
    }
    return end
  }

  @Test func keysChangeForTheNextRequestOfAnOpenConnection() async throws {
    try await RunningServer.with(change: { $0.keys = Self.ring((Self.first, [.read])) }) { server in
      #expect(try await status(server, Self.first) == 200)
      #expect(try await status(server, Self.second) == 401)
      server.update { $0.keys = Self.ring((Self.second, [.read])) }
      #expect(try await status(server, Self.first) == 401)
      #expect(try await status(server, Self.second) == 200)
      let open = try await server.send("GET", "/ha/status")
      #expect(open.status == 200, "open routes stay open")
    }
  }

  @Test func theRemovalOfAKeyEndsItsAgentsConnections() async throws {
    let header = "Bearer \(Self.first)"
    let before = { @Sendable (configuration: inout HTTPServer.Configuration) in
      configuration.keys = Self.ring((Self.first, [.agent]), (Self.second, [.read]))
    }
    let removed = try await end(of: header, before: before) { $0.keys = Self.ring((Self.second, [.agent])) }
    #expect(removed == "1008 the key key-1 may not connect agents any more")
    let restricted = try await end(of: header, before: before) { $0.keys = Self.ring((Self.first, [.read])) }
    #expect(restricted == "1008 the key key-1 may not connect agents any more")
    let kept = try await end(of: header, before: before) { $0.keys = Self.ring((Self.second, [.read]), (Self.first, [.agent, .read])) }
    #expect(kept == nil, "a key counts by itself, whatever its name and further scopes")
  }

  @Test func theFirstKeyOfANodeEndsTheConnectionsOfAgentsWithout() async throws {
    let closed = try await end(of: nil, before: { _ in }) { $0.keys = Self.ring((Self.first, [.agent])) }
    #expect(closed == "1008 everyone may not connect agents any more")
    let kept = try await end(of: nil, before: { _ in }) { $0.requestsPerMinute = 1 }
    #expect(kept == nil)
  }

  @Test func theRemovalOfATokensKeyEndsItsAgentsConnections() async throws {
    let (signer, other) = (try TokenSigner(.es256), try TokenSigner(.es256, id: "key-2"))
    func verifier(_ signers: TokenSigner..., rules: TokenVerifier.Rules = TokenSigner.rules) throws -> TokenVerifier {
      TokenVerifier(keys: try TokenKeys(jwks: JSON.text(["keys": JSONValue.array(signers.map(\.jwk))])), rules: rules)
    }
    let (both, alone, rotated) = (try verifier(signer, other), try verifier(signer), try verifier(other))
    var rules = TokenSigner.rules
    rules.audiences = ["other"]
    let stricter = try verifier(signer, rules: rules)
    let header = "Bearer \(try signer.token("worker", .agent))"
    rules.audiences.formUnion(TokenSigner.rules.audiences)
    rules.leeway = .seconds(60)
    let wider = try verifier(signer, rules: rules)
    rules.scopesClaim = "roles"
    let otherScopes = try verifier(signer, rules: rules)
    rules = TokenSigner.rules
    rules.algorithms = [.eddsa]
    let otherAlgorithm = try verifier(signer, rules: rules)
    for tokens in [alone, wider] {
      #expect(try await end(of: header, before: { $0.tokens = both }, after: { $0.tokens = tokens }) == nil)
    }
    for tokens in [rotated, stricter, otherScopes, otherAlgorithm, nil] {
      let closed = try await end(
        of: header, before: { $0.tokens = both },
        after: {
          $0.tokens = tokens
          $0.keys = Self.ring((Self.first, [.agent]))
        })
      #expect(closed == #"1008 the JWT "worker" may not connect agents any more"#)
    }
  }

  /// The head is admitted by the former rules, the end of the request arrives after the change.
  @Test func aHandshakeInProgressIsCheckedAgain() async throws {
    let handshake = FrontChannelFixture.handshake(headers: "Authorization: Bearer \(Self.first)\r\nContent-Length: 1\r\n")
    let gateway = RecordingGateway.echo()
    try await RunningServer.with(gateway: gateway, change: { $0.keys = Self.ring((Self.first, [.agent])) }) { server in
      try await server.connect { connection in
        try await connection.send(handshake)
        // The response to a probe shows that the server has read what was sent before.
        _ = try await server.send("GET", "/health")
        server.update { $0.keys = Self.ring((Self.second, [.agent])) }
        try await connection.send("x")
        let response = try await connection.response()
        #expect(response.hasPrefix("HTTP/1.1 401 "), "\(response)")
      }
    }
    #expect(gateway.handshakes.isEmpty)
  }

  @Test func limitsChangeAndAnUnchangedOneKeepsWhatWasUsed() async throws {
    let change = { @Sendable (configuration: inout HTTPServer.Configuration) in
      configuration.keys = Self.ring((Self.first, [.admin]))
      configuration.requestsPerMinute = 100
    }
    try await RunningServer.with(change: change) { server in
      func remaining(_ body: String? = nil) async throws -> (status: Int, remaining: String?) {
        let answer = try await server.send(
          "POST", "/ha/elect", headers: [("Authorization", "Bearer \(Self.first)")], body: body.map { #"{"x":"\#($0)"}"# })
        return (answer.status, answer.headers["ratelimit"])
      }
      #expect(try await remaining().remaining == #""requests";r=99;t=0"#)
      server.update(change)
      #expect(try await remaining().remaining == #""requests";r=98;t=0"#)
      server.update {
        change(&$0)
        $0.requestsPerMinute = 10
        $0.limits.requestBody = 1_024
      }
      #expect(try await remaining().remaining == #""requests";r=9;t=0"#)
      #expect(try await remaining(String(repeating: "a", count: 2_000)).status == 413)
      server.update {
        change(&$0)
        $0.requestsPerMinute = nil
        $0.limits.requestBody = 16 << 20
      }
      let large = try await remaining(String(repeating: "a", count: 9 << 20))
      #expect(large.status == 400 && large.remaining == nil, "read in full, and refused for its member")
    }
  }
}
