import ParallaxAPI
import ParallaxState

/// The tasks of one connection that have no answer yet: those that went out over it, and those that the agent reported at its registration.
struct UnansweredTasks {
  /// A task with the size of its message.
  struct Task {
    var id: String
    var executionID: String
    /// The bytes of its message; 0 if that went out over another connection.
    var bytes = 0

    init(_ task: ControlPlaneMessage.Task, bytes: Int) {
      id = task.taskId
      executionID = task.executionId
      self.bytes = bytes
    }

    /// Makes a task of an earlier connection; nil without its execution, if its id does not contain that.
    init?(_ id: String, executionID: String? = nil) {
      guard let executionID = executionID ?? TaskRecord.executionID(ofTask: id) else { return nil }
      self.id = id
      self.executionID = executionID
    }
  }

  private var tasks: [String: Task] = [:]
  /// The reported tasks, and those of them whose answers are acknowledged.
  private var reported: Set<String> = []
  private var acknowledged: Set<String> = []

  /// The task with the largest message of this connection.
  var largest: Task? { tasks.values.filter { $0.bytes > 0 }.max { $0.bytes < $1.bytes } }

  mutating func add(_ task: Task) { tasks[task.id] = task }

  mutating func remove(_ id: String) { tasks[id] = nil }

  /// Adds the tasks that the agent reported at its registration.
  mutating func report(_ ids: [String]) {
    reported.formUnion(ids)
    for case let task? in ids.map({ Task($0) }) where tasks[task.id] == nil { add(task) }
  }

  /// Records an acknowledgement.
  mutating func acknowledge(_ id: String) {
    remove(id)
    if reported.contains(id) { acknowledged.insert(id) }
  }

  /// Whether the answer to a reported task is acknowledged, so that the agent sends it no more.
  func isAcknowledged(_ id: String) -> Bool { acknowledged.contains(id) }

  /// Whether a task has no answer yet.
  func contains(_ id: String) -> Bool { tasks[id] != nil }

  /// The tasks that a refused message may answer: the one that it names, else all that it may mean.
  func answered(by head: MessageHead) -> [Task] {
    guard head.mayBeAnswer else { return [] }
    if let id = head.taskID { return (tasks[id] ?? Task(id, executionID: head.executionID)).map { [$0] } ?? [] }
    // The id of a task is also that of its message, which an answer repeats.
    if let id = head.id, let task = tasks[id] { return [task] }
    return tasks.values.filter { head.executionID == nil || $0.executionID == head.executionID }
  }
}
