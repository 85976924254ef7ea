import ParallaxAPI
import ParallaxHA
import ParallaxRedis
import ParallaxRedisStores
import ParallaxState
import Testing

/// The cost of the store in Redis commands: the server also counts those of scripts, which are distinguished by their names.
@Suite(.serialized) struct CommandCostTests {
  @Test func anExecutionCostsFiveCommands() async throws {
    try await withStore { test in
      try await test.resetCounts()
      for number in 0..<50 {
        let stored = Sample.execution("exec_\(number)", tasks: [TaskRecord(id: "task_\(number)", agentID: "agent_1", slot: 0)])
        #expect(try await test.store.create(stored) == .created)
        #expect(try await test.store.update(Sample.change(stored, revision: 2, status: .completed)) == .applied)
        try await test.store.release(stored.execution.id, owner: Sample.session)
      }
      let counts = try await test.counts()
      let sent = counts.filter { ["evalsha", "eval", "sadd", "zadd", "srem"].contains($0.key) }
      // One more ZADD adds the minute to the index.
      #expect(sent == ["evalsha": 100, "sadd": 50, "zadd": 51, "srem": 50])
      let byScripts = Set(counts.keys).subtracting(sent.keys).subtracting(["info", "config|resetstat", "ping"])
      #expect(byScripts.isSubset(of: ["hmget", "hset", "hget", "hlen", "del"]), "\(byScripts)")
    }
  }

  @Test func anIdempotencyKeyAndAReadCostOneCommandEach() async throws {
    try await withStore { test in
      #expect(try await test.store.create(Sample.execution()) == .created)
      try await test.resetCounts()
      _ = try await test.store.claimIdempotencyKey("key", executionID: "exec_1", digest: "d")
      _ = try await test.store.execution("exec_abc123")
      let counts = try await test.counts()
      #expect(counts["set"] == 1)
      #expect(counts["evalsha"] == 1)
      #expect(counts["get"] == nil)
    }
  }

  /// An `unlist` of the claimant may remove the first entry, which must precede the claim, before the claim takes effect.
  @Test func `A claim enters the execution in the list of its new owner before and after it takes effect`() async throws {
    try await withStore { test in
      _ = try await test.store.create(Sample.execution("exec_1"))
      try await test.resetCounts()
      #expect(try await test.store.claim("exec_1", from: Sample.session, to: Sample.other) != nil)
      #expect(try await test.counts()["sadd"] == 2)
      #expect(try await test.store.executions(ownedBy: Sample.other) == ["exec_1"])
    }
  }

  @Test func noOperationScansTheKeySpace() async throws {
    try await withStore { test in
      let store = test.store
      for number in 0..<20 {
        let stored = Sample.execution("exec_\(number)", createdAt: Sample.instant + .seconds(20 * number))
        #expect(try await store.create(stored) == .created)
        #expect(try await store.update(Sample.change(stored, revision: 2, status: .completed)) == .applied)
      }
      _ = try await store.register(AgentRecord(id: "agent_1", capabilities: [], session: Sample.session, connectedAt: Sample.instant))
      _ = try await store.agents(at: Sample.session)
      _ = try await store.executions(ExecutionQuery(status: .completed, limit: 3))
      _ = try await store.executions(ExecutionQuery(limit: 3, offset: 5))
      _ = try await store.patternNames()
      _ = try await store.claim("exec_1", from: Sample.session, to: Sample.other)
      _ = try await store.removeExecutions(createdBefore: Sample.instant + .seconds(100), maxRetained: 5, limit: 9)
      let counts = try await test.counts()
      for command in ["keys", "scan", "hscan", "sscan", "zscan", "sort"] { #expect(counts[command] == nil, "\(command)") }
    }
  }

  @Test func aPageReadsABoundedNumberOfExecutionsAndItsCursorContinues() async throws {
    try await withStore { test in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<4_500 {
          group.addTask {
            let createdAt = Sample.instant + .milliseconds(30 * number)
            let status: ExecutionStatus = number == 7 ? .failed : .running
            _ = try await test.store.create(Sample.execution("exec_\(number)", status: status, createdAt: createdAt))
          }
        }
        try await group.waitForAll()
      }
      var query = ExecutionQuery(status: .failed)
      var found: [String] = []
      var pages = 0
      repeat {
        try await test.resetCounts()
        let page = try await test.store.executions(query)
        #expect(try await test.counts()["hmget", default: 0] <= 2_000)
        found += page.executions.map(\.execution.id)
        query.cursor = page.nextCursor
        pages += 1
      } while query.cursor != nil && pages < 10
      #expect(found == ["exec_7"])
      #expect(pages == 3)
    }
  }

  @Test func aListOverManyQuietMinutesNeedsFewRoundTrips() async throws {
    try await withStore { test in
      for number in 0..<200 {
        _ = try await test.store.create(Sample.execution("exec_\(number)", createdAt: Sample.instant + .seconds(60 * number)))
      }
      try await test.resetCounts()
      let page = try await test.store.executions(ExecutionQuery(since: Sample.instant, limit: 20))
      #expect(page.executions.count == 20)
      let counts = try await test.counts()
      // One command lists the minutes, the others read two batches of sixteen minutes.
      #expect(counts["zrange"] == 33)
      #expect(counts["evalsha"] == 20)
    }
  }
}
