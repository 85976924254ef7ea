import Logging
import ParallaxHA
import ParallaxTesting
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
    var found: Int?
    try await eventually {
      found = elections.firstIndex(where: \.isLeader)
      return found != nil && found != former
    }
    return try #require(found)
  }

  /// Lets time pass in steps of 50 ms until a condition holds, or for two minutes.
  func advance(atLeast least: Duration = .zero, until condition: () -> Bool) async throws {
    try await ParallaxHATests.advance(clock, atLeast: least, until: condition)
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
    for election in elections { group.addTask { await election.run() } }
    for election in elections.prefix(count) {
      group.addTask {
        try await election.run { _ in try await Task.sleep(for: .seconds(3_600)) }
      }
    }
    do {
      try await body(cluster)
    } catch {
      group.cancelAll()
      throw error
    }
    for store in stores { store.faults = .init() }
    group.cancelAll()
    while let result = await group.nextResult() {
      if case .failure(let error) = result, !(error is CancellationError) { throw error }
    }
  }
}

/// Waits until a condition holds that other tasks bring about without time passing.
func eventually(_ condition: () -> Bool) async throws {
  let limit = ContinuousClock.now + .seconds(20)
  while !condition() {
    if ContinuousClock.now > limit { throw NeverHappened() }
    await Task.yield()
    try await Task.sleep(for: .milliseconds(1))
  }
}

/// Lets time pass in small steps, giving tasks a moment after each.
func advance(_ clock: ManualClock, atLeast least: Duration = .zero, until condition: () -> Bool) async throws {
  let begin = clock.now
  while begin.duration(to: clock.now) < least || !condition() {
    if begin.duration(to: clock.now) > .seconds(120) { throw NeverHappened() }
    let next = clock.nextDeadline.map { clock.now.duration(to: $0) } ?? .milliseconds(50)
    clock.advance(by: min(max(next, .milliseconds(1)), .milliseconds(50)))
    try await Task.sleep(for: .milliseconds(2))
  }
}

struct NeverHappened: Error {}
