import ParallaxAPI

/// The tasks that went out over one connection and have no answer yet.
struct UnansweredTasks {
  /// A task with the size of its message.
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

  /// The task with the largest message.
  var largest: Task? { tasks.values.max { $0.bytes < $1.bytes } }

  /// The only task; nil if there are none or several.
  var only: Task? { tasks.count == 1 ? tasks.values.first : nil }

  mutating func add(_ task: Task) { tasks[task.id] = task }

  mutating func remove(_ id: String) { tasks[id] = nil }
}
