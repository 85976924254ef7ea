import ParallaxAPI
import ParallaxState

/// An execution that this node drives.
struct DrivenExecution: Sendable {
  var machine: ExecutionMachine
  let key: PoolKey
  /// The deadline on this node's monotonic clock, which no jump of a wall clock moves.
  private(set) var due: Duration
  /// Whether the request has an idempotency key, so that the caller can repeat it.
  var isRepeatable = false
  /// The ids of the messages with the outcomes, by task; acknowledgements repeat them.
  var messageIDs: [String: String] = [:]

  var execution: Execution { machine.stored.execution }
  var openTasks: [TaskRecord] { machine.stored.tasks.filter { $0.state == .open } }

  /// Makes a driven execution, whose remaining time is at most its time-out, whatever the wall clocks read.
  init(_ machine: ExecutionMachine, at now: Moment) {
    self.machine = machine
    key = PoolKey(machine.stored.execution.pattern.agents.capabilities)
    due = Self.due(of: machine.stored.execution, at: now)
  }

  /// Adopts the deadline of the stored execution, which differs if a repeat of the request was created first.
  ///
  /// - Returns: Whether the deadline has changed.
  mutating func setDeadline(of stored: StoredExecution, at now: Moment) -> Bool {
    guard stored.execution.deadline != execution.deadline else { return false }
    due = Self.due(of: stored.execution, at: now)
    return true
  }

  private static func due(of execution: Execution, at now: Moment) -> Duration {
    now.instant + min(execution.deadline - now.wall, execution.deadline - execution.createdAt)
  }
}
