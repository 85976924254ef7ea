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

  /// Recovery at a full server: all of the lost session's executions change hands, end by their deadline, and are removed.
  @Test func `A hundred executions are taken over, end without results, and free their memory`() async throws {
    try await withStore { test in
      let store = test.store
      let ids = (0..<100).map { "exec_\($0)" }
      for id in ids { _ = try await store.create(Sample.execution(id, owner: Sample.other)) }
      try await fill(test)
      for id in try await store.executions(ownedBy: Sample.other) {
        let claimed = try #require(try await store.claim(id, from: Sample.other, to: Sample.session))
        #expect(claimed.execution.owner == Sample.session && claimed.execution.epoch == 2)
      }
      #expect(try await Set(store.executions(ownedBy: Sample.session)) == Set(ids))
      #expect(try await store.executions(ownedBy: Sample.other) == [])
      for id in ids {
        let stored = try #require(try await store.execution(id))
        #expect(try await store.update(Sample.change(stored, revision: stored.execution.revision + 1, status: .timedOut)) == .applied)
        try await store.release(id, owner: Sample.session)
      }
      #expect(try await store.removeExecutions(createdBefore: Self.later, maxRetained: 0, limit: 1_000) == 100)
      #expect(try await store.executions(ownedBy: Sample.session) == [])
      let left = try await test.allKeys().filter { $0.contains(":execution:") }
      // Executions with several owners leave tombstones, which expire.
      for key in left { #expect(try await test.hash(key) == ["barred:*": "1"], "\(key)") }
    }
  }

  @Test func `An execution stays on the list of the session that owns it`() async throws {
    try await withStore { test in
      _ = try await test.store.create(Sample.execution("exec_1"))
      try await fill(test)
      try await test.store.unlist("exec_1", from: Sample.session)
      #expect(try await test.store.executions(ownedBy: Sample.session) == ["exec_1"])
    }
  }

  @Test("A refused creation or restoration leaves no hash that nothing lists, even over a tombstone", arguments: [false, true])
  func refusedWhole(_ overTombstone: Bool) async throws {
    try await withStore { test in
      let stored = Sample.execution("exec_new")
      let tombstone = overTombstone ? ["barred:\(Sample.other)": "1"] : [:]
      for (field, value) in tombstone {
        _ = try await test.client.send(RedisCommand("HSET", test.keys.execution("exec_new"), field, value))
      }
      try await fill(test)
      #expect(try await storeErrorCode { try await test.store.create(stored) } == .unwritable)
      #expect(try await storeErrorCode { try await test.store.restore(stored, as: .owner) } == .unwritable)
      #expect(try await test.hash(test.keys.execution("exec_new")) == tombstone)
      try await empty(test)
      #expect(try await test.store.create(stored) == .created)
      #expect(try await test.store.execution("exec_new") == stored)
    }
  }

  @Test func `A lost end without a result is restored, one with a result waits`() async throws {
    try await withStore { test in
      for id in ["exec_1", "exec_2"] {
        let open = TaskRecord(id: "task_1", agentID: "agent_1", slot: 0)
        _ = try await test.store.create(Sample.execution(id, status: .running, tasks: [open]))
      }
      try await fill(test)
      var ended = Sample.execution(
        "exec_1", status: .failed, tasks: [TaskRecord(id: "task_1", agentID: "agent_1", slot: 0, state: .failed)])
      ended.execution.revision = 2
      #expect(try await test.store.restore(ended, as: .owner) == .restored)
      #expect(try await test.store.execution("exec_1")?.execution.status == .failed)
      let result = TaskRecord(id: "task_1", agentID: "agent_1", slot: 0, state: .completed, result: "the result")
      var withResult = Sample.execution("exec_2", status: .failed, tasks: [result])
      withResult.execution.revision = 2
      #expect(try await storeErrorCode { try await test.store.restore(withResult, as: .owner) } == .unwritable)
      #expect(try await test.store.execution("exec_2")?.execution.status == .running)
    }
  }

  @Test func `An agent returns, changes and leaves`() async throws {
    try await withStore { test in
      var record = AgentRecord(id: "agent_1", capabilities: ["a"], session: Sample.other, connectedAt: Sample.instant)
      record.epoch = try await test.store.register(record)
      try await fill(test)
      record.session = Sample.session
      record.epoch = try await test.store.register(record)
      #expect(record.epoch == 2)
      #expect(try await test.store.agents(at: Sample.session) == [record])
      #expect(try await test.store.agents(at: Sample.other) == [])
      record.isConnected = false
      #expect(try await test.store.update(record))
      #expect(try await test.store.agent("agent_1")?.isConnected == false)
      // The node of an earlier registration removes its own; the present one stays listed.
      try await test.store.removeAgent("agent_1", epoch: 1, session: Sample.other)
      #expect(try await test.store.agents(at: Sample.session) == [record])
      try await test.store.removeAgent("agent_1", epoch: 2, session: Sample.session)
      #expect(try await test.store.agent("agent_1") == nil)
    }
  }

  @Test func `Nodes exchange messages about executions, but no inputs`() async throws {
    let task = ControlPlaneMessage.Task(
      taskId: "task_1", executionId: "exec_1", patternName: "p", patternVersion: "1", capability: "c", input: "the input",
      timeout: .seconds(30), priority: .normal, context: .init(stepIndex: 0, totalSteps: 1))
    let small = NodeMessage.cancel(execution: "exec_1")
    try await withInboxes { test in
      _ = try await test.client.send(RedisCommand("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "noeviction"))
      #expect(try await test.store.send([small], to: InboxesUnderTest.session))
      #expect(try await test.client.send(RedisCommand("PTTL", test.key)).int ?? -1 > 0)
      // The receiver's group is created at the full server.
      try await test.receiving { batches in #expect(await batches.next()?.map(\.message) == [small]) }
      let deliver = NodeMessage.deliver(task, agent: "agent_1", owner: Sample.session, deadline: nil)
      #expect(try await storeErrorCode { try await test.store.send([small, deliver], to: InboxesUnderTest.session) } == .unwritable)
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
