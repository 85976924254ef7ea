import DequeModule

/// Executions that something is to be done about, a bounded number of them at once and each at most once at a time.
struct WorkQueue: Sendable {
  private var waiting: Deque<String> = []
  private var queued: Set<String> = []
  private var active: Set<String> = []

  var count: Int { waiting.count + active.count }

  /// Enters an execution; one that is being worked on has its turn again after that.
  mutating func add(_ id: String) {
    if queued.insert(id).inserted { waiting.append(id) }
  }

  /// Takes the next, while fewer than `width` are being worked on.
  mutating func next(width: Int) -> String? {
    guard active.count < width, let index = waiting.firstIndex(where: { !active.contains($0) }) else { return nil }
    let id = waiting.remove(at: index)
    queued.remove(id)
    active.insert(id)
    return id
  }

  /// Whether an execution is being worked on.
  func isActive(_ id: String) -> Bool { active.contains(id) }

  /// The work on an execution has ended.
  mutating func finish(_ id: String) { active.remove(id) }
}
