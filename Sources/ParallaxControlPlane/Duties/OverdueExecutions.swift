import Logging
package import ParallaxAPI
package import ParallaxHA
package import ParallaxState
import Synchronization

/// Finds executions that are long past their deadline although their owner is alive, and has the owner reread them; removes stale entries
/// from the sessions' lists of owned executions.
///
/// An owner normally ends its executions in time and releases them; this duty repairs the exceptions.
package final class OverdueExecutions: Sendable {
  /// The decision about an execution.
  package enum Verdict: Sendable, Hashable {
    case none
    /// Have the owner reread the execution.
    case remind
    /// Release the execution, which has ended.
    case ended
    /// The execution belongs to another session: the entry may be stale.
    case foreign
  }

  package static let interval: Duration = .seconds(60)
  /// The time after its deadline at which an execution is overdue.
  static let patience: Duration = .seconds(30)
  /// The number of concurrent reads.
  private static let width = 64

  private let store: any StateStore
  private let clock: NodeClock
  private let remind: @Sendable (_ execution: String, _ owner: NodeSession) -> Void
  private let logger: Logger
  private let foreign = Mutex(ForeignEntries())

  /// Makes the duty.
  ///
  /// - Parameters:
  ///   - store: The store to read executions from.
  ///   - clock: The node's clock.
  ///   - remind: Has the owner reread an execution.
  ///   - logger: Logs overdue executions, one line per round and owner.
  init(
    store: any StateStore, clock: NodeClock, remind: @escaping @Sendable (_ execution: String, _ owner: NodeSession) -> Void,
    logger: Logger
  ) {
    self.store = store
    self.clock = clock
    self.remind = remind
    self.logger = logger
  }

  /// Checks the executions of all sessions.
  func run() async throws {
    foreign.withLock { $0.beginRound() }
    for owner in try await store.sessions().keys { try await check(try await store.executions(ownedBy: owner), of: owner) }
  }

  /// Decides about an execution in the list of a session.
  package static func judge(_ execution: Execution, listedFor session: NodeSession, at now: Timestamp) -> Verdict {
    if execution.status.isTerminal { return .ended }
    if execution.owner != session { return .foreign }
    return execution.deadline + patience < now ? .remind : .none
  }

  /// Whether an execution may be overdue, by the time of creation in its id; a younger one needs no read.
  static func canBeOverdue(_ id: String, at now: Timestamp) -> Bool {
    SortableID.timestamp(of: id).map { $0 + patience < now } ?? true
  }

  private func check(_ ids: [String], of owner: NodeSession) async throws {
    let now = clock.now.wall
    let candidates = ids.filter { Self.canBeOverdue($0, at: now) }
    var reminded: [String] = []
    for start in stride(from: 0, to: candidates.count, by: Self.width) {
      for execution in try await read(candidates[start..<min(start + Self.width, candidates.count)]) {
        switch Self.judge(execution, listedFor: owner, at: now) {
        case .none: break
        case .ended: try await store.release(execution.id, owner: owner)
        case .foreign:
          guard foreign.withLock({ $0.found(execution, listedFor: owner) }) else { continue }
          try await store.unlist(execution.id, from: owner)
        case .remind:
          reminded.append(execution.id)
          remind(execution.id, owner)
        }
      }
    }
    guard let example = reminded.first else { return }
    logger.warning(
      "executions are long past their deadline; asked their owner to reread them",
      metadata: ["count": "\(reminded.count)", "example": "\(example)", "owner": "\(owner)"])
  }

  private func read(_ ids: ArraySlice<String>) async throws -> [Execution] {
    try await withThrowingTaskGroup(of: Execution?.self) { group in
      for id in ids {
        group.addTask { [store] in
          do {
            return try await store.execution(id)?.execution
          } catch let error as StateStoreError where error.code == .unreadable {
            // A node of the newer version that wrote the execution judges it.
            return nil
          }
        }
      }
      return try await group.reduce(into: []) { executions, execution in if let execution { executions.append(execution) } }
    }
  }
}
