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

  /// Takes the first task of an agent whose time is not over, with the time that is left for it.
  mutating func next(of agent: String, at now: Moment) -> ControlPlaneMessage.Task? {
    defer { if entries[agent]?.isEmpty == true { entries[agent] = nil } }
    while let first = entries[agent]?.popFirst() {
      // Its owner may have said that it is not wanted any more, and not have been heard.
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
