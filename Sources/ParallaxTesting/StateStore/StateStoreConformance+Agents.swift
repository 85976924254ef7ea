import ParallaxAPI
import ParallaxState

extension StateStoreConformance {
  static let agents: [Check] = [
    Check("an agent reads as it was registered") { store in
      try expect(await store.agent("agent_1"), is: nil, "an agent that never registered")
      let kinds: [JSONValue?] = [.none, .some(.null), ["region": "eu", "gpus": 2]]
      for metadata in kinds {
        var record = Sample.agent()
        record.name = metadata == nil ? nil : "ünï \"x\""
        record.metadata = metadata
        record.activeTasks = metadata == nil ? nil : ["task_1", "task_2"]
        record.epoch = try await store.register(record)
        try expect(await store.agent("agent_1"), is: record, "the agent")
        try expect(await store.agents(at: Sample.alice), is: [record], "the agents at its session")
      }
    },
    Check("every registration has a higher epoch than the one before, removals or not") { store in
      var last: Int64 = 0
      for round in 1...4 {
        for session in [Sample.alice, Sample.bob, Sample.bob] {
          let epoch = try await store.register(Sample.agent(at: session))
          try expect(epoch > last, "an epoch above \(last), found \(epoch)")
          last = epoch
        }
        if round.isMultiple(of: 2) { try await store.removeAgent("agent_1", epoch: last, session: Sample.bob) }
      }
    },
    Check("a registration's epoch exceeds the one that its node remembers") { store in
      var record = Sample.agent()
      record.epoch = 41
      try expect(await store.register(record) > 41, "an epoch above 41")
      record.epoch = 7
      try expect(await store.register(record) > 42, "an epoch above the one before")
    },
    Check("an agent is listed at the session of its last registration alone") { store in
      _ = try await store.register(Sample.agent())
      var moved = Sample.agent(at: Sample.bob)
      moved.capabilities = ["audio"]
      moved.name = nil
      moved.metadata = nil
      moved.epoch = try await store.register(moved)
      try expect(await store.agents(at: Sample.alice), is: [], "the agents at its former session")
      try expect(await store.agents(at: Sample.bob), is: [moved], "the agents at its new session")
      try expect(await store.agent("agent_1"), is: moved, "the agent")
    },
    Check("an update writes capabilities, limit and connection") { store in
      var record = Sample.agent()
      record.epoch = try await store.register(record)
      record.capabilities = []
      record.maxConcurrentTasks = 9
      record.isConnected = false
      for _ in 1...2 { try expect(await store.update(record), is: true, "the update's success") }
      try expect(await store.agent("agent_1"), is: record, "the agent")
    },
    Check("calls for an earlier registration are refused") { store in
      var former = Sample.agent()
      former.epoch = try await store.register(former)
      var current = Sample.agent(at: Sample.bob)
      current.epoch = try await store.register(current)

      former.isConnected = false
      try expect(await store.update(former), is: false, "the former node's update")
      try await store.removeAgent("agent_1", epoch: former.epoch, session: Sample.alice)
      try expect(await store.agent("agent_1"), is: current, "the agent")
      try expect(await store.agents(at: Sample.bob), is: [current], "the agents at its session")
    },
    Check("a removal for a session's earlier registration leaves the later one there") { store in
      let former = try await store.register(Sample.agent())
      var current = Sample.agent()
      current.epoch = try await store.register(current)
      try await store.removeAgent("agent_1", epoch: former, session: Sample.alice)
      try expect(await store.agents(at: Sample.alice), is: [current], "the agents at its session")
    },
    Check("a removed agent is gone, and stays gone for its former epoch") { store in
      var record = Sample.agent()
      record.epoch = try await store.register(record)
      for _ in 1...2 { try await store.removeAgent("agent_1", epoch: record.epoch, session: Sample.alice) }
      try expect(await store.agent("agent_1"), is: nil, "the agent")
      try expect(await store.agents(at: Sample.alice), is: [], "the agents at its session")
      try expect(await store.update(record), is: false, "an update")
      try expect(await store.agent("agent_1"), is: nil, "the agent after an update")

      var again = Sample.agent()
      again.epoch = try await store.register(again)
      try await store.removeAgent("agent_1", epoch: record.epoch, session: Sample.alice)
      try expect(await store.agent("agent_1"), is: again, "the agent that returned")
    },
    Check("agents with unusual ids stay apart") { store in
      let ids = ["a", "A", "{a}", "a}", "a b", "ä", "a\nb", "*", "a:1"]
      for id in ids { _ = try await store.register(Sample.agent(id)) }
      for id in ids { try expect(await store.agent(id)?.id, is: id, "the id of the agent") }
      try expect(Set(await store.agents(at: Sample.alice).map(\.id)), is: Set(ids), "the agents at the session")
    },
    Check("hundreds of agents are listed at a session") { store in
      _ = try await concurrently(700) { try await store.register(Sample.agent("agent_\($0)")) }
      try expect(await store.agents(at: Sample.alice).count, is: 700, "the number of agents")
    },
  ]

