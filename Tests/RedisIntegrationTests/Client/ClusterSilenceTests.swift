import NIOCore
import ParallaxRedis
import TestSupport
import Testing

@Suite(
  "A master of a real cluster that does not answer and is not replaced",
  .onCluster(.init(replicasPerPrimary: 0, arguments: ["--cluster-require-full-coverage", "no"])), .serialized, .timeLimit(.minutes(1)))
struct ClusterSilenceTests {
  @Test("A pipeline returns the other masters' results, and those of the silent master time out")
  func pipeline() async throws {
    try await withClusterClient { cluster, client async throws in
      let keys = keys("paused")
      for key in keys { _ = try await client.send(RedisCommand("GET", key)) }
      cluster.nodes[1].pause()
      defer { cluster.nodes[1].resume() }
      let results = try await client.pipeline(keys.map { RedisCommand("INCR", $0).withTimeout(.milliseconds(300)) })
      #expect(try results[0].get().int == 1)
      #expect(try results[2].get().int == 1)
      let error = try #require(try await redisError { try results[1].get() })
      #expect(error.code == .timedOut)
      #expect(error.mayHaveExecuted)
      #expect(error.command == "INCR")
    }
  }

  @Test("Commands without a key go to another master, and the status reports the closed connection")
  func withoutKeys() async throws {
    let cluster = try #require(OnCluster.running)
    let configuration = cluster.configuration { $0.commandTimeout = .seconds(4) }
    try await withClient(configuration) { client async throws in
      for key in keys("ready") { _ = try await client.send(RedisCommand("GET", key)) }
      #expect(client.status.isConnected && client.status.disconnectedFor == nil && client.status.lastError == nil)
      let chosen = try #require(try await client.send(RedisCommand("INFO", "server")).string?.firstMatch(of: /tcp_port:(\d+)/)?.1)
      let node = try #require(cluster.nodes.first { "\($0.port)" == chosen })
      node.pause()
      defer { node.resume() }
      // A command is in flight there until the connection is given up.
      async let given = redisError { try await client.send(RedisCommand("PING")) }
      try await eventually("another answers") {
        try await redisError { try await client.send(RedisCommand("PING").withTimeout(.milliseconds(100))) } == nil
      }
      // The silent server's connection is kept and awaited by its callers.
      #expect(client.status.isConnected)
      #expect(try await given?.mayHaveExecuted == true)
      try await eventually("its connection is given up") { !client.status.isConnected }
      #expect(try await client.send(RedisCommand("PING")).string == "PONG")
      let status = client.status
      #expect(status.disconnectedFor ?? .zero > .zero)
      #expect(status.lastError != nil)
      node.resume()
      try await eventually("it is back") { client.status.isConnected }
    }
  }
}
