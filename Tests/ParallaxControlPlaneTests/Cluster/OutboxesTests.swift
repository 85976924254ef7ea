import ParallaxAPI
import ParallaxHA
import ParallaxState
import Testing

@testable import ParallaxControlPlane

@Suite struct OutboxesTests {
  private static let bob = NodeSession(nodeID: "bob", incarnation: "b1")

  private func cancel(_ number: Int) -> NodeMessage { .cancel(execution: "\(number)") }

  private func deliver(_ task: String, size: Int = 0) -> NodeMessage {
    let input = JSONValue.string(String(repeating: "x", count: size))
    return .deliver(
      ControlPlaneMessage.Task(
        taskId: task, executionId: "exec_1", patternName: "p", patternVersion: "1", capability: "c", input: input, timeout: .seconds(1),
        priority: .normal, context: ControlPlaneMessage.Task.Context(stepIndex: 0, totalSteps: 1)), agent: "a", owner: World.session)
  }

  private func withdraw(_ task: String) -> NodeMessage {
    .withdraw(ControlPlaneMessage.TaskCancelled(taskId: task, executionId: "exec_1", reason: "r"), agent: "a")
  }

  /// Delivers all queued messages; returns the batches.
  private func drain(_ outboxes: inout Outboxes) -> [[NodeMessage]] {
    var batches: [[NodeMessage]] = []
    while let batch = outboxes.nextBatch(for: Self.bob) {
      batches.append(batch)
      _ = outboxes.ended(.delivered, for: Self.bob)
    }
    return batches
  }

  @Test func messagesAreSentInTheirOrderAndInBatches() {
    var outboxes = Outboxes(limits: .init(batch: 2))
    #expect((0..<5).map { outboxes.add(cancel($0), for: Self.bob) } == [.begins, .queued, .queued, .queued, .queued])
    #expect(drain(&outboxes) == [[cancel(0), cancel(1)], [cancel(2), cancel(3)], [cancel(4)]])
    #expect(outboxes.add(cancel(6), for: Self.bob) == .begins)
  }

  /// A periodic message is queued once while an inbox is unreachable.
  @Test func aRepeatIsNotQueuedAgain() {
    var outboxes = Outboxes()
    _ = outboxes.add(cancel(0), for: Self.bob)
    for _ in 0..<100 {
      _ = outboxes.add(deliver("t1"), for: Self.bob)
      _ = outboxes.add(deliver("t2"), for: Self.bob)
    }
    #expect(drain(&outboxes) == [[cancel(0), deliver("t1"), deliver("t2")]])
  }

  @Test func aMessageIsQueuedAgainAfterALaterOneOnItsSubject() {
    var outboxes = Outboxes()
    let messages = [deliver("t1"), withdraw("t1"), deliver("t1")]
    for message in messages { _ = outboxes.add(message, for: Self.bob) }
    let adoptions = [NodeMessage.adopted(execution: "e"), .adopt(execution: "e", owner: World.session), .adopted(execution: "e")]
    for message in adoptions { _ = outboxes.add(message, for: Self.bob) }
    #expect(drain(&outboxes) == [messages + adoptions])
  }

  /// The receiver may already have handled a message that is being sent, so that a repeat is a new message.
  @Test func aRepeatOfWhatIsBeingSentIsQueuedOnce() {
    var outboxes = Outboxes()
    _ = outboxes.add(cancel(1), for: Self.bob)
    #expect(outboxes.nextBatch(for: Self.bob) == [cancel(1)])
    #expect([outboxes.add(cancel(1), for: Self.bob), outboxes.add(cancel(1), for: Self.bob)] == [.queued, .repeated])
    _ = outboxes.ended(.failed, for: Self.bob)
    #expect(outboxes.add(cancel(1), for: Self.bob) == .repeated)
    #expect(drain(&outboxes) == [[cancel(1), cancel(1)]])
  }

