import ParallaxAPI
import ParallaxState

/// An execution that this node drives.
struct DrivenExecution: Sendable {
  var machine: ExecutionMachine
  let key: PoolKey
  /// When its time is over, on this node's monotonic clock: no wall clock that jumps moves it.
  private(set) var due: Duration
  /// Whether its caller can ask for it again by an idempotency key.
  var isRepeatable = false
  /// The id of the message that gave a task's outcome, which its acknowledgement repeats.
  var messageIDs: [String: String] = [:]

  var execution: Execution { machine.stored.execution }
  var openTasks: [TaskRecord] { machine.stored.tasks.filter { $0.state == .open } }

  /// Begins to drive an execution; its time is over no later than if it had been created now, whatever the wall clocks say.
  init(_ machine: ExecutionMachine, at now: Moment) {
    self.machine = machine
    key = PoolKey(machine.stored.execution.pattern.agents.capabilities)
    due = Self.due(of: machine.stored.execution, at: now)
  }

  /// Takes over the deadline of what the store holds; false if it is the same.
  ///
  /// It is another if a repeat of the request was created first.
  mutating func setDeadline(of stored: StoredExecution, at now: Moment) -> Bool {
    guard stored.execution.deadline != execution.deadline else { return false }
    due = Self.due(of: stored.execution, at: now)
    return true
  }

  private static func due(of execution: Execution, at now: Moment) -> Duration {
    now.instant + min(execution.deadline - now.wall, execution.deadline - execution.createdAt)
  }
}
