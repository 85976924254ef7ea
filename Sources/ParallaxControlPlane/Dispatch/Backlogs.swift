import DequeModule
import ParallaxAPI

/// The tasks for agents of this node that have no free place yet, in order of arrival.
struct Backlogs: Sendable {
  private struct Entry: Sendable {
    var task: ControlPlaneMessage.Task
    var due: Duration
  }

  private var entries: [String: Deque<Entry>] = [:]

  /// The agents with a backlog, sorted by id.
  var agents: [String] { entries.isEmpty ? [] : entries.keys.sorted() }

  /// The tasks in an agent's backlog.
  func tasks(of agent: String) -> [String] { entries[agent]?.map(\.task.taskId) ?? [] }

  /// Adds a task with the deadline `due`, unless the backlog has it already.
  mutating func add(_ task: ControlPlaneMessage.Task, to agent: String, due: Duration) {
    guard entries[agent]?.contains(where: { $0.task.taskId == task.taskId }) != true else { return }
    entries[agent, default: []].append(Entry(task: task, due: due))
  }

  /// Removes and returns an agent's first task whose deadline has not passed, with the remaining time as its time-out.
  mutating func next(of agent: String, at now: Moment) -> ControlPlaneMessage.Task? {
    defer { if entries[agent]?.isEmpty == true { entries[agent] = nil } }
    while let first = entries[agent]?.popFirst() {
      // A withdrawal by the task's owner may have been lost.
      guard first.due > now.instant else { continue }
      var task = first.task
      task.timeout = WireDuration(max(.milliseconds(1), first.due - now.instant))
      return task
    }
    return nil
  }

  mutating func remove(_ task: String, of agent: String) {
    guard !entries.isEmpty, entries[agent] != nil else { return }
    entries[agent]?.removeAll { $0.task.taskId == task }
    if entries[agent]?.isEmpty == true { entries[agent] = nil }
  }

  mutating func clear(_ agent: String) { entries[agent] = nil }
}
