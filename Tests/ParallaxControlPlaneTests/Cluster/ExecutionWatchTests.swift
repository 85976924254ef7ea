import ParallaxAPI
import ParallaxHA
import ParallaxState
import ParallaxTesting
import Synchronization
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// Waits for executions of other nodes, on a manual clock.
@Suite(.timeLimit(.minutes(1))) struct ExecutionWatchTests {
  private static let me = NodeSession(nodeID: "me", incarnation: "1")
  private static let owner = NodeSession(nodeID: "owner", incarnation: "1")
  private static let watchMessage = NodeMessage.watch(execution: "exec_1", watcher: me)

  private let clock = ManualClock()
  private let store = ObservedStore()
  private let sent = SentMessages()
  private let watch: ExecutionWatch

  init() {
    watch = ExecutionWatch(store: store, session: Self.me, clock: NodeClock(clock)) { [sent] message, session in
      sent.add(message, session)
    }
  }

  /// An unanswered wait costs one read a second, for its whole duration.
  @Test func anUnansweredWaitReadsOnceASecond() async throws {
    create()
    async let ended = watch.end(of: "exec_1", within: .seconds(10)) { nil }
    for second in 1...10 {
      try await clock.sleepers()
      #expect(store.reads == second)
      clock.advance(by: .seconds(1))
    }
    #expect(try await ended == nil)
    #expect(store.reads == 11)
    #expect(sent.messages == [Self.watchMessage, Self.watchMessage, Self.watchMessage])
  }

  @Test func aReportOfTheEndIsReadAtOnce() async throws {
    create()
    async let ended = watch.end(of: "exec_1", within: .seconds(60)) { nil }
    try await clock.sleepers()
    #expect(sent.messages == [Self.watchMessage])
    end()
    watch.ended("exec_1")
    #expect(try await ended?.execution.status == .cancelled)
    #expect(clock.now.sinceStart == .zero)
  }

  /// An owner that does not drive the execution answers at once, and must not get a new request after each answer.
  @Test func anAnswerWithoutAnEndCausesNoNewRequest() async throws {
    create()
    async let ended = watch.end(of: "exec_1", within: .seconds(60)) { nil }
    for reads in 1...20 {
      try await eventually("read \(reads)") { store.reads >= reads }
      watch.ended("exec_1")
    }
    #expect(sent.messages == [Self.watchMessage])
    end()
    watch.ended("exec_1")
    #expect(try await ended?.execution.status == .cancelled)
  }

  @Test func aNewOwnerIsAskedAtOnce() async throws {
    create()
    async let ended = watch.end(of: "exec_1", within: .seconds(60), asking: .cancel(execution: "exec_1")) { nil }
    try await clock.sleepers()
    let heir = NodeSession(nodeID: "heir", incarnation: "1")
    _ = store.inner.claim("exec_1", from: Self.owner, isGone: true, to: heir)
    clock.advance(by: .seconds(1))
    try await eventually("both are asked") { sent.count == 4 }
    #expect(sent.messages(to: heir) == [.cancel(execution: "exec_1"), Self.watchMessage])
    watch.release()
    #expect(try await ended == nil)
  }

  /// A caller can ask another node after a failure of the first read; later failures lead to another read.
  @Test func onlyAFailureOfTheFirstReadReachesTheCaller() async throws {
    create()
    store.failReads(2, 3)
    async let ended = watch.end(of: "exec_1", within: .seconds(60)) { nil }
    try await clock.sleepers()
    clock.advance(by: .seconds(1))
    try await eventually("the second read") { store.reads == 2 }
    try await clock.sleepers()
    clock.advance(by: .seconds(1))
    try await eventually("the third read") { store.reads == 3 }
    end()
    try await clock.sleepers()
    clock.advance(by: .seconds(1))
    #expect(try await ended?.execution.status == .cancelled)

    store.failReads(5)
    await #expect(throws: StateStoreError.self) { try await watch.end(of: "exec_1", within: .seconds(60)) { nil } }
  }

  @Test func anExecutionThatThisNodeTookOverIsAwaitedAtThisNode() async throws {
    create(owner: Self.me)
    let stored = try #require(store.inner.execution("exec_1"))
    #expect(try await watch.end(of: "exec_1", within: .seconds(60)) { .finished(stored) } == stored)
    #expect(sent.messages.isEmpty)
  }

  @Test func aCancelledCallerReadsNoMore() async throws {
    create()
    let ended = try await withThrowingTaskGroup(of: StoredExecution?.self) { group in
      group.addTask { try await watch.end(of: "exec_1", within: .seconds(60)) { nil } }
      try await clock.sleepers()
      group.cancelAll()
      return try await group.next()
    }
    #expect(ended == .some(nil))
    #expect(store.reads == 1)
  }

  @Test func aStoppingNodeEndsAllWaits() async throws {
    create()
    async let ended = watch.end(of: "exec_1", within: .seconds(60)) { nil }
    try await clock.sleepers()
    watch.release()
    #expect(try await ended == nil)
    #expect(try await watch.end(of: "exec_1", within: .seconds(60)) { nil } == nil)
  }

  @Test func aMissingExecutionEndsTheWait() async throws {
    #expect(try await watch.end(of: "exec_9", within: .seconds(60)) { nil } == nil)
  }

  private func create(owner: NodeSession = Self.owner) {
    let execution = Execution(
      id: "exec_1", pattern: World.pattern(), input: [:], createdAt: World.start, deadline: World.start + .seconds(60), owner: owner)
    _ = store.inner.create(StoredExecution(execution: execution, tasks: []))
  }

  private func end() {
    guard let stored = store.inner.execution("exec_1") else { return }
    var change = ExecutionChange(
      id: "exec_1", owner: stored.execution.owner, epoch: stored.execution.epoch, revision: stored.execution.revision + 1)
    change.status = .cancelled
    _ = store.inner.update(change)
  }
}

/// Records the messages to other nodes.
private final class SentMessages: Sendable {
  private let all = Mutex<[(message: NodeMessage, session: NodeSession)]>([])

  var count: Int { all.withLock { $0.count } }
  var messages: [NodeMessage] { all.withLock { $0.map(\.message) } }
  func messages(to session: NodeSession) -> [NodeMessage] {
    all.withLock { $0.filter { $0.session == session }.map(\.message) }
  }
  func add(_ message: NodeMessage, _ session: NodeSession) { all.withLock { $0.append((message, session)) } }
}
