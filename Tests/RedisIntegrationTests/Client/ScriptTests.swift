import ParallaxRedis
import TestSupport
import Testing

@Suite("Scripts on a real server", .timeLimit(.minutes(1)))
struct ScriptTests {
  private static let add = RedisScript("return redis.call('INCRBY', KEYS[1], ARGV[1])")

  @Test("A script runs on a server that lacks it, also after it has lost it")
  func unknownScript() async throws {
    try await withServerAndClient { _, client async throws in
      #expect(try await client.evaluate(Self.add, keys: ["k"], arguments: [2]).int == 2)
      _ = try await client.send(RedisCommand("SCRIPT", "FLUSH"))
      #expect(try await client.evaluate(Self.add, keys: ["k"], arguments: [3]).int == 5)
      #expect(try await client.send(RedisCommand("SCRIPT", "EXISTS", Self.add.sha1)).array == [.integer(1)])
    }
  }

  @Test("In a pipeline only the script that the server lacks is sent again")
  func unknownScriptInPipeline() async throws {
    try await withServerAndClient { _, client async throws in
      let results = try await client.pipeline([
        RedisCommand("INCR", "n"), .evaluate(Self.add, keys: ["k"], arguments: [7]), RedisCommand("INCR", "n"),
      ])
      #expect(try results.map { try $0.get().int } == [1, 7, 2])
    }
  }

  @Test("In a transaction, and beside one, a script that the server lacks runs in its place")
  func unknownScriptInTransaction() async throws {
    try await withServerAndClient { _, client async throws in
      let other = RedisScript("return redis.call('GET', KEYS[1])")
      let results = try await client.pipeline([
        .evaluate(other, keys: ["k"]), RedisCommand("MULTI"), .evaluate(Self.add, keys: ["k"], arguments: [7]), RedisCommand("EXEC"),
      ])
      #expect(try results[0].get().isNull)
      #expect(try results[3].get().array == [.integer(7)])
    }
  }

  @Test("On a leased connection a script that the server lacks runs: alone, in a pipeline, in a transaction")
  func unknownScriptOnLease() async throws {
    try await withServerAndClient { _, client async throws in
      let command = RedisCommand.evaluate(Self.add, keys: ["k"], arguments: [1])
      try await client.withConnection { connection async throws in
        #expect(try await connection.send(command).int == 1)
        _ = try await connection.send(RedisCommand("SCRIPT", "FLUSH"))
        let results = try await connection.pipeline([RedisCommand("PING"), command, RedisCommand("INCR", "k")])
        #expect(try results.map { try $0.get().string } == ["PONG", "3", "2"])
        _ = try await connection.send(RedisCommand("SCRIPT", "FLUSH"))
        let whole = try await connection.pipeline([RedisCommand("MULTI"), command, RedisCommand("EXEC")])
        #expect(try whole[2].get().array == [.integer(4)])
        _ = try await connection.send(RedisCommand("SCRIPT", "FLUSH"))
        for step in [RedisCommand("MULTI"), command] { _ = try await connection.send(step) }
        #expect(try await connection.send(RedisCommand("EXEC")).array == [.integer(5)])
      }
    }
  }

  @Test("A server that is too slow to load scripts is used nevertheless")
  func slowLoading() async throws {
    try await RedisServer.with { server in
      try await ChokeProxy.with(to: server.port, at: "LOAD") { proxy in
        let configuration = try server.configuration {
          $0.deployment = .standalone(.host("127.0.0.1", port: proxy.port))
          $0.connectTimeout = .seconds(1)
        }
        try await withClient(configuration, scripts: [Self.add]) { client async throws in
          try await eventually("the client is connected") { client.status.isConnected }
          #expect(proxy.isSilent)
        }
      }
    }
  }

  @Test("Scripts given at the start are loaded before the first command")
  func preloaded() async throws {
    try await withServerAndClient(scripts: [Self.add]) { _, client async throws in
      #expect(try await client.send(RedisCommand("SCRIPT", "EXISTS", Self.add.sha1)).array == [.integer(1)])
    }
  }

  @Test("An error of a script has the server's message and not the arguments")
  func failingScript() async throws {
    try await withServerAndClient { _, client async throws in
      let script = RedisScript("return redis.error_reply('STALE the epoch is newer')")
      let error = try #require(try await redisError { try await client.evaluate(script, keys: ["k"], arguments: ["secret-argument"]) })
      #expect(error.serverCode == "STALE")
      #expect(!"\(error)".contains("secret-argument"))
    }
  }
}
