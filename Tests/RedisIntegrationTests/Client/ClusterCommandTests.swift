import NIOCore
import ParallaxRedis
import TestSupport
import Testing

@Suite("Commands on a real cluster", .onCluster(), .timeLimit(.minutes(1)))
struct ClusterCommandTests {
  private func checkRouting(_ name: String, seeds: [RedisConfiguration.Endpoint]) async throws {
    let cluster = try #require(OnCluster.running)
    let configuration = cluster.configuration {
      $0.deployment = .cluster(nodes: seeds)
      // A server that does not answer must not delay the others.
      $0.connectTimeout = .seconds(30)
      $0.commandTimeout = .seconds(10)
    }
    try await withClient(configuration) { client async throws in
      let keys = keys(name, perThird: 5)
      for (index, key) in keys.enumerated() {
        #expect(try await client.send(RedisCommand("SET", key, key)).string == "OK")
        #expect(try await client.send(RedisCommand("GET", key)).string == key)
        #expect(try cluster.nodes[index / 5].command("GET", key).text == key)
      }
      #expect(client.status.isConnected)
    }
  }

  @Test("Commands reach the master of their key, with a master or a replica as the seed", arguments: [1, 4])
  func anySeed(node: Int) async throws {
    try await checkRouting("seed \(node)", seeds: [try #require(OnCluster.running).nodes[node].endpoint])
  }

  @Test("A dead seed and a silent one delay no command")
  func badSeeds() async throws {
    let cluster = try #require(OnCluster.running)
    let dead = try RedisServer()
    try await ChokeProxy.with(to: cluster.nodes[0].port, at: "HELLO") { silent in
      try await checkRouting("bad seeds", seeds: [dead.endpoint, .host("127.0.0.1", port: silent.port), cluster.nodes[2].endpoint])
    }
  }

  @Test("Keys with one hash tag share a slot, and commands without a key go to any master")
  func hashTagsAndNoKeys() async throws {
    try await withClusterClient { _, client async throws in
      for tag in keys("tag") {
        #expect(try await client.send(RedisCommand("MSET", "\(tag)a", 1, "b\(tag)", 2)).string == "OK")
        #expect(try await client.send(RedisCommand("RENAME", "\(tag)a", "b\(tag)")).string == "OK")
        #expect(try await client.send(RedisCommand("GET", "b\(tag)")).int == 1)
      }
      #expect(try await client.send(RedisCommand("ECHO", "e")).string == "e")
      #expect(try await client.send(RedisCommand("EVAL", "return 7", 0)).int == 7)
    }
  }

  @Test("A command over several slots is divided if the effect is the same, and otherwise refused by the server")
  func multipleKeys() async throws {
    try await withClusterClient { _, client async throws in
      let keys = keys("multi", perThird: 4)
      for key in keys { _ = try await client.send(RedisCommand("SET", key, "of \(key)")) }
      func all(_ name: String, _ keys: [String]) -> RedisCommand { RedisCommand(name, arguments: keys.map { RedisArgument($0) }) }
      let read = try await client.send(all("MGET", ["none"] + keys)).array
      #expect(read?.map(\.string) == [nil] + keys.map { "of \($0)" })
      #expect(try await client.send(all("EXISTS", keys + ["none"])).int == 12)
      #expect(try await client.send(all("TOUCH", keys)).int == 12)
      #expect(try await client.send(all("DEL", Array(keys.prefix(5)))).int == 5)
      #expect(try await client.send(all("UNLINK", keys)).int == 7)
      let error = try await redisError { try await client.send(RedisCommand("MSET", keys[0], 1, keys[11], 2)) }
      #expect(error?.code == .serverError)
      #expect(error?.serverCode == "CROSSSLOT")
    }
  }

  @Test("A command whose key the client does not know follows redirections")
  func unknownCommand() async throws {
    try await withClusterClient { _, client async throws in
      for key in keys("unknown") {
        _ = try await client.send(RedisCommand("PFADD", key, "a"))
        // A command for debugging the server, the only one with its key in that place.
        let command = RedisCommand("PFDEBUG", "ENCODING", key)
        #expect(try await client.send(command).string == "sparse")
        #expect(try await client.pipeline([command, command]).map { try $0.get().string } == ["sparse", "sparse"])
      }
    }
  }

  // MARK: Scripts

  private static let add = RedisScript("return redis.call('INCRBY', KEYS[1], ARGV[1])")

  @Test("A script runs on each master, also after one of them has lost it")
  func scripts() async throws {
    try await withClusterClient(scripts: [Self.add]) { cluster, client async throws in
      let keys = keys("script")
      for key in keys { #expect(try await client.evaluate(Self.add, keys: [key], arguments: [2]).int == 2) }
      for node in cluster.nodes.prefix(3) { #expect(try node.command("SCRIPT", "EXISTS", Self.add.sha1) == .array([.integer(1)])) }
      try cluster.nodes[1].command("SCRIPT", "FLUSH")
      let results = try await client.pipeline(keys.map { .evaluate(Self.add, keys: [$0], arguments: [3]) })
      #expect(try results.map { try $0.get().int } == [5, 5, 5])
      try cluster.nodes[2].command("SCRIPT", "FLUSH")
      for key in keys { #expect(try await client.evaluate(Self.add, keys: [key], arguments: [1]).int == 6) }
      for node in cluster.nodes.prefix(3) { #expect(try node.command("SCRIPT", "EXISTS", Self.add.sha1) == .array([.integer(1)])) }
    }
  }
}
