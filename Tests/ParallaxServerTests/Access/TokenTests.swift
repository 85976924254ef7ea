import Foundation
import ParallaxAPI
import Testing

@testable import ParallaxServer

/// Bearer tokens: which are accepted, as whom, and what the others are told.
@Suite struct TokenTests {
  private static let now = Timestamp(milliseconds: 1_800_000_000_000)
  private static let seconds = now.milliseconds / 1_000

  private func verifier(
    _ signers: TokenSigner..., rules: TokenVerifier.Rules = TokenSigner.rules, capacity: Int = 10_000
  ) throws -> TokenVerifier {
    let jwks = try JSON.text(["keys": JSONValue.array(signers.map(\.jwk))])
    return TokenVerifier(keys: try TokenKeys(jwks: jwks), rules: rules, capacity: capacity)
  }

  private func outcome(_ token: String, _ verifier: TokenVerifier, at now: Timestamp = now) -> Result<Principal, TokenFault> {
    Result { () throws(TokenFault) in try verifier.holder(of: token[...], at: now).principal }
  }

  private func claims(_ changes: [String: JSONValue?] = [:]) -> [String: JSONValue] {
    var claims = TokenSigner.claims(at: Self.now)
    for (name, value) in changes { claims[name] = value }
    return claims
  }

  @Test(arguments: TokenAlgorithm.allCases)
  func everyAlgorithmIsVerifiedByAJWKSAndByAPublicKey(algorithm: TokenAlgorithm) throws {
    let signer = try TokenSigner(algorithm)
    let token = try signer.token(claims())
    let expected = Principal(.token("alice"), scopes: [.read])
    #expect(outcome(token, try verifier(signer)) == .success(expected))
    let byPEM = TokenVerifier(keys: try TokenKeys(pem: signer.pem), rules: TokenSigner.rules)
    #expect(outcome(token, byPEM) == .success(expected))
    let forged = try TokenSigner(algorithm).token(claims())
    #expect(outcome(forged, try verifier(signer)) == .failure(.signature))
    var other = TokenSigner.rules
    other.algorithms.remove(algorithm)
    #expect(outcome(token, try verifier(signer, rules: other)) == .failure(.algorithm))
  }

