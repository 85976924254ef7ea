import ParallaxAPI

/// The tasks that went out over one connection and were not answered over it.
struct UnansweredTasks {
  /// A task with what it took to send it.
  struct Task {
    var id: String
    var executionID: String
    var bytes: Int

    init(_ task: ControlPlaneMessage.Task, bytes: Int) {
      id = task.taskId
      executionID = task.executionId
      self.bytes = bytes
    }
  }

  private var tasks: [String: Task] = [:]

  /// The one whose message was the longest.
  var largest: Task? { tasks.values.max { $0.bytes < $1.bytes } }

  /// The only one; nil if there are none or several.
  var only: Task? { tasks.count == 1 ? tasks.values.first : nil }

  mutating func add(_ task: Task) { tasks[task.id] = task }

  mutating func remove(_ id: String) { tasks[id] = nil }
}
