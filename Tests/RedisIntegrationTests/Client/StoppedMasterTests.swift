import NIOCore
import ParallaxRedis
import TestSupport
import Testing

@Suite("A master that was suspended and replaced, and continues as a master", .serialized, .timeLimit(.minutes(1)))
struct StoppedMasterTests {
  @Test("No command reaches the former master after the switch, on any connection", arguments: [Duration.seconds(10), .seconds(2)])
  func stoppedMaster(patience: Duration) async throws {
    // With short time-outs the client gives up the shared connection before the sentinels notice the failure.
    try await RedisSentinelDeployment.withClient {
      $0.commandTimeout = patience
      // The client gives up an attempt to connect to the stopped master at the switch, whatever its time-out.
      $0.connectTimeout = .seconds(50)
    } _: { deployment, client async throws in
      // A stopped sentinel too, which does not know about the failover when it continues.
      let sleeper = deployment.sentinels[0]
      let former = try deployment.primary()
      try deployment.delayDemotion()
      try await eventually("the client is connected") { client.status.isConnected }
      let oldLease = try await client.withConnection { lease async throws in
        _ = try await lease.send(RedisCommand("PING"))
        // The connection of an ended lease is kept for the next lease.
        _ = try await client.withConnection { try await $0.send(RedisCommand("PING")) }
        sleeper.pause()
        former.pause()
        let began = ContinuousClock.now
        if patience < .seconds(3) {
          _ = try await redisError { try await client.send(RedisCommand("PING")) }
          try await eventually("the shared connection is given up") { !client.status.isConnected }
        }
        let master = try await deployment.awaitPrimary(otherThan: former)
        let known = ContinuousClock.now
        try await eventually("the client has switched") { try await client.isUsing(master) }
        print(
          "sentinel, stopped master: \(ContinuousClock.now - began), of that \(ContinuousClock.now - known) after the sentinels' switch")
        former.resume()
        sleeper.resume()
        return try await redisError { try await lease.send(RedisCommand("SET", "later:lease", 1).withTimeout(.seconds(10))) }
      }
      let error = try #require(oldLease)
      #expect([.connectionFailed, .unknownOutcome].contains(error.code), "\(error)")
      try await checkLaterWrites(client, deployment, former)
    }
  }

  /// Writes on connections of all ages while both servers consider themselves the master.
  private func checkLaterWrites(_ client: RedisClient, _ deployment: RedisSentinelDeployment, _ former: RedisServer) async throws {
    let master = try deployment.primary()
    for round in 0..<20 {
      let key = "later:\(round)"
      _ = try await client.send(RedisCommand("SET", key, round).idempotent.withTimeout(.seconds(10)))
      try await eventually("a lease") {
        do {
          _ = try await client.withConnection { try await $0.send(RedisCommand("SET", "\(key):lease", round)) }
          return true
        } catch let error as RedisError where error.code == .unknownOutcome || error.code == .connectionFailed { return false }
      }
      try await Task.sleep(for: .milliseconds(50))
      if round % 4 == 3 { try master.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") }
    }
    #expect(try former.command("ROLE").elements.first?.text == "master", "it was demoted before the end: nothing is proved")
    #expect(try former.command("KEYS", "*").texts == ["first"])
    #expect(try master.command("KEYS", "later:*").elements.count == 40)
  }

  @Test("Subscriptions receive a gap and the new master's messages only; a lease requested meanwhile waits for that master")
  func subscriptions() async throws {
    try await RedisSentinelDeployment.withClient(.init(replicas: 1)) { deployment, client async throws in
      let former = try deployment.primary()
      var events = client.subscribe(to: ["news"]).makeAsyncIterator()
      #expect(await events.next() == .subscribed)
      _ = try await client.send(RedisCommand("PING"))
      former.pause()
      async let lease = client.withConnection { try await $0.send(.whichServer).port }
      let master = try await deployment.awaitPrimary(otherThan: former)
      let known = ContinuousClock.now
      #expect(await events.next() == .gap)
      #expect(ContinuousClock.now - known < .seconds(8), "the silence of the former master was noticed, not its replacement")
      #expect(try await lease == master.port)
      former.resume()
      try former.command("PUBLISH", "news", "from the former master")
      try master.command("PUBLISH", "news", "from the new master")
      var event = await events.next()
      while event == .gap { event = await events.next() }
      #expect(event == .message(channel: "news", payload: ByteBuffer(string: "from the new master")))
    }
  }
}
