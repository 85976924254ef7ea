import ParallaxAPI

/// The tasks among the last messages of one connection, by which those that were never written are known at its end.
struct UnwrittenTasks {
  /// The number of tasks from which written ones are dropped, which an agent may prevent from ever being the only ones.
  private static let leastDropped = 256

  /// The bytes of all messages since all were last written.
  private var bytes = 0
  private var tasks: [(id: String, begin: Int)] = []
  private var bound = leastDropped

  var count: Int { tasks.count }

  /// Adds a message behind the others, `unsent` bytes of which are not written, with this one.
  mutating func add(_ message: ControlPlaneMessage, bytes count: Int, unsent: @autoclosure () -> Int) {
    if case .task(let task) = message { tasks.append((task.taskId, bytes)) }
    bytes += count
    guard tasks.count > bound else { return }
    let written = bytes - unsent()
    tasks.removeAll { $0.begin < written }
    bound = max(Self.leastDropped, tasks.count * 2)
  }

  /// All messages are written.
  mutating func removeAll() {
    bytes = 0
    tasks.removeAll(keepingCapacity: true)
    bound = Self.leastDropped
  }

  /// The tasks whose messages begin in the last bytes.
  func tasks(inLast count: Int) -> [String] {
    tasks.filter { $0.begin >= bytes - count }.map(\.id)
  }
}
