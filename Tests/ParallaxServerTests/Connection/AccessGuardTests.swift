import ParallaxAPI
import Testing

@testable import ParallaxServer

@Suite struct AccessGuardTests {
  private func code(
    _ access: AccessGuard, _ method: String = "GET", _ path: Substring = "/api/agents", host: String = "localhost:8080",
    origin: String? = nil, isFromBrowser: Bool = false
  ) throws -> APIError.Code? {
    let host = try #require(Authority(host))
    return access.refusal(AccessGuard.Call(method: method, path: path, host: host, origin: origin, isFromBrowser: isFromBrowser))?.code
  }

  @Test func protectsAReachableNode() throws {
    var access = AccessGuard(isLoopback: false)
    access.openRoutes = [AccessGuard.OpenRoute(method: "GET", path: "/ha/status")]
    #expect(try code(access) == .forbidden)
    #expect(try code(access, "GET", "/ws/agent") == .forbidden)
    #expect(try code(access, "POST", "/ha/status") == .forbidden)
    #expect(try code(access, "GET", "/ha/status") == nil)
    #expect(try code(access, "HEAD", "/ha/status") == nil)
    let message = try #require(access.refusal(AccessGuard.Call(method: "GET", path: "/"))).message
    #expect(
      message.contains("protected mode") && message.contains("security.authentication.apiKeys")
        && message.contains("security.allowUnauthenticated"))
    #expect(try code(AccessGuard(isLoopback: false, allowUnauthenticated: true), host: "node-1.example.org") == nil)
  }

  @Test func aKeyCountsBeforeTheCertificateOfItsConnection() throws {
    let secret = "key-of-a-test-0123456789"
    let holder = Principal(.certificate("a.example"), scopes: [.read])
    let key = KeyRing.Key(name: "k", digest: KeyDigest(of: secret), scopes: [.execute])
    let access = AccessGuard(isLoopback: false, keys: KeyRing([key]), knowsCertificates: true, protectStatus: true)
    let call = AccessGuard.Call(method: "GET", path: "/api/agents")
    func identity(_ headers: [String], _ certificate: Principal?) -> Principal.Identity? {
      try? access.principal(of: call, authorization: headers, certificate: certificate).identity
    }
    #expect(identity(["Bearer \(secret)"], holder) == .key("k"))
    #expect(identity(["Bearer \(secret)"], nil) == .key("k"))
    #expect(identity([], holder) == .certificate("a.example"))
    #expect(identity(["Bearer \(secret)x"], holder) == nil, "a wrong key is not made good by a certificate")
    #expect(identity([], nil) == nil)
    #expect(access.refusal(of: .metrics, authorization: [], certificate: holder) == nil)
    #expect(access.refusal(of: .metrics, authorization: [], certificate: nil)?.status == 401)
  }

  @Test func certificatesWithScopesEndProtectedMode() {
    #expect(!AccessGuard(isLoopback: false, knowsCertificates: true).isProtected)
    #expect(AccessGuard(isLoopback: true, knowsCertificates: true).uncredentialed == .anonymous)
    #expect(AccessGuard(isLoopback: true).uncredentialed == .everyone)
  }

  @Test(arguments: ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.1.2.3", "[::1]:8080", "a.localhost", "node-1:8080"])
  func acceptsTheNamesOfTheMachine(host: String) throws {
    #expect(try code(AccessGuard(isLoopback: true, knownHosts: ["Node-1"]), host: host) == nil)
  }

  @Test(arguments: [
    "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "", "127.0.0.256", "[::2]", "127..0.1", "127.0.0.1.1",
    "127",
  ])
  func refusesForeignHostsOnLoopback(host: String) throws {
    #expect(try code(AccessGuard(isLoopback: true), host: host) == .forbidden)
  }

  @Test func refusesBrowsersThatUseAPublicNameForAnOpenNode() throws {
    let open = AccessGuard(isLoopback: false, allowUnauthenticated: true, knownHosts: ["parallax.example.org"])
    // A name that an attacker has pointed at this node: the origin of the attacker's page.
    #expect(try code(open, "POST", host: "evil.example", origin: "http://evil.example") == .forbidden)
    #expect(try code(open, host: "evil.example", isFromBrowser: true) == .forbidden)
    #expect(try code(open, host: "evil.example") == nil, "no browser")
    for host in ["parallax.example.org", "10.0.0.1:8080", "[fe80::1]", "control-plane:8080", "localhost"] {
      #expect(try code(open, "POST", host: host, origin: "http://\(host)", isFromBrowser: true) == nil, "\(host)")
    }
  }

  @Test func acceptsOnlyOwnAndAllowedOrigins() throws {
    let access = AccessGuard(isLoopback: true, allowedOrigins: ["https://console.example.org"])
    for origin in [
      "http://localhost:8080", "https://CONSOLE.example.org", "https://console.example.org:443", "http://localhost:8080/ws/agent", "",
    ] {
      #expect(try code(access, origin: origin) == nil, "\(origin)")
    }
    for origin in ["http://evil.example", "null", "http://localhost:8081", "http://localhost", "http://localhost:8080.evil.example", "x"] {
      #expect(try code(access, origin: origin) == .forbidden, "\(origin)")
    }
    #expect(try code(AccessGuard(isLoopback: true, allowedOrigins: ["*"]), origin: "http://evil.example") == nil)
    let open = AccessGuard(isLoopback: false, allowUnauthenticated: true)
    #expect(try code(open, host: "node", origin: "http://evil.example") == .forbidden)
    #expect(try code(open, host: "node", origin: "http://node") == nil)
    #expect(try code(open, host: "node", origin: "https://node") == nil, "a proxy has ended TLS")
    #expect(try code(open, host: "node:443", origin: "https://node") == nil)
    #expect(try code(open, host: "node:80", origin: "https://node") == .forbidden)
  }

  @Test func namesTheOriginThatMayReadTheResponse() {
    let access = AccessGuard(isLoopback: true, allowedOrigins: ["https://console.example.org"])
    #expect(access.allowedOrigin(of: "https://console.example.org") == "https://console.example.org")
    #expect(access.allowedOrigin(of: "https://evil.example") == nil)
    #expect(access.allowedOrigin(of: nil) == nil)
    #expect(AccessGuard(isLoopback: true, allowedOrigins: ["*"]).allowedOrigin(of: "https://evil.example") == "*")
  }
}

