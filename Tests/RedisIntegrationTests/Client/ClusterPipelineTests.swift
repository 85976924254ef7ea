import NIOCore
import ParallaxRedis
import TestSupport
import Testing

@Suite("Pipelines on a real cluster", .onCluster(.init(replicasPerPrimary: 0)), .timeLimit(.minutes(1)))
struct ClusterPipelineTests {
  @Test("A pipeline over all masters returns replies in the order of its commands, and an error in its own place")
  func order() async throws {
    try await withClusterClient { _, client async throws in
      let keys = keys("order", perThird: 20).shuffled()
      _ = try await client.send(RedisCommand("SET", keys[7], "word"))
      var commands = keys.enumerated().map { RedisCommand("INCRBY", $1, $0 + 1) }
      commands.insert(RedisCommand("ECHO", "e"), at: 30)
      var expected = (1...keys.count).map { "\($0)" }
      expected.insert("e", at: 30)
      expected[7] = "ERR"
      let results = try await client.pipeline(commands)
      let texts = results.map { result in
        switch result {
        case .success(let value): value.string ?? value.int.map { "\($0)" }
        case .failure(let error): error.serverCode
        }
      }
      #expect(texts == expected)
    }
  }

  @Test("ASKING of a caller is an ordinary command")
  func asking() async throws {
    try await withClusterClient { _, client async throws in
      let key = keys("asking")[0]
      let results = try await client.pipeline([RedisCommand("ASKING"), RedisCommand("SET", key, 1), RedisCommand("GET", key)])
      #expect(try results.map { try $0.get().string } == ["OK", "OK", "1"])
    }
  }

  @Test("A transaction goes as a whole to the master of its first key")
  func transaction() async throws {
    try await withClusterClient { _, client async throws in
      for key in keys("transaction") {
        let results = try await client.pipeline([
          RedisCommand("MULTI"), RedisCommand("INCR", key), RedisCommand("INCR", key), RedisCommand("EXEC"),
        ])
        #expect(try results[3].get().array?.map(\.int) == [1, 2])
      }
    }
  }

  @Test("A transaction over several masters fails and changes nothing")
  func transactionOverMasters() async throws {
    try await withClusterClient { _, client async throws in
      let keys = keys("spread")
      let results = try await client.pipeline([
        RedisCommand("MULTI"), RedisCommand("INCR", keys[0]), RedisCommand("INCR", keys[2]), RedisCommand("EXEC"),
      ])
      #expect(try await redisError { try results[2].get() }?.serverCode == "MOVED")
      #expect(try await redisError { try results[3].get() }?.serverCode == "EXECABORT")
      #expect(try await client.send(RedisCommand("EXISTS", keys[0], keys[2])).int == 0)
    }
  }
}
