import DequeModule
import ParallaxAPI

/// Bounds the memory of ended executions, and evicts those that ended first.
struct EndedExecutions {
  private let maximumBytes: Int
  private var order: Deque<String> = []
  private var sizes: [String: Int] = [:]
  private(set) var bytes = 0

  init(maximumBytes: Int) {
    self.maximumBytes = maximumBytes
  }

  mutating func add(_ stored: StoredExecution) {
    guard sizes[stored.execution.id] == nil else { return }
    let size = stored.approximateBytes
    sizes[stored.execution.id] = size
    order.append(stored.execution.id)
    bytes += size
  }

  mutating func remove(_ id: String) {
    if let size = sizes.removeValue(forKey: id) { bytes -= size }
    // Retention removes mostly the oldest ones, which leaves gaps at the front.
    while let first = order.first, sizes[first] == nil { order.removeFirst() }
  }

  /// The next execution to evict; nil within the bound.
  ///
  /// The last one is never evicted.
  var excess: String? {
    bytes > maximumBytes && sizes.count > 1 ? order.first { sizes[$0] != nil } : nil
  }
}

extension StoredExecution {
  /// The approximate memory of the execution in bytes, with its entries in the indexes.
  var approximateBytes: Int {
    let values = [execution.input, execution.result ?? .null, execution.metadata ?? .null].reduce(0) { $0 + $1.approximateBytes }
    let outcomes = tasks.reduce(0) { sum, task in
      sum + 400 + (task.result?.approximateBytes ?? 0) + (task.error?.message.utf8.count ?? 0)
    }
    return 1_000 + values + outcomes + (execution.error?.message.utf8.count ?? 0)
  }
}

extension JSONValue {
  /// The approximate memory of the value in bytes, beyond its inline storage.
  fileprivate var approximateBytes: Int {
    switch self {
    case .string(let text): 32 + text.utf8.count
    case .array(let elements): elements.reduce(48) { $0 + 32 + $1.approximateBytes }
    case .object(let members): members.reduce(96) { $0 + 64 + $1.key.utf8.count + $1.value.approximateBytes }
    default: 0
    }
  }
}
