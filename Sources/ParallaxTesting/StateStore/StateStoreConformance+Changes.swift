import ParallaxAPI
import ParallaxState

extension StateStoreConformance {
  static let changes: [Check] = [
    Check("a change sets its fields and no others") { store in
      var stored = Sample.execution(tasks: [Sample.task("task_1")])
      stored.execution.metadata = ["kept": true]
      try await create(stored, in: store)

      var change = Sample.change(of: stored, status: .running)
      change.startedAt = Sample.instant + .milliseconds(3)
      change.attempt = 2
      stored = try await apply(change, to: stored, in: store)
      try await expectStored(stored, in: store, "after it started")

      change = Sample.change(of: stored, status: .failed)
      change.completedAt = Sample.instant + .seconds(2)
      change.result = .null
      change.error = ExecutionFailure(code: "TIMEOUT", message: "took too long")
      stored = try await apply(change, to: stored, in: store)
      try await expectStored(stored, in: store, "after it failed")
    },
    Check("a change without fields only raises the revision") { store in
      var stored = Sample.execution()
      try await create(stored, in: store)
      stored = try await apply(Sample.change(of: stored), to: stored, in: store)
      try await expectStored(stored, in: store, "after an empty change")
    },
    Check("a change adds new tasks behind the others and replaces known ones in their place") { store in
      var stored = Sample.execution(tasks: [Sample.task("task_b"), Sample.task("task_a", slot: 1)])
      try await create(stored, in: store)
      var done = Sample.task("task_b", state: .completed)
      done.result = ["answer": 42]
      done.confidence = 0.5
      let change = Sample.change(of: stored, tasks: [Sample.task("task_0", slot: 1, attempt: 2), done])
      stored = try await apply(change, to: stored, in: store)
      try expect(stored.tasks.map(\.id), is: ["task_b", "task_a", "task_0"], "the expected order")
      try await expectStored(stored, in: store, "after the change of its tasks")
    },
    Check("a replaced task keeps nothing of its former record") { store in
      var task = Sample.task("task_1", state: .failed)
      task.error = ExecutionFailure(code: "X", message: "y")
      task.retryable = true
      var stored = Sample.execution(tasks: [task])
      try await create(stored, in: store)
      stored = try await apply(Sample.change(of: stored, tasks: [Sample.task("task_1", state: .completed)]), to: stored, in: store)
      try await expectStored(stored, in: store, "after the change of its task")
    },
    Check("a repeat of the last change succeeds") { store in
      var stored = Sample.execution()
      try await create(stored, in: store)
      let change = Sample.change(of: stored, status: .running, tasks: [Sample.task("task_1")])
      stored = try await apply(change, to: stored, in: store)
      try expect(await store.update(change), is: .applied, "the repeat")
      try await expectStored(stored, in: store, "after the repeat")

      let end = Sample.change(of: stored, status: .completed)
      stored = try await apply(end, to: stored, in: store)
      try expect(await store.update(end), is: .applied, "the repeat of the last change of all")
      try await expectStored(stored, in: store, "after the repeat of the last change of all")
    },
    Check("an end replaces the change whose revision it has, and no other change does") { store in
      var stored = Sample.execution()
      try await create(stored, in: store)
      let (change, start) = (Sample.change(of: stored, tasks: [Sample.task("task_1")]), Sample.change(of: stored, status: .running))
      var end = Sample.change(of: stored, status: .failed, tasks: [Sample.task("task_1", state: .cancelled)])
      end.error = ExecutionFailure(code: "TIMEOUT", message: "took too long")
      stored = try await apply(change, to: stored, in: store)
      try expect(await store.update(start), is: .applied, "another change with the same revision, taken for a repeat")
      try await expectStored(stored, in: store, "after another change with the same revision")
      stored = try await apply(end, to: stored, in: store)
      try await expectStored(stored, in: store, "after the end with the same revision")
      try expect(await store.update(change), is: .applied, "the change that the end replaced")
      try await expectStored(stored, in: store, "after the change that the end replaced")
    },
    Check("a change by another owner, or of an earlier epoch or revision, is stale and changes nothing") { store in
      var stored = Sample.execution(tasks: [Sample.task("task_1")])
      stored.execution.epoch = 4
      try await create(stored, in: store)
      stored = try await apply(Sample.change(of: stored, status: .running), to: stored, in: store)

      let good = Sample.change(of: stored, status: .completed, tasks: [Sample.task("task_1", state: .completed), Sample.task("task_2")])
      let faults: [(String, (inout ExecutionChange) -> Void)] = [
        ("another node", { $0.owner = Sample.bob }),
        ("another incarnation of the node", { $0.owner = Sample.aliceAgain }),
        ("an earlier epoch", { $0.epoch = 3 }),
        ("an earlier revision", { $0.revision -= 2 }),
        ("another node with the last revision", { ($0.owner, $0.revision) = (Sample.bob, $0.revision - 1) }),
      ]
      for (fault, spoil) in faults {
        var change = good
        spoil(&change)
        try expect(await store.update(change), is: .stale, "a change with \(fault)")
        try await expectStored(stored, in: store, "after a change with \(fault)")
      }
      stored = try await apply(good, to: stored, in: store)
      try await expectStored(stored, in: store, "after the right change")
    },
    Check("a terminal execution does not change") { store in
      for status in ExecutionStatus.allCases where status.isTerminal {
        var stored = Sample.execution(tasks: [Sample.task("task_1")])
        try await create(stored, in: store)
        stored = try await apply(Sample.change(of: stored, status: status), to: stored, in: store)
        let late = Sample.change(of: stored, status: .running, tasks: [Sample.task("task_1", state: .completed), Sample.task("task_2")])
        try expect(await store.update(late), is: .stale, "a change to an execution that is \(status)")
        try await expectStored(stored, in: store, "that is \(status)")
      }
    },
    Check("changes of many executions at once do not disturb each other") { store in
      let results = try await concurrently(40) { number in
        var stored = Sample.execution(input: .integer(Int64(number)))
        try await create(stored, in: store)
        stored = try await apply(Sample.change(of: stored, status: .running, tasks: [Sample.task("task_\(number)")]), to: stored, in: store)
        stored = try await apply(Sample.change(of: stored, status: .completed), to: stored, in: store)
        return stored
      }
      for stored in results { try await expectStored(stored, in: store, "among many") }
    },
  ]
}
