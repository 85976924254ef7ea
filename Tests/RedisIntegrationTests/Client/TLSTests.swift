import NIOCore
import NIOSSL
import ParallaxRedis
import TestSupport
import Testing

@Suite("TLS to a real server", .serialized, .timeLimit(.minutes(1)))
struct TLSTests {
  private typealias Settings = @Sendable (TestCertificates) throws -> TLSConfiguration?

  @Test("The error names a missing or invalid certificate and its fault")
  func faults() async throws {
    let certificates = try await TestCertificates()
    let good: Settings = { try $0.clientConfiguration() }
    let ofWrongAuthority: Settings = { try $0.clientConfiguration(authority: $0.wrongAuthority, identity: $0.client) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (identity, settings, words) in [
        (certificates.server, ofWrongAuthority, "not signed by an authority that the client trusts"),
        (certificates.expired, good, "has expired, on 20"),
        (certificates.otherHost, good, "does not name 127.0.0.1"),
        (certificates.server, { try $0.clientConfiguration(identity: nil) }, "client certificate"),
        (certificates.server, { try $0.clientConfiguration(identity: $0.wrong) }, "client certificate"),
        (certificates.server, { _ in nil }, "port expects TLS"),
      ] as [(TestCertificates.Identity, Settings, String)] {
        group.addTask {
          try await RedisServer.with(.init(tls: .init(certificates, identity: identity, clientCertificates: .required))) { server in
            try await expectFailure(server.configuration { $0.tls = try settings(certificates) }, words)
          }
        }
      }
      try await group.waitForAll()
    }
  }

  @Test("A client with TLS recognizes a server without")
  func plainServer() async throws {
    let certificates = try await TestCertificates()
    try await RedisServer.with { server in
      let configuration = try server.configuration {
        $0.tls = try certificates.clientConfiguration()
        $0.connectTimeout = .seconds(2)
      }
      try await expectFailure(configuration, "TLS on this port", "port expects TLS")
    }
  }

  @Test("A file of authorities that does not exist is a configuration error")
  func missingFile() async throws {
    try await RedisServer.with { server in
      let configuration = try server.configuration {
        $0.tls = .makeClientConfiguration()
        $0.tls?.trustRoots = .file("/nowhere/authorities.pem")
      }
      try await withClient(configuration) { client async throws in
        let error = try await redisError { try await client.send(RedisCommand("PING")) }
        #expect(error?.code == .invalidConfiguration)
      }
    }
  }

  private func expectFailure(_ configuration: RedisConfiguration, _ words: String...) async throws {
    try await withClient(configuration) { client async throws in
      try await eventually("the client says \(words)") { words.contains { client.status.lastError?.message.contains($0) == true } }
      let error = try #require(try await redisError { try await client.send(RedisCommand("PING").withTimeout(.milliseconds(50))) })
      #expect([.connectionFailed, .protocolViolation].contains(error.code))
      #expect(words.contains { error.message.contains($0) }, "\(error)")
      #expect(!error.mayHaveExecuted)
    }
  }

  @Test("With the authority's certificate and a client certificate commands, leases and subscriptions work")
  func mutualTLS() async throws {
    let certificates = try await TestCertificates()
    try await RedisServer.with(.init(password: "secret", tls: .init(certificates, clientCertificates: .required))) { server in
      try await withClient(server.configuration { $0.tls = try certificates.clientConfiguration() }) { client async throws in
        var events = client.subscribe(to: ["news"]).makeAsyncIterator()
        #expect(await events.next() == .subscribed)
        let value = String(repeating: "x", count: 1 << 20)
        #expect(try await client.send(RedisCommand("SET", "large", value)).string == "OK")
        #expect(try await client.withConnection { try await $0.send(RedisCommand("GET", "large")).string } == value)
        _ = try await client.send(RedisCommand("PUBLISH", "news", value))
        guard case .message(_, let payload) = await events.next() else {
          Issue.record("no message")
          return
        }
        #expect(String(buffer: payload) == value)
      }
    }
  }
}
