import ParallaxAPI
import ParallaxHA
import ParallaxState
import ParallaxTesting
import Synchronization
import Testing

@Suite struct InMemoryStateStoreTests {
  private static let start = Timestamp(milliseconds: 1_768_473_000_000)
  private static let session = NodeSession(nodeID: "node", incarnation: "1")

  @Test("The in-memory store keeps the rules", arguments: StateStoreConformance.checks)
  func conforms(to check: StateStoreConformance.Check) async throws {
    try await check.run { InMemoryStateStore { Self.start } }
  }

  @Test func anIdempotencyKeyIsFreeAgainAfter24Hours() {
    let time = WallClock(Self.start)
    let store = InMemoryStateStore { time.now }
    #expect(store.claimIdempotencyKey("key", executionID: "exec_1", digest: "d", lifetime: IdempotencyKey.lifetime) == .claimed)
    time.now = Self.start + .seconds(86_400) + .milliseconds(-1)
    #expect(
      store.claimIdempotencyKey("key", executionID: "exec_2", digest: "d", lifetime: IdempotencyKey.lifetime)
        == .existing(executionID: "exec_1", digest: "d"))
    time.now = Self.start + .seconds(86_400)
    #expect(store.claimIdempotencyKey("key", executionID: "exec_2", digest: "d", lifetime: IdempotencyKey.lifetime) == .claimed)
    #expect(
      store.claimIdempotencyKey("key", executionID: "exec_1", digest: "d", lifetime: IdempotencyKey.lifetime)
        == .existing(executionID: "exec_2", digest: "d"))
  }

  /// A key that is claimed again after a loss may expire before keys that were claimed earlier.
  @Test func aRestoredKeyExpiresInItsOwnTime() {
    let time = WallClock(Self.start)
    let store = InMemoryStateStore { time.now }
    func claim(_ key: String, _ lifetime: Duration) -> IdempotencyClaim {
      store.claimIdempotencyKey(key, executionID: "exec_\(time.now.milliseconds)", digest: "d", lifetime: lifetime)
    }
    #expect(claim("new", .seconds(100)) == .claimed)
    #expect(claim("restored", .seconds(10)) == .claimed)
    time.now = Self.start + .seconds(10)
    #expect(claim("restored", .seconds(100)) == .claimed)
    #expect(claim("new", .seconds(100)) != .claimed)
  }

  @Test func theMemoryOfEndedExecutionsIsBoundedAndTheOldestEndIsEvictedFirst() throws {
    let store = InMemoryStateStore(now: { Self.start }, maximumEndedBytes: 50_000)
    let large = JSONValue.string(String(repeating: "x", count: 10_000))
    func stored(_ number: Int, _ status: ExecutionStatus) -> StoredExecution {
      let pattern = PatternDefinition(name: "p", agents: AgentRequirement(capabilities: ["c"]))
      return StoredExecution(
        execution: Execution(
          id: "exec_\(number)", pattern: pattern, status: status, input: large, idempotencyKey: "key_\(number)",
          createdAt: Self.start + .milliseconds(number), deadline: Self.start + .seconds(30), owner: Self.session), tasks: [])
    }
    for number in 0..<10 {
      _ = store.claimIdempotencyKey("key_\(number)", executionID: "exec_\(number)", digest: "d", lifetime: IdempotencyKey.lifetime)
      #expect(store.create(stored(number, .running)) == .created)
    }
    // Only ended executions count, in the order of their ends.
    #expect(store.executions(ExecutionQuery()).total == 10)
    for number in [9, 0, 1, 2, 3, 4, 5, 6, 7, 8] {
      var change = ExecutionChange(id: "exec_\(number)", owner: Self.session, epoch: 1, revision: 2)
      change.status = .failed
      #expect(store.update(change) == .applied)
    }
    let left = store.executions(ExecutionQuery(limit: 100))
    #expect(left.executions.map(\.execution.id) == ["exec_8", "exec_7", "exec_6", "exec_5"])
    #expect(left.total == 4)
    #expect(store.execution("exec_9") == nil)
    let claim = store.claimIdempotencyKey("key_9", executionID: "other", digest: "d", lifetime: IdempotencyKey.lifetime)
    guard case .removed("exec_9", _, .failed, _) = claim else {
      Issue.record("the key of an evicted execution is \(claim)")
      return
    }
  }

  @Test func aPageExaminesABoundedNumberOfExecutionsAndItsCursorContinues() throws {
    let store = InMemoryStateStore { Self.start }
    let wanted = store.fill(count: 25_000, wanted: 3)
    var query = ExecutionQuery(status: .failed)
    var pages: [Int] = []
    var found: [String] = []
    repeat {
      let page = store.executions(query)
      pages.append(page.executions.count)
      found += page.executions.map(\.execution.id)
      query.cursor = page.nextCursor
    } while query.cursor != nil
    #expect(found == [wanted])
    #expect(pages == [0, 0, 1])
  }
}

extension InMemoryStateStore {
  /// Stores executions, one of them failed; returns its id.
  fileprivate func fill(count: Int, wanted: Int) -> String {
    for number in 0..<count {
      let createdAt = Timestamp(milliseconds: Int64(number))
      let pattern = PatternDefinition(name: "p", agents: AgentRequirement(capabilities: ["c"]))
      let execution = Execution(
        id: "exec_\(number)", pattern: pattern, status: number == wanted ? .failed : .running, input: nil, createdAt: createdAt,
        deadline: createdAt, owner: NodeSession(nodeID: "node", incarnation: "1"))
      #expect(create(StoredExecution(execution: execution, tasks: [])) == .created)
    }
    return "exec_\(wanted)"
  }
}

private final class WallClock: Sendable {
  private let time: Mutex<Timestamp>

  init(_ time: Timestamp) { self.time = Mutex(time) }

  var now: Timestamp {
    get { time.withLock { $0 } }
    set { time.withLock { $0 = newValue } }
  }
}

/// The clock of the stores in memory.
@Suite struct SteadyClockTests {
  @Test func itGoesOnAsTheMonotonicClockDoes() {
    let clock = ManualClock()
    let now = InMemoryBackend.steadyClock(clock)
    let begin = now()
    #expect(abs((Timestamp.now - begin) / .seconds(1)) < 60, "it begins at the wall clock")
    #expect(now() == begin)
    clock.advance(by: .seconds(90))
    #expect(now() == begin + .seconds(90))
  }
}
