import Logging
import ParallaxAPI
import ParallaxConcurrency
import ParallaxState

/// Writes again what the store has lost after it had acknowledged it.
extension Dispatcher {
  /// How many writes are on their way at once.
  private static let width = 64
  /// How long the owner of an execution that is not there is given to restore it, before an outcome is recorded for it.
  private static let patience = Duration.seconds(2)
  private static let attempts = 3
  private static let reportDelay = Duration.seconds(1)
  /// How long a node that stops goes on.
  private static let stopLimit = Duration.seconds(2)

  /// Restores what may have been lost, each time that something may; what is under way then is begun anew.
  func restoreAgainAndAgain() async {
    var current: Task<Void, Never>?
    for await recent in restorations {
      current?.cancel()
      current = Task { await self.restore(recent) }
    }
    guard let current else { return }
    _ = await race {
      await withTaskCancellationHandler {
        await current.value
      } onCancel: {
        current.cancel()
      }
    } until: {
      try await Task.sleep(for: Self.stopLimit)
    }
  }

  /// Restores an execution that this node drives.
  func restore(_ stored: StoredExecution) async {
    // One that others have ended may have been removed since: it must not come back.
    let claim: RestorationClaim = isKept(stored.execution.createdAt) ? .owner : .ownerOfOld
    await repeating("restoration of an execution") {
      let outcome: UpdateOutcome
      switch try await store.restore(stored, as: claim) {
      case .intact: outcome = .applied
      case .restored:
        countRestored()
        outcome = .applied
      case .stale:
        noteOtherOwner(of: stored.execution.id)
        outcome = .stale
      case .barred: outcome = .missing
      }
      writeFinished(stored.execution, outcome)
    } onUnreadable: {
      writeFinished(stored.execution, .stale)
    }
  }

  /// Restores what this node wrote last and does not drive; the newest first, as it is the likeliest to be lost.
  private func restore(_ recent: RecentWrites) async {
    async let agents: Void = checkAgents()
    let finished = recent.finished.elements.map(\.element).filter { isKept($0.execution.createdAt) }
    await concurrently(finished.reversed()) { await self.restoreEnded($0) }
    let now = clock.now.instant
    let claims = recent.claims.elements.map { ($0.element, lifetime: IdempotencyKey.lifetime - (now - $0.instant)) }
    await concurrently(claims.filter { $0.lifetime > .zero }.reversed()) { claim, lifetime in
      await self.repeating("restoration of an idempotency key") {
        _ = try await self.store.claimIdempotencyKey(
          claim.key, executionID: claim.executionID, digest: claim.digest, lifetime: lifetime)
      }
    }
    await restore(recent.outcomes.elements.map(\.element).reversed())
    await agents
    if !Task.isCancelled { restorationEnded() }
    // So that one report also counts what this node drives, which is restored beside this.
    try? await Task.sleep(for: Self.reportDelay)
    let restored = takeRestored()
    if restored > 0 {
      logger.warning(
        "the store had lost what it had acknowledged: it was written again", metadata: ["executions": "\(restored)"])
    }
  }

  private func restoreEnded(_ stored: StoredExecution) async {
    let execution = stored.execution
    await repeating("restoration of an execution that has ended") {
      if case .restored = try await store.restore(stored, as: .witnessOfEnd) { countRestored() }
      try await store.release(execution.id, owner: execution.owner)
    }
  }

  /// Records outcomes again, if need be once the owners of their executions have restored those.
  private func restore(_ outcomes: [RecentWrites.Outcome]) async {
    var missing = outcomes.filter { SortableID.timestamp(of: $0.execution).map(isKept) ?? true }
    for attempt in 1...Self.attempts where !missing.isEmpty {
      if attempt > 1 { do { try await Task.sleep(for: Self.patience) } catch { return } }
      missing = await concurrently(missing) { outcome in
        var isMissing = false
        await self.repeating("restoration of an outcome") {
          isMissing = try await self.recordAndTell(outcome.task, of: outcome.execution) == .unknown
        }
        return isMissing ? outcome : nil
      }
    }
  }

  /// Stores the registrations of agents again that the store has lost.
  private func checkAgents() async {
    await repeating("check of the agents") {
      let listed = Dictionary(try await store.agents(at: session).map { ($0.id, $0.epoch) }) { max($0, $1) }
      for (id, registered) in registeredLinks where (listed[id] ?? 0) < registered.epoch {
        // One that has gone to another node is registered there, with a greater epoch.
        if try await store.agent(id)?.epoch ?? 0 <= registered.epoch { registered.link.registerAnew() }
      }
    }
  }

  /// Whether an execution that was created then is sure to be in the store, if it ever was.
  private func isKept(_ createdAt: Timestamp) -> Bool { clock.now.wall - createdAt < retention }

  @discardableResult
  private func concurrently<Element: Sendable, Value: Sendable>(
    _ elements: [Element], _ work: @escaping @Sendable (Element) async -> Value?
  ) async -> [Value] {
    await withTaskGroup(of: Value?.self) { group in
      var values: [Value] = []
      for (index, element) in elements.enumerated() {
        if index >= Self.width, let value = await group.next() ?? nil { values.append(value) }
        group.addTask { await work(element) }
      }
      for await value in group { if let value { values.append(value) } }
      return values
    }
  }
}
