import ParallaxAPI
import ParallaxState

extension StateStoreConformance {
  static let listing: [Check] = [
    Check("an empty store lists nothing") { store in
      try expect(
        await store.executions(ExecutionQuery()), is: ExecutionPage(executions: [], total: 0, nextCursor: nil), "the first page")
    },
    Check("executions are listed newest first, in whatever order they were created") { store in
      let all = try await populate(store, count: 12)
      try expect(await store.executions(ExecutionQuery(limit: 100)), is: page(all, total: 12), "the list")
    },
    Check("executions of one millisecond are listed by descending id") { store in
      let ids = ["exec_a", "exec_B", "exec_b", "exec_aa", "exec_ä", "exec_Z"]
      for id in ids { try await create(Sample.execution(id: id), in: store) }
      let sorted = ["exec_ä", "exec_b", "exec_aa", "exec_a", "exec_Z", "exec_B"]
      try expect(await store.executions(ExecutionQuery()).executions.map(\.execution.id), is: sorted, "the list")
      for limit in 1...6 {
        try expect(await walk(store, ExecutionQuery(limit: limit)).map(\.execution.id), is: sorted, "pages of \(limit)")
      }
    },
    Check("pages by cursor join without gap or repeat, and the last has no next") { store in
      let all = try await populate(store, count: 12)
      for limit in [1, 5, 6, 11, 12, 13] {
        let first = try await store.executions(ExecutionQuery(limit: limit))
        let next = limit < 12 ? all[limit - 1].execution.id : nil
        try expect(first, is: page(Array(all.prefix(limit)), total: 12, next: next), "a first page of \(limit)")
        try expect(await walk(store, ExecutionQuery(limit: limit)), is: all, "pages of \(limit)")
      }
    },
    Check("a page by offset skips that number of executions") { store in
      let all = try await populate(store, count: 12)
      for offset in [0, 1, 5, 11, 12, 13, 10_000] {
        let rest = all.dropFirst(offset)
        let next = rest.count > 4 ? all[offset + 3].execution.id : nil
        try expect(
          await store.executions(ExecutionQuery(limit: 4, offset: offset)), is: page(Array(rest.prefix(4)), total: 12, next: next),
          "the page at offset \(offset)")
      }
    },
    Check("a cursor takes precedence over an offset") { store in
      let all = try await populate(store, count: 6)
      let query = ExecutionQuery(limit: 2, cursor: all[1].execution.id, offset: 3)
      try expect(await store.executions(query).executions, is: Array(all[2..<4]), "the page behind the cursor")
    },
    Check("a cursor stays valid after new executions and the removal of its own") { store in
      let all = try await populate(store, count: 6, status: .completed)
      let cursor = all[2].execution.id
      try await create(Sample.execution(createdAt: Sample.instant + .seconds(86_400)), in: store)
      try expect(await store.executions(ExecutionQuery(cursor: cursor)).executions, is: Array(all[3...]), "the page behind the cursor")
      let removed = try await store.removeExecutions(
        createdBefore: all[2].execution.createdAt + .milliseconds(1), maxRetained: 1_000, limit: 100)
      try expect(removed, is: 4, "the number of removed executions")
      try await create(Sample.execution(createdAt: all[4].execution.createdAt), in: store)
      try expect(await store.executions(ExecutionQuery(cursor: cursor)).executions.count, is: 1, "the page behind the removed cursor")
    },
    Check("an invalid cursor leads to an empty last page") { store in
      _ = try await populate(store, count: 3)
      for cursor in ["", "x", "exec_", "{}", "*", "-1"] {
        let page = try await store.executions(ExecutionQuery(cursor: cursor))
        try expect(page.executions, is: [], "the page behind \"\(cursor)\"")
        try expect(page.nextCursor, is: nil, "the next cursor behind \"\(cursor)\"")
      }
    },
    Check("filters choose by pattern, status and time, with and without pages") { store in
      let all = try await populate(store, count: 36)
      let middle = all[17].execution.createdAt
      let late = all[4].execution.createdAt
      let queries = [
        ExecutionQuery(pattern: "p1"), ExecutionQuery(pattern: "absent"), ExecutionQuery(status: .running),
        ExecutionQuery(status: .cancelled), ExecutionQuery(since: middle), ExecutionQuery(until: middle),
        ExecutionQuery(since: middle, until: late), ExecutionQuery(since: late, until: middle),
        ExecutionQuery(pattern: "p0", status: .running), ExecutionQuery(pattern: "p2", status: .pending, since: middle, until: late),
      ]
      for var query in queries {
        let matching = all.filter { query.matches($0.execution) }
        for limit in [1, 2, 3, 100] {
          query.limit = limit
          try expect(await walk(store, query), is: matching, "the pages of \(query)")
        }
        query.offset = 2
        try expect(await store.executions(query).executions, is: Array(matching.dropFirst(2)), "the page of \(query)")
      }
    },
    Check("filters apply to the current state of executions") { store in
      let stored = Sample.execution()
      try await create(stored, in: store)
      let running = try await apply(Sample.change(of: stored, status: .running), to: stored, in: store)
      try expect(await store.executions(ExecutionQuery(status: .pending)).executions, is: [], "the pending executions")
      try expect(await store.executions(ExecutionQuery(status: .running)).executions, is: [running], "the running executions")
    },
    Check("a total is counted without filters only") { store in
      _ = try await populate(store, count: 5)
      try expect(await store.executions(ExecutionQuery(limit: 2)).total, is: 5, "the total")
      try expect(await store.executions(ExecutionQuery(pattern: "p1")).total, is: nil, "the total with a filter")
    },
  ]

