import ParallaxAPI
import ParallaxHA
import ParallaxState

/// Restores recent writes that the store has acknowledged and lost, apart from executions of this node.
struct StoreRestoration: Sendable {
  /// The largest number of concurrent writes of a kind.
  private static let width = 64
  /// How long an outcome waits for the owner of its absent execution to restore that.
  static let patience = Duration.seconds(2)
  /// Enough for every owner to have noticed the loss, and begun to restore its executions.
  static let attempts = Int(OwnershipMachine.ownersTime / patience) + 1
  private static let reportDelay = Duration.seconds(1)

  let worker: StoreWorker
  let partitions: StorePartitions

  /// Restores the writes of each element; a new element cancels the restoration in progress, which it includes.
  func run(_ restorations: AsyncStream<RecentWrites>, for owner: any StoreWorker.Owner) async {
    var current: Task<Void, Never>?
    for await recent in restorations {
      let former = current
      former?.cancel()
      current = Task {
        await former?.value
        await restore(recent, for: owner)
      }
    }
    guard let current else { return }
    await withTaskCancellationHandler {
      await current.value
    } onCancel: {
      current.cancel()
    }
  }

  /// Restores the recent writes, newest first, because those are the likeliest to be lost.
  private func restore(_ recent: RecentWrites, for owner: any StoreWorker.Owner) async {
    async let agents: Void = worker.repeating("check of the agents") { try await worker.restoreRegistrations(of: owner) }
    async let keys: Void = restoreKeys(recent.claims)
    async let outcomes: Void = restore(recent.outcomes.elements.map(\.element).reversed(), for: owner)
    let finished = recent.finished.elements.map(\.element).filter { worker.isKept($0.execution.createdAt) }
    await concurrently(finished.reversed()) {
      partitions.part(ofExecution: $0.execution.id)
    } _: {
      await restoreEnded($0)
    }
    await keys
    await outcomes
    await agents
    if !Task.isCancelled { owner.handle(.restorationEnded(number: recent.number)) }
    // After a delay, so that the report includes the executions of this node, which are restored beside these writes.
    try? await worker.clock.sleep(for: Self.reportDelay)
    worker.reports.reportRestored()
  }

  private func restoreKeys(_ claims: Bounded<RecentWrites.Claim>) async {
    let now = worker.clock.now.instant
    let claims = claims.elements.map { (claim: $0.element, lifetime: IdempotencyKey.lifetime - (now - $0.instant)) }
    await concurrently(claims.filter { $0.lifetime > .zero }.reversed()) {
      partitions.part(ofKey: $0.claim.key)
    } _: { claim, lifetime in
      await worker.repeating("restoration of an idempotency key") {
        try await worker.store.restoreIdempotencyKey(
          claim.key, executionID: claim.executionID, digest: claim.digest, lifetime: lifetime)
      }
    }
  }

  private func restoreEnded(_ stored: StoredExecution) async {
    let execution = stored.execution
    await worker.repeating("restoration of an execution that has ended") {
      if case .restored = try await worker.store.restore(stored, as: .witnessOfEnd) { worker.reports.restored() }
      try await worker.restoreKey(of: execution)
      try await worker.store.release(execution.id, owner: execution.owner)
    }
  }

  /// Records outcomes again, with further attempts for those whose execution the owner has not restored yet.
  private func restore(_ outcomes: [RecentWrites.Outcome], for owner: any StoreWorker.Owner) async {
    var missing = outcomes.filter { SortableID.timestamp(of: $0.execution).map(worker.isKept) ?? true }
    for attempt in 1...Self.attempts where !missing.isEmpty {
      if attempt > 1 { do { try await worker.clock.sleep(for: Self.patience) } catch { return } }
      missing = await concurrently(missing) {
        partitions.part(ofExecution: $0.execution)
      } _: { outcome in
        var isMissing = false
        await worker.repeating("restoration of an outcome") {
          let result = try await worker.store.record(outcome.task, of: outcome.execution)
          isMissing = result == .unknown
          owner.handle(.recordedAgain(outcome.task, execution: outcome.execution, result))
        }
        return isMissing ? outcome : nil
      }
    }
  }

  /// Performs work on elements, a bounded number at a time; each part of the store has its share, so that the others go on without it.
  @discardableResult
  private func concurrently<Element: Sendable, Value: Sendable>(
    _ elements: [Element], by part: (Element) -> Int, _ work: @escaping @Sendable (Element) async -> Value?
  ) async -> [Value] {
    let share = max(1, Self.width / partitions.count)
    return await withTaskGroup(of: [Value].self) { parts in
      for lane in Dictionary(grouping: elements, by: part).values {
        parts.addTask { await inTurns(lane, width: share, work) }
      }
      return await parts.reduce(into: []) { $0 += $1 }
    }
  }

  private func inTurns<Element: Sendable, Value: Sendable>(
    _ elements: [Element], width: Int, _ work: @escaping @Sendable (Element) async -> Value?
  ) async -> [Value] {
    await withTaskGroup(of: Value?.self) { group in
      var values: [Value] = []
      for (index, element) in elements.enumerated() {
        if index >= width, let value = await group.next() ?? nil { values.append(value) }
        group.addTask { await work(element) }
      }
      for await value in group { if let value { values.append(value) } }
      return values
    }
  }
}
