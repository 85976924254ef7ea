import Logging
import ParallaxHA
import ParallaxTesting
import Synchronization
import Testing

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Elections of several nodes over one store and one manual clock.
struct ElectionCluster: Sendable {
  typealias Store = FaultInjectingElectionStore<InMemoryElectionStore>

  let clock: ManualClock
  let store: InMemoryElectionStore
  let stores: [Store]
  let elections: [LeaderElection<Store, ManualClock>]

  var elapsed: Duration { clock.now.sinceStart }

  /// The nodes that lead at this moment.
  var leaders: [Int] { elections.indices.filter { elections[$0].isLeader } }

  /// Waits, without time passing, until one node leads.
  func leader(otherThan former: Int? = nil) async throws -> Int {
    try await eventually { leaders.contains { $0 != former } }
    return try #require(leaders.first)
  }

  /// Lets time pass until a condition holds, or for two minutes.
  ///
  /// Time goes from one deadline to the next, and only when all nodes have nothing left to do before it: however busy the machine is, no
  /// node is late by this clock.
  func advance(atLeast least: Duration = .zero, until condition: () -> Bool) async throws {
    let begin = elapsed
    try await settle()
    while elapsed - begin < least || !condition() {
      guard elapsed - begin < .seconds(120), let next = nextDeadline else { throw NeverHappened() }
      clock.advance(by: max(clock.now.duration(to: next), .zero))
      try await settle()
    }
  }

  /// Lets time pass while an operation goes on, from its first write on.
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

  /// A node that is about to sleep does not sleep on the clock yet, but knows until when.
  private var nextDeadline: ManualClock.Instant? {
    (elections.map(\.nextWakeUp) + [clock.nextDeadline]).compactMap(\.self).min()
  }

  /// Waits until no node has anything to do before time passes.
  private func settle() async throws {
    // Hints that are on their way cannot be seen, nor who waits for a request; they have their turn among some turns of the other tasks.
    var turns = 0
    try await eventually {
      turns = zip(elections, stores).allSatisfy { $0.isWaiting(inHungCall: $1.faults.hangs) } ? turns + 1 : 0
      return turns > 16
    }
  }
}

/// Runs elections with bodies that run until they are cancelled, and some without.
func withCluster(of count: Int, watchers: Int = 0, _ body: (ElectionCluster) async throws -> Void) async throws {
  let clock = ManualClock()
  let store = InMemoryElectionStore()
  let stores = (0..<count + watchers).map { _ in ElectionCluster.Store(store) }
  let elections = stores.enumerated().map { index, store in
    LeaderElection(store: store, session: .starting(nodeID: "node-\(index)"), clock: clock, logger: quiet)
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
    // A call that hung ends by its time-out, whatever the body did.
    try await clock.advance { try await group.waitForAll() }
    try result.get()
  }
}

/// Waits until a condition holds that other tasks bring about without time passing.
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
