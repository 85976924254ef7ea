import Logging
import ParallaxAPI
import ParallaxState

/// Writes again what the store has lost after it had acknowledged it.
extension Dispatcher {
  /// How many writes are on their way at once.
  private static let width = 64
  /// How long the owner of an execution that is not there is given to restore it, before an outcome is recorded.
  private static let patience = (attempts: 5, pause: Duration.seconds(1))

  /// Restores an execution that this node drives.
  func restore(_ stored: StoredExecution) async {
    let id = stored.execution.id
    await repeating("restoration of an execution") {
      let outcome: UpdateOutcome
      switch try await restoreIfKept(stored) {
      case .intact: outcome = .applied
      case .restored:
        countRestored()
        outcome = .applied
      case .stale:
        warnOfOtherOwner(of: id)
        outcome = .stale
      case .barred: outcome = .missing
      }
      handle { machine, now in machine.writeFinished(id, outcome, at: now) }
    }
  }

  /// Restores what this node wrote last and does not drive; the newest first, as it is the likeliest to be lost.
  func restore(_ recent: RecentWrites) async {
    await concurrently(recent.finished.reversed()) { stored in
      await self.repeating("restoration of an execution that has ended") {
        if case .restored = try await self.restoreIfKept(stored) { self.countRestored() }
        try await self.store.release(stored.execution.id, owner: stored.execution.owner)
      }
    }
    await concurrently(recent.claims.reversed()) { claim in
      await self.repeating("restoration of an idempotency key") {
        _ = try await self.store.claimIdempotencyKey(claim.key, executionID: claim.executionID, digest: claim.digest)
      }
    }
    await concurrently(recent.outcomes.reversed()) { await self.restore($0) }
    let restored = takeRestored()
    if restored > 0 {
      logger.warning(
        "the store had lost what it had acknowledged: it was written again", metadata: ["executions": "\(restored)"])
    }
  }

  private func restore(_ outcome: RecentWrites.Outcome) async {
    for attempt in 1...Self.patience.attempts {
      var isKnown = false
      await repeating("restoration of an outcome") {
        isKnown = try await recordAndTell(outcome.task, of: outcome.execution) != .unknown
      }
      if isKnown || attempt == Self.patience.attempts { return }
      do { try await Task.sleep(for: Self.patience.pause) } catch { return }
    }
  }

  /// Stores the registrations of agents again that the store has lost.
  func checkAgents() async {
    await repeating("check of the agents") {
      let stored = Dictionary(try await store.agents(at: session).map { ($0.id, $0.epoch) }) { max($0, $1) }
      for (id, registered) in registeredLinks where (stored[id] ?? 0) < registered.epoch {
        // One that has gone to another node is listed there, with a greater epoch.
        if try await store.agent(id)?.epoch ?? 0 < registered.epoch { registered.link.registerAnew() }
      }
    }
  }

  /// Restores an execution, but not one that may have been removed since: it would come back.
  private func restoreIfKept(_ stored: StoredExecution) async throws -> RestoreOutcome {
    guard clock.now.wall - stored.execution.createdAt < retention else { return .barred }
    return try await store.restore(stored)
  }

  private func concurrently<Element: Sendable>(
    _ elements: some Collection<Element>, _ work: @escaping @Sendable (Element) async -> Void
  ) async {
    await withTaskGroup(of: Void.self) { group in
      for (index, element) in elements.enumerated() {
        if index >= Self.width { await group.next() }
        group.addTask { await work(element) }
      }
    }
  }
}
