import ParallaxAPI

/// The executions that wait for agents, by the capabilities that they need.
struct PlacementQueues: Sendable {
  /// How many slots that no free agent suits are passed over, per turn, for later ones.
  private static let lookAhead = 32

  private var queues: [PoolKey: WaitingQueue] = [:]
  /// Queues that got an entry since the last turn.
  private var unserved: Set<PoolKey> = []
  /// How many entries the queues ever got.
  private var arrivals: UInt64 = 0

  /// How many entries there are, outdated ones too.
  var count: Int { queues.values.reduce(0) { $0 + $1.count } }

  /// Whether executions wait for agents with these capabilities.
  func hasQueue(for key: PoolKey) -> Bool { queues[key] != nil }

  /// Enters an execution; `keeping` says which entries still wait.
  mutating func add(
    _ id: String, need: WaitingQueue.Need, key: PoolKey, priority: ExecutionPriority, keeping: (WaitingQueue.Entry) -> Bool
  ) {
    arrivals += 1
    queues[key, default: WaitingQueue()].add(id, need: need, priority: priority, order: arrivals)
    queues[key]?.compact(keeping: keeping)
    // Agents may have become free between the decision to wait and the write that made it known.
    unserved.insert(key)
  }

  /// The queues to be served, since their agents changed or they got an entry, the one with the most urgent and oldest entry first.
  ///
  /// An agent may belong to several.
  mutating func turns(refreshed: Set<PoolKey>) -> [PoolKey] {
    let keys = refreshed.union(unserved)
    unserved = []
    let turns = keys.compactMap { key in queues[key]?.first.map { (key: key, first: $0) } }
    return turns.sorted { $0.first < $1.first }.map(\.key)
  }

  /// Takes out a queue for its turn, so that changing it does not copy it.
  mutating func beginTurn(of key: PoolKey) -> Turn? {
    queues.removeValue(forKey: key).map { Turn(key: key, queue: $0) }
  }

  /// Puts a queue back after its turn.
  mutating func endTurn(_ turn: consuming Turn) {
    let key = turn.key
    let queue = turn.end()
    if !queue.isEmpty { queues[key] = queue }
  }

  /// One pass over a queue.
  struct Turn {
    let key: PoolKey
    private var queue: WaitingQueue
    private var passed: [WaitingQueue.Entry] = []
    private var passedRetries = 0
    private var skipped: Set<WaitingQueue.Line> = []

    fileprivate init(key: PoolKey, queue: WaitingQueue) {
      self.key = key
      self.queue = queue
    }

    /// Takes the next entry.
    mutating func next() -> WaitingQueue.Entry? { queue.pop(skipping: skipped) }

    /// Passes over an entry that no free agent suits: it keeps its place, and nobody behind it in its line is tried, unless they want
    /// other agents.
    mutating func pass(_ entry: WaitingQueue.Entry) {
      passed.append(entry)
      if entry.line == .retries { passedRetries += 1 }
      if entry.line != .retries || passedRetries == PlacementQueues.lookAhead { skipped.insert(entry.line) }
    }

    fileprivate consuming func end() -> WaitingQueue {
      var queue = queue
      queue.putBack(passed)
      return queue
    }
  }
}
