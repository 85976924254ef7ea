import DequeModule
import ParallaxAPI

/// The tasks for an agent that wait until the agent has read earlier messages.
///
/// They wait unencoded, so that a task with a large input, which its execution holds anyway, takes no further memory.
struct WaitingTasks {
  private var entries: Deque<(task: ControlPlaneMessage.Task, since: Duration)> = []

  var isEmpty: Bool { entries.isEmpty }

  mutating func add(_ task: ControlPlaneMessage.Task, at now: Duration) { entries.append((task, now)) }

  /// Removes and returns the first task, with the remaining time as its time-out, zero or less past its deadline; nil if none waits.
  mutating func next(at now: Duration) -> ControlPlaneMessage.Task? {
    guard let (task, since) = entries.popFirst() else { return nil }
    var next = task
    next.timeout = WireDuration(task.timeout.duration - (now - since))
    return next
  }

  /// Removes a task; returns whether it waited.
  mutating func remove(_ id: String) -> Bool {
    let count = entries.count
    entries.removeAll { $0.task.taskId == id }
    return entries.count < count
  }

  /// Removes all tasks.
  mutating func removeAll() { entries = [] }
}
