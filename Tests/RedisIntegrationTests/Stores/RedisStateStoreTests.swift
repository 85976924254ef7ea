import ParallaxAPI
import ParallaxHA
import ParallaxRedis
import ParallaxRedisStores
import ParallaxState
import ParallaxTesting
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(2))) struct RedisStateStoreTests {
  @Test("The Redis store keeps the rules", arguments: StateStoreConformance.checks)
  func conforms(to check: StateStoreConformance.Check) async throws {
    try await withStore { test in try await check.run { test.store } }
  }

  // MARK: Keys and fields for operators

  @Test func anExecutionReadsAsTheSpecificationShows() async throws {
    try await withStore { test in
      var stored = Sample.execution(status: .running)
      stored.execution.startedAt = Sample.instant
      stored.execution.metadata = ["tenant": "a"]
      #expect(try await test.store.create(stored) == .created)
      let hash = try await test.hash("parallax:execution:exec_abc123")
      #expect(
        hash == [
          "status": "running", "pattern": "content-classifier", "startedAt": "2026-01-15T10:30:00.250Z",
          "nodeId": "parallax-control-plane-0", "incarnation": "00000000000000a1", "epoch": "1", "revision": "1", "version": "1",
          "createdAt": "2026-01-15T10:30:00.250Z", "deadline": "2026-01-15T10:30:30.250Z", "attempt": "1", "priority": "normal",
          "input": #"{"text":"hello"}"#, "metadata": #"{"tenant":"a"}"#,
          "definition": #"{"agents":{"capabilities":["classification"],"max":1,"min":1},"aggregation":{"strategy":"first"},"#
            + #""name":"content-classifier","retries":0,"version":"1.0.0"}"#,
        ])
      var change = Sample.change(stored, revision: 2, status: .completed)
      change.result = ["category": "news"]
      change.error = ExecutionFailure(code: "X", message: "y")
      #expect(try await test.store.update(change) == .applied)
      let ended = try await test.hash("parallax:execution:exec_abc123")
      #expect(ended["status"] == "completed")
      #expect(ended["completedAt"] == "2026-01-15T10:30:01.250Z")
      #expect(ended["result"] == #"{"category":"news"}"#)
      #expect(ended["error"] == #"{"code":"X","message":"y"}"#)
    }
  }

  /// The scripts read the place at the beginning of a task's JSON and the state at its end.
  @Test func aTaskReadsAsAllVersionsOfTheProgramDo() async throws {
    try await withStore { test in
      let tasks = [
        TaskRecord(
          id: "task_0", agentID: "agent_\"1\"", slot: 0, state: .completed, result: .some(.null), confidence: 0.5, duration: .seconds(2)),
        TaskRecord(
          id: "task_1", agentID: "agent_2", slot: 1, attempt: 2, state: .failed, error: ExecutionFailure(code: "X", message: "y\n"),
          retryable: true),
        TaskRecord(id: "task_2", agentID: "agent_3", slot: 2),
      ]
      #expect(try await test.store.create(Sample.execution(status: .running, tasks: tasks)) == .created)
      let key = test.keys.tasks(ofExecution: "exec_abc123")
      let created = try await test.hash(key)
      #expect(
        created == [
          "task_0": #"{"order":0,"agent":"agent_\"1\"","attempt":1,"confidence":0.5,"duration":2000,"result":null,"slot":0,"#
            + #""state":"completed"}"#,
          "task_1": #"{"order":1,"agent":"agent_2","attempt":2,"error":{"code":"X","message":"y\n"},"retryable":true,"slot":1,"#
            + #""state":"failed"}"#,
          "task_2": #"{"order":2,"agent":"agent_3","attempt":1,"slot":2,"state":"open"}"#,
        ])
      let outcome = TaskRecord(id: "task_2", agentID: "agent_3", slot: 2, state: .completed, result: ["a": 1])
      #expect(try await test.store.record(outcome, of: "exec_abc123") == .recorded(owner: Sample.session))
      let recorded = try await test.hash(key)["task_2"]
      #expect(recorded == #"{"order":2,"slot":2,"attempt":1,"agent":"agent_3","result":{"a":1},"state":"completed"}"#)
    }
  }

  @Test func anAgentReadsAsTheSpecificationShows() async throws {
    try await withStore { test in
      let record = AgentRecord(
        id: "agent_xyz789", name: "one", capabilities: ["classification", "analysis"], maxConcurrentTasks: 4, metadata: ["region": "eu"],
        session: Sample.session, connectedAt: Sample.instant)
      let epoch = try await test.store.register(record)
      #expect(epoch == 1)
      #expect(
        try await test.hash("parallax:agent:agent_xyz789") == [
          "nodeId": "parallax-control-plane-0", "capabilities": #"["classification","analysis"]"#,
          "connectedAt": "2026-01-15T10:30:00.250Z", "name": "one", "incarnation": "00000000000000a1", "epoch": "1",
          "maxConcurrentTasks": "4", "metadata": #"{"region":"eu"}"#, "status": "connected", "version": "1",
        ])
    }
  }

  @Test func theKeysAreThoseOfTheSpecification() async throws {
    try await withStore { test in
      let task = TaskRecord(id: "task_1", agentID: "agent_1", slot: 0)
      #expect(try await test.store.create(Sample.execution(tasks: [task])) == .created)
      #expect(try await test.store.claimIdempotencyKey("key", executionID: "exec_abc123", digest: "d") == .claimed)
      _ = try await test.store.store(Sample.execution().execution.pattern)
      try await test.store.open(Sample.session)
      _ = try await test.store.register(AgentRecord(id: "agent_1", capabilities: [], session: Sample.session, connectedAt: Sample.instant))
      let keys = [
        "parallax:agent:agent_1", "parallax:execution:exec_abc123", "parallax:executions", "parallax:executions:202601151030",
        "parallax:idempotency:key", "parallax:node:parallax-control-plane-0:00000000000000a1:agents",
        "parallax:node:parallax-control-plane-0:00000000000000a1:executions", "parallax:nodes", "parallax:pattern:content-classifier",
        "parallax:patterns", "{parallax:execution:exec_abc123}:tasks",
      ]
      #expect(try await test.allKeys() == keys)
      #expect(
        try await test.hash("{parallax:execution:exec_abc123}:tasks")
          == ["task_1": #"{"order":0,"agent":"agent_1","attempt":1,"slot":0,"state":"open"}"#])
    }
  }

  @Test func anIdempotencyKeyLivesFor24Hours() async throws {
    try await withStore { test in
      _ = try await test.store.claimIdempotencyKey("key", executionID: "exec_1", digest: "d")
      _ = try await test.store.claimIdempotencyKey("key", executionID: "exec_2", digest: "d")
      let milliseconds = try #require(try await test.client.send(RedisCommand("PTTL", test.keys.idempotency("key"))).int)
      #expect((86_390_000...86_400_000).contains(milliseconds))
    }
  }

  @Test func theTombstoneThatBarsALateCreationExpires() async throws {
    try await withStore { test in
      #expect(try await test.store.claim("exec_none", from: Sample.session, isGone: true, to: Sample.other) == nil)
      let milliseconds = try #require(try await test.client.send(RedisCommand("PTTL", test.keys.execution("exec_none"))).int)
      #expect((3_590_000...3_600_000).contains(milliseconds))
    }
  }

  // MARK: Isolation

  @Test func prefixesAndDatabasesSeparateStores() async throws {
    try await withStore { test in
      #expect(try await test.store.create(Sample.execution()) == .created)
      let otherPrefix = RedisStateStore(client: test.client, keys: try KeySpace(prefix: "other:"), logger: quietLogger)
      #expect(try await otherPrefix.execution("exec_abc123") == nil)
      try await withClient(test.server.configuration { $0.database = 3 }, scripts: RedisStateStore.scripts) { client in
        let otherDatabase = RedisStateStore(client: client, keys: test.keys, logger: quietLogger)
        #expect(try await otherDatabase.execution("exec_abc123") == nil)
        let outcome = try await otherDatabase.create(Sample.execution(owner: Sample.other))
        #expect(outcome == .created)
      }
      #expect(try await test.store.execution("exec_abc123") == Sample.execution())
    }
  }

  // MARK: Errors

  @Test func anUnreachableServerIsUnavailable() async throws {
    try await withStore { test in
      #expect(try await test.store.execution("exec_1") == nil)
      try await withImpatientClient(after: test.client, of: test.server) { client async throws in
        let store = RedisStateStore(client: client, keys: test.keys, logger: quietLogger)
        #expect(try await storeErrorCode { try await store.execution("exec_1") } == .unavailable)
        #expect(try await storeErrorCode { try await store.create(Sample.execution()) } == .unavailable)
        #expect(try await storeErrorCode { try await store.sessions() } == .unavailable)
      }
    }
  }

  @Test func aRefusalHasTheMessageOfTheServer() async throws {
    try await withStore { test in
      _ = try await test.client.send(RedisCommand("SET", test.keys.execution("exec_abc123"), "x"))
      let error = await #expect(throws: StateStoreError.self) { try await test.store.create(Sample.execution()) }
      #expect(error?.code == .refused)
      #expect(error?.message.contains("WRONGTYPE") == true)

      _ = try await test.client.send(RedisCommand("CONFIG", "SET", "maxmemory", 1))
      #expect(try await storeErrorCode { try await test.store.create(Sample.execution("exec_2")) } == .unwritable)
      _ = try await test.client.send(RedisCommand("CONFIG", "SET", "maxmemory", 0))
      #expect(try await test.store.create(Sample.execution("exec_2")) == .created)
    }
  }

  @Test func aWrongPasswordIsRefused() async throws {
    try await withStore(.init(password: "right"), { $0.password = "wrong" }) { test in
      let code = try await storeErrorCode { try await test.store.sessions() }
      #expect(code == .refused)
    }
  }

  @Test func newerFormatsAreNotChanged() async throws {
    try await withStore { test in
      let stored = Sample.execution()
      let agent = AgentRecord(id: "agent_1", capabilities: [], session: Sample.session, epoch: 1, connectedAt: Sample.instant)
      #expect(try await test.store.create(stored) == .created)
      #expect(try await test.store.create(Sample.execution("exec_2")) == .created)
      _ = try await test.store.register(agent)
      for key in [test.keys.execution("exec_abc123"), test.keys.agent("agent_1")] {
        _ = try await test.client.send(RedisCommand("HSET", key, "version", 2, "status", "a new one"))
      }
      let before = try await (test.hash(test.keys.execution("exec_abc123")), test.hash(test.keys.agent("agent_1")))

      let calls: [() async throws -> Void] = [
        { _ = try await test.store.execution("exec_abc123") },
        { _ = try await test.store.create(stored) },
        { _ = try await test.store.update(Sample.change(stored, revision: 2, status: .completed)) },
        { _ = try await test.store.claim("exec_abc123", from: Sample.session, to: Sample.other) },
        { _ = try await test.store.agent("agent_1") },
        { _ = try await test.store.register(agent) },
        { _ = try await test.store.update(agent) },
        { try await test.store.removeAgent("agent_1", epoch: 1, session: Sample.session) },
      ]
      for (number, call) in calls.enumerated() { #expect(try await storeErrorCode(call) == .unreadable, "call \(number)") }
      #expect(try await test.store.removeExecutions(createdBefore: Sample.instant + .seconds(99), maxRetained: 0, limit: 9) == 0)
      #expect(try await test.store.executions(ExecutionQuery()).executions.map(\.execution.id) == ["exec_2"])
      #expect(try await test.store.agents(at: Sample.session) == [])

      let after = try await (test.hash(test.keys.execution("exec_abc123")), test.hash(test.keys.agent("agent_1")))
      #expect(after == before)
    }
  }

  @Test func aDamagedFieldIsNamed() async throws {
    try await withStore { test in
      #expect(try await test.store.create(Sample.execution()) == .created)
      _ = try await test.client.send(RedisCommand("HSET", test.keys.execution("exec_abc123"), "deadline", "soon"))
      let error = await #expect(throws: StateStoreError.self) { try await test.store.execution("exec_abc123") }
      #expect(error?.code == .unreadable)
      #expect(error?.message.contains("deadline") == true)
    }
  }
}
