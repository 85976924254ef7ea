import ParallaxAPI
import ParallaxHA
import ParallaxState

extension StateStoreConformance {
  static let ownership: [Check] = [
    Check("a session's entry is removed unless the execution is live and its own") { store in
      let stored = Sample.execution()
      try await create(stored, in: store)
      let id = stored.execution.id
      try await store.unlist(id, from: Sample.alice)
      try expect(await store.executions(ownedBy: Sample.alice), is: [id], "what alice owns")
      try expect(await store.claim(id, from: Sample.alice, to: Sample.bob) != nil, "a claim")
      for _ in 1...2 { try await store.unlist(id, from: Sample.alice) }
      try await store.unlist(Sample.id(), from: Sample.alice)
      try expect(await store.executions(ownedBy: Sample.alice), is: [], "what alice owns after the claim")
      try expect(await store.executions(ownedBy: Sample.bob), is: [id], "what bob owns")
    },
    Check("a session owns the executions that it created until it releases them") { store in
      let first = Sample.execution()
      let second = Sample.execution()
      let others = Sample.execution(owner: Sample.aliceAgain)
      for stored in [first, second, others] { try await create(stored, in: store) }
      try expect(Set(await store.executions(ownedBy: Sample.alice)), is: [first.execution.id, second.execution.id], "what alice owns")
      try expect(await store.executions(ownedBy: Sample.aliceAgain), is: [others.execution.id], "what her node's next session owns")
      try expect(await store.executions(ownedBy: Sample.bob), is: [], "what bob owns")

      let ended = try await apply(Sample.change(of: first, status: .completed), to: first, in: store)
      for _ in 1...2 {
        try await store.release(first.execution.id, owner: Sample.alice)
        try expect(await store.executions(ownedBy: Sample.alice), is: [second.execution.id], "what alice owns after a release")
      }
      try await expectStored(ended, in: store, "after its release")
      try await store.release(Sample.id(), owner: Sample.bob)
    },
    Check("a claim moves an execution and raises its epoch") { store in
      var stored = Sample.execution(tasks: [Sample.task("task_1")])
      try await create(stored, in: store)
      stored = try await apply(Sample.change(of: stored, status: .running), to: stored, in: store)

      let claimed = try require(await store.claim(stored.execution.id, from: Sample.alice, to: Sample.bob), "the claimed execution")
      var expected = stored
      expected.execution.owner = Sample.bob
      expected.execution.epoch += 1
      try expect(claimed, is: expected, "what the claim returns")
      try await expectStored(expected, in: store, "after the claim")
      try expect(await store.executions(ownedBy: Sample.alice), is: [], "what the former owner owns")
      try expect(await store.executions(ownedBy: Sample.bob), is: [stored.execution.id], "what the new owner owns")
    },
    Check("a claim bars the former owner, and the new one continues") { store in
      let stored = Sample.execution()
      try await create(stored, in: store)
      let last = Sample.change(of: stored, status: .running)
      let running = try await apply(last, to: stored, in: store)
      let claimed = try require(await store.claim(stored.execution.id, from: Sample.alice, to: Sample.bob), "the claimed execution")

      try expect(await store.update(Sample.change(of: running, status: .completed)), is: .stale, "the former owner's change")
      try expect(await store.update(last), is: .stale, "a repeat of the former owner's last change")
      try await expectStored(claimed, in: store, "after the former owner's attempts")
      try await store.release(stored.execution.id, owner: Sample.alice)
      try expect(await store.executions(ownedBy: Sample.bob), is: [stored.execution.id], "what the new owner owns")

      let changed = try await apply(Sample.change(of: claimed, status: .aggregating), to: claimed, in: store)
      try await expectStored(changed, in: store, "after the new owner's change")
    },
    Check("a repeated claim returns the same execution") { store in
      let stored = Sample.execution()
      try await create(stored, in: store)
      let first = try await store.claim(stored.execution.id, from: Sample.alice, to: Sample.bob)
      let second = try await store.claim(stored.execution.id, from: Sample.alice, to: Sample.bob)
      try expect(second, is: first, "what the repeat returns")
      try expect(second?.execution.epoch, is: 2, "the epoch after the repeat")
      try expect(await store.executions(ownedBy: Sample.bob), is: [stored.execution.id], "what the new owner owns")
      let own = try await store.claim(stored.execution.id, from: Sample.bob, to: Sample.bob)
      try expect(own, is: first, "what a claim from oneself returns")
      try expect(await store.executions(ownedBy: Sample.bob), is: [stored.execution.id], "what the owner owns after that")
    },
    Check("a claim of a terminal execution removes its entry instead") { store in
      var stored = Sample.execution()
      try await create(stored, in: store)
      stored = try await apply(Sample.change(of: stored, status: .completed), to: stored, in: store)
      try expect(await store.claim(stored.execution.id, from: Sample.alice, to: Sample.bob), is: nil, "the claim")
      try await expectStored(stored, in: store, "after the claim")
      try expect(await store.executions(ownedBy: Sample.alice), is: [], "what its owner owns")
      try expect(await store.executions(ownedBy: Sample.bob), is: [], "what the claimant owns")
    },
    Check("an execution that was never stored is not claimed") { store in
      let id = Sample.id()
      try expect(await store.claim(id, from: Sample.alice, to: Sample.bob), is: nil, "the claim")
      try expect(await store.execution(id), is: nil, "the execution")
      try expect(await store.update(Sample.change(of: Sample.execution(id: id))), is: .missing, "a change to it")
      try await create(Sample.execution(id: id, owner: Sample.bob), in: store)
      try expect(await store.executions(ownedBy: Sample.bob), is: [id], "what its later creator owns")
    },
    Check("an execution can be claimed from its owner only") { store in
      let stored = Sample.execution()
      try await create(stored, in: store)
      try expect(await store.claim(stored.execution.id, from: Sample.aliceAgain, to: Sample.bob), is: nil, "the claim")
      try await expectStored(stored, in: store, "after a claim from another")
      try expect(await store.executions(ownedBy: Sample.alice), is: [stored.execution.id], "what its owner owns")
    },
    Check("of concurrent claims one wins") { store in
      let stored = Sample.execution()
      try await create(stored, in: store)
      let claims = try await concurrently(8) { number in
        try await store.claim(
          stored.execution.id, from: Sample.alice, to: NodeSession(nodeID: "node-\(number)", incarnation: "c"))
      }
      let winners = claims.compactMap { $0 }
      try expect(winners.count, is: 1, "the number of winners")
      try expect(winners[0].execution.epoch, is: 2, "the epoch")
      try await expectStored(winners[0], in: store, "after the claims")
      try expect(await store.executions(ownedBy: winners[0].execution.owner), is: [stored.execution.id], "what the winner owns")
      try expect(await store.executions(ownedBy: Sample.alice), is: [], "what the former owner owns")
    },
    Check("node sessions are listed from opening to closing") { store in
      try expect(await store.sessions(), is: [:], "the sessions of an empty store")
      let odd = NodeSession(nodeID: "host:8080 ä{x}", incarnation: "1")
      for session in [Sample.alice, Sample.bob, Sample.aliceAgain, odd] {
        try expect(await store.open(session), is: true, "whether \(session) is new")
      }
      try expect(await store.open(Sample.alice), is: false, "whether a session that is open is new")
      try expect(
        await store.sessions(), is: [Sample.alice: 2, Sample.bob: 1, Sample.aliceAgain: 1, odd: 1], "the open sessions")
      for _ in 1...2 { try await store.close(Sample.alice, generation: 2) }
      try expect(await store.sessions(), is: [Sample.bob: 1, Sample.aliceAgain: 1, odd: 1], "the sessions after one closed")
    },
    Check("a session that was opened again is not closed under its former generation") { store in
      try await store.open(Sample.alice)
      let before = try await store.sessions()
      try await store.open(Sample.alice)
      try await store.close(Sample.alice, generation: before[Sample.alice] ?? 0)
      try expect(await store.sessions(), is: [Sample.alice: 2], "the sessions")
    },
  ]
}
