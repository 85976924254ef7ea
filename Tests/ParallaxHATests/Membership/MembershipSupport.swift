import Foundation
import Logging
import ParallaxHA
import ParallaxTesting
import Synchronization

/// 2026-01-15T10:30:00.007Z.
let someInstant = Date(timeIntervalSince1970: 1_768_473_000.007)

let membershipLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

func memberSession(_ nodeID: String, life: Int = 1) -> NodeSession {
  NodeSession(nodeID: nodeID, incarnation: "\(nodeID)-life-\(life)")
}

func memberRecord(
  _ nodeID: String, _ sequence: Int64 = 1, life: Int = 1, leads term: Int64? = nil, health: MemberHealth = .healthy,
  checkInterval: Duration = .seconds(5), clusterID: String? = nil
) -> MemberRecord {
  MemberRecord(
    session: memberSession(nodeID, life: life), clusterID: clusterID, address: "\(nodeID):8080", sequence: sequence,
    report: MemberReport(role: term == nil ? .standby : .leader, term: term ?? 0, health: health), checkInterval: checkInterval,
    startedAt: someInstant, lastHeartbeat: someInstant, version: "1.0.0")
}

func memberSnapshot(_ records: MemberRecord..., unreadable: [String: String] = [:]) -> MembershipSnapshot {
  MembershipSnapshot(records: records, unreadable: unreadable)
}

/// A judge at node `me` that has joined, with intervals of 5 s and a window of 15 s.
struct JudgeUnderTest {
  var judge: MembershipJudge
  private var sequence: Int64 = 0

  init() throws {
    judge = MembershipJudge(record: memberRecord("me", 0), settings: try MembershipSettings(), now: .zero)
    _ = write(at: 0)
  }

  mutating func write(_ outcome: MemberWriteOutcome = .renewed, at seconds: Double) -> [MembershipEvent] {
    sequence += 1
    return judge.wrote(memberRecord("me", sequence), outcome, sentAt: .seconds(seconds), now: .seconds(seconds))
  }

  /// Reads the node's own field and those of other nodes.
  mutating func read(_ others: MemberRecord..., unreadable: [String: String] = [:], at seconds: Double) -> [MembershipEvent] {
    judge.read(MembershipSnapshot(records: others + [memberRecord("me", sequence)], unreadable: unreadable), now: .seconds(seconds))
  }

  func view(at seconds: Double) -> MembershipView {
    judge.view(now: .seconds(seconds), asOf: nil)
  }
}

/// A store whose calls tests can count, delay and fail.
final class ScriptedMembershipStore: MembershipStore {
  struct Failure: Error {}

  private struct State {
    var failsWrites = false
    var failsReads = false
    var hangs = false
    var calls = 0
    var written: [MemberRecord] = []
    var watchers: [(calls: Int, continuation: AsyncStream<Never>.Continuation)] = []
  }

  let store = InMemoryMembershipStore()
  private let state = Mutex(State())

  var failsWrites: Bool {
    get { state.withLock { $0.failsWrites } }
    set { state.withLock { $0.failsWrites = newValue } }
  }

  var failsReads: Bool {
    get { state.withLock { $0.failsReads } }
    set { state.withLock { $0.failsReads = newValue } }
  }

  /// Whether calls wait until their cancellation.
  var hangs: Bool {
    get { state.withLock { $0.hangs } }
    set { state.withLock { $0.hangs = newValue } }
  }

  /// The number of calls that have begun.
  var calls: Int { state.withLock { $0.calls } }

  /// Waits until this number of calls have begun.
  func calls(atLeast count: Int) async {
    let (reached, continuation) = AsyncStream<Never>.makeStream()
    state.withLock { state in
      if state.calls >= count { continuation.finish() } else { state.watchers.append((count, continuation)) }
    }
    for await _ in reached {}
  }

  /// The records of all writes, successful or not.
  var written: [MemberRecord] { state.withLock { $0.written } }

  func write(_ record: MemberRecord, replacing incarnation: String?) async throws -> MemberWriteOutcome {
    state.withLock { $0.written.append(record) }
    try await call(fails: failsWrites)
    return store.write(record, replacing: incarnation)
  }

  func members() async throws -> MembershipSnapshot {
    try await call(fails: failsReads)
    return store.members()
  }

  func remove(_ session: NodeSession) async throws {
    try await call(fails: failsWrites)
    store.remove(session)
  }

  func markEnded(_ session: NodeSession, _ end: MemberEnd) async throws -> Bool {
    try await call(fails: failsWrites)
    return store.markEnded(session, end)
  }

  private func call(fails: Bool) async throws {
    let hangs = state.withLock { state in
      state.calls += 1
      for watcher in state.watchers where watcher.calls <= state.calls { watcher.continuation.finish() }
      state.watchers.removeAll { $0.calls <= state.calls }
      return state.hangs
    }
    if hangs { for await _ in AsyncStream<Never>.makeStream().stream {} }
    try Task.checkCancellation()
    if fails { throw Failure() }
  }
}

/// The report of a test node.
final class ReportBox: Sendable {
  private let value = Mutex(MemberReport())

  var report: MemberReport {
    get { value.withLock { $0 } }
    set { value.withLock { $0 = newValue } }
  }
}

/// A node with intervals of 5 s on a manual clock, with a record of its events.
struct NodeUnderTest {
  let membership: Membership<ScriptedMembershipStore, ManualClock>
  let store: ScriptedMembershipStore
  let clock: ManualClock
  let box = ReportBox()
  private let stream: AsyncStream<MembershipEvent>

  init(
    _ nodeID: String = "me", life: Int = 1, store: ScriptedMembershipStore = ScriptedMembershipStore(), clock: ManualClock = ManualClock()
  ) throws {
    self.store = store
    self.clock = clock
    membership = Membership(
      store: store, session: memberSession(nodeID, life: life), address: "\(nodeID):8080", version: "1.0.0",
      settings: try MembershipSettings(), clock: clock, wallClock: { someInstant }, logger: membershipLogger,
      report: { [box] in box.report })
    stream = membership.events()
  }

  /// Runs the node during the body, then ends it like a crash.
  func run<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [membership] in try await membership.run() }
      defer { group.cancelAll() }
      await store.calls(atLeast: 2)
      return try await body()
    }
  }

  /// Moves the time by an interval and waits until all `nodes` on the store have written and read.
  func beat(nodes: Int = 1) async {
    let calls = store.calls
    clock.advance(by: .seconds(5))
    await store.calls(atLeast: calls + 2 * nodes)
  }

  /// The first event of the node that meets the condition.
  func event(where condition: @Sendable (MembershipEvent) -> Bool) async -> MembershipEvent? {
    await stream.first(where: condition)
  }
}
