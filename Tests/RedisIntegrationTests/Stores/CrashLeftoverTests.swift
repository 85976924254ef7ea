import ParallaxAPI
import ParallaxHA
import ParallaxRedis
import ParallaxRedisStores
import ParallaxState
import Testing

/// A process can fail between the index entries and the hash, and a paused one can continue later.
@Suite(.serialized, .timeLimit(.minutes(2))) struct CrashLeftoverTests {
  private static let later = Sample.instant + .seconds(3_600)

  /// The entries of a creator that fails before it writes the hash.
  private func leaveIndexEntries(of stored: StoredExecution, in test: StoreUnderTest) async throws {
    let execution = stored.execution
    let bucket = ExecutionBucket(at: execution.createdAt)
    for command in [
      RedisCommand("ZADD", test.keys.executionBuckets, execution.createdAt.milliseconds / 60_000, bucket.name),
      RedisCommand("SADD", test.keys.executions(ownedBy: execution.owner), execution.id),
      RedisCommand("ZADD", test.keys.executions(in: bucket), execution.createdAt.milliseconds, execution.id),
    ] { _ = try await test.client.send(command) }
  }

  @Test func anIndexEntryWithoutHashIsIgnored() async throws {
    try await withStore { test in
      try await leaveIndexEntries(of: Sample.execution("exec_lost"), in: test)
      #expect(try await test.store.create(Sample.execution("exec_kept")) == .created)
      #expect(try await test.store.execution("exec_lost") == nil)
      #expect(try await test.store.executions(ExecutionQuery()).executions.map(\.execution.id) == ["exec_kept"])
      #expect(try await test.store.executions(ExecutionQuery(status: .pending)).executions.map(\.execution.id) == ["exec_kept"])
      #expect(Set(try await test.store.executions(ownedBy: Sample.session)) == ["exec_lost", "exec_kept"])
    }
  }

  @Test func retentionRemovesAnEntryWithoutHashAndBarsItsCreator() async throws {
    try await withStore { test in
      let stored = Sample.execution("exec_lost")
      try await leaveIndexEntries(of: stored, in: test)
      #expect(try await test.store.removeExecutions(createdBefore: Self.later, maxRetained: 9, limit: 9) == 0)
      #expect(try await test.store.executions(ExecutionQuery()).total == 0)

      for owner in [Sample.session, Sample.other] {
        let late = Sample.execution("exec_lost", owner: owner)
        #expect(try await test.store.create(late) == .barred)
      }
      #expect(try await test.store.execution("exec_lost") == nil)
      #expect(try await test.store.update(Sample.change(stored, revision: 2, status: .running)) == .missing)
      let lifetime = try #require(try await test.client.send(RedisCommand("PTTL", test.keys.execution("exec_lost"))).int)
      #expect((3_590_000...3_600_000).contains(lifetime))
    }
  }

  @Test func retentionLeavesAnEntryWithoutHashWhoseExecutionMayBeInCreation() async throws {
    try await withStore { test in
      let stored = Sample.execution("exec_late", createdAt: try await test.store.currentTime() - .seconds(30))
      try await leaveIndexEntries(of: stored, in: test)
      #expect(try await test.store.removeExecutions(createdBefore: Sample.instant, maxRetained: 0, limit: 9) == 0)
      #expect(try await test.store.create(stored) == .created)
    }
  }

  /// A full server has admitted the entries of a restoration, which its owner repeats until the execution is admitted too.
  @Test func retentionByNumberLeavesAnEntryWithoutHashThatIsNotOld() async throws {
    try await withStore { test in
      let stored = Sample.execution("exec_restored", createdAt: try await test.store.currentTime() - .seconds(7_200))
      try await leaveIndexEntries(of: stored, in: test)
      #expect(try await test.store.removeExecutions(createdBefore: Sample.instant, maxRetained: 0, limit: 9) == 0)
      #expect(try await test.store.create(stored) == .created)
    }
  }

  @Test func recoveryRemovesAnEntryWithoutHashAndBarsThatCreatorAlone() async throws {
    try await withStore { test in
      try await leaveIndexEntries(of: Sample.execution("exec_lost"), in: test)
      #expect(try await test.store.claim("exec_lost", from: Sample.session, to: Sample.other) == nil)
      #expect(try await test.store.executions(ownedBy: Sample.session) == [])

      #expect(try await test.store.create(Sample.execution("exec_lost")) == .barred)
      let again = Sample.execution("exec_lost", owner: Sample.other)
      #expect(try await test.store.create(again) == .created)
      #expect(try await test.store.execution("exec_lost") == again)
      #expect(try await test.client.send(RedisCommand("PTTL", test.keys.execution("exec_lost"))).int == -1)
      #expect(try await test.store.create(Sample.execution("exec_lost")) == .exists)
    }
  }

  @Test func anEntryInTheWrongMinuteDoesNotShowAnExecutionTwiceOrRemoveIt() async throws {
    try await withStore { test in
      let stored = Sample.execution(status: .completed, createdAt: Self.later)
      #expect(try await test.store.create(stored) == .created)
      try await leaveIndexEntries(of: Sample.execution(status: .completed), in: test)
      #expect(try await test.store.executions(ExecutionQuery()).executions == [stored])
      #expect(try await test.store.executions(ExecutionQuery(status: .completed)).executions == [stored])

      #expect(try await test.store.removeExecutions(createdBefore: Self.later, maxRetained: 9, limit: 9) == 0)
      #expect(try await test.store.execution("exec_abc123") == stored)
      #expect(try await test.store.executions(ExecutionQuery()).total == 1)
    }
  }

  @Test func anExecutionThatWasNotReleasedLeavesItsOwnersListWhenItIsRemoved() async throws {
    try await withStore { test in
      _ = try await test.store.create(Sample.execution(status: .completed))
      #expect(try await test.store.removeExecutions(createdBefore: Self.later, maxRetained: 9, limit: 9) == 1)
      #expect(try await test.store.executions(ownedBy: Sample.session) == [])
    }
  }

  @Test func removedExecutionsLeaveNothingBehindOnceTheirMinuteIsOld() async throws {
    try await withStore { test in
      let task = TaskRecord(id: "task_1", agentID: "agent_1", slot: 0)
      for number in 0..<250 {
        #expect(try await test.store.create(Sample.execution("exec_\(number)", status: .completed, tasks: [task])) == .created)
      }
      #expect(try await test.store.removeExecutions(createdBefore: Sample.instant + .seconds(60), maxRetained: 999, limit: 999) == 250)
      #expect(try await test.allKeys() == ["parallax:executions"])
      _ = try await test.store.removeExecutions(createdBefore: Sample.instant + .seconds(7_200), maxRetained: 999, limit: 999)
      #expect(try await test.allKeys() == [])
    }
  }

  @Test func aRemovedAgentKeepsOnlyItsEpochAndOnlyForAWhile() async throws {
    try await withStore { test in
      let record = AgentRecord(id: "agent_1", capabilities: [], session: Sample.session, connectedAt: Sample.instant)
      let epoch = try await test.store.register(record)
      try await test.store.removeAgent("agent_1", epoch: epoch, session: Sample.session)
      #expect(try await test.hash(test.keys.agent("agent_1")) == ["epoch": "1"])
      let lifetime = try #require(try await test.client.send(RedisCommand("PTTL", test.keys.agent("agent_1"))).int)
      #expect((3_590_000...3_600_000).contains(lifetime))
      #expect(try await test.store.register(record) == 2)
      #expect(try await test.client.send(RedisCommand("PTTL", test.keys.agent("agent_1"))).int == -1)
    }
  }
}
