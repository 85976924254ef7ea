import ParallaxRedis
import TestSupport
import Testing

/// Serialized: each test has six servers, and its measurements depend on their processor time.
@Suite("Real sentinels", .serialized, .timeLimit(.minutes(1)))
struct SentinelTests {
  @Test("With a password per kind of server and one dead sentinel the master is found at once")
  func discovery() async throws {
    let options = RedisSentinelDeployment.Options(replicas: 1, password: "for-servers", sentinelPassword: "for-sentinels")
    try await RedisSentinelDeployment.with(options) { deployment in
      let port = try deployment.primary().port
      deployment.sentinels[0].kill()
      let began = ContinuousClock.now
      try await withClient(deployment.configuration()) { client async throws in
        #expect(try await client.portInUse() == port)
        #expect(try await client.send(RedisCommand("SET", "k", "v")).string == "OK")
        let leased = try await client.withConnection { try await $0.send(RedisCommand("ROLE")).array?.first?.string }
        #expect(leased == "master")
        #expect(ContinuousClock.now - began < .seconds(9))
        try await reconnectToSentinel(deployment.sentinels[1], client)
      }
      try await wrongPasswords(deployment)
    }
  }

  /// A new connection to a sentinel is no connection to a server that could have lost data.
  private func reconnectToSentinel(_ sentinel: RedisServer, _ client: RedisClient) async throws {
    let news = client.connectionEvents()
    let isTold = Task {
      for await _ in news { return true }
      return false
    }
    try sentinel.command("CLIENT", "KILL", "TYPE", "normal")
    try await eventually("the client asks the sentinel again") {
      let clients = try sentinel.command("CLIENT", "LIST").text?.split(separator: "\n") ?? []
      return clients.contains { $0.contains(" sub=0 ") && $0.contains(" resp=3") }
    }
    // Time for the client to report.
    try await Task.sleep(for: .milliseconds(200))
    isTold.cancel()
    #expect(await !isTold.value)
  }

  private func wrongPasswords(_ deployment: RedisSentinelDeployment) async throws {
    let wrongAtSentinels = try deployment.configuration { _, settings in settings.password = "wrong-secret" }
    try await withClient(wrongAtSentinels) { client async throws in
      let error = try #require(try await redisError { try await client.send(RedisCommand("PING")) })
      #expect(error.code == .authenticationFailed)
      #expect(error.serverCode == "WRONGPASS")
      #expect(deployment.sentinels.contains { error.message.contains("sentinel 127.0.0.1:\($0.port)") }, "\(error)")
      #expect(!"\(error)".contains("wrong-secret"))
    }
    let wrongAtServers = try deployment.configuration { configuration, _ in configuration.password = "wrong-secret" }
    try await withClient(wrongAtServers) { client async throws in
      let error = try #require(try await redisError { try await client.send(RedisCommand("PING")) })
      #expect(error.code == .authenticationFailed)
      #expect(error.message.contains("server 127.0.0.1:\(try deployment.primary().port)"), "\(error)")
    }
  }

  @Test("A name that the sentinels do not know is a configuration error, at once")
  func wrongName() async throws {
    try await RedisSentinelDeployment.with(.init(replicas: 1)) { deployment in
      let configuration = try deployment.configuration { _, settings in settings.masterName = "another" }
      try await withClient(configuration) { client async throws in
        let began = ContinuousClock.now
        let error = try #require(try await redisError { try await client.send(RedisCommand("PING")) })
        #expect(error.code == .invalidConfiguration)
        #expect(error.message.contains("another"))
        #expect(ContinuousClock.now - began < .seconds(9))
      }
    }
  }
}
