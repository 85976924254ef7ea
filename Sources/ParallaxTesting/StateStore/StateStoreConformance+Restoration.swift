import ParallaxAPI
import ParallaxState

extension StateStoreConformance {
  /// Restorations of a store that may lose acknowledged writes.
  static let restoration: [Check] = [
    Check("a change over a revision that the store has lost finds it behind and changes nothing") { store in
      var stored = Sample.execution(tasks: [Sample.task("task_1")])
      stored.execution.epoch = 4
      try await create(stored, in: store)
      let later: [(String, (inout ExecutionChange) -> Void)] = [
        ("of a later revision", { $0.revision += 1 }),
        ("of a later epoch", { $0.epoch += 1 }),
        ("of a later owner", { ($0.owner, $0.epoch) = (Sample.bob, 5) }),
      ]
      for (what, make) in later {
        var change = Sample.change(of: stored, status: .completed, tasks: [Sample.task("task_1", state: .completed)])
        make(&change)
        try expect(await store.update(change), is: .behind, "a change \(what)")
        try await expectStored(stored, in: store, "after a change \(what)")
      }
    },
    Check("a missing execution is restored, listed and owned") { store in
      var stored = Sample.execution(status: .running, tasks: [Sample.task("task_b", state: .completed), Sample.task("task_a", slot: 1)])
      (stored.execution.epoch, stored.execution.revision, stored.execution.startedAt) = (2, 7, Sample.instant)
      try expect(await store.restore(stored, as: .owner), is: .restored, "the restoration")
      try await expectStored(stored, in: store, "after its restoration")
      try expect(await store.executions(ExecutionQuery()).executions, is: [stored], "the list")
      try expect(await store.executions(ownedBy: Sample.alice), is: [stored.execution.id], "what its owner owns")
      try expect(await store.restore(stored, as: .owner), is: .intact, "a repeat")
      _ = try await apply(Sample.change(of: stored, status: .aggregating), to: stored, in: store)
    },
    Check("a terminal execution is restored without an entry of its owner") { store in
      var stored = Sample.execution(status: .completed)
      stored.execution.revision = 5
      try expect(await store.restore(stored, as: .owner), is: .restored, "the restoration")
      try await expectStored(stored, in: store, "after its restoration")
      try expect(await store.executions(ExecutionQuery()).executions, is: [stored], "the list")
      try expect(await store.executions(ownedBy: Sample.alice), is: [], "what its owner owns")
    },
    Check("an earlier revision is replaced once its owner has read the results that other nodes recorded") { store in
      let old = Sample.execution(tasks: [Sample.task("task_1"), Sample.task("task_2", slot: 1)])
      try await create(old, in: store)
      var done = Sample.task("task_2", slot: 1, state: .completed)
      done.result = "recorded by another node"
      guard case .recorded = try await store.record(done, of: old.execution.id) else {
        throw ConformanceFailure(description: "the outcome was not recorded")
      }
      var known = old
      (known.execution.revision, known.execution.status, known.execution.startedAt) = (4, .running, Sample.instant + .milliseconds(1))
      known.tasks[0].state = .failed
      known.tasks.append(Sample.task("task_3", attempt: 2))
      let present = try require(await store.execution(old.execution.id), "the execution")
      try expect(await store.restore(known, as: .owner), is: .unread, "the restoration without the result")
      try expect(
        await store.restore(known, as: .owner, acknowledged: ["task_2"]), is: .unread, "one that acknowledges a task that it has as open")
      try await expectStored(present, in: store, "after that")
      known.tasks[1] = done
      try expect(await store.restore(known, as: .owner), is: .restored, "the restoration")
      // The count of recordings stays as high as it was.
      known.execution.recordings = 1
      try await expectStored(known, in: store, "after its restoration")
    },
    Check("a task that has ended is not reopened, and no unread task is overruled") { store in
      let old = Sample.execution(tasks: [Sample.task("task_1")])
      try await create(old, in: store)
      var ignorant = old
      (ignorant.execution.revision, ignorant.tasks) = (2, [])
      try expect(await store.restore(ignorant, as: .owner), is: .unread, "the restoration without the open task")
      var failed = Sample.task("task_1", state: .failed)
      failed.error = ExecutionFailure(code: "X", message: "recorded by another node")
      guard case .recorded = try await store.record(failed, of: old.execution.id) else {
        throw ConformanceFailure(description: "the outcome was not recorded")
      }
      var known = old
      known.execution.revision = 2
      try expect(await store.restore(known, as: .owner), is: .unread, "the restoration without the failure")
      known.tasks = []
      try expect(await store.restore(known, as: .owner), is: .unread, "the restoration without the task")
      known.tasks = [failed]
      known.execution.recordings = 1
      try expect(await store.restore(known, as: .owner), is: .restored, "the restoration")
      try await expectStored(known, in: store, "after its restoration")
      var ended = known
      (ended.execution.status, ended.execution.revision, ended.tasks) = (.completed, 9, [Sample.task("task_2", state: .completed)])
      try expect(await store.restore(ended, as: .witnessOfEnd), is: .restored, "the restoration by a witness")
      ended.tasks = [failed] + ended.tasks
      try await expectStored(ended, in: store, "after that")
    },
    Check("of two results of one task the acknowledged one counts, else the stored one") { store in
      var old = Sample.execution(status: .running, tasks: [Sample.task("task_1"), Sample.task("task_2", slot: 1)])
      old.execution.startedAt = Sample.instant
      try await create(old, in: store)
      var recorded = Sample.task("task_1", state: .completed)
      recorded.result = ["other": "}", "state": "completed"]
      guard case .recorded = try await store.record(recorded, of: old.execution.id) else {
        throw ConformanceFailure(description: "the outcome was not recorded")
      }
      let present = try require(await store.execution(old.execution.id), "the execution")
      var known = old
      known.execution.revision = 2
      (known.tasks[0].state, known.tasks[0].result) = (.completed, ["first": 1])
      try expect(await store.restore(known, as: .owner), is: .unread, "the restoration of another result")
      try expect(
        await store.restore(known, as: .owner, acknowledged: ["task_2", "task_11"]), is: .unread, "one that acknowledges another task")
      try await expectStored(present, in: store, "after that")
      var same = known
      same.tasks[0].result = recorded.result
      (same.execution.recordings, known.execution.recordings) = (1, 1)
      try expect(await store.restore(same, as: .owner), is: .restored, "the restoration of the stored result")
      known.execution.revision = 3
      try expect(await store.restore(known, as: .owner, acknowledged: ["task_1"]), is: .restored, "the restoration of the first result")
      try await expectStored(known, in: store, "after that")
      var ended = known
      (ended.execution.revision, ended.execution.status, ended.tasks[0].result) = (2, .completed, "of the end")
      ended.tasks[1].state = .cancelled
      try expect(await store.restore(ended, as: .witnessOfEnd), is: .restored, "the restoration by a witness of the end")
      try await expectStored(ended, in: store, "after that")
    },
    Check("the restoration of an old execution replaces it and never creates it") { store in
      var known = Sample.execution(status: .running)
      known.execution.revision = 3
      try expect(await store.restore(known, as: .ownerOfOld), is: .barred, "the restoration of a missing execution")
      try expect(await store.execution(known.execution.id), is: nil, "the execution")
      var old = known
      old.execution.revision = 2
      try await create(old, in: store)
      try expect(await store.restore(known, as: .ownerOfOld), is: .restored, "the restoration of a stored execution")
      try await expectStored(known, in: store, "after its restoration")
      try expect(await store.restore(known, as: .ownerOfOld), is: .intact, "a repeat")
    },
    Check("a live execution is replaced by a witness of its end") { store in
      var ended = Sample.execution(status: .completed, tasks: [Sample.task("task_1", state: .completed)])
      (ended.execution.epoch, ended.execution.revision) = (2, 5)
      var claimed = ended
      (claimed.execution.owner, claimed.execution.epoch, claimed.execution.revision) = (Sample.bob, 3, 1)
      (claimed.execution.status, claimed.tasks[0].state) = (.running, .open)
      try await create(claimed, in: store)
      try expect(await store.restore(ended, as: .owner), is: .stale, "the restoration by its owner")
      try expect(await store.restore(ended, as: .witnessOfEnd), is: .restored, "the restoration by a witness")
      try await expectStored(ended, in: store, "after its restoration")
      try expect(await store.update(Sample.change(of: claimed)), is: .stale, "a change by the claimant")

      var other = ended
      (other.execution.id, other.execution.status) = (Sample.id(), .failed)
      try await create(other, in: store)
      var mine = other
      (mine.execution.status, mine.execution.revision) = (.completed, 9)
      try expect(await store.restore(mine, as: .witnessOfEnd), is: .stale, "the restoration over another end")
      try await expectStored(other, in: store, "that has ended otherwise")
    },
    Check("a living owner may restore a missing execution") { store in
      let stored = Sample.execution(status: .running)
      let id = stored.execution.id
      try expect(
        await store.claim(id, from: Sample.alice, isGone: false, to: Sample.bob), is: nil, "the claim of another while it is missing")
      try expect(await store.restore(stored, as: .owner), is: .restored, "its restoration")
      try expect(await store.executions(ownedBy: Sample.alice), is: [id], "what its owner owns")
      let claimed = try require(await store.claim(id, from: Sample.alice, isGone: false, to: Sample.bob), "the claim after that")
      try expect(claimed.execution.epoch, is: 2, "the epoch after the claim")
    },
    Check("an earlier epoch of any owner is replaced") { store in
      let old = Sample.execution(owner: Sample.alice, tasks: [Sample.task("task_1")])
      try await create(old, in: store)
      var known = old
      (known.execution.owner, known.execution.epoch, known.execution.status) = (Sample.bob, 2, .running)
      try expect(await store.restore(known, as: .owner), is: .restored, "the restoration")
      try await expectStored(known, in: store, "after its restoration")
      try expect(await store.executions(ownedBy: Sample.bob), is: [known.execution.id], "what the new owner owns")
      try expect(await store.update(Sample.change(of: old)), is: .stale, "a change by the former owner")
    },
    Check("another owner's, a later and a terminal execution stay") { store in
      let mine = Sample.execution(status: .running, tasks: [Sample.task("task_1")])
      let better: [(String, (inout Execution) -> Void)] = [
        ("another owner's of the same epoch", { ($0.owner, $0.revision) = (Sample.bob, 1) }),
        ("of a later epoch", { ($0.owner, $0.epoch, $0.revision) = (Sample.bob, 3, 1) }),
        ("of a later revision", { $0.revision = 9 }),
        ("that has ended", { ($0.revision, $0.status) = (1, .cancelled) }),
        ("that has ended in an earlier epoch", { ($0.epoch, $0.status) = (1, .failed) }),
      ]
      for (what, make) in better {
        var (mine, present) = (mine, mine)
        (mine.execution.epoch, mine.execution.revision) = (2, 4)
        mine.tasks[0].state = .completed
        let id = Sample.id()
        (mine.execution.id, present.execution.id, present.execution.epoch) = (id, id, 2)
        make(&present.execution)
        try await create(present, in: store)
        try expect(await store.restore(mine, as: .owner), is: .stale, "the restoration over one \(what)")
        try await expectStored(present, in: store, "one \(what)")
      }
    },
  ]
}
