import Logging
import ParallaxHA
import ParallaxRedis
import ParallaxRedisStores
import ParallaxTesting
import Synchronization
import TestSupport
import Testing

@Suite struct RedisElectionStoreTests {
  private static let record = ElectionRecord(
    clusterID: "c", leader: "node-a", incarnation: "a1", term: 5, sequence: 3, leaseDuration: .seconds(15))

  @Test("The Redis store keeps the rules", arguments: ElectionStoreConformance.checks)
  func conforms(to check: ElectionStoreConformance.Check) async throws {
    try await withElectionStore { store, _, _ in try await check.run { store } }
  }

  @Test func theRecordIsReadableUnderItsKeyAndDoesNotExpire() async throws {
    try await withElectionStore { store, client, _ in
      _ = try await store.compareAndSet(Self.record, expecting: nil)
      let text = try await client.send(RedisCommand("GET", "parallax:ha:leader")).string
      #expect(text?.contains(#""leader":"node-a""#) == true)
      #expect(try await client.send(RedisCommand("TTL", "parallax:ha:leader")).int == -1)
    }
  }

  @Test(
    "An invalid record is neither read nor overwritten",
    arguments: [["SET", "nonsense"], ["SET", ""], ["SET", "{}"], ["RPUSH", "x"]])
  func unreadable(_ command: [String]) async throws {
    try await withElectionStore { store, client, _ in
      _ = try await client.send(RedisCommand(command[0], "parallax:ha:leader", command[1]))
      for call in 0..<3 {
        let error = await #expect(throws: ElectionError.self) {
          switch call {
          case 0: _ = try await store.read()
          case 1: _ = try await store.compareAndSet(Self.record, expecting: nil)
          default: _ = try await store.compareAndSet(Self.record, expecting: ElectionVersion(Array("other".utf8)))
          }
        }
        #expect(error?.code == .unreadableRecord)
      }
      let type = try await client.send(RedisCommand("TYPE", "parallax:ha:leader")).string
      #expect(type == (command[0] == "SET" ? "string" : "list"))
    }
  }

  @Test func everyWriteIsAHintToAllSubscribers() async throws {
    try await withElectionStore { store, client, _ in
      let other = RedisElectionStore(client: client, keys: try KeySpace())
      try await withThrowingTaskGroup(of: ElectionSnapshot?.self) { group in
        let changes = other.changes()
        group.addTask {
          for await hint in changes where hint.record.sequence == 10 { return hint }
          return nil
        }
        group.addTask {
          var record = Self.record
          var version: ElectionVersion?
          // The subscription may begin after the first writes: it continues from the record that it then reads.
          for sequence in 4...10 {
            record.sequence = Int64(sequence)
            guard case .written(let next) = try await store.compareAndSet(record, expecting: version) else { return nil }
            version = next
          }
          try await Task.sleep(for: .seconds(10))
          return nil
        }
        let hint = try #require(try await group.next())
        group.cancelAll()
        #expect(try await store.read() == hint)
      }
    }
  }

  @Test func aRecordedDeathIsAHintToAllSubscribers() async throws {
    try await withElectionStore { store, client, _ in
      guard case .written = try await store.compareAndSet(Self.record, expecting: nil) else { return #expect(Bool(false)) }
      let other = RedisElectionStore(client: client, keys: try KeySpace())
      try await withThrowingTaskGroup(of: ElectionSnapshot?.self) { group in
        let changes = other.changes()
        let (subscribed, subscription) = AsyncStream.makeStream(of: Void.self)
        group.addTask {
          for await hint in changes {
            if hint.record.isReleased { return hint }
            subscription.yield()
          }
          return nil
        }
        // The first hint is the record that a new subscription reads.
        for await _ in subscribed { break }
        let timings = try ElectionTimings(leaseDuration: .milliseconds(500))
        let released = try await store.recordDeath(of: "node-a", incarnation: "a1", timings: timings)
        #expect(released == [Self.record.fencingToken])
        let hint = try #require(try await group.next() ?? nil)
        #expect(hint.record.isWitnessed && hint.record.term == Self.record.term)
        group.cancelAll()
      }
    }
  }

  @Test func `A server that refuses writes is named with its reason, and answers reads`() async throws {
    try await withElectionStore { store, client, _ in
      _ = try await client.send(RedisCommand("CONFIG", "SET", "min-replicas-to-write", 1))
      let error = await #expect(throws: ElectionError.self) { try await store.compareAndSet(Self.record, expecting: nil) }
      #expect(error?.code == .storeRefusesWrites)
      #expect(error?.message.hasPrefix("NOREPLICAS") == true && error?.message.contains("script") == false, "\(error?.message ?? "")")
      #expect(try await store.read() == nil)
    }
  }

  @Test func aWriteWithTooFewReplicasHasAnUnknownOutcome() async throws {
    try await withElectionStore { store, client, _ in
      let careful = RedisElectionStore(client: client, keys: try KeySpace(), requiredReplicas: 1, replicaTimeout: .milliseconds(50))
      let error = await #expect(throws: ElectionError.self) { try await careful.compareAndSet(Self.record, expecting: nil) }
      #expect(error?.code == .storeUnavailable)
      #expect(try await store.read()?.record == Self.record)
      // A conflict wrote nothing that a replica would need.
      #expect(try await careful.compareAndSet(Self.record, expecting: nil) == .conflict(store.read()))
    }
  }

  @Test func aWriteWithEnoughReplicasSucceeds() async throws {
    try await withElectionStore { _, client, server in
      let replica = try RedisServer(.init(replicaOf: server.port))
      defer { replica.kill() }
      try await replica.start()
      try await eventually("the replica follows") {
        try await client.send(RedisCommand("INFO", "replication")).string?.contains("state=online") == true
      }
      let careful = RedisElectionStore(client: client, keys: try KeySpace(), requiredReplicas: 1, replicaTimeout: .seconds(5))
      guard case .written = try await careful.compareAndSet(Self.record, expecting: nil) else {
        Issue.record("the write was refused")
        return
      }
    }
  }
}

