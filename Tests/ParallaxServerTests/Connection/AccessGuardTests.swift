import ParallaxAPI
import Testing

@testable import ParallaxServer

@Suite struct AccessGuardTests {
  private func code(
    _ access: AccessGuard, _ method: String = "GET", _ path: Substring = "/api/agents", host: String? = "localhost:8080",
    origin: String? = nil
  ) -> APIError.Code? {
    access.refusal(method: method, path: path, host: host, origin: origin)?.code
  }

  @Test func protectsANodeThatOthersCanReach() throws {
    let access = AccessGuard(isLoopback: false)
    #expect(code(access) == .forbidden)
    #expect(code(access, "GET", "/ws/agent") == .forbidden)
    #expect(code(access, "POST", "/ha/status") == .forbidden)
    #expect(code(access, "GET", "/ha/status") == nil)
    let message = try #require(access.refusal(method: "GET", path: "/", host: nil, origin: nil)).message
    #expect(message.contains("protected mode") && message.contains("security.allowUnauthenticated"))
    #expect(code(AccessGuard(isLoopback: false, allowUnauthenticated: true), host: "node-1.example.org") == nil)
  }

  @Test(arguments: ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.1.2.3", "[::1]:8080", "a.localhost", "node-1:8080"])
  func knowsTheNamesOfThisMachine(host: String) {
    #expect(code(AccessGuard(isLoopback: true, knownHosts: ["Node-1"]), host: host) == nil)
  }

  @Test(arguments: [
    "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "", "127.0.0.256", "[::2]", "127..0.1", "127.0.0.1.1",
    "127",
  ])
  func refusesForeignHostsOnLoopback(host: String) {
    #expect(code(AccessGuard(isLoopback: true), host: host) == .forbidden)
  }

  @Test func refusesForeignOriginsAndTakesItsOwnAndThoseAllowed() {
    let access = AccessGuard(isLoopback: true, allowedOrigins: ["https://console.example.org"])
    #expect(code(access, origin: "http://localhost:8080") == nil)
    #expect(code(access, origin: "https://CONSOLE.example.org") == nil)
    for origin in ["http://evil.example", "null", "http://localhost:8081", "http://localhost", "http://localhost:8080.evil.example", ""] {
      #expect(code(access, origin: origin) == .forbidden, "\(origin)")
    }
    #expect(code(AccessGuard(isLoopback: true, allowedOrigins: ["*"]), origin: "http://evil.example") == nil)
    let open = AccessGuard(isLoopback: false, allowUnauthenticated: true)
    #expect(code(open, host: "node", origin: "http://evil.example") == .forbidden)
    #expect(code(open, host: "node", origin: "http://node") == nil)
  }
}
