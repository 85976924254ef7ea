import Logging
package import ParallaxAPI
package import ParallaxHA
package import ParallaxState
import Synchronization

/// Finds the executions of sessions that are listed nowhere, which no recovery of a session meets, and takes them over.
///
/// A store that loses writes may lose the entry of a session, or that of an execution in its session's list, and the node may fail before
/// it has restored them.
package final class StrayExecutions: Sendable {
  package static let interval: Duration = .seconds(60)
  /// The pause after a search, in lengths of that search, which reads the status of every execution.
  private static let rest = 50
  /// The statuses of executions that have not ended.
  package static let statuses: [ExecutionStatus] = [.pending, .running, .aggregating]
  /// The time within which an owner that lives has entered its session again.
  package static let patience = OwnershipMachine.ownersTime

  private let store: any StateStore
  private let recovery: SessionRecovery
  private let clock: NodeClock
  private let nextSearch = Mutex(Duration.zero)

  init(store: any StateStore, recovery: SessionRecovery, clock: NodeClock) {
    self.store = store
    self.recovery = recovery
    self.clock = clock
  }

  /// Takes over all stray executions, unless the last search was too long ago for its length.
  func run() async throws {
    let begin = clock.now.instant
    guard nextSearch.withLock({ $0 <= begin }) else { return }
    let found = try await search()
    let end = clock.now.instant
    nextSearch.withLock { $0 = end + (end - begin) * Self.rest }
    guard !found.isEmpty else { return }
    try await clock.sleep(for: Self.patience)
    let sessions = try await store.sessions()
    for (owner, ids) in found where sessions[owner] == nil { try await recovery.takeOver(ids, of: owner) }
  }

  private func search() async throws -> [NodeSession: [String]] {
    var found: [NodeSession: [String]] = [:]
    for status in Self.statuses {
      var query = ExecutionQuery(status: status, limit: 100)
      repeat {
        let page = try await store.executions(query)
        // The sessions come last: an owner enters its session before it owns anything.
        let strays = Self.strays(among: page.executions.map(\.execution), sessions: try await store.sessions())
        found.merge(strays) { $0 + $1 }
        query.cursor = page.nextCursor
      } while query.cursor != nil
    }
    return found
  }

  /// The executions that have not ended and whose owners are no open sessions, by owner.
  package static func strays(among executions: [Execution], sessions: [NodeSession: Int64]) -> [NodeSession: [String]] {
    executions.reduce(into: [:]) { strays, execution in
      if !execution.status.isTerminal, sessions[execution.owner] == nil { strays[execution.owner, default: []].append(execution.id) }
    }
  }
}
