import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxState
import Synchronization

/// Finds executions that are long past their deadline although their owner lives, and reminds the owner; takes off what is listed for a
/// session that does not own it any more.
///
/// An owner ends its executions in time and releases them by itself; this is for what an owner has lost sight of.
final class OverdueExecutions: Sendable {
  /// What is done about an execution.
  enum Verdict: Sendable, Hashable {
    case none
    /// The owner is to read it again.
    case remind
    /// It has ended: nobody owns it any more.
    case ended
    /// It is another session's.
    case foreign
  }

  static let interval: Duration = .seconds(60)
  /// How long after its deadline an execution counts as forgotten.
  static let patience: Duration = .seconds(30)
  /// How many executions are read at the same time.
  private static let width = 64

  private let store: any StateStore
  private let clock: NodeClock
  private let remind: @Sendable (_ execution: String, _ owner: NodeSession) -> Void
  private let logger: Logger
  private let foreign = Mutex(ForeignEntries())

  /// Makes the duty.
  ///
  /// - Parameters:
  ///   - store: Where executions are read.
  ///   - clock: The node's clock.
  ///   - remind: Has the owner read an execution again.
  ///   - logger: Where what is found is reported, in one line a round and owner.
  init(
    store: any StateStore, clock: NodeClock, remind: @escaping @Sendable (_ execution: String, _ owner: NodeSession) -> Void,
    logger: Logger
  ) {
    self.store = store
    self.clock = clock
    self.remind = remind
    self.logger = logger
  }

  /// Goes through what every session owns.
  func run() async throws {
    foreign.withLock { $0.beginRound() }
    for owner in try await store.sessions().keys { try await check(try await store.executions(ownedBy: owner), of: owner) }
  }

  /// Judges an execution that is listed for a session.
  static func judge(_ execution: Execution, listedFor session: NodeSession, at now: Timestamp) -> Verdict {
    if execution.status.isTerminal { return .ended }
    if execution.owner != session { return .foreign }
    return execution.deadline + patience < now ? .remind : .none
  }

  /// Whether an execution can be due: its id tells when it was created, and what is younger than `patience` is not read at all.
  static func canBeDue(_ id: String, at now: Timestamp) -> Bool {
    SortableID.timestamp(of: id).map { $0 + patience < now } ?? true
  }

  private func check(_ ids: [String], of owner: NodeSession) async throws {
    let now = clock.now.wall
    let candidates = ids.filter { Self.canBeDue($0, at: now) }
    var reminded: [String] = []
    for start in stride(from: 0, to: candidates.count, by: Self.width) {
      for execution in try await read(candidates[start..<min(start + Self.width, candidates.count)]) {
        switch Self.judge(execution, listedFor: owner, at: now) {
        case .none: break
        case .ended: try await store.release(execution.id, owner: owner)
        case .foreign:
          guard foreign.withLock({ $0.found(execution, listedFor: owner) }) else { continue }
          try await store.release(execution.id, owner: owner)
        case .remind:
          reminded.append(execution.id)
          remind(execution.id, owner)
        }
      }
    }
    guard let example = reminded.first else { return }
    logger.warning(
      "executions are long past their deadline: their owner reads them again",
      metadata: ["count": "\(reminded.count)", "example": "\(example)", "owner": "\(owner)"])
  }

  private func read(_ ids: ArraySlice<String>) async throws -> [Execution] {
    try await withThrowingTaskGroup(of: Execution?.self) { group in
      for id in ids { group.addTask { [store] in try await store.execution(id)?.execution } }
      return try await group.reduce(into: []) { executions, execution in if let execution { executions.append(execution) } }
    }
  }
}
