import ParallaxAPI

/// The tasks among the last messages of one connection, by which those that were never written are known at its end.
struct UnwrittenTasks {
  /// The bytes of all messages since all were last written.
  private var bytes = 0
  private var tasks: [(id: String, begin: Int)] = []

  /// Adds a message behind the others.
  mutating func add(_ message: ControlPlaneMessage, bytes count: Int) {
    if case .task(let task) = message { tasks.append((task.taskId, bytes)) }
    bytes += count
  }

  /// All messages are written.
  mutating func removeAll() {
    bytes = 0
    tasks.removeAll(keepingCapacity: true)
  }

  /// The tasks whose messages begin in the last bytes.
  func tasks(inLast count: Int) -> [String] {
    tasks.filter { $0.begin >= bytes - count }.map(\.id)
  }
}
