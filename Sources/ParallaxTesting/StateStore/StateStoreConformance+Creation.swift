import ParallaxAPI
import ParallaxHA
import ParallaxState

extension StateStoreConformance {
  static let creation: [Check] = [
    Check("an execution reads as it was created") { store in
      let stored = Sample.execution(tasks: [Sample.task("task_1"), Sample.task("task_2", slot: 1)])
      try await create(stored, in: store)
      try await expectStored(stored, in: store, "after its creation")
    },
    Check("every field of an execution and its tasks survives") { store in
      var stored = Sample.execution(status: .failed)
      stored.execution.priority = .high
      stored.execution.result = ["category": "news"]
      stored.execution.error = ExecutionFailure(code: "TASK_FAILED", message: "no\nmemory", details: ["left": 0])
      stored.execution.metadata = ["tenant": "a"]
      stored.execution.startedAt = Sample.instant + .milliseconds(1)
      stored.execution.completedAt = Sample.instant + .seconds(100)
      stored.execution.attempt = 3
      stored.execution.epoch = 7
      stored.execution.revision = 9
      var task = TaskRecord(
        id: "task_1", agentID: "agent_1", slot: 4, attempt: 2, state: .failed, result: ["partial": true], confidence: 0.1,
        error: ExecutionFailure(code: "X", message: "y", details: [1]), retryable: true, duration: .milliseconds(1_234))
      stored.tasks.append(task)
      task.id = "task_2"
      task.retryable = false
      task.result = .null
      stored.tasks.append(task)
      try await create(stored, in: store)
      try await expectStored(stored, in: store, "after its creation")
    },
    Check("an id that was never stored has no execution") { store in
      try expect(await store.execution(Sample.id()), is: nil, "the execution")
      try expect(await store.update(Sample.change(of: Sample.execution())), is: .missing, "a change to it")
    },
    Check("a repeated creation succeeds") { store in
      let stored = Sample.execution(tasks: [Sample.task("task_1")])
      try await create(stored, in: store)
      try await create(stored, in: store)
      try await expectStored(stored, in: store, "after the repeat")
      try expect(await store.executions(ownedBy: Sample.alice), is: [stored.execution.id], "the executions of the owner")
      try expect(await store.executions(ExecutionQuery()).total, is: 1, "the number of executions")
    },
    Check("a creation under a taken id changes nothing") { store in
      let stored = Sample.execution(tasks: [Sample.task("task_1")])
      try await create(stored, in: store)
      for (owner, later) in [(Sample.bob, 0), (Sample.aliceAgain, 5), (Sample.bob, 120), (Sample.bob, -120)] {
        let other = Sample.execution(
          id: stored.execution.id, pattern: "other", createdAt: Sample.instant + .seconds(later), owner: owner,
          tasks: [Sample.task("task_2")])
        try expect(await store.create(other), is: .exists, "a creation by \(owner) with the same id")
      }
      try await expectStored(stored, in: store, "after the others' attempts")
      let page = try await store.executions(ExecutionQuery())
      try expect(page.executions, is: [stored], "the list of executions")
      try expect(page.total, is: 1, "the number of executions")
    },
    Check("a creation is not a repeat once the execution has changed") { store in
      let stored = Sample.execution()
      try await create(stored, in: store)
      let changed = try await apply(Sample.change(of: stored, status: .running), to: stored, in: store)
      try expect(await store.create(stored), is: .exists, "a late creation")
      try await expectStored(changed, in: store, "after a late creation")
    },
    Check("of concurrent creations under one id one succeeds") { store in
      let id = Sample.id()
      let outcomes = try await concurrently(8) { number in
        var stored = Sample.execution(id: id)
        stored.execution.owner.incarnation = "\(number)"
        return try await store.create(stored)
      }
      try expect(outcomes.count { $0 == .created }, is: 1, "the number of creations")
      try expect(await store.executions(ExecutionQuery()).executions.map(\.execution.id), is: [id], "the list of executions")
    },
    Check("every kind of JSON value survives") { store in
      for value in Sample.values {
        var stored = Sample.execution(input: value, tasks: [Sample.task("task_1", state: .completed)])
        stored.execution.result = value
        stored.execution.metadata = ["value": value]
        stored.tasks[0].result = value
        try await create(stored, in: store)
        try await expectStored(stored, in: store, "with the value \(value)")
      }
    },
    Check("large values survive") { store in
      let text = String(repeating: "0123456789 äöü✓", count: 100_000)
      let stored = Sample.execution(input: ["text": .string(text), "list": .array((0..<10_000).map { .integer($0) })])
      try await create(stored, in: store)
      try expect(await store.execution(stored.execution.id) == stored, "an input of 2 MB to read as it was created")
    },
    Check("ids with unusual characters stay apart") { store in
      let ids = [
        "a", "A", "a:tasks", "{a}", "a}", "{a", "{a}:tasks", "a b", "a\nb", "a%7D", "a*", "ä", "👍", "a\u{0}b",
        String(repeating: "x", count: 500),
      ]
      var all: [StoredExecution] = []
      for id in ids {
        let stored = Sample.execution(id: id, input: .string(id), tasks: [Sample.task("task of \(id)")])
        try await create(stored, in: store)
        all.append(stored)
      }
      for stored in all { try await expectStored(stored, in: store, "under \"\(stored.execution.id)\"") }
      try expect(Set(await store.executions(ownedBy: Sample.alice)), is: Set(ids), "the executions of the owner")
      try expect(
        Set(await store.executions(ExecutionQuery(limit: 100)).executions.map(\.execution.id)), is: Set(ids), "the list of executions")
    },
    Check("tasks keep the order of their creation") { store in
      let tasks = (0..<300).map { Sample.task("task_\(($0 * 7_919) % 1_000)", slot: $0) }
      let stored = Sample.execution(tasks: Array(tasks[..<250]))
      try await create(stored, in: store)
      let changed = try await apply(Sample.change(of: stored, tasks: Array(tasks[250...])), to: stored, in: store)
      try expect(changed.tasks, is: tasks, "the expected order")
      try await expectStored(changed, in: store, "with its tasks in order")
    },
  ]
}
