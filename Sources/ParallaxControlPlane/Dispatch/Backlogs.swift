import DequeModule
import ParallaxAPI

/// Tasks for agents of this node that have no place for them yet, in the order in which they came.
struct Backlogs: Sendable {
  private struct Entry: Sendable {
    var task: ControlPlaneMessage.Task
    var due: Duration
  }

  private var entries: [String: Deque<Entry>] = [:]

  /// The agents that tasks wait for.
  var agents: [String] { entries.isEmpty ? [] : entries.keys.sorted() }

  /// Adds a task that has time until `due`, unless it waits already.
  mutating func add(_ task: ControlPlaneMessage.Task, to agent: String, due: Duration) {
    guard entries[agent]?.contains(where: { $0.task.taskId == task.taskId }) != true else { return }
    entries[agent, default: []].append(Entry(task: task, due: due))
  }

  /// Takes the first task of an agent, with the time that is left for it.
  mutating func next(of agent: String, at now: Moment) -> ControlPlaneMessage.Task? {
    guard let first = entries[agent]?.popFirst() else { return nil }
    if entries[agent]?.isEmpty == true { entries[agent] = nil }
    var task = first.task
    task.timeout = WireDuration(max(.milliseconds(1), first.due - now.instant))
    return task
  }

  mutating func remove(_ task: String, of agent: String) {
    guard !entries.isEmpty, entries[agent] != nil else { return }
    entries[agent]?.removeAll { $0.task.taskId == task }
    if entries[agent]?.isEmpty == true { entries[agent] = nil }
  }

  mutating func clear(_ agent: String) { entries[agent] = nil }
}
