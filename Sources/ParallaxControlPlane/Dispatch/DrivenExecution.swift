import ParallaxAPI
import ParallaxState

/// An execution that this node drives.
struct DrivenExecution: Sendable {
  var machine: ExecutionMachine
  let key: PoolKey
  /// When its time is over, on this node's monotonic clock: no wall clock that jumps moves it.
  let due: Duration
  /// Whether its caller can ask for it again by an idempotency key.
  var isRepeatable = false
  /// The id of the message that gave a task's outcome, which its acknowledgement repeats.
  var messageIDs: [String: String] = [:]

  var execution: Execution { machine.stored.execution }
  var openTasks: [TaskRecord] { machine.stored.tasks.filter { $0.state == .open } }

  /// Begins to drive an execution; its time is over no later than if it had been created now, whatever the wall clocks say.
  init(_ machine: ExecutionMachine, at now: Moment) {
    self.machine = machine
    let execution = machine.stored.execution
    key = PoolKey(execution.pattern.agents.capabilities)
    due = now.instant + min(execution.deadline - now.wall, execution.deadline - execution.createdAt)
  }
}
