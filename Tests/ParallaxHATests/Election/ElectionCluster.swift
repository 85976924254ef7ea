import Logging
import ParallaxHA
import ParallaxTesting
import Synchronization
import Testing

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// The elections of several nodes over one store and one manual clock.
struct ElectionCluster: Sendable {
  typealias Store = FaultInjectingElectionStore<InMemoryElectionStore>

  let clock: ManualClock
  let store: InMemoryElectionStore
  let stores: [Store]
  let elections: [LeaderElection<Store, ManualClock>]

  var elapsed: Duration { clock.now.sinceStart }

  /// The nodes that lead at this moment.
  var leaders: [Int] { elections.indices.filter { elections[$0].isLeader } }

  /// Waits, without moving the time, until one node leads.
  func leader(otherThan former: Int? = nil) async throws -> Int {
    try await eventually { leaders.contains { $0 != former } }
    return try #require(leaders.first)
  }

  /// Moves the time until a condition holds, for two minutes at most.
  ///
  /// The time moves from one deadline to the next, each time after all nodes have done their work: no node is late by this clock, however
  /// busy the machine is.
  func advance(atLeast least: Duration = .zero, until condition: () -> Bool) async throws {
    let begin = elapsed
    try await settle()
    while elapsed - begin < least || !condition() {
      guard elapsed - begin < .seconds(120), let next = nextDeadline else { throw NeverHappened() }
      clock.advance(by: max(clock.now.duration(to: next), .zero))
      try await settle()
    }
  }

  /// Moves the time during an operation, from its first write on.
  func passTime<Value: Sendable>(during operation: @escaping @Sendable () async throws -> Value) async throws -> Value {
    let isOver = Mutex(false)
    let version = store.read()?.version
    async let value = {
      defer { isOver.withLock { $0 = true } }
      return try await operation()
    }()
    try await eventually { store.read()?.version != version || isOver.withLock { $0 } }
    try await advance { isOver.withLock { $0 } }
    return try await value
  }

  /// A node that is about to sleep is not yet known to the clock, but knows its deadline.
  private var nextDeadline: ManualClock.Instant? {
    (elections.map(\.nextWakeUp) + [clock.nextDeadline]).compactMap(\.self).min()
  }

  /// Waits until no node has work before the next step.
  private func settle() async throws {
    // Hints in transit and callers of requests are invisible here; a number of turns of other tasks must suffice for them.
    var turns = 0
    try await eventually {
      turns = zip(elections, stores).allSatisfy { $0.isWaiting(inHungCall: $1.faults.hangs) } ? turns + 1 : 0
      return turns > 16
    }
  }
}

/// Runs elections with bodies that run until their cancellation, and some elections without a body.
func withCluster(
  of count: Int, watchers: Int = 0, logger: (_ index: Int) -> Logger = { _ in quiet }, _ body: (ElectionCluster) async throws -> Void
) async throws {
  let clock = ManualClock()
  let store = InMemoryElectionStore()
  let stores = (0..<count + watchers).map { _ in ElectionCluster.Store(store) }
  let elections = stores.enumerated().map { index, store in
    LeaderElection(store: store, session: .starting(nodeID: "node-\(index)"), clock: clock, logger: logger(index))
  }
  let cluster = ElectionCluster(clock: clock, store: store, stores: stores, elections: elections)
  try await withThrowingTaskGroup(of: Void.self) { group in
    for election in elections {
      group.addTask { await election.observe() }
    }
    for election in elections.prefix(count) {
      group.addTask {
        do { try await election.campaign { _ in await untilCancelled() } } catch is CancellationError {}
      }
    }
    let result: Result<Void, any Error>
    do { result = .success(try await body(cluster)) } catch { result = .failure(error) }
    for store in stores { store.faults = .init() }
    group.cancelAll()
    // A hung call ends by its time-out, whatever the body does.
    try await clock.advance { try await group.waitForAll() }
    try result.get()
  }
}

/// Waits, without moving the time, until other tasks have made a condition true.
func eventually(_ condition: () -> Bool) async throws {
  let limit = ContinuousClock.now + .seconds(60)
  while !condition() {
    if ContinuousClock.now > limit { throw NeverHappened() }
    await Task.yield()
  }
}

/// Waits until the task is cancelled.
func untilCancelled() async {
  for await _ in AsyncStream<Never>.makeStream().stream {}
}

struct NeverHappened: Error {}
