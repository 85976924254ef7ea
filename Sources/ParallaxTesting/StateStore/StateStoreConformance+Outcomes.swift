import ParallaxAPI
import ParallaxHA
import ParallaxState

extension StateStoreConformance {
  static let outcomes: [Check] = [
    Check("an outcome recorded by another node sets the task and nothing else") { store in
      var stored = Sample.execution(
        status: .running, tasks: [Sample.task("task_b"), Sample.task("task_a", slot: 1, attempt: 3), Sample.task("task_c", slot: 2)])
      stored.execution.owner = Sample.bob
      stored.execution.epoch = 3
      try await create(stored, in: store)

      var done = outcome("task_a", slot: 1, result: ["answer": [1, nil, 2.5]])
      done.confidence = 0.5
      done.duration = WireDuration(.milliseconds(1_234))
      try expect(await store.record(done, of: stored.execution.id), is: .recorded(owner: Sample.bob), "the recording")
      stored.tasks[1] = done
      // The recording node does not know the task's place among the attempts; the store does.
      stored.tasks[1].attempt = 3
      stored.execution.recordings = 1
      try await expectStored(stored, in: store, "after the first outcome")

      var failed = Sample.task("task_c", slot: 2, state: .failed)
      failed.slot = 0
      failed.error = ExecutionFailure(code: "X", message: "y")
      failed.retryable = true
      try expect(await store.record(failed, of: stored.execution.id), is: .recorded(owner: Sample.bob), "the recording")
      stored.tasks[2] = failed
      stored.tasks[2].slot = 2
      stored.execution.recordings = 2
      try await expectStored(stored, in: store, "after the second outcome")
      stored = try await apply(Sample.change(of: stored, status: .aggregating), to: stored, in: store)
      try await expectStored(stored, in: store, "after the owner's next change")
    },
    Check("outcomes of every kind are kept as they are") { store in
      let tasks = Sample.values.indices.map { Sample.task("task_\($0)") }
      var stored = Sample.execution(tasks: tasks)
      try await create(stored, in: store)
      for (index, value) in Sample.values.enumerated() {
        stored.tasks[index] = outcome("task_\(index)", result: value)
        try expect(await store.record(stored.tasks[index], of: stored.execution.id), is: .recorded(owner: Sample.alice), "the recording")
        stored.execution.recordings += 1
      }
      try await expectStored(stored, in: store, "after all outcomes")
    },
    Check("of several outcomes of a task the first is kept") { store in
      for state in [TaskRecord.State.completed, .failed, .cancelled] {
        let stored = Sample.execution(tasks: [Sample.task("task_1", state: state), Sample.task("task_2", slot: 1)])
        try await create(stored, in: store)
        let already = RecordOutcome.alreadyRecorded(owner: Sample.alice, terminal: false)
        for _ in 1...2 {
          try expect(await store.record(outcome("task_1"), of: stored.execution.id), is: already, "an outcome of a task that is \(state)")
        }
        try await expectStored(stored, in: store, "with a task that is \(state)")
      }
    },
    Check("of concurrent outcomes of a task one is recorded") { store in
      var stored = Sample.execution(tasks: [Sample.task("task_1")])
      try await create(stored, in: store)
      let id = stored.execution.id
      let answers = try await concurrently(8) { number in
        (number, try await store.record(outcome("task_1", result: .integer(Int64(number))), of: id))
      }
      let winners = answers.filter { $0.1 == .recorded(owner: Sample.alice) }
      try expect(winners.count, is: 1, "the number of outcomes recorded")
      stored.tasks[0] = outcome("task_1", result: .integer(Int64(winners[0].0)))
      stored.execution.recordings = 1
      try await expectStored(stored, in: store, "after the outcomes")
    },
    Check("an outcome of a missing task, or by another agent, is unknown and changes nothing") { store in
      let stored = Sample.execution(tasks: [Sample.task("task_1")])
      try await create(stored, in: store)
      let id = stored.execution.id
      try expect(await store.record(outcome("task_2"), of: id), is: .unknown, "an outcome of another task")
      try expect(await store.record(outcome("task_1", slot: 1), of: id), is: .unknown, "an outcome by another agent")
      try expect(await store.record(outcome("task_1"), of: Sample.id()), is: .unknown, "an outcome of another execution")
      try await expectStored(stored, in: store, "after unknown outcomes")
    },
    Check("nothing is recorded in a terminal execution") { store in
      for status in ExecutionStatus.allCases where status.isTerminal {
        let stored = Sample.execution(status: status, tasks: [Sample.task("task_1"), Sample.task("task_2", state: .completed)])
        try await create(stored, in: store)
        for task in ["task_1", "task_2"] {
          try expect(
            await store.record(outcome(task), of: stored.execution.id), is: .alreadyRecorded(owner: Sample.alice, terminal: true),
            "an outcome for an execution that is \(status)")
        }
        try await expectStored(stored, in: store, "that is \(status)")
      }
    },
    Check("a change that does not know of all outcomes is refused until they are read") { store in
      var stored = Sample.execution(tasks: [Sample.task("task_1"), Sample.task("task_2", slot: 1)])
      try await create(stored, in: store)
      let id = stored.execution.id
      try expect(await store.record(outcome("task_1"), of: id), is: .recorded(owner: Sample.alice), "the recording")
      try expect(await store.update(Sample.change(of: stored, status: .failed)), is: .unread, "a change that overlooks the outcome")
      let read = try await store.execution(id)
      stored.tasks[0] = outcome("task_1")
      stored.execution.recordings = 1
      try expect(read, is: stored, "the execution")
      stored = try await apply(Sample.change(of: stored, status: .running), to: stored, in: store)
      try expect(await store.update(Sample.change(of: stored, status: .running)), is: .applied, "the next change")
    },
    Check("the owner's change leaves a completed task as it is") { store in
      var stored = Sample.execution(tasks: (0...3).map { Sample.task("task_\($0)", slot: $0) })
      try await create(stored, in: store)
      for slot in 0...2 {
        stored.tasks[slot] = outcome("task_\(slot)", slot: slot, result: ["state": "completed"])
        try expect(await store.record(stored.tasks[slot], of: stored.execution.id), is: .recorded(owner: Sample.alice), "the recording")
        stored.execution.recordings += 1
      }
      let other = outcome("task_2", slot: 2, result: "the owner's")
      let change = Sample.change(
        of: stored, status: .running,
        tasks: [
          Sample.task("task_0", slot: 0, state: .cancelled), Sample.task("task_1", slot: 1), other,
          Sample.task("task_3", slot: 3, state: .cancelled),
        ])
      try expect(await store.update(change), is: .applied, "the owner's change")
      stored.execution.status = .running
      stored.execution.revision += 1
      stored.tasks[3].state = .cancelled
      try await expectStored(stored, in: store, "after the owner's change")
    },
    Check("a result that looks like a completed task does not pass for one") { store in
      var task = Sample.task("task_1", state: .failed)
      task.result = ["state": "completed"]
      task.error = ExecutionFailure(code: "X", message: #"","state":"completed"}"#)
      var stored = Sample.execution(tasks: [task])
      try await create(stored, in: store)
      stored = try await apply(Sample.change(of: stored, tasks: [Sample.task("task_1", state: .cancelled)]), to: stored, in: store)
      try expect(stored.tasks[0].state, is: .cancelled, "the state to be stored")
      try await expectStored(stored, in: store, "after the change of its task")
    },
  ]

  private static func outcome(_ id: String, slot: Int = 0, result: JSONValue = "done") -> TaskRecord {
    var task = Sample.task(id, slot: slot, state: .completed)
    task.result = result
    return task
  }
}
