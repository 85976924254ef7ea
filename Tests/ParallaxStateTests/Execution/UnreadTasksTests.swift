import ParallaxAPI
import ParallaxState
import Testing

/// Writes that the store refuses because of unread outcomes, and different states of one execution.
@Suite struct UnreadTasksTests {
  private func running(_ pattern: PatternDefinition, agents: [String]) -> Driven {
    var driven = Driven(pattern)
    driven.create(agents: agents)
    driven.settle()
    _ = driven.takeActions()
    return driven
  }

  /// The stored execution after the loss of the last write, with results that other nodes recorded.
  private func found(_ stored: StoredExecution, completed: [Int]) -> StoredExecution {
    var found = stored
    for index in completed { (found.tasks[index].state, found.tasks[index].result) = (.completed, "kept") }
    found.execution.recordings = Int64(completed.count)
    return found
  }

  @Test func aTimeoutIsDecidedAgainAfterUnreadResults() {
    var driven = running(Sample.pattern(.all, min: 1, max: 2), agents: ["a", "b"])
    guard let stored = driven.store else { Issue.record("nothing is stored"); return }
    driven.perform { $0.deadlinePassed(at: $1) }
    driven.write(.behind)
    #expect(driven.pending?.name == "restore" && driven.status == .timedOut)
    driven.write(.unread)
    #expect(driven.takeNames() == ["withdraw a timeout", "withdraw b timeout", "read"])
    let found = found(stored, completed: [1])
    #expect(driven.machine.standing(of: found) == .behind)
    driven.perform { $0.storeLacks(found, at: $1) }
    guard case .restore(let restored, _)? = driven.pending else { Issue.record("nothing is restored"); return }
    #expect(restored.execution.status == .running && restored.tasks.map(\.state) == [.open, .completed])
    driven.settle()
    #expect(driven.status == .completed && driven.store?.tasks.map(\.state) == [.cancelled, .completed])
  }

  @Test func aFailureByTooFewResultsIsRevertedAndItsTaskSentAgain() {
    var driven = running(Sample.pattern(.all, min: 2), agents: ["a", "b"])
    guard let stored = driven.store else { Issue.record("nothing is stored"); return }
    driven.perform { $0.taskLost(stored.tasks[0].id, at: $1) }
    driven.write(.behind)
    driven.write(.unread)
    _ = driven.takeActions()
    driven.perform { [found = found(stored, completed: [0])] in $0.storeLacks(found, at: $1) }
    #expect(driven.status == .running && driven.takeNames() == ["send b"])
    driven.settle()
    driven.complete(1)
    driven.settle()
    #expect(driven.status == .completed)
  }

  @Test func aResultThatCameBesideADecisionCountsWhenTheDecisionIsReverted() {
    var driven = running(Sample.pattern(.all, min: 2), agents: ["a", "b"])
    guard let stored = driven.store else { Issue.record("nothing is stored"); return }
    driven.perform { $0.taskLost(stored.tasks[0].id, at: $1) }
    driven.write(.behind)
    driven.write(.unread)
    _ = driven.takeActions()
    driven.complete(1, result: "late")
    driven.perform { [found = found(stored, completed: [0])] in $0.storeLacks(found, at: $1) }
    #expect(!driven.takeNames().contains("acknowledge b"), "the result is not stored yet")
    driven.settle()
    let names = driven.takeNames()
    #expect(names.contains("acknowledge b") && !names.contains("send b"))
    #expect(driven.status == .completed && driven.store?.tasks.map(\.result) == ["kept", "late"])
  }

  // MARK: Two results of one task

  /// The store has lost the result that it acknowledged, and another node has recorded the result of another run since.
  @Test func `A result that was acknowledged and lost counts before one that was recorded later`() {
    var driven = running(Sample.pattern(.all, min: 2), agents: ["a", "b"])
    guard let stored = driven.store else { Issue.record("nothing is stored"); return }
    driven.complete(0, result: "first")
    driven.settle()
    #expect(driven.takeNames().contains("acknowledge a"))
    driven.perform { [found = found(stored, completed: [0])] in $0.storeLacks(found, at: $1) }
    let task = stored.tasks[0].id
    guard case .restore(let restored, let acknowledged)? = driven.pending else { Issue.record("nothing is restored"); return }
    #expect(restored.tasks[0].result == "first" && acknowledged == [task])
  }