  /// A full store takes small messages, which must not wait behind tasks.
  @Test func `Tasks that the store refuses are dropped, and the messages between them are sent`() {
    var outboxes = Outboxes(limits: .init(batch: 4))
    let messages = [deliver("t1"), cancel(1), deliver("t2"), cancel(2), deliver("t3"), cancel(3)]
    for message in messages { _ = outboxes.add(message, for: Self.bob) }
    #expect(outboxes.nextBatch(for: Self.bob) == Array(messages.prefix(4)))
    let (pause, notice) = outboxes.ended(.unwritable, for: Self.bob)
    #expect(pause == .milliseconds(20) && notice == nil)
    #expect(outboxes.add(cancel(3), for: Self.bob) == .repeated && outboxes.add(deliver("t1"), for: Self.bob) == .queued)
    #expect(drain(&outboxes) == [[cancel(1), cancel(2), deliver("t3"), cancel(3)], [deliver("t1")]])
  }

  @Test func anOutboxIsBoundedInMessages() {
    var outboxes = Outboxes(limits: .init(messages: 3))
    let admissions = (0..<5).map { outboxes.add(cancel($0), for: Self.bob) }
    #expect(admissions == [.begins, .queued, .queued, .full(isFirst: true), .full(isFirst: false)])
    #expect(outboxes.nextBatch(for: Self.bob)?.count == 3)
    #expect(outboxes.ended(.delivered, for: Self.bob).notice == .recovered(dropped: 2))
    // The next overflow is reported again.
    #expect((0..<4).map { outboxes.add(cancel($0), for: Self.bob) }.last == .full(isFirst: true))
  }

  @Test func anOutboxIsBoundedInBytes() {
    var outboxes = Outboxes(limits: .init(bytes: 3_000))
    #expect(outboxes.add(deliver("big", size: 10_000), for: Self.bob) == .begins)
    #expect(outboxes.add(deliver("t0", size: 1_000), for: Self.bob) == .full(isFirst: true))
    _ = drain(&outboxes)
    #expect((1...3).map { outboxes.add(deliver("t\($0)", size: 1_000), for: Self.bob) } == [.begins, .queued, .full(isFirst: true)])
  }

  @Test func aBatchIsBoundedInBytes() {
    var outboxes = Outboxes(limits: .init(batchBytes: 3_000))
    for number in 1...3 { _ = outboxes.add(deliver("t\(number)", size: 1_000), for: Self.bob) }
    _ = outboxes.add(deliver("t4", size: 10_000), for: Self.bob)
    #expect(drain(&outboxes).map(\.count) == [2, 1, 1])
  }

  @Test func pausesGrowAndEachStateIsReportedOnce() {
    var outboxes = Outboxes(limits: .init(firstPause: .milliseconds(20), longestPause: .milliseconds(60)))
    _ = outboxes.add(cancel(1), for: Self.bob)
    var pauses: [Duration?] = []
    var notices: [Outboxes.Notice?] = []
    for outcome in [Outboxes.Outcome.failed, .failed, .failed, .refused, .refused, .delivered] {
      _ = outboxes.nextBatch(for: Self.bob)
      let (pause, notice) = outboxes.ended(outcome, for: Self.bob)
      pauses.append(pause)
      notices.append(notice)
    }
    #expect(pauses == [.milliseconds(20), .milliseconds(40), .milliseconds(60), .milliseconds(60), .milliseconds(60), nil])
    #expect(notices == [.unreachable, nil, nil, .inboxFull, nil, .recovered(dropped: 0)])
  }

  @Test func messagesForALostSessionAreDroppedUntilItReturns() {
    var outboxes = Outboxes()
    _ = outboxes.add(cancel(1), for: Self.bob)
    _ = outboxes.nextBatch(for: Self.bob)
    outboxes.sessionLost(Self.bob)
    #expect(outboxes.add(cancel(2), for: Self.bob) == .lost)
    outboxes.sessionReturned(Self.bob)
    _ = outboxes.add(cancel(3), for: Self.bob)
    // The batch from before the loss ends now.
    _ = outboxes.ended(.delivered, for: Self.bob)
    #expect(drain(&outboxes) == [[cancel(3)]])
  }

  @Test func theNumberOfRememberedLostSessionsIsBounded() {
    var outboxes = Outboxes(limits: .init(lost: 2))
    let sessions = (1...3).map { NodeSession(nodeID: "n\($0)", incarnation: "1") }
    for session in sessions { outboxes.sessionLost(session) }
    #expect(sessions.map { outboxes.add(cancel(1), for: $0) } == [.begins, .lost, .lost])
  }
}