  static let catalog: [Check] = [
    Check("a pattern is new once per version, and the last definition stays") { store in
      var pattern = Sample.pattern()
      try expect(await store.store(pattern), is: true, "whether the first definition is new")
      pattern.description = nil
      pattern.timeout = nil
      try expect(await store.store(pattern), is: false, "whether the second definition is new")
      try expect(await store.versions(ofPattern: pattern.name), is: [pattern], "the versions")
      let next = Sample.pattern(version: "2.0.0")
      try expect(await store.store(next), is: true, "whether another version is new")
      try expect(Set(await store.versions(ofPattern: pattern.name)), is: [pattern, next], "the versions after that")
    },
    Check("patterns are listed by name, sorted") { store in
      try expect(await store.patternNames(), is: [], "the names in an empty store")
      for name in ["b", "a", "c-1", "B", "c.0", "a"] { _ = try await store.store(Sample.pattern(name)) }
      try expect(await store.patternNames(), is: ["B", "a", "b", "c-1", "c.0"], "the names")
      try expect(await store.versions(ofPattern: "absent"), is: [], "the versions of an absent pattern")
    },
    Check("a later definition does not reach an execution") { store in
      let stored = Sample.execution()
      _ = try await store.store(stored.execution.pattern)
      try await create(stored, in: store)
      var changed = stored.execution.pattern
      changed.retries = 99
      _ = try await store.store(changed)
      try await expectStored(stored, in: store, "after its pattern changed")
    },
  ]

  static let idempotency: [Check] = [
    Check("an idempotency key belongs to its first claimant") { store in
      let claim = try await store.claimIdempotencyKey("key", executionID: "exec_1", digest: "digest 1")
      try expect(claim, is: .claimed, "the first claim")
      for digest in ["digest 1", "another"] {
        try expect(
          await store.claimIdempotencyKey("key", executionID: "exec_2", digest: digest),
          is: .existing(executionID: "exec_1", digest: "digest 1"), "the second claim")
      }
    },
    Check("a repeated claim of a key succeeds") { store in
      for _ in 1...2 {
        try expect(await store.claimIdempotencyKey("key", executionID: "exec_1", digest: "d"), is: .claimed, "the claim")
      }
    },
    Check("of concurrent claims of a key one wins, and all others receive its execution") { store in
      let claims = try await concurrently(16) { number in
        (number, try await store.claimIdempotencyKey("key", executionID: "exec_\(number)", digest: "d\(number)"))
      }
      let winners = claims.filter { $0.1 == .claimed }
      try expect(winners.count, is: 1, "the number of winners")
      let winner = winners[0].0
      for (number, claim) in claims where number != winner {
        try expect(claim, is: .existing(executionID: "exec_\(winner)", digest: "d\(winner)"), "the answer to another claimant")
      }
    },
    Check("a restored claim of a key replaces a later one, and expires") { store in
      let claim = { (id: String) in try await store.claimIdempotencyKey("key", executionID: id, digest: "d of \(id)") }
      try expect(await claim("exec_2"), is: .claimed, "the later claim")
      try await store.restoreIdempotencyKey("key", executionID: "exec_1", digest: "d of exec_1", lifetime: .seconds(60))
      try await store.restoreIdempotencyKey("key", executionID: "exec_1", digest: "d of exec_1", lifetime: .seconds(60))
      try expect(await claim("exec_1"), is: .claimed, "the repeat of the restored claim")
      try expect(await claim("exec_2"), is: .existing(executionID: "exec_1", digest: "d of exec_1"), "the repeat of the later claim")
      try await store.restoreIdempotencyKey("other", executionID: "exec_1", digest: "d", lifetime: .seconds(60))
      try expect(
        await store.claimIdempotencyKey("other", executionID: "exec_2", digest: "d"), is: .existing(executionID: "exec_1", digest: "d"),
        "a claim after the restoration")
    },
    Check("an idempotency key outlives its execution") { store in
      let now = try await store.currentTime()
      var stored = Sample.execution(id: "exec_1", status: .failed, createdAt: now)
      (stored.execution.idempotencyKey, stored.execution.idempotencyDigest) = ("key", "d")
      stored.execution.completedAt = now + .seconds(1)
      try expect(await store.claimIdempotencyKey("key", executionID: "exec_1", digest: "d"), is: .claimed, "the claim")
      try await create(stored, in: store)
      try await expectStored(stored, in: store, "after its creation")
      try expect(
        await store.claimIdempotencyKey("key", executionID: "exec_2", digest: "d"), is: .existing(executionID: "exec_1", digest: "d"),
        "a claim while the execution is there")
      try expect(await store.removeExecutions(createdBefore: now, maxRetained: 0, limit: 9), is: 1, "the number removed")
      try expect(
        await store.claimIdempotencyKey("key", executionID: "exec_2", digest: "d2"),
        is: .removed(executionID: "exec_1", digest: "d", status: .failed, completedAt: now + .seconds(1)), "a claim after its removal")
    },
    Check("unusual idempotency keys, ids and digests stay apart") { store in
      let keys = ["a", "A", " a", "a ", "{a}", "}a{", "*", "ä", "\"", "a\nb", String(repeating: "k", count: 256)]
      for key in keys {
        let id = "exec of \(key)"
        try expect(await store.claimIdempotencyKey(key, executionID: id, digest: "d \(key)"), is: .claimed, "the claim of \"\(key)\"")
      }
      for key in keys {
        try expect(
          await store.claimIdempotencyKey(key, executionID: "other", digest: "x"),
          is: .existing(executionID: "exec of \(key)", digest: "d \(key)"), "the second claim of \"\(key)\"")
      }
    },
  ]
}
