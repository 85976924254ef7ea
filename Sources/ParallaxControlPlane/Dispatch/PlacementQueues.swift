import ParallaxAPI

/// The executions that wait for agents, by required capabilities.
struct PlacementQueues: Sendable {
  /// The number of slots without a suitable free agent that one turn passes over in favor of later ones.
  private static let lookAhead = 32

  private var queues: [PoolKey: WaitingQueue] = [:]
  /// The queues with a new entry since the last turn.
  private var unserved: Set<PoolKey> = []
  /// The number of entries ever added to any queue.
  private var arrivals: UInt64 = 0

  /// The number of entries, including outdated ones.
  var count: Int { queues.values.reduce(0) { $0 + $1.count } }

  /// Whether executions wait for agents with these capabilities.
  func hasQueue(for key: PoolKey) -> Bool { queues[key] != nil }

  /// Adds an execution; `keeping` returns whether an entry still waits.
  mutating func add(
    _ id: String, need: WaitingQueue.Need, key: PoolKey, priority: ExecutionPriority, keeping: (WaitingQueue.Entry) -> Bool
  ) {
    arrivals += 1
    queues[key, default: WaitingQueue()].add(id, need: need, priority: priority, order: arrivals)
    queues[key]?.compact(keeping: keeping)
    // Agents may have become free between the decision to wait and the write that made it known.
    unserved.insert(key)
  }

  /// Returns the queues to serve, those with refreshed agents or new entries, ordered by their first entry: the most urgent, then the
  /// oldest.
  ///
  /// An agent may belong to several queues.
  mutating func turns(refreshed: Set<PoolKey>) -> [PoolKey] {
    let keys = refreshed.union(unserved)
    unserved = []
    let turns = keys.compactMap { key in queues[key]?.first.map { (key: key, first: $0) } }
    return turns.sorted { $0.first < $1.first }.map(\.key)
  }

  /// Removes a queue for its turn, so that its changes do not copy it.
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

    /// Passes over an entry without a suitable free agent, which keeps its place; the rest of its line is skipped.
    ///
    /// Retries may suit different agents, so their line is skipped only after several of them.
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