@Suite struct RedisElectionTests {
  @Test func threeNodesElectALeaderWhoseResignationHandsOver() async throws {
    try await withElectionStore { store, client, _ in
      // Far longer than any handover, even on a machine that runs a hundred other tests.
      let configuration = ElectionConfiguration(bootstrapWait: .zero)
      let elections = (0..<3).map {
        LeaderElection(store: store, nodeID: "node-\($0)", configuration: configuration, logger: quietLogger)
      }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for election in elections {
          group.addTask { await election.observe() }
          group.addTask { try? await election.campaign { _ in try await Task.sleep(for: .seconds(3_600)) } }
        }
        try await eventually("one node leads") { elections.filter(\.isLeader).count == 1 }
        let first = try #require(elections.first { $0.isLeader })
        let term = try #require(first.fencingToken?.term)
        // The others must know the leader before they can follow it at once.
        try await eventually("all know the leader") { elections.allSatisfy { $0.status.leader == first.session.nodeID } }

        let begin = ContinuousClock.now
        await first.resign()
        try await eventually("another node leads", every: .milliseconds(2)) { elections.contains(where: \.isLeader) }
        #expect(begin.duration(to: .now) < configuration.timings.renewDeadline)

        let second = try #require(elections.first { $0.isLeader })
        #expect(try #require(second.fencingToken?.term) > term)
        let handover = try await first.stepDown()
        #expect(handover.from == second.session.nodeID)
        #expect(handover.duration < configuration.timings.renewDeadline)

        _ = try await client.send(RedisCommand("FLUSHALL"))
        try await eventually("the record again") { try await store.read()?.record.leader != nil }
        #expect(try await store.read()?.record.term == handover.term)
        #expect(elections.filter(\.isLeader).map(\.session.nodeID) == [handover.to])
        group.cancelAll()
      }
    }
  }
}

private func withElectionStore(_ body: @Sendable (RedisElectionStore, RedisClient, RedisServer) async throws -> Void) async throws {
  let keys = try KeySpace()
  try await withServerAndClient(scripts: RedisElectionStore.scripts) { server, client in
    try await body(RedisElectionStore(client: client, keys: keys), client, server)
  }
}
