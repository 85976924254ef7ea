import Foundation
import ParallaxAPI
import ParallaxConcurrency
import ParallaxHA
import ParallaxRedis
import ParallaxRedisStores
import ParallaxState
import ParallaxTesting
import TestSupport
import Testing

/// A server at `maxmemory` without eviction refuses new data, and accepts writes that free memory.
@Suite(.serialized, .timeLimit(.minutes(1))) struct FullMemoryTests {
  private static let later = Sample.instant + .seconds(3_600)

  private func fill(_ test: StoreUnderTest) async throws {
    _ = try await test.client.send(RedisCommand("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "noeviction"))
  }

  private func empty(_ test: StoreUnderTest) async throws {
    _ = try await test.client.send(RedisCommand("CONFIG", "SET", "maxmemory", 0))
  }

  @Test func aLeaseIsTakenRenewedAndReleased() async throws {
    try await withStore { test in
      let store = RedisElectionStore(client: test.client, keys: test.keys)
      var record = ElectionRecord(
        clusterID: "c", leader: "node-a", incarnation: "a1", term: 5, sequence: 3, leaseDuration: .seconds(15))
      try await fill(test)
      guard case .written(let version) = try await store.compareAndSet(record, expecting: nil) else {
        Issue.record("the record is not written")
        return
      }
      record.sequence = 4
      guard case .written = try await store.compareAndSet(record, expecting: version) else {
        Issue.record("the lease is not renewed")
        return
      }
      #expect(try await store.read()?.record.sequence == 4)
      #expect(try await test.client.send(RedisCommand("TTL", test.keys.leader)).int == -1)
    }
  }

  @Test func heartbeatsAndSessionsAreWritten() async throws {
    try await withStore { test in
      let members = RedisMembershipStore(client: test.client, keys: test.keys)
      try await fill(test)
      let instant = Date(timeIntervalSince1970: 1_768_473_000)
      let record = MemberRecord(
        session: Sample.session, address: "10.0.0.1:8080", sequence: 1, report: MemberReport(), startedAt: instant, lastHeartbeat: instant,
        version: "0.1.0")
      #expect(try await members.write(record, replacing: nil) == .added)
      #expect(try await members.write(record, replacing: nil) == .renewed)
      #expect(try await test.store.open(Sample.session))
      #expect(try await test.store.sessions() == [Sample.session: 1])
    }
  }

  @Test func endedExecutionsAreRemovedAndCreationsAreRefused() async throws {
    try await withStore { test in
      for number in 0..<20 { _ = try await test.store.create(Sample.execution("exec_\(number)", status: .completed)) }
      try await fill(test)
      #expect(try await storeErrorCode { try await test.store.create(Sample.execution("exec_new")) } == .unwritable)
      #expect(
        try await storeErrorCode { try await test.store.claimIdempotencyKey("k", executionID: "exec_new", digest: "d") } == .unwritable)
      #expect(try await test.store.removeExecutions(createdBefore: Self.later, maxRetained: 0, limit: 100) == 20)
      #expect(try await test.store.executions(ExecutionQuery()).executions == [])
    }
  }

  @Test func anEntryWithoutExecutionIsRemovedToo() async throws {
    try await withStore { test in
      let bucket = test.keys.executions(in: ExecutionBucket(at: Sample.instant))
      _ = try await test.store.create(Sample.execution("exec_1", status: .running))
      _ = try await test.client.send(RedisCommand("ZADD", bucket, Sample.instant.milliseconds, "exec_lost"))
      try await fill(test)
      #expect(try await test.store.removeExecutions(createdBefore: Self.later, maxRetained: 9, limit: 9) == 0)
      #expect(try await test.client.send(RedisCommand("ZRANGE", bucket, 0, -1)).array?.compactMap(\.string) == ["exec_1"])
      #expect(try await test.client.send(RedisCommand("PTTL", test.keys.execution("exec_lost"))).int ?? 0 > 0)
    }
  }

  @Test("A running execution is claimed and ends without a result", arguments: [ExecutionStatus.failed, .timedOut, .cancelled])
  func ends(_ status: ExecutionStatus) async throws {
    try await withStore { test in
      let stored = Sample.execution("exec_1", status: .running, owner: Sample.other)
      _ = try await test.store.create(stored)
      _ = try await test.client.send(RedisCommand("SADD", test.keys.executions(ownedBy: Sample.session), "exec_other"))
      try await fill(test)
      let change = Sample.change(stored, revision: 2, status: status)
      #expect(try await test.store.update(change) == .applied)
      #expect(try await test.store.execution("exec_1")?.execution.status == status)
    }
  }

  /// An end without a result frees memory; a failed aggregation has the last result.
  @Test(arguments: [ExecutionStatus.completed, .failed])
  func aResultWaitsForFreeMemory(_ status: ExecutionStatus) async throws {
    try await withStore { test in
      let stored = Sample.execution("exec_1", status: .running)
      _ = try await test.store.create(stored)
      try await fill(test)
      var change = Sample.change(stored, revision: 2, status: status)
      change.tasks = [TaskRecord(id: "task_1", agentID: "agent_1", slot: 0, state: .completed, result: "the result")]
      #expect(try await storeErrorCode { try await test.store.update(change) } == .unwritable)
      try await empty(test)
      #expect(try await test.store.update(change) == .applied)
    }
  }

  @Test func theReasonIsKnownAtOnceLoggedOnceAndClearedOnceMemoryIsFree() async throws {
    let logs = LogCollector()
    let clock = ManualClock()
    try await withStore { test in
      let condition = WriteCondition(client: test.client, keys: test.keys, clock: MonotonicClock(clock), logger: logs.logger)
      let store = RedisStateStore(client: test.client, keys: test.keys, condition: condition, logger: quietLogger)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await condition.run() }
        #expect(condition.refusal == nil)
        try await fill(test)
        for number in 0..<3 { _ = try await storeErrorCode { try await store.create(Sample.execution("exec_\(number)")) } }
        #expect(condition.refusal?.reason == "OOM command not allowed when used memory > 'maxmemory'.")
        // Two probes find no change.
        for _ in 0..<2 {
          try await clock.sleepers()
          clock.advance(by: .seconds(1))
        }
        try await clock.sleepers()
        #expect(condition.refusal?.duration == .seconds(2))
        try await empty(test)
        clock.advance(by: .seconds(1))
        try await eventually("the store takes writes again") { condition.refusal == nil }
        #expect(logs.errors.count == 1)
        #expect(logs.errors.first?.contains("OOM command not allowed") == true)
        group.cancelAll()
      }
    }
  }

  @Test func aStoreWithoutWritesLearnsTheReason() async throws {
    try await withStore { test in
      let condition = WriteCondition(client: test.client, keys: test.keys, clock: MonotonicClock(ContinuousClock()), logger: quietLogger)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await condition.run() }
        try await fill(test)
        try await eventually("the condition learns of the full memory") { condition.refusal != nil }
        group.cancelAll()
      }
    }
  }

  @Test func aReplicaRefusesWritesWithItsReason() async throws {
    try await withStore(.init(), { $0.commandTimeout = .seconds(2) }) { test in
      let condition = WriteCondition(client: test.client, keys: test.keys, clock: MonotonicClock(ContinuousClock()), logger: quietLogger)
      let store = RedisStateStore(client: test.client, keys: test.keys, condition: condition, logger: quietLogger)
      _ = try await test.client.send(RedisCommand("REPLICAOF", "127.0.0.1", 1).withTimeout(.seconds(10)))
      // The client may reconnect first, in case the server has become a replica.
      try await eventually("a store that takes no writes") {
        try await storeErrorCode { try await store.create(Sample.execution()) } == .unwritable
      }
      #expect(condition.refusal?.reason.hasPrefix("READONLY") == true)
    }
  }

  @Test func missingReplicasAreAReason() async throws {
    try await withStore { test in
      let condition = WriteCondition(client: test.client, keys: test.keys, clock: MonotonicClock(ContinuousClock()), logger: quietLogger)
      let store = RedisStateStore(client: test.client, keys: test.keys, condition: condition, logger: quietLogger)
      _ = try await test.client.send(RedisCommand("CONFIG", "SET", "min-replicas-to-write", 1))
      #expect(try await storeErrorCode { try await store.create(Sample.execution()) } == .unwritable)
      #expect(condition.refusal?.reason.hasPrefix("NOREPLICAS") == true)
    }
  }
}
