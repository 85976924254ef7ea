import ParallaxAPI
import ParallaxState

extension StateStoreConformance {
  /// A store that can lose what it acknowledged is brought up to date by whoever knows better.
  static let restoration: [Check] = [
    Check("a change that builds on what the store has lost finds it behind, and changes nothing") { store in
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
    Check("what is missing is restored, listed and owned") { store in
      var stored = Sample.execution(status: .running, tasks: [Sample.task("task_b", state: .completed), Sample.task("task_a", slot: 1)])
      (stored.execution.epoch, stored.execution.revision, stored.execution.startedAt) = (2, 7, Sample.instant)
      try expect(await store.restore(stored), is: .restored, "the restoration")
      try await expectStored(stored, in: store, "after its restoration")
      try expect(await store.executions(ExecutionQuery()).executions, is: [stored], "the list")
      try expect(await store.executions(ownedBy: Sample.alice), is: [stored.execution.id], "what its owner owns")
      try expect(await store.restore(stored), is: .intact, "a repeat")
      _ = try await apply(Sample.change(of: stored, status: .aggregating), to: stored, in: store)
    },
    Check("what has ended is restored without an owner's having it on its list") { store in
      var stored = Sample.execution(status: .completed)
      stored.execution.revision = 5
      try expect(await store.restore(stored), is: .restored, "the restoration")
      try await expectStored(stored, in: store, "after its restoration")
      try expect(await store.executions(ExecutionQuery()).executions, is: [stored], "the list")
      try expect(await store.executions(ownedBy: Sample.alice), is: [], "what its owner owns")
    },
    Check("an earlier revision of the same owner's is written over, but for results that others recorded") { store in
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
      try expect(await store.restore(known), is: .restored, "the restoration")
      known.tasks[1] = done
      try await expectStored(known, in: store, "after its restoration")
    },
    Check("an earlier epoch is written over, whoever owned it then") { store in
      let old = Sample.execution(owner: Sample.alice, tasks: [Sample.task("task_1")])
      try await create(old, in: store)
      var known = old
      (known.execution.owner, known.execution.epoch, known.execution.status) = (Sample.bob, 2, .running)
      try expect(await store.restore(known), is: .restored, "the restoration")
      try await expectStored(known, in: store, "after its restoration")
      try expect(await store.executions(ownedBy: Sample.bob), is: [known.execution.id], "what the new owner owns")
      try expect(await store.update(Sample.change(of: old)), is: .stale, "a change by the former owner")
    },
    Check("what counts more stays: another owner's, a later one, one that has ended") { store in
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
        try expect(await store.restore(mine), is: .stale, "the restoration over one \(what)")
        try await expectStored(present, in: store, "one \(what)")
      }
    },
  ]
}
