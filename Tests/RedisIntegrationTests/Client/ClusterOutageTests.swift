import NIOCore
import ParallaxRedis
import TestSupport
import Testing

@Suite("Outages of a real cluster", .onCluster(), .serialized, .timeLimit(.minutes(2)))
struct ClusterOutageTests {
  @Test("A subscription continues at another server after a gap when its server is lost or replaced", arguments: [true, false])
  func subscription(isKilled: Bool) async throws {
    let cluster = try #require(OnCluster.running)
    let channel = "news \(isKilled)"
    // Without other commands, only a probe detects a server that does not answer.
    let configuration = cluster.configuration { $0.keepAliveInterval = .milliseconds(500) }
    try await withClient(configuration) { client async throws in
      var events = client.subscribe(to: [channel]).makeAsyncIterator()
      #expect(await events.next() == .subscribed)
      let server = try #require(try cluster.nodes.first { try $0.command("PUBSUB", "NUMSUB", channel).elements.last?.number == 1 })
      if isKilled { server.kill() } else { server.pause() }
      let lost = ContinuousClock.now
      #expect(await events.next() == .gap)
      #expect(ContinuousClock.now - lost < .seconds(10))
      let other = try #require(try cluster.primaries().first)
      try other.command("PUBLISH", channel, "after")
      #expect(await events.next() == .message(channel: channel, payload: ByteBuffer(string: "after")))
      if isKilled { try await server.start() } else { server.resume() }
      try await cluster.awaitHealthy()
      try await eventually("all masters are connected") { client.status.isConnected }
    }
  }

  @Test("All servers stop, and return in other roles")
  func allDown() async throws {
    let cluster = try #require(OnCluster.running)
    let log = LogCollector()
    try await withClient(cluster.configuration(), logger: log.logger) { client async throws in
      let keys = keys("down")
      for key in keys { _ = try await client.send(RedisCommand("SET", key, "before")) }
      let master = try cluster.primary(ofKey: keys[0])
      let others = cluster.nodes.filter { $0 !== master }
      for node in cluster.nodes { node.kill() }
      let began = ContinuousClock.now
      try await eventually("the client notices") { !client.status.isConnected }
      let error = try await redisError { try await client.send(RedisCommand("GET", keys[0]).withTimeout(.milliseconds(300))) }
      #expect(error?.code == .connectionFailed)
      #expect(error?.mayHaveExecuted == false)
      let patient = Task { try await client.send(RedisCommand("SET", keys[0], "during")) }
      try await eventually("some time without any server") { client.status.disconnectedFor ?? .zero > .milliseconds(500) }
      // The master of the first key stays unavailable until its replica has taken over.
      for node in others { try await node.start() }
      try await cluster.awaitPrimary(ofSlot: RedisHashSlot.of(keys[0]), otherThan: master)
      try await master.start()
      #expect(try await patient.value.string == "OK")
      print("all down: written again after \(ContinuousClock.now - began)")
      try await cluster.awaitHealthy()
      for key in keys { #expect(try await client.send(RedisCommand("SET", key, "after")).string == "OK") }
      #expect(try cluster.replicas(of: try cluster.primary(ofKey: keys[0])).contains { $0 === master })
      try await eventually("all masters are connected") { client.status.isConnected }
      // Once each: the loss of a server, and the loss of the map.
      #expect(log.errors.count <= 10)
    }
  }
}