  /// The examples of RFC 7515, appendices A.2 and A.3, and RFC 8037, appendix A.4: other implementations have signed them.
  ///
  /// Their claims are none for this node, which is what the verifier notices after the signature.
  @Test(
    arguments: [
      (
        #"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
          + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        TokenFault.audience
      ),
      (
        #"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4Q"#
          + "lL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2Cap"
          + #"Hg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#,
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
          + ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4"
          + "BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"
          + "hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        .audience
      ),
      (
        #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
          + ".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        .malformed
      ),
    ])
  func theExamplesOfTheStandardsAreVerified(jwk: String, token: String, fault: TokenFault) throws {
    var rules = TokenSigner.rules
    rules.issuer = "joe"
    let verifier = TokenVerifier(keys: try TokenKeys(jwks: #"{"keys":["# + jwk + "]}"), rules: rules)
    #expect(outcome(token, verifier) == .failure(fault))
    let dot = try #require(token.lastIndex(of: "."))
    let changed = token[...dot] + "A" + token[dot...].dropFirst(2)
    #expect(outcome(String(changed), verifier) == .failure(.signature))
  }

  @Test func aTokenIsNeverVerifiedByAnAlgorithmThatItsKeyDoesNotHave() throws {
    let (rsa, curve) = (try TokenSigner(.rs256), try TokenSigner(.es256))
    for header: [String: JSONValue] in [
      ["alg": "none"], ["alg": "HS256"], ["alg": "ES256K"], ["alg": "rs256"], ["alg": ""], ["alg": "RSA-OAEP"],
    ] {
      #expect(outcome(try rsa.token(claims(), header: header), try verifier(rsa)) == .failure(.algorithm), "\(header)")
    }
    // A key of another kind is none of the candidates.
    #expect(outcome(try rsa.token(claims(), header: ["alg": "ES256"]), try verifier(rsa)) == .failure(.unknownKey))
    #expect(outcome(try curve.token(claims(), header: ["alg": "ES384"]), try verifier(rsa, curve)) == .failure(.unknownKey))
    // The signature of PKCS #1 is none of PSS, and of another digest neither.
    for name in ["PS256", "RS512"] {
      #expect(outcome(try rsa.token(claims(), header: ["alg": .string(name)]), try verifier(rsa)) == .failure(.signature), "\(name)")
    }
    // An RSA key whose document names its algorithm verifies no other.
    guard case .object(var members) = rsa.jwk else { return }
    members["alg"] = "RS512"
    let named = try TokenKeys(jwks: JSON.text(["keys": [JSONValue.object(members)]]))
    #expect(outcome(try rsa.token(claims()), TokenVerifier(keys: named, rules: TokenSigner.rules)) == .failure(.unknownKey))
  }

  @Test func aTokenIsVerifiedByTheKeyThatItNames() throws {
    let (first, second, nameless) = (try TokenSigner(.es256, id: "a"), try TokenSigner(.es256, id: "b"), try TokenSigner(.es256, id: nil))
    let both = try verifier(first, second)
    #expect(throws: Never.self) { try outcome(first.token(claims()), both).get() }
    #expect(throws: Never.self) { try outcome(second.token(claims()), both).get() }
    #expect(outcome(try second.token(claims(), header: ["kid": "a"]), both) == .failure(.signature))
    #expect(outcome(try second.token(claims(), header: ["kid": "c"]), both) == .failure(.unknownKey))
    // Without an identifier, each key may be the one.
    #expect(throws: Never.self) { try outcome(second.token(claims(), header: ["kid": .null]), both).get() }
    #expect(throws: Never.self) { try outcome(nameless.token(claims(), header: ["kid": "c"]), verifier(first, nameless)).get() }
  }

  @Test(
    arguments: [
      (["exp": nil], TokenFault.noExpiry), (["exp": "soon"], .noExpiry), (["exp": 1e300], .noExpiry),
      (["exp": .integer(seconds - 30)], .expired), (["nbf": .integer(seconds + 31)], .notYetValid), (["nbf": "now"], .notYetValid),
      (["iss": nil], .issuer), (["iss": "https://id.example/"], .issuer), (["iss": ["https://id.example"]], .issuer),
      (["aud": nil], .audience), (["aud": "parallax parallax2"], .audience), (["aud": ["other"]], .audience), (["aud": []], .audience),
      (["sub": nil], .subject), (["sub": ""], .subject), (["sub": 1], .subject),
      (["sub": .string(String(repeating: "a", count: 257))], .subject),
    ] as [([String: JSONValue?], TokenFault)])
  func aClaimThatIsMissingOrWrongIsNamed(changes: [String: JSONValue?], fault: TokenFault) throws {
    let signer = try TokenSigner(.es256)
    #expect(outcome(try signer.token(claims(changes)), try verifier(signer)) == .failure(fault))
  }

  @Test func timesHaveTheLeeway() throws {
    let signer = try TokenSigner(.es256)
    let verifier = try verifier(signer)
    let token = try signer.token(claims(["exp": .integer(Self.seconds), "nbf": .integer(Self.seconds)]))
    for (offset, fault) in [(-30_001, TokenFault.notYetValid), (-30_000, nil), (29_999, nil), (30_000, .expired)] as [(Int64, TokenFault?)]
    {
      let result = outcome(token, verifier, at: Timestamp(milliseconds: Self.now.milliseconds + offset))
      if let fault { #expect(result == .failure(fault), "\(offset)") } else { #expect(throws: Never.self) { try result.get() } }
    }
  }

  @Test(
    arguments: [
      ("read execute", [.read, .execute]), ("openid  profile admin", [.admin]), (["agent", "read"], [.agent, .read]), ("READ", []),
      ("", []),
      (["read execute"], []), (nil, []), (true, []), (["agent", 1], [.agent]),
    ] as [(JSONValue?, Set<AccessScope>)])
  func scopesAreATextOrAList(claim: JSONValue?, scopes: Set<AccessScope>) throws {
    let signer = try TokenSigner(.es256)
    #expect(
      outcome(try signer.token(claims(["scope": claim])), try verifier(signer)) == .success(Principal(.token("alice"), scopes: scopes)))
    var rules = TokenSigner.rules
    rules.scopesClaim = "roles"
    let other = try signer.token(claims(["scope": "admin", "roles": claim]))
    #expect(outcome(other, try verifier(signer, rules: rules)) == .success(Principal(.token("alice"), scopes: scopes)))
  }

  @Test func otherTextsAreNoTokens() throws {
    let signer = try TokenSigner(.es256)
    let verifier = try verifier(signer)
    let token = try signer.token(claims())
    let parts = token.split(separator: ".").map(String.init)
    for text in [
      "..", "a.b.c", "\(parts[0])..\(parts[2])", ".\(parts[1]).\(parts[2])", "\(parts[0]).\(parts[1]).\(parts[2])=", token + "\u{E9}",
      token.replacing(parts[0], with: TokenSigner.text(Data("[]".utf8))),
      token.replacing(parts[0], with: TokenSigner.text(Data("{}".utf8))),
    ] {
      #expect(throws: TokenFault.self, "\(text)") { try verifier.holder(of: text[...], at: Self.now) }
    }
    #expect(outcome(try signer.token(claims(), header: ["crit": ["exp"]]), verifier) == .failure(.malformed))
    let long = try signer.token(claims(["padding": .string(String(repeating: "a", count: 8_192))]))
    #expect(outcome(long, verifier) == .failure(.tooLong(limit: 8_192)))
    #expect(throws: Never.self) { try outcome(token, verifier).get() }
  }

  @Test func weakAndPrivateKeysAreRefused() throws {
    let signer = try TokenSigner(.es256)
    guard case .object(let members) = signer.jwk else { return }
    for (changes, problem) in [
      (["d": "AQAB"], "private"), (["x": "AQAB"], "not a key of its kind"), (["x": nil], "not a key of its kind"), (["kty": nil], "kty"),
      (["kty": "RSA", "n": "AQAB", "e": "AQAB"], "2048 to 8192 bits"), (["use": "enc"], "no key can verify"), (["kty": "oct"], "no key"),
      (["crv": "secp256k1"], "no key can verify"),
    ] as [([String: JSONValue?], String)] {
      var changed = members
      for (name, value) in changes { changed[name] = value }
      let error = #expect(throws: TokenKeysFault.self) { try TokenKeys(jwks: JSON.text(["keys": [JSONValue.object(changed)]])) }
      #expect(error?.message.contains(problem) == true, "\(String(describing: error))")
    }
    #expect(throws: TokenKeysFault.self) { try TokenKeys(pem: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n") }
  }

  /// RFC 7517, section 5: a reader of a set ignores the keys that it cannot use.
  @Test func anUnusableKeyOfASetDoesNotCostTheOthers() throws {
    let signer = try TokenSigner(.es256)
    let weak: JSONValue = ["kty": "RSA", "kid": "old", "n": "AQAB", "e": "AQAB"]
    let set = try JSON.text(["keys": [weak, ["kid": "nothing"], signer.jwk, ["kty": "oct", "k": "AQAB"]]])
    let verifier = TokenVerifier(keys: try TokenKeys(jwks: set), rules: TokenSigner.rules)
    #expect(throws: Never.self) { try outcome(signer.token(claims()), verifier).get() }
    #expect(
      verifier.unusableKeys == [
        "keys[0]: not a key of its kind; RSA keys have 2048 to 8192 bits", "keys[1]: expected kty, the key's kind",
      ])
    guard case .object(var pair) = signer.jwk else { return }
    pair["d"] = "AQAB"
    let error = #expect(throws: TokenKeysFault.self) { try TokenKeys(jwks: JSON.text(["keys": [signer.jwk, JSONValue.object(pair)]])) }
    #expect(error?.message == "keys[1]: a private key; a node needs the public part only")
  }

  @Test func aVerifiedTokenIsRememberedUntilItExpires() throws {
    let signer = try TokenSigner(.es256)
    let verifier = try verifier(signer, capacity: 4)
    let token = try signer.token(claims())
    let first = try verifier.holder(of: token[...], at: Self.now)
    #expect(verifier.remembered == 1)
    #expect(try verifier.holder(of: token[...], at: Self.now).principal == first.principal && verifier.remembered == 1)
    let later = Timestamp(milliseconds: Self.now.milliseconds + 3_700_000)
    #expect(outcome(token, verifier, at: later) == .failure(.expired), "the memory does not outlive the token")
    // Refused tokens take no place, and the memory is bounded; the tokens in use stay.
    for number in 0..<20 {
      _ = outcome(try TokenSigner(.es256).token(claims()), verifier)
      _ = try verifier.holder(of: signer.token(claims(["jti": .integer(Int64(number))]))[...], at: Self.now)
      #expect(verifier.remembered <= 4)
    }
    #expect(try TokenVerifier(keys: TokenKeys(jwks: TokenSigner.jwks(TokenSigner(.es256))), rules: TokenSigner.rules).remembered == 0)
  }

  @Test func aRememberedTokenThatIsUsedStays() throws {
    var cache = TokenCache(capacity: 4)
    let holder = TokenHolder(
      principal: .anonymous, beginning: Self.now, expiry: Self.now,
      origin: TokenHolder.Origin(
        key: KeyDigest(of: ""), algorithm: .es256, issuer: TokenSigner.rules.issuer, audiences: TokenSigner.rules.audiences,
        scopesClaim: TokenSigner.rules.scopesClaim))
    let used = KeyDigest(of: "used")
    cache.keep(holder, of: used)
    for number in 0..<20 {
      cache.keep(holder, of: KeyDigest(of: "\(number)"))
      #expect(cache.holder(of: used) != nil && cache.count <= 4)
    }
    #expect(cache.holder(of: KeyDigest(of: "0")) == nil)
  }

  @Test func aSubjectIsShownOnOneLine() {
    #expect("\(Principal.Identity.token("alice"))" == #"the JWT "alice""#)
    #expect("\(Principal.Identity.token("é 日本"))" == #"the JWT "é 日本""#)
    #expect("\(Principal.Identity.token(#"a" result=200 b\"#))" == #"the JWT "a\" result=200 b\\""#, "a subject forges no field of a log")
    let shown = "\(Principal.Identity.token("a\nb\u{202E}c\u{1B}[31m\u{2028}"))"
    #expect(shown == #"the JWT "a\nb\u{202E}c\u{1B}[31m\u{2028}""#)
  }

  @Test func base64HasOneSpelling() {
    #expect(Base64URL.decode("".utf8) == [] && Base64URL.decode("-_8".utf8) == [0xFB, 0xFF] && Base64URL.decode("AQAB".utf8) == [1, 0, 1])
    for text in ["A", "AQ==", "AR", "AQE+", "A/", "A A", "-_9"] { #expect(Base64URL.decode(text.utf8) == nil, "\(text)") }
  }
}

/// Tokens on connections.
@Suite(.timeLimit(.minutes(1))) struct TokenRequestTests {
  private func withServer(_ signer: TokenSigner, keys: KeyRing = KeyRing(), _ test: (RunningServer) async throws -> Void) async throws {
    let tokens = TokenVerifier(keys: try TokenKeys(jwks: TokenSigner.jwks(signer)), rules: TokenSigner.rules)
    try await RunningServer.with(
      change: {
        $0.tokens = tokens
        $0.keys = keys
        $0.requestsPerMinute = 100
      }, test)
  }

  private func bearer(_ token: String) -> [(String, String)] { [("Authorization", "Bearer \(token)")] }

  @Test func aRefusalSaysWhatIsWrongWithoutTheToken() async throws {
    let signer = try TokenSigner(.es256)
    try await withServer(signer) { server in
      let past = TokenSigner.claims(at: Timestamp(milliseconds: Timestamp.now.milliseconds - 7_200_000))
      var foreign = TokenSigner.claims()
      foreign["aud"] = "other"
      for (token, part) in [
        (try signer.token(past), "expired"), (try signer.token(foreign), "audience"),
        (try TokenSigner(.es256).token(), "signature"), (try TokenSigner(.es384).token(), "key (kid)"), ("a.b.c", "not a JWT"),
      ] {
        let answer = try await server.send("GET", "/api/agents", headers: bearer(token))
        #expect(
          answer.status == 401 && answer.error?.code == "UNAUTHORIZED" && answer.error?.message.contains(part) == true, "\(answer.text)")
        #expect(answer.headers["www-authenticate"]?.contains("invalid_token") == true)
        #expect(!token.split(separator: ".").contains { $0.count > 1 && answer.text.contains($0) })
      }
      let less = try await server.send("POST", "/ha/stepdown", headers: bearer(try signer.token("alice", .execute)))
      #expect(less.status == 403 && less.error?.message == #"The request needs the scope admin; the JWT "alice" has execute."#)
      let none = try await server.send("GET", "/api/agents", headers: bearer(try signer.token("alice")))
      #expect(none.status == 403 && none.error?.message == #"The request needs the scope read; the JWT "alice" has none."#)
      let without = try await server.send("GET", "/api/agents")
      #expect(without.status == 401, "a node with tokens tells its callers apart")
    }
  }

  @Test func keysCountBesideTokens() async throws {
    let signer = try TokenSigner(.es256)
    let key = "key.of.a-test-0123456789"
    let ring = KeyRing([KeyRing.Key(name: "k", digest: KeyDigest(of: key), scopes: [.read])])
    try await withServer(signer, keys: ring) { server in
      for (token, status) in [(key, 200), (key + "x", 401), ("key-of-a-test-0123456789", 401), (try signer.token("alice", .read), 200)] {
        let answer = try await server.send("GET", "/api/agents", headers: bearer(token))
        #expect(answer.status == status, "\(token)")
      }
    }
  }

  @Test func everySubjectHasItsOwnLimit() async throws {
    let signer = try TokenSigner(.es256)
    try await withServer(signer) { server in
      for subject in ["alice", "bob"] {
        let answer = try await server.send("GET", "/api/agents", headers: bearer(try signer.token(subject, .read)))
        #expect(answer.headers["ratelimit"]?.contains("r=99") == true)
      }
    }
  }
}
