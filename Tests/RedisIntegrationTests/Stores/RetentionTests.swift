import ParallaxAPI
import ParallaxHA
import ParallaxRedis
import ParallaxRedisStores
import ParallaxState
import TestSupport
import Testing

/// The removal of executions: its order, its cost, and the remaining ones.
@Suite(.serialized, .timeLimit(.minutes(2))) struct RetentionTests {
  private static let later = Sample.instant + .seconds(3_600)

  private func keyed(_ id: String, _ key: String, createdAt: Timestamp) -> StoredExecution {
    var stored = Sample.execution(id, status: .completed, createdAt: createdAt)
    stored.execution.idempotencyKey = key
    stored.execution.completedAt = createdAt + .seconds(2)
    return stored
  }

  @Test func aRemovedExecutionIsKnownByItsKeyUntilTheKeyExpires() async throws {
    try await withStore { test in
      let now = try await test.store.currentTime()
      _ = try await test.store.claimIdempotencyKey("key", executionID: "exec_1", digest: "d")
      _ = try await test.store.create(keyed("exec_1", "key", createdAt: now))
      #expect(try await test.store.removeExecutions(createdBefore: now + .seconds(3), maxRetained: 9, limit: 9) == 1)
      #expect(try await test.store.execution("exec_1") == nil)

      let claim = try await test.store.claimIdempotencyKey("key", executionID: "exec_2", digest: "d")
      #expect(claim == .removed(executionID: "exec_1", digest: "d", status: .completed, completedAt: now + .seconds(2)))
      let ttl = try #require(try await test.client.send(RedisCommand("PTTL", test.keys.execution("exec_1"))).int)
      let keyTTL = try #require(try await test.client.send(RedisCommand("PTTL", test.keys.idempotency("key"))).int)
      #expect(ttl >= keyTTL)

      // Neither a late creator nor a recovery restores it or shortens its tombstone.
      #expect(try await test.store.create(keyed("exec_1", "key", createdAt: now)) == .barred)
      #expect(try await test.store.claim("exec_1", from: Sample.session, to: Sample.other) == nil)
      #expect(try await test.client.send(RedisCommand("PTTL", test.keys.execution("exec_1"))).int ?? 0 > keyTTL - 60_000)
    }
  }

  @Test func theRemovalOfAnExecutionWithAnExpiredKeyLeavesNoTombstone() async throws {
    try await withStore { test in
      _ = try await test.store.create(keyed("exec_1", "key", createdAt: Sample.instant))
      #expect(try await test.store.removeExecutions(createdBefore: Self.later, maxRetained: 9, limit: 9) == 1)
      #expect(try await test.client.send(RedisCommand("EXISTS", test.keys.execution("exec_1"))).int == 0)
    }
  }

  @Test func `A former owner does not restore an execution that its next owner ended and that was removed`() async throws {
    try await withStore { test in
      let held = Sample.execution("exec_1", status: .running)
      _ = try await test.store.create(held)
      let claimed = try #require(try await test.store.claim("exec_1", from: Sample.session, to: Sample.other))
      #expect(try await test.store.update(Sample.change(claimed, revision: 2, status: .completed)) == .applied)
      #expect(try await test.store.removeExecutions(createdBefore: Self.later, maxRetained: 9, limit: 9) == 1)
      #expect(try await test.store.restore(held, as: .owner) == .barred)
      #expect(try await test.store.execution("exec_1") == nil)
      #expect(try await test.client.send(RedisCommand("PTTL", test.keys.execution("exec_1"))).int ?? 0 > 0)

      // An execution of one owner leaves nothing.
      _ = try await test.store.create(Sample.execution("exec_2", status: .completed))
      #expect(try await test.store.removeExecutions(createdBefore: Self.later, maxRetained: 9, limit: 9) == 1)
      #expect(try await test.client.send(RedisCommand("EXISTS", test.keys.execution("exec_2"))).int == 0)
    }
  }

  @Test("An execution that has not ended is never removed", arguments: [ExecutionStatus.pending, .running, .aggregating])
  func live(_ status: ExecutionStatus) async throws {
    try await withStore { test in
      _ = try await test.store.create(Sample.execution("exec_1", status: status))
      #expect(try await test.store.removeExecutions(createdBefore: Self.later, maxRetained: 0, limit: 9) == 0)
      #expect(try await test.store.execution("exec_1")?.execution.status == status)
    }
  }

  @Test func anIndexEntryStaysUntilItsExecutionIsRemoved() async throws {
    let user = "worker on >secret resetkeys ~parallax:* ~{parallax:* resetchannels &parallax:* +@all -evalsha -eval"
    try await withStore(
      .init(users: [user]),
      { configuration in
        configuration.username = "administrator"
        configuration.password = "any"
      }
    ) { test in
      _ = try await test.store.create(Sample.execution("exec_1", status: .completed))
      let restricted = try test.server.configuration { configuration in
        configuration.username = "worker"
        configuration.password = "secret"
      }
      try await withClient(restricted) { client in
        let store = RedisStateStore(client: client, keys: test.keys, logger: quietLogger)
        await #expect(throws: StateStoreError.self) {
          try await store.removeExecutions(createdBefore: Self.later, maxRetained: 9, limit: 9)
        }
      }
      let page = try await test.store.executions(ExecutionQuery())
      #expect(page.executions.map(\.execution.id) == ["exec_1"])
      #expect(try await test.store.executions(ownedBy: Sample.session) == ["exec_1"])
    }
  }

  @Test func theTombstoneOfAClaimExpires() async throws {
    try await withStore { test in
      _ = try await test.client.send(RedisCommand("SADD", test.keys.executions(ownedBy: Sample.session), "exec_lost"))
      #expect(try await test.store.claim("exec_lost", from: Sample.session, to: Sample.other) == nil)
      let lifetime = try #require(try await test.client.send(RedisCommand("PTTL", test.keys.execution("exec_lost"))).int)
      #expect((3_590_000...3_600_000).contains(lifetime))
    }
  }

  @Test func excessIsRemovedWithoutReadingEmptyMinutes() async throws {
    try await withStore { test in
      for number in 0..<300 {
        let createdAt = Sample.instant + .seconds(60 * number)
        _ = try await test.store.create(Sample.execution("exec_\(number)", status: .completed, createdAt: createdAt))
      }
      let remove = { try await test.store.removeExecutions(createdBefore: Sample.instant, maxRetained: 50, limit: 1_000) }
      #expect(try await remove() == 250)
      try await test.resetCounts()
      #expect(try await remove() == 0)
      // One command lists the minutes.
      #expect(try await test.counts()["zrange"] ?? 0 <= 2)
    }
  }

  // MARK: Lists

  @Test func theCostOfAPageDoesNotDependOnTheMinutes() async throws {
    try await withStore { test in
      let minutes = 1_500
      let now = try await test.store.currentTime()
      var commands: [RedisCommand] = []
      for number in 0..<minutes {
        let createdAt = now - .seconds(60 * (number + 10))
        let bucket = ExecutionBucket(at: createdAt)
        commands.append(RedisCommand("ZADD", test.keys.executionBuckets, createdAt.milliseconds / 60_000, bucket.name))
        commands.append(RedisCommand("ZADD", test.keys.executions(in: bucket), createdAt.milliseconds, "exec_\(number)"))
      }
      for result in try await test.client.pipeline(commands) { _ = try result.get() }
      _ = try await test.store.create(Sample.execution("exec_now", createdAt: now))

      try await test.resetCounts()
      #expect(try await test.store.executions(ExecutionQuery(limit: 20)).total == nil)
      #expect(try await test.counts()["zcard"] ?? 0 <= 128)

      // The leader's round counts them, and removes the entries without executions.
      _ = try await test.store.removeExecutions(createdBefore: Sample.instant, maxRetained: 1_000_000, limit: 5_000)
      try await test.resetCounts()
      #expect(try await test.store.executions(ExecutionQuery(limit: 20)).total == minutes + 1)
      let counts = try await test.counts()
      #expect(counts["zcard"] ?? 0 <= 128)
      #expect(counts.values.reduce(0, +) <= 250, "\(counts)")

      try await test.resetCounts()
      _ = try await test.store.executions(ExecutionQuery(limit: 20, offset: 1_400))
      #expect(try await test.counts()["zcard"] ?? 0 <= 700)
    }
  }

  @Test func offsetsAndListsAgree() async throws {
    try await withStore { test in
      for number in 0..<90 {
        let createdAt = Sample.instant + .seconds(60 * (number / 2))
        _ = try await test.store.create(Sample.execution("exec_\(100 + number)", createdAt: createdAt))
      }
      let all = try await test.store.executions(ExecutionQuery(limit: 100)).executions.map(\.execution.id)
      #expect(all.count == 90)
      for offset in [0, 1, 2, 63, 64, 65, 89, 90, 91] {
        let page = try await test.store.executions(ExecutionQuery(limit: 3, offset: offset))
        #expect(page.executions.map(\.execution.id) == Array(all.dropFirst(offset).prefix(3)), "offset \(offset)")
        #expect(page.total == 90)
      }
    }
  }
}
