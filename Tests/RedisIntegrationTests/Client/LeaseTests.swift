import ParallaxRedis
import TestSupport
import Testing

@Suite("Leased connections on a real server", .timeLimit(.minutes(1)))
struct LeaseTests {
  @Test("A blocking command delays no other command")
  func blocking() async throws {
    try await withServerAndClient { _, client async throws in
      async let popped = client.withConnection { try await $0.send(RedisCommand("BLPOP", "list", 0)) }
      try await eventually("the server has the BLPOP") {
        try await client.send(RedisCommand("CLIENT", "LIST")).string?.contains("cmd=blpop") == true
      }
      #expect(try await client.send(RedisCommand("RPUSH", "list", "item")).int == 1)
      #expect(try await popped.array?.last?.string == "item")
    }
  }

  @Test("A connection left in a transaction or another database is not leased again")
  func cleanliness() async throws {
    try await withServerAndClient { _, client async throws in
      let first = try await client.withConnection { connection async throws in
        _ = try await connection.send(RedisCommand("SELECT", 5))
        _ = try await connection.send(RedisCommand("MULTI"))
        return try await connection.send(RedisCommand("SET", "k", "v")).string
      }
      #expect(first == "QUEUED")
      try await client.withConnection { connection async throws in
        #expect(try await connection.send(RedisCommand("SET", "k", "v")).string == "OK")
        #expect(try await connection.send(RedisCommand("CLIENT", "INFO")).string?.contains(" db=0 ") == true)
      }
    }
  }

  @Test("An unchanged connection is leased again, and cannot be used after its lease")
  func reuse() async throws {
    try await withServerAndClient { _, client async throws in
      let (first, leaked) = try await client.withConnection { (try await $0.send(RedisCommand("CLIENT", "ID")).int, $0) }
      let second = try await client.withConnection { try await $0.send(RedisCommand("CLIENT", "ID")).int }
      #expect(first == second)
      #expect(try await redisError { try await leaked.send(RedisCommand("PING")) }?.code == .shutDown)
    }
  }

  @Test("A task waits for a connection when all are leased")
  func bounded() async throws {
    try await withServerAndClient {
      $0.maximumLeasedConnections = 2
    } _: { _, client async throws in
      try await withThrowingTaskGroup(of: Int?.self) { group in
        for _ in 0..<20 {
          group.addTask { try await client.withConnection { try await $0.send(RedisCommand("CLIENT", "ID")).int } }
        }
        var identifiers: Set<Int?> = []
        for try await identifier in group { identifiers.insert(identifier) }
        #expect(identifiers.count <= 2)
      }
    }
  }

  @Test("A connection to a server that stops accepting writes is neither leased again nor kept", arguments: [true, false])
  func demotion(isNoticedByLease: Bool) async throws {
    try await withServerAndClient { server, client async throws in
      func identify() async throws -> Int? {
        try await client.withConnection { try await $0.send(RedisCommand("CLIENT", "ID")).int }
      }
      let first = try await identify()
      #expect(try await identify() == first)
      // Makes the connection old enough to be left.
      try await Task.sleep(for: .milliseconds(1_100))
      try server.command("REPLICAOF", "127.0.0.1", "1")
      let write = RedisCommand("SET", "k", "v").withTimeout(.seconds(3))
      let error = try await redisError {
        isNoticedByLease ? try await client.withConnection { try await $0.send(write) } : try await client.send(write)
      }
      #expect(error?.serverCode == "READONLY")
      #expect(try await identify() != first)
    }
  }

  @Test("WAIT counts the connection's own writes")
  func waitForReplicas() async throws {
    try await withServerAndClient { _, client async throws in
      let replicas = try await client.withConnection { connection async throws in
        try await connection.pipeline([RedisCommand("SET", "k", "v"), RedisCommand("WAIT", 1, 10)]).last?.get().int
      }
      #expect(replicas == 0)
    }
  }
}