@Suite struct AuthorityTests {
  @Test(
    arguments: [
      ("localhost", "localhost", nil), ("Node-1.example.ORG:80", "node-1.example.org", 80), ("127.0.0.1:", "127.0.0.1", nil),
      ("[::1]", "::1", nil), ("[FE80::1]:8080", "fe80::1", 8_080), ("", "", nil), ("a:65535", "a", 65_535),
    ] as [(String, String, Int?)])
  func isReadWithAndWithoutAPort(text: String, name: String, port: Int?) throws {
    let authority = try #require(Authority(text))
    #expect(authority.name == name && authority.port == port)
  }

  @Test(arguments: ["127.0.0.1:abc", "[::1]name", "[::1", "a:65536", "a:+1", "a:-1", "user@host", "a b", "a/b", "[]", "[x]", "a:1:2", "ä"])
  func refusesOtherTexts(text: String) {
    #expect(Authority(text) == nil)
  }

  @Test(arguments: [
    ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("192.168.1.128/25", "192.168.1.129", true),
    ("192.168.1.128/25", "192.168.1.127", false), ("::1", "::1", true), ("::1", "::2", false), ("fd00::/8", "fdab::1%eth0", true),
    ("10.0.0.1", "::ffff:10.0.0.1", true), ("0.0.0.0/0", "1.2.3.4", true), ("0.0.0.0/0", "::1", false),
    ("2001:db8::/33", "2001:db8:8000::", false),
  ])
  func aNetworkContainsItsAddresses(network: String, address: String, contains: Bool) throws {
    #expect(try #require(IPNetwork(network)).contains(address) == contains)
  }

  @Test(arguments: [
    "", "10.0.0", "10.0.0.256", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129", "1::2::3", "12345::", "a.b.c.d", "::1.2.3",
  ])
  func invalidNetworksAreRefused(text: String) {
    #expect(IPNetwork(text) == nil)
  }
}
