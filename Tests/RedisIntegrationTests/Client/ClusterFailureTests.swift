import NIOCore
import ParallaxRedis
import TestSupport
import Testing

@Suite("Failures of masters of a real cluster under load", .onCluster(), .serialized, .timeLimit(.minutes(2)))
struct ClusterFailureTests {
  /// Stops the master of the first two tags under load, continues with the body, and checks losses and failures.
  private func losingMaster(
    _ name: String, _ body: @Sendable (RedisClusterDeployment, ClusterLoad, RedisServer) async throws -> Void
  ) async throws {
    try await withClusterClient { cluster, client async throws in
      try await cluster.awaitHealthy()
      let load = ClusterLoad(client, tags: keys(name, perThird: 2))
      let victims = load.tags[0...1]
      let rounds = try cluster.timesAskedForShards
      let clock = ContinuousClock()
      let began = clock.now
      try await load.run {
        try await load.advance()
        let master = try cluster.primary(ofKey: load.tags[0])
        let replica = try #require(try cluster.replicas(of: master).first)
        master.pause()
        let stopped = clock.now
        // From here on the client's acknowledgements and the replica's data do not change.
        try await Task.sleep(for: .milliseconds(50))
        let told = load.seen.counters
        let kept = try replica.withConnection { connection in
          try connection.command("READONLY")
          return try told.mapValues { _ in 0 }.reduce(into: [String: Int]()) { kept, counter in
            guard victims.contains(where: { counter.key.hasSuffix($0) }) else { return }
            kept[counter.key] = try connection.command("GET", counter.key).number ?? 0
          }
        }
        try await body(cluster, load, master)
        try await load.advance(by: 1, Array(victims))
        print("\(name): written again after \(clock.now - stopped)")
        // Earlier than the time-out of the commands in flight, 20 s.
        #expect(clock.now - stopped < .seconds(18))
        try await load.advance()
        let now = load.seen.counters
        for (key, value) in kept {
          let since = (now[key]?.acknowledged ?? 0) - (told[key]?.acknowledged ?? 0)
          let present = try await client.send(RedisCommand("GET", key)).int ?? 0
          // The reply in transit to the counter's caller when the master stopped may be counted later.
          #expect(present >= value + since - 1, "\(key): the replica had \(value), and \(since) were acknowledged since")
        }
        let unreplicated = kept.reduce(0) { $0 + max(0, (told[$1.key]?.value ?? 0) - $1.value) }
        print("\(name): lost \(load.seen.lostIncrements), of which the server had not replicated \(unreplicated)")
        #expect(load.seen.lostIncrements <= unreplicated + kept.count)
      }
      let seen = load.seen
      #expect(seen.wrong.isEmpty)
      let unexpected = seen.failures.filter { !victims.contains($0.tag) || ($0.error as? RedisError)?.code != .unknownOutcome }
      #expect(unexpected.isEmpty)
      // Each of their callers had a command in flight.
      #expect(Set(seen.failures.map(\.tag)) == Set(victims))
      let seconds = (clock.now - began) / .seconds(1)
      let asked = try cluster.timesAskedForShards - rounds
      print("\(name): \(seen.done) calls, \(seen.failures.count) failed, \(asked) CLUSTER SHARDS in \(seconds) s, slowest \(seen.slowest)")
      #expect(Double(asked) < 30 * (seconds + 1))
    }
  }

  @Test("kill -9: commands in flight have an unknown outcome, other slots are not affected, and a replica takes over")
  func kill() async throws {
    try await losingMaster("kill") { cluster, load, master async throws in
      master.kill()
      try await load.advance(by: 20, Array(load.tags[2...]))
      try await cluster.awaitPrimary(ofSlot: RedisHashSlot.of(load.tags[0]), otherThan: master)
      try await master.start()
    }
  }

  @Test("A master that was suspended and replaced, and continues, receives no write")
  func stop() async throws {
    try await losingMaster("stop") { cluster, load, master async throws in
      try await cluster.awaitPrimary(ofSlot: RedisHashSlot.of(load.tags[0]), otherThan: master)
      try await load.advance(by: 1)
      master.resume()
      try await load.advance(by: 100)
    }
  }
}
