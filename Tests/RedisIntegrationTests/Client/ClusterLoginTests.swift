import NIOCore
import NIOSSL
import ParallaxRedis
import TestSupport
import Testing

@Suite("Joining a real cluster", .timeLimit(.minutes(1)))
struct ClusterLoginTests {
  @Test("TLS and users: the login works everywhere, or fails at once with the reason", .enabled(if: RedisServer.hasTLS))
  func users() async throws {
    let certificates = try await TestCertificates()
    let users = [
      "worker on >secret ~* &* +@all", "old on >secret ~* &* +@all -cluster|shards", "blind on >secret ~* &* +@all -cluster",
    ]
    try await RedisClusterDeployment.with(.init(replicasPerPrimary: 0, users: users, tls: .init(certificates))) { cluster in
      func configuration(_ user: String, password: String = "secret") -> RedisConfiguration {
        cluster.configuration {
          $0.username = user
          $0.password = password
          $0.tls = .makeClientConfiguration()
          $0.tls?.trustRoots = .file(certificates.authority)
        }
      }
      // The second user has no right to CLUSTER SHARDS, like a client of a server before 7.0.
      for user in ["worker", "old"] {
        try await withClient(configuration(user)) { client async throws in
          for key in keys("tls \(user)") { #expect(try await client.send(RedisCommand("SET", key, "v")).string == "OK") }
          #expect(try await client.send(RedisCommand("ACL", "WHOAMI")).string == user)
          #expect(client.status.isConnected)
        }
      }
      let log = LogCollector()
      try await withClient(configuration("worker", password: "wrong-secret"), logger: log.logger) { client async throws in
        let error = try #require(try await redisError { try await client.send(RedisCommand("GET", "k")) })
        #expect(error.code == .authenticationFailed)
        #expect(error.serverCode == "WRONGPASS")
        #expect(client.status.lastError?.code == .authenticationFailed)
        #expect(!"\(error) \(log.errors)".contains("wrong-secret"))
      }
      try await withClient(configuration("blind")) { client async throws in
        let error = try #require(try await redisError { try await client.send(RedisCommand("GET", "k")) })
        #expect(error.code == .invalidConfiguration)
        #expect(error.serverCode == "NOPERM")
      }
    }
  }

  @Test("A server outside a cluster is recognized, unless other seeds are in one")
  func noCluster() async throws {
    try await RedisServer.with { server in
      var configuration = RedisConfiguration(deployment: .cluster(nodes: [server.endpoint]))
      configuration.commandTimeout = .seconds(20)
      let log = LogCollector()
      try await withClient(configuration, logger: log.logger) { client async throws in
        let error = try #require(try await redisError { try await client.send(RedisCommand("GET", "k")) })
        #expect(error.code == .invalidConfiguration)
        #expect(error.command == "GET")
        #expect(error.message.contains("127.0.0.1:\(server.port)"))
        #expect(log.errors.count == 1)
        let began = ContinuousClock.now
        let results = try await client.pipeline([RedisCommand("GET", "k"), RedisCommand("GET", "l")])
        for result in results { #expect(try await redisError { try result.get() }?.code == .invalidConfiguration) }
        #expect(try await redisError { try await client.send(RedisCommand("MGET", "k", "l")) }?.code == .invalidConfiguration)
        #expect(ContinuousClock.now - began < .seconds(15))
        let lease = try await redisError { try await client.withConnection(forKey: "k") { _ in } }
        #expect(lease?.code == .invalidConfiguration)
      }
    }
  }

  @Test("Valkey's numbered databases of a cluster are separate", .enabled(if: RedisServer.isValkey))
  func databases() async throws {
    try await RedisClusterDeployment.with(.init(replicasPerPrimary: 0, arguments: ["--cluster-databases", "4"])) { cluster in
      for key in keys("database") {
        try await withClient(cluster.configuration { $0.database = 3 }) { client async throws in
          #expect(try await client.send(RedisCommand("SET", key, "v")).string == "OK")
        }
        try await withClient(cluster.configuration()) { client async throws in
          #expect(try await client.send(RedisCommand("GET", key)).string == nil)
        }
      }
    }
  }

  @Test("A client that finds no server ends on cancellation, without an error in the log")
  func shutDownWhileSearching() async throws {
    // Far shorter than the wait for the server's answer.
    let limit = ContinuousClock.now + .seconds(10)
    try await RedisServer.with { server in
      try await ChokeProxy.with(to: server.port, at: "HELLO") { proxy in
        var configuration = RedisConfiguration(deployment: .cluster(nodes: [.host("127.0.0.1", port: proxy.port)]))
        configuration.connectTimeout = .seconds(30)
        let log = LogCollector()
        let waiting = try await withClient(configuration, logger: log.logger) { client in
          let waiting = Task { try await client.send(RedisCommand("GET", "k").withTimeout(.seconds(30))) }
          try await eventually("the client has said hello") { proxy.isSilent }
          return waiting
        }
        #expect(try await redisError { try await waiting.value }?.code == .shutDown)
        #expect(log.errors.isEmpty)
        #expect(ContinuousClock.now < limit)
      }
    }
  }
}
