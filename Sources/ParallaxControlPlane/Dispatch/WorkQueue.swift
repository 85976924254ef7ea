import DequeModule
import ParallaxState

/// A queue of executions to work on: a bounded number at a time, and each at most once at a time.
///
/// Each part of the store has its share of that number, so that the others go on while one is away.
struct WorkQueue: Sendable {
  private struct Lane: Sendable {
    var waiting: Deque<String> = []
    var activeCount = 0
  }

  private let partitions: StorePartitions
  private var lanes: [Lane]
  private var queued: Set<String> = []
  private var active: Set<String> = []
  /// The lane from which the next execution comes, if it has one.
  private var turn = 0

  init(_ partitions: StorePartitions = .whole) {
    self.partitions = partitions
    lanes = Array(repeating: Lane(), count: partitions.count)
  }

  var count: Int { lanes.reduce(active.count) { $0 + $1.waiting.count } }

  /// Adds an execution; one in progress gets another turn after its present one.
  mutating func add(_ id: String) {
    if queued.insert(id).inserted { lanes[partitions.part(ofExecution: id)].waiting.append(id) }
  }

  /// Takes the next execution; nil while `width` executions are in progress, or while each part with others has its share in progress.
  mutating func next(width: Int) -> String? {
    let share = max(1, width / lanes.count)
    for offset in lanes.indices {
      let lane = (turn + offset) % lanes.count
      guard lanes[lane].activeCount < share, let index = lanes[lane].waiting.firstIndex(where: { !active.contains($0) }) else { continue }
      let id = lanes[lane].waiting.remove(at: index)
      queued.remove(id)
      active.insert(id)
      lanes[lane].activeCount += 1
      turn = lane + 1
      return id
    }
    return nil
  }

  /// Whether an execution is in progress.
  func isActive(_ id: String) -> Bool { active.contains(id) }

  /// Records the end of the work on an execution.
  mutating func finish(_ id: String) {
    if active.remove(id) != nil { lanes[partitions.part(ofExecution: id)].activeCount -= 1 }
  }
}
