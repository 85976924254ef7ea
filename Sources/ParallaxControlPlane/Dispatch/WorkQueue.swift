import DequeModule

/// A queue of executions to work on: a bounded number at a time, and each at most once at a time.
struct WorkQueue: Sendable {
  private var waiting: Deque<String> = []
  private var queued: Set<String> = []
  private var active: Set<String> = []

  var count: Int { waiting.count + active.count }

  /// Adds an execution; one in progress gets another turn after its present one.
  mutating func add(_ id: String) {
    if queued.insert(id).inserted { waiting.append(id) }
  }

  /// Takes the next execution; nil while `width` executions are in progress.
  mutating func next(width: Int) -> String? {
    guard active.count < width, let index = waiting.firstIndex(where: { !active.contains($0) }) else { return nil }
    let id = waiting.remove(at: index)
    queued.remove(id)
    active.insert(id)
    return id
  }

  /// Whether an execution is in progress.
  func isActive(_ id: String) -> Bool { active.contains(id) }

  /// Records the end of the work on an execution.
  mutating func finish(_ id: String) { active.remove(id) }
}
