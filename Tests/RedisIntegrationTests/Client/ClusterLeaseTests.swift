import NIOCore
import ParallaxRedis
import TestSupport
import Testing

@Suite("Leased connections and subscriptions on a real cluster", .onCluster(), .timeLimit(.minutes(1)))
struct ClusterLeaseTests {
  @Test("A lease goes to the master of its key: blocking reads of a group")
  func blocking() async throws {
    try await withClusterClient { cluster, client async throws in
      for (index, key) in keys("stream").enumerated() {
        _ = try await client.send(RedisCommand("XGROUP", "CREATE", key, "g", "$", "MKSTREAM"))
        async let read = client.withConnection(forKey: key) {
          try await $0.send(RedisCommand("XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", key, ">"))
        }
        try await eventually("the master has the XREADGROUP") {
          try cluster.nodes[index].command("CLIENT", "LIST").text?.contains("cmd=xreadgroup") == true
        }
        _ = try await client.send(RedisCommand("XADD", key, "*", "f", "v"))
        #expect(try await read.map?[key]?.array?.count == 1)
      }
    }
  }

  @Test("A transaction that watches a key is aborted when another client changes it")
  func watch() async throws {
    try await withClusterClient { _, client async throws in
      for key in keys("watched") {
        for isDisturbed in [false, true] {
          let outcome = try await client.withConnection(forKey: key) { connection async throws in
            _ = try await connection.send(RedisCommand("WATCH", key))
            if isDisturbed { _ = try await client.send(RedisCommand("SET", key, "other")) }
            _ = try await connection.send(RedisCommand("MULTI"))
            _ = try await connection.send(RedisCommand("SET", key, "own"))
            return try await connection.send(RedisCommand("EXEC"))
          }
          #expect(outcome.isNull == isDisturbed)
        }
        #expect(try await client.send(RedisCommand("GET", key)).string == "other")
      }
    }
  }

  @Test("WAIT counts the replicas of the key's master")
  func waitForReplicas() async throws {
    try await withClusterClient { _, client async throws in
      for key in keys("replicated") {
        let replicas = try await client.withConnection(forKey: key) { connection async throws in
          try await connection.pipeline([RedisCommand("SET", key, "v"), RedisCommand("WAIT", 1, 10_000)]).last?.get().int
        }
        #expect(replicas == 1)
      }
    }
  }

  @Test("A lease for one key does not follow a redirection, but reports it")
  func otherKey() async throws {
    try await withClusterClient { _, client async throws in
      let keys = keys("other")
      try await client.withConnection(forKey: keys[0]) { connection async throws in
        let error = try await redisError { try await connection.send(RedisCommand("SET", keys[1], "v")) }
        #expect(error?.serverCode == "MOVED")
        #expect(try await connection.send(RedisCommand("SET", keys[0], "v")).string == "OK")
      }
    }
  }

  @Test("A subscription receives the messages of every server, and none twice")
  func publishAnywhere() async throws {
    try await withClusterClient { cluster, client async throws in
      var events = client.subscribe(to: ["news"]).makeAsyncIterator()
      #expect(await events.next() == .subscribed)
      for (index, node) in cluster.nodes.enumerated() {
        try node.command("PUBLISH", "news", "\(index)")
        #expect(await events.next() == .message(channel: "news", payload: ByteBuffer(string: "\(index)")))
      }
      _ = try await client.send(RedisCommand("PUBLISH", "news", "own"))
      #expect(await events.next() == .message(channel: "news", payload: ByteBuffer(string: "own")))
    }
  }
}
