import Logging
import NIOCore
import ParallaxAPI
import Testing

@testable import ParallaxServer

/// The log of requests: which have a line, and what the line has.
@Suite(.timeLimit(.minutes(1))) struct AccessLogTests {
  private static let key = "reader-key-of-a-test-0123456789"

  private func lines(
    _ selection: AccessLog.Selection, sample: Int = 1, _ test: (RunningServer) async throws -> Void
  ) async throws -> [String] {
    let log = RecordedLog()
    let change = { @Sendable (configuration: inout HTTPServer.Configuration) in
      configuration.keys = KeyRing([KeyRing.Key(name: "reader", digest: KeyDigest(of: Self.key), scopes: [.read, .agent])])
      configuration.accessLog = AccessLog(selection, sample: sample)
    }
    try await RunningServer.with(change: change, logger: log.logger(level: .info), test)
    return log.lines.filter { $0.hasPrefix("request ") }.map { $0.replacing(/duration=\d+\.\d{3}ms/, with: "duration=*") }
  }

  private var bearer: [(String, String)] { [("Authorization", "Bearer \(Self.key)")] }

  @Test func everyRequestButProbesHasALineWithoutSecrets() async throws {
    let lines = try await lines(.all) { server in
      for probe in ["/health", "/health/ready", "/metrics"] { _ = try await server.send("GET", probe) }
      let answer = try await server.send("GET", "/api/agents?status=busy", headers: bearer + [("X-Request-Id", "id-1")])
      _ = try await server.send("GET", "/api/agents", headers: [("Authorization", "Bearer \(Self.key)x")])
      _ = try await server.send("GET", "/api/executions/broken", headers: bearer)
      #expect(answer.status == 200)
      try await server.connect { connection in
        try await connection.send("nonsense\r\n\r\n")
        _ = try await connection.response()
      }
      try await server.connect { connection in
        try await connection.send(FrontChannelFixture.handshake(headers: "Authorization: Bearer \(Self.key)\r\n"))
        _ = try await connection.response()
      }
    }
    #expect(lines.count == 5, "\(lines)")
    let bytes = try #require(lines.first?.firstMatch(of: /bytes=(\d+)/)?.output.1)
    #expect(
      lines.first
        == "request address=127.0.0.1 bytes=\(bytes) duration=* method=GET path=/api/agents principal=the key reader requestId=id-1 status=200"
    )
    #expect((Int(bytes) ?? 0) > 50)
    for (line, parts) in zip(
      lines.dropFirst(),
      [
        ["method=GET path=/api/agents", "status=401", "requestId=*"],
        ["path=/api/executions/broken", "status=500", "principal=the key reader"],
        ["method=- path=-", "status=400"], ["path=/ws/agent", "status=101", "principal=the key reader"],
      ])
    {
      for part in parts { #expect(line.contains(part), "\(line)") }
    }
    #expect(!lines.contains { $0.contains(Self.key) || $0.contains("busy") })
  }

  @Test func failedRequestsAloneAreLoggedIfSoWished() async throws {
    let lines = try await lines(.failed) { server in
      _ = try await server.send("GET", "/api/agents", headers: bearer)
      _ = try await server.send("POST", "/ha/pause", headers: bearer)
    }
    #expect(lines.count == 1 && lines.first?.contains("path=/ha/pause") == true && lines.first?.contains("status=403") == true, "\(lines)")
    let none = try await self.lines(.off) { server in _ = try await server.send("POST", "/ha/pause", headers: bearer) }
    #expect(none.isEmpty)
  }

  @Test func aReloadChangesWhatIsLogged() async throws {
    let lines = try await lines(.off) { server in
      _ = try await server.send("GET", "/api/agents")
      server.update { $0.accessLog = AccessLog(.all) }
      _ = try await server.send("GET", "/api/patterns")
    }
    #expect(lines.count == 1 && lines.first?.contains("path=/api/patterns") == true, "\(lines)")
  }

  @Test func aSampleHasEveryFailure() {
    let rules = AccessLog(.all, sample: 10)
    #expect((0..<100).count { rules.includes(isFailed: false, lot: UInt32($0)) } == 10)
    #expect((0..<100).allSatisfy { rules.includes(isFailed: true, lot: UInt32($0)) })
    #expect((0..<100).count { AccessLog(.failed, sample: 10).includes(isFailed: true, lot: UInt32($0)) } == 100)
    #expect(!AccessLog(.off).includes(isFailed: true, lot: 0))
  }

  @Test func aResponseThatIsNotWrittenToItsEndIsAFailure() async throws {
    let entry = AccessLogEntry(nil, principal: nil, address: "192.0.2.1", began: .uptimeNanoseconds(1_000_000))
    let log = RecordedLog()
    entry.log(AccessLog(.failed), isComplete: false, at: .uptimeNanoseconds(6_001_000), to: log.logger(level: .info))
    #expect(log.lines == ["request address=192.0.2.1 bytes=0 duration=5.001ms ended=early method=- path=- status=none"])
  }
}
