package import Logging
import Synchronization

/// Ends the fight of processes that share an agent's id and replace each other for ever: the one that is connected keeps the id, and the
/// others are refused until they give up.
///
/// A process that reconnects under its own name (`process` of its registration) fights with nobody.
package final class AgentIDContests: Sendable {
  /// A connection that is registered at this node under an id.
  struct Holder: Sendable, Hashable {
    var connectionID: String
    /// The address without the port; nil if the peer has none.
    var address: String?
    /// The name of the agent's process; nil if it sends none.
    var process: String?
  }

  private struct State {
    var table = ContestTable()
    var holders: [String: Holder] = [:]
  }

  private let state = Mutex(State())
  private let logger: Logger

  package init(logger: Logger) {
    self.logger = logger
  }

  /// Records that a connection has registered under an id.
  func registered(_ agent: String, _ holder: Holder) { state.withLock { $0.holders[agent] = holder } }

  /// Records that a registered connection has ended; `wasReplaced` if another connection has registered under its id.
  func ended(_ agent: String, _ holder: Holder, wasReplaced: Bool, at now: Duration) {
    state.withLock { state in
      var successor = state.holders[agent]
      if successor?.connectionID == holder.connectionID {
        state.holders[agent] = nil
        successor = nil
      }
      guard wasReplaced else { return }
      if let process = holder.process, process == successor?.process { return }
      state.table.replaced(agent, at: now)
    }
  }

  /// Judges the registration of a connection under an id, and logs the first refusal of a contest.
  ///
  /// - Parameters:
  ///   - agent: The id.
  ///   - newcomer: The connection.
  ///   - home: The node session at which the agent is connected if it is another one; nil without.
  ///   - now: The reading of the node's monotonic clock.
  /// - Returns: Whether the connection may register.
  func admits(_ agent: String, _ newcomer: Holder, home: String?, at now: Duration) -> Bool {
    let (verdict, holder) = state.withLock { state in
      let holder = state.holders[agent].flatMap { $0.connectionID == newcomer.connectionID ? nil : $0 }
      if let process = newcomer.process, process == holder?.process { return (ContestTable.Verdict.admitted, holder) }
      return (state.table.verdict(on: agent, isHeld: holder != nil || home != nil, at: now), holder)
    }
    guard case .refused(let isFirst) = verdict else { return true }
    if isFirst {
      logger.warning(
        "several processes use one agent id; the later ones are refused",
        metadata: [
          "agent": "\(agent)", "holder": "\(holder.map { $0.address ?? "unknown" } ?? "node \(home ?? "unknown")")",
          "refused": "\(newcomer.address ?? "unknown")",
        ])
    }
    return false
  }
}

/// The ids whose connections have been replaced often within a short time.
struct ContestTable: Sendable {
  enum Verdict: Sendable, Hashable {
    case admitted
    /// Another connection keeps the id; `isFirst` of the contest.
    case refused(isFirst: Bool)
  }

  private struct Entry {
    var replacements: [Duration] = []
    var contestedUntil: Duration?
    var isReported = false
  }

  /// The replacements within ``window`` that make a contest.
  static let limit = 5
  static let window = Duration.seconds(30)
  /// The time without an attempt after which a contest is over: a refused process tries the nodes in turn, each of which counts by itself,
  /// with up to a minute between two attempts.
  static let quiet = Duration.seconds(600)
  private static let pruneAt = 1_000

  private var entries: [String: Entry] = [:]
  private var pruneBeyond = Self.pruneAt

  /// Records that a connection under an id was replaced.
  mutating func replaced(_ agent: String, at now: Duration) {
    prune(at: now)
    var entry = entries[agent] ?? Entry()
    entry.replacements.append(now)
    entry.replacements.removeAll { now - $0 > Self.window }
    if entry.replacements.count >= Self.limit {
      entry.contestedUntil = now + Self.quiet
      entry.replacements = []
    }
    entries[agent] = entry
  }

  /// Judges a registration; one that is refused prolongs the contest.
  mutating func verdict(on agent: String, isHeld: Bool, at now: Duration) -> Verdict {
    guard let entry = entries[agent], let end = entry.contestedUntil else { return .admitted }
    guard now < end else {
      entries[agent] = nil
      return .admitted
    }
    // Nobody else is there any more, so the contest is over.
    guard isHeld else {
      entries[agent] = nil
      return .admitted
    }
    entries[agent]?.contestedUntil = now + Self.quiet
    entries[agent]?.isReported = true
    return .refused(isFirst: !entry.isReported)
  }

  private mutating func prune(at now: Duration) {
    guard entries.count > pruneBeyond else { return }
    entries = entries.filter { _, entry in
      entry.contestedUntil.map { now < $0 } ?? entry.replacements.contains { now - $0 <= Self.window }
    }
    pruneBeyond = max(Self.pruneAt, 2 * entries.count)
  }
}