  @Test func `A recorded result counts before one that the store has not acknowledged`() {
    var driven = running(Sample.pattern(.all, min: 2), agents: ["a", "b"])
    guard let stored = driven.store else { Issue.record("nothing is stored"); return }
    driven.complete(0, result: "second")
    driven.write(.behind)
    guard case .restore(_, let acknowledged)? = driven.pending else { Issue.record("nothing is restored"); return }
    #expect(acknowledged == [])
    driven.write(.unread)
    driven.perform { [found = found(stored, completed: [0])] in $0.storeLacks(found, at: $1) }
    #expect(driven.pending?.restored?.tasks[0].result == "kept")
    driven.settle()
    driven.complete(1, result: "other")
    driven.settle()
    #expect(driven.store?.execution.result == ["results": ["kept", "other"]])
  }

  /// The second result had decided the execution.
  @Test func `An end by a result that does not count is decided again`() {
    var driven = running(Sample.pattern(.all, min: 1), agents: ["a"])
    guard let stored = driven.store else { Issue.record("nothing is stored"); return }
    driven.complete(0, result: "second")
    driven.write(.behind)
    driven.write(.unread)
    driven.perform { [found = found(stored, completed: [0])] in $0.storeLacks(found, at: $1) }
    driven.settle()
    #expect(driven.status == .completed && driven.store?.execution.result == ["results": ["kept"]])
    #expect(driven.takeNames().filter { $0 == "finished" }.count == 1)
  }

  @Test func outcomesThatADecisionOverlooksDoNotCountAsRead() {
    for (isDecided, recordings) in [(true, 0), (false, 1)] as [(Bool, Int64)] {
      var driven = running(Sample.pattern(.all, min: 2), agents: ["a", "b"])
      guard let stored = driven.store else { Issue.record("nothing is stored"); return }
      driven.complete(1)
      if isDecided { driven.perform { $0.deadlinePassed(at: $1) } }
      driven.machine.outcomesRead(in: found(stored, completed: [0]))
      #expect(driven.machine.stored.execution.recordings == recordings)
    }
  }

  @Test func aReadFromBeforeTheRefusalIsOutdated() {
    var driven = running(Sample.pattern(.all, min: 3), agents: ["a", "b", "c"])
    guard let earlier = driven.store else { Issue.record("nothing is stored"); return }
    driven.complete(0)
    driven.settle()
    driven.complete(1)
    driven.write(.unread)
    guard let present = driven.store else { Issue.record("nothing is stored"); return }
    #expect(driven.machine.standing(of: earlier) == .behind)
    #expect(driven.machine.standing(of: present) == .ahead)
  }

  @Test func aTimeoutEndsWithItsDeadline() {
    for more in [Duration.seconds(30), .zero] {
      var driven = Driven()
      driven.create(agents: [])
      driven.write()
      driven.perform { $0.deadlinePassed(at: $1) }
      driven.write(.unread)
      guard var found = driven.store else { Issue.record("nothing is stored"); return }
      (found.execution.epoch, found.execution.deadline) = (2, found.execution.deadline + more)
      driven.perform { $0.replace(with: found, at: $1) }
      #expect(driven.status == (more == .zero ? .timedOut : .pending))
    }
  }

  @Test func taskIDsDifferBetweenEpochs() {
    var stored = StoredExecution(execution: Sample.execution(), tasks: [])
    var ids: [String] = []
    for epoch in 1...2 as ClosedRange<Int64> {
      stored.execution.epoch = epoch
      var driven = Driven(recovering: stored)
      driven.perform { $0.start(agents: ["a"], at: $1) }
      ids += driven.tasks.map(\.id)
    }
    #expect(ids == ["task_01kf0_0", "task_01kf0_2_0"])
  }

  @Test func aSlotIsRepresentedByItsResultThenItsOpenTaskThenTheLastAttempt() {
    func counts(_ tasks: [TaskRecord]) -> [String] {
      StoredExecution(execution: Sample.execution(), tasks: tasks).lastAttempts.map(\.id)
    }
    func task(_ id: String, _ state: TaskRecord.State, attempt: Int = 1) -> TaskRecord {
      TaskRecord(id: id, agentID: "a", slot: 0, attempt: attempt, state: state)
    }
    #expect(counts([task("1", .failed), task("2", .failed, attempt: 2)]) == ["2"])
    #expect(counts([task("1", .open), task("2", .failed)]) == ["1"])
    #expect(counts([task("1", .completed), task("2", .open, attempt: 2)]) == ["1"])
    #expect(counts([task("2", .completed), task("1", .completed)]) == ["1"])
  }
}
