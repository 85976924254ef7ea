import NIOCore
import ParallaxAPI
import Testing

@testable import ParallaxServer

@Suite(.timeLimit(.minutes(1))) struct RateLimiterTests {
  private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
  private let caller = RateLimiter.Caller.address("10.0.0.1")

  @Test func aMinutesRequestsMayComeAtOnceAndThenEvenly() {
    var limiter = RateLimiter(requestsPerMinute: 6)
    let first = (0..<6).map { _ in limiter.count(caller, at: start) }
    #expect(first.map(\.remaining) == [5, 4, 3, 2, 1, 0] && !first.contains(where: \.isExceeded))
    #expect(first.map(\.wait) == [0, 0, 0, 0, 0, 10])
    let beyond = limiter.count(caller, at: start + .seconds(4))
    #expect(beyond == RateLimiter.Standing(limit: 6, remaining: 0, wait: 6, isExceeded: true))
    #expect(!limiter.count(caller, at: start + .seconds(10)).isExceeded)
    #expect(limiter.count(caller, at: start + .seconds(19)).isExceeded)
    #expect(!limiter.count(caller, at: start + .seconds(20)).isExceeded)
    #expect(limiter.count(caller, at: start + .hours(1)).remaining == 5, "no more than a minute's requests are saved")
  }

  @Test func callersAreCountedApart() {
    var limiter = RateLimiter(requestsPerMinute: 1)
    let callers: [RateLimiter.Caller] = [
      caller, .address("10.0.0.2"), .principal(.key("a")), .principal(.key("b")), .principal(.certificate("a")),
    ]
    for caller in callers { #expect(!limiter.count(caller, at: start).isExceeded, "\(caller)") }
    for caller in callers { #expect(limiter.count(caller, at: start).isExceeded, "\(caller)") }
  }

  @Test func aFullTableForgetsIdleCallersAndCountsFurtherOnesTogether() {
    var limiter = RateLimiter(requestsPerMinute: 1, capacity: 2)
    for host in 1...2 { _ = limiter.count(.address("10.0.0.\(host)"), at: start) }
    #expect(!limiter.count(.address("10.0.0.3"), at: start + .seconds(1)).isExceeded)
    #expect(limiter.count(.address("10.0.0.4"), at: start + .seconds(2)).isExceeded, "counted with the third")
    #expect(limiter.count(.address("10.0.0.1"), at: start + .seconds(3)).isExceeded, "a known caller keeps its bucket")
    #expect(!limiter.count(.address("10.0.0.5"), at: start + .seconds(64)).isExceeded)
    #expect(limiter.count(.address("10.0.0.5"), at: start + .seconds(65)).isExceeded)
  }

  @Test func aFullTableCostsTheHoldersOfKeysNothing() {
    var limiter = RateLimiter(requestsPerMinute: 1, capacity: 2)
    for host in 1...9 { _ = limiter.count(.address("10.0.0.\(host)"), at: start) }
    #expect(limiter.count(.address("10.0.1.1"), at: start).isExceeded)
    for name in ["a", "b"] { #expect(!limiter.count(.principal(.key(name)), at: start).isExceeded) }
  }

  @Test func aServerTellsCallersWhatTheyHaveLeft() async throws {
    let keys = ["key-of-a-test-1-0123456789", "key-of-a-test-2-0123456789"]
    let change = { @Sendable (configuration: inout HTTPServer.Configuration) in
      configuration.keys = KeyRing(keys.map { KeyRing.Key(name: $0, digest: KeyDigest(of: $0), scopes: [.read]) })
      configuration.requestsPerMinute = 2
      configuration.trustedProxies = [IPNetwork("127.0.0.1")].compactMap(\.self)
    }
    try await RunningServer.with(change: change) { server in
      let key = [("Authorization", "Bearer \(keys[0])")]
      let first = try await server.send("GET", "/api/agents", headers: key)
      #expect(first.status == 200 && first.headers["ratelimit"] == #""requests";r=1;t=0"#)
      #expect(first.headers["ratelimit-policy"] == #""requests";q=2;w=60"#)
      _ = try await server.send("GET", "/api/agents", headers: key)
      let beyond = try await server.send("GET", "/api/agents", headers: key)
      #expect(beyond.status == 429 && beyond.error?.code == "RATE_LIMITED")
      #expect(beyond.headers["retry-after"].flatMap { Int($0) }.map { (1...30).contains($0) } == true)
      let other = try await server.send("GET", "/api/agents", headers: [("Authorization", "Bearer \(keys[1])")])
      #expect(other.status == 200)
      // Callers without a key are counted by their address, which the trusted proxy tells.
      for (forwarded, statuses) in [
        ("10.0.0.1", [401, 401, 429]), ("10.0.0.1, 10.0.0.2", [401, 401, 429]), ("10.0.0.9, 10.0.0.2, 127.0.0.1", [429]),
        ("10.0.0.2:4711", [429]), ("2001:db8::1", [401]), ("[2001:0DB8::1]:4711, 127.0.0.1:80", [401, 429]),
      ] {
        for status in statuses {
          let answer = try await server.send("GET", "/api/agents", headers: [("X-Forwarded-For", forwarded)])
          #expect(answer.status == status, "\(forwarded)")
        }
      }
      for _ in 0..<5 {
        let probe = try await server.send("GET", "/health", headers: key)
        #expect(probe.status == 200 && probe.headers["ratelimit"] == nil)
      }
    }
  }

  @Test func agentsHandshakesAreNotCounted() async throws {
    try await RunningServer.with(change: { $0.requestsPerMinute = 1 }) { server in
      for _ in 0..<3 {
        try await server.connect { connection in
          try await connection.send(FrontChannelFixture.handshake())
          let response = try await connection.response()
          #expect(response.hasPrefix("HTTP/1.1 101 "))
        }
      }
    }
  }
}

@Suite struct ClientCertificateTests {
  @Test func anExpiredCertificateGrantsNothing() {
    let expiry = Timestamp(milliseconds: 1_000_000)
    let certificate = ClientCertificate(principal: Principal(.certificate("worker"), scopes: [.agent]), expiry: expiry)
    #expect(certificate.principal(at: expiry - .milliseconds(1))?.identity == .certificate("worker"))
    #expect(certificate.principal(at: expiry) == nil)
  }

  @Test func keysAreDescribedByTheirNumber() {
    let ring = KeyRing([KeyRing.Key(name: "a", digest: KeyDigest(of: "key-of-a-test-1-0123456789"), scopes: [.read])])
    #expect("\(ring)" == "1 keys")
    #expect(!String(reflecting: ring).contains("sha256"))
  }
}