  static let retention: [Check] = [
    Check("old terminal executions are removed, oldest first and no more than the limit") { store in
      let all = try await populate(store, count: 10, status: .completed)
      let instant = all[3].execution.createdAt
      let remove = { try await store.removeExecutions(createdBefore: instant, maxRetained: 1_000, limit: 4) }
      try expect(await remove(), is: 4, "the number removed")
      try expect(await store.executions(ExecutionQuery()), is: page(Array(all.prefix(6)), total: 6), "the remaining executions")
      try expect(await remove(), is: 2, "the number removed after that")
      try expect(await remove(), is: 0, "the number removed at last")
      try expect(await store.executions(ExecutionQuery()), is: page(Array(all.prefix(4)), total: 4), "the remaining executions at last")
      for gone in all[4...] { try expect(await store.execution(gone.execution.id), is: nil, "a removed execution") }
    },
    Check("an execution is removed when its end is old, not its creation alone") { store in
      var long = Sample.execution(status: .completed)
      long.execution.completedAt = Sample.instant + .seconds(100)
      try await create(long, in: store)
      let remove = { try await store.removeExecutions(createdBefore: $0, maxRetained: 9, limit: 9) }
      try expect(await remove(Sample.instant + .seconds(100)), is: 0, "the number removed while its end is young")
      try await expectStored(long, in: store, "while its end is young")
      try expect(await remove(Sample.instant + .milliseconds(100_001)), is: 1, "the number removed after that")
      var another = Sample.execution(status: .completed)
      another.execution.completedAt = Sample.instant + .seconds(100)
      try await create(another, in: store)
      try expect(
        await store.removeExecutions(createdBefore: Sample.instant, maxRetained: 0, limit: 9), is: 1,
        "the number removed beyond the number to keep")
    },
    Check("executions that are not terminal are never removed") { store in
      let running = try await populate(store, count: 4, status: .running)
      let ended = try await populate(store, count: 4, status: .timedOut)
      let removed = try await store.removeExecutions(
        createdBefore: Sample.instant + .seconds(1_000_000), maxRetained: 0, limit: 1_000)
      try expect(removed, is: ended.count, "the number removed")
      try expect(await store.executions(ExecutionQuery()), is: page(running, total: 4), "the remaining executions")
      for stored in running { try await expectStored(stored, in: store, "after the removal of others") }
    },
    Check("executions beyond the number to keep are removed, oldest first, at any age") { store in
      let all = try await populate(store, count: 10, status: .failed)
      let remove = { try await store.removeExecutions(createdBefore: Sample.instant, maxRetained: 6, limit: 3) }
      try expect(await remove(), is: 3, "the number removed")
      try expect(await remove(), is: 1, "the number removed after that")
      try expect(await remove(), is: 0, "the number removed at last")
      try expect(await store.executions(ExecutionQuery()), is: page(Array(all.prefix(6)), total: 6), "the remaining executions")
    },
    Check("a removed execution is gone everywhere") { store in
      let stored = Sample.execution(status: .completed, tasks: [Sample.task("task_1")])
      try await create(stored, in: store)
      let later = Sample.instant + .seconds(1)
      try expect(await store.removeExecutions(createdBefore: later, maxRetained: 9, limit: 9), is: 1, "the number removed")
      try expect(await store.execution(stored.execution.id), is: nil, "the execution")
      try expect(await store.update(Sample.change(of: stored)), is: .missing, "a change to it")
      try expect(await store.executions(ownedBy: Sample.alice), is: [], "the executions of its owner")
      try expect(await store.claim(stored.execution.id, from: Sample.alice, to: Sample.bob), is: nil, "a claim of it")
    },
  ]

  /// Stores executions 25 s apart in mixed order, with three patterns and statuses unless one status is given; returns them newest first.
  private static func populate(_ store: any StateStore, count: Int, status: ExecutionStatus? = nil) async throws -> [StoredExecution] {
    let statuses: [ExecutionStatus] = [.pending, .running, .completed, .running]
    let all = (0..<count).map { number in
      Sample.execution(
        pattern: "p\(number % 3)", status: status ?? statuses[number % 4], input: .integer(Int64(number)),
        createdAt: Sample.instant + .seconds(25 * number), tasks: [Sample.task("task_\(number)")])
    }
    for stored in all.enumerated().sorted(by: { $0.offset * 5 % 7 < $1.offset * 5 % 7 }).map(\.element) {
      try await create(stored, in: store)
    }
    return all.reversed()
  }

  private static func page(_ executions: [StoredExecution], total: Int?, next: String? = nil) -> ExecutionPage {
    ExecutionPage(executions: executions, total: total, nextCursor: next)
  }

  /// All executions of a query, page by page.
  private static func walk(_ store: any StateStore, _ query: ExecutionQuery) async throws -> [StoredExecution] {
    var query = query
    var found: [StoredExecution] = []
    for _ in 0..<1_000 {
      let page = try await store.executions(query)
      try expect(page.executions.count <= query.limit, "at most \(query.limit) executions on a page")
      found += page.executions
      guard let next = page.nextCursor else { return found }
      try expect(next != query.cursor, "a cursor that moves on")
      query.cursor = next
    }
    throw ConformanceFailure(description: "expected an end of the pages of \(query)")
  }
}
