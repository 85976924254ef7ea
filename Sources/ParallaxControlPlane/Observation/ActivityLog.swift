package import Logging
import ParallaxAPI
package import ParallaxState
import ParallaxText
import Synchronization

/// Logs what a node's executions come to: each failure, as long as they are few, and a line a minute of what there was.
package final class ActivityLog: Sendable {
  private struct State {
    var budget = LogBudget()
    var beganAt: Duration
    var accepted = 0
    var ended: [ExecutionStatus: Int] = [:]
  }

  /// What the line of a minute says of the node, besides its executions.
  package struct Situation: Sendable, Hashable {
    package var running: Int
    package var waiting: Int
    package var agents: Int
    /// `leader` or `standby`.
    package var role: String
    package var term: Int64

    package init(running: Int, waiting: Int, agents: Int, role: String, term: Int64) {
      self.running = running
      self.waiting = waiting
      self.agents = agents
      self.role = role
      self.term = term
    }
  }

  /// The characters of an error that are logged.
  package static let errorLimit = 300
  /// The characters of an error's code that are logged.
  private static let codeLimit = 64

  private let state: Mutex<State>
  private let clock: NodeClock
  private let logger: Logger

  package init(clock: NodeClock, logger: Logger) {
    self.clock = clock
    self.logger = logger
    state = Mutex(State(beganAt: clock.now.instant))
  }

  /// Counts an execution that this node has taken from a caller, whether or not the store takes it.
  package func accepted() { state.withLock { $0.accepted += 1 } }

  /// Counts an execution that has ended, and logs it: at info if it has failed or timed out, as far as the budget goes, else at debug.
  package func ended(_ execution: Execution) {
    let isFailure = execution.status == .failed || execution.status == .timedOut
    let isListed = state.withLock { state in
      state.ended[execution.status, default: 0] += 1
      return isFailure ? state.budget.admits(at: clock.now.instant) : true
    }
    guard isFailure, isListed else {
      return logger.debug(
        "execution ended",
        metadata: ["execution": "\(execution.id)", "pattern": "\(execution.pattern.name)", "status": "\(execution.status.rawValue)"])
    }
    var metadata: Logger.Metadata = ["execution": "\(execution.id)", "pattern": "\(execution.pattern.name)"]
    if let error = execution.error {
      metadata["code"] = "\(OneLine.excerpt(of: error.code, Self.codeLimit))"
      metadata["error"] = "\(OneLine.excerpt(of: error.message, Self.errorLimit))"
    }
    if execution.status == .failed {
      logger.info("execution failed", metadata: metadata)
    } else {
      logger.info("execution timed out", metadata: metadata)
    }
  }

  /// Logs what there was since the last call, unless that was nothing and the node has nothing to do.
  package func report(_ situation: Situation) {
    let now = clock.now.instant
    let (accepted, ended, unlisted, time) = state.withLock { state in
      defer { (state.accepted, state.ended, state.beganAt) = (0, [:], now) }
      return (state.accepted, state.ended, state.budget.takeRefused(), now - state.beganAt)
    }
    let total = ended.values.reduce(0, +)
    guard accepted + total + situation.running > 0 else { return }
    var metadata: Logger.Metadata = [
      "seconds": "\(Int((time / .seconds(1)).rounded()))", "accepted": "\(accepted)", "ended": "\(total)",
      "failed": "\(ended[.failed, default: 0])",
      "timedOut": "\(ended[.timedOut, default: 0])", "running": "\(situation.running)", "waiting": "\(situation.waiting)",
      "agents": "\(situation.agents)", "role": "\(situation.role)", "term": "\(situation.term)",
    ]
    if unlisted > 0 { metadata["unlistedFailures"] = "\(unlisted)" }
    logger.info("activity", metadata: metadata)
  }
}

/// The number of lines of one kind that a minute may have, so that a flood of failures does not flood the log.
package struct LogBudget: Sendable {
  /// The lines of one minute.
  package static let limit = 20
  private static let window = Duration.seconds(60)

  private var beganAt: Duration?
  private var used = 0
  private var refused = 0

  package init() {}

  /// Whether one more line may be logged; counts it among the refused ones if not.
  package mutating func admits(at now: Duration) -> Bool {
    if beganAt.map({ now - $0 >= Self.window }) ?? true { (beganAt, used) = (now, 0) }
    guard used < Self.limit else {
      refused += 1
      return false
    }
    used += 1
    return true
  }

  /// Returns the number of refused lines since the last call.
  package mutating func takeRefused() -> Int {
    defer { refused = 0 }
    return refused
  }
}
