import ParallaxAPI
import ParallaxHA
import ParallaxState
import Testing

/// Events during a write.
@Suite struct ExecutionMachineWriteTests {
  private func creating(_ pattern: PatternDefinition = Sample.pattern(), agents: [String] = ["a"]) -> Driven {
    var driven = Driven(pattern)
    driven.create(agents: agents)
    return driven
  }

  private func running(_ pattern: PatternDefinition = Sample.pattern(), agents: [String] = ["a"]) -> Driven {
    var driven = creating(pattern, agents: agents)
    driven.settle()
    _ = driven.takeActions()
    return driven
  }

  @Test func changesDuringAWriteBecomeOneWithTheNextRevision() {
    var driven = running(Sample.pattern(.all, min: 3), agents: ["a", "b", "c"])
    driven.complete(0)
    driven.complete(1)
    driven.fail(2, retryable: false)
    #expect(driven.pending.map(\.name) == "update")
    #expect(driven.takeNames() == ["freed a", "freed b", "freed c"])
    driven.write()
    #expect(driven.takeNames() == ["acknowledge a"])
    guard case .update(let change)? = driven.pending else { Issue.record("no second write"); return }
    #expect(change.revision == 3)
    #expect(change.status == .failed)
    #expect(Set(change.tasks.map(\.id)) == Set(driven.tasks.dropFirst().map(\.id)))
    driven.write()
    #expect(driven.takeNames() == ["acknowledge b", "acknowledge c", "finished"])
    #expect(driven.store == driven.machine.stored)
    #expect(driven.store?.execution.revision == 3)
  }

  @Test func aResultIsNotAcknowledgedBeforeItIsStored() {
    var driven = running(Sample.pattern(.all, min: 2), agents: ["a", "b"])
    driven.complete(0)
    driven.complete(0)
    #expect(driven.takeNames() == ["freed a"])
    driven.write()
    #expect(driven.takeNames() == ["acknowledge a"], "one for both")
  }

  @Test func theRepeatOfAResultThatWaitsForTheNextWriteIsAcknowledgedWithIt() {
    var driven = running(Sample.pattern(.all, min: 3), agents: ["a", "b", "c"])
    driven.complete(0)
    driven.complete(1)
    driven.complete(1)
    driven.write()
    #expect(driven.takeNames() == ["freed a", "freed b", "acknowledge a"])
    driven.write()
    #expect(driven.takeNames() == ["acknowledge b"])
  }

  @Test func `Repeats of a late result wait as one while the store does not answer`() {
    var driven = running(Sample.pattern(.first, min: 1, max: 2), agents: ["a", "b"])
    driven.complete(0)
    _ = driven.takeActions()
    for _ in 1...3 { driven.complete(1) }
    driven.write()
    #expect(driven.takeNames() == ["acknowledge a", "finished", "acknowledge b"])
  }

  @Test func aRepeatDuringTheLastWriteIsAcknowledged() {
    var driven = running()
    driven.complete(0)
    driven.complete(0)
    _ = driven.takeActions()
    driven.write()
    #expect(driven.takeNames() == ["acknowledge a", "finished"])
  }

  @Test func aTaskCancelledBeforeTheCreationIsStoredIsNeverSentNorWithdrawn() {
    var driven = creating()
    driven.perform { $0.cancel(at: $1) }
    #expect(driven.takeNames() == ["freed a"])
    driven.write()
    #expect(driven.takeNames() == ["accepted"])
    driven.write()
    #expect(driven.takeNames() == ["finished"])
    #expect(driven.store?.execution.status == .cancelled)
    #expect(driven.store?.tasks.map(\.state) == [.cancelled])
  }

  @Test func onlySentTasksAreWithdrawn() {
    var driven = running(Sample.pattern(.all, min: 2, retries: 1), agents: ["a", "b"])
    driven.fail(0, retryable: true)
    driven.write()
    driven.perform { machine, _ in machine.retry(slot: 0, agent: "c") }
    _ = driven.takeActions()
    driven.perform { $0.cancel(at: $1) }
    #expect(driven.takeNames() == ["withdraw b cancelled", "freed c"])
    driven.settle()
    #expect(driven.takeNames() == ["finished"])
  }

  @Test func aTaskWhoseAgentIsLostBeforeItIsStoredIsNotSent() {
    var driven = creating(Sample.pattern(retries: 1))
    #expect(!driven.machine.isSent(driven.tasks[0].id))
    let id = driven.tasks[0].id
    driven.perform { $0.taskLost(id, at: $1) }
    driven.perform { machine, _ in machine.retry(slot: 0, agent: "b") }
    driven.settle()
    #expect(driven.takeNames() == ["freed a", "wantsAgent 0", "accepted", "send b"])
    #expect(driven.machine.isSent(driven.tasks[1].id))
    #expect(!driven.machine.isSent(id))
  }

  @Test func aDeadlineDuringTheCreationTimesOutOnceThatIsStored() {
    var driven = creating(agents: [])
    driven.perform { $0.deadlinePassed(at: $1) }
    driven.settle()
    #expect(driven.takeNames() == ["accepted", "wantsAgents", "finished"])
    #expect(driven.store?.execution.status == .timedOut)
    driven.perform { $0.start(agents: ["a"], at: $1) }
    #expect(driven.pending == nil)
  }

  @Test func aTaskCreatedAndEndedDuringOneWriteIsStoredWithItsOutcome() {
    var driven = running(Sample.pattern(.all, min: 2, retries: 2), agents: ["a", "b"])
    driven.complete(1)
    driven.fail(0, retryable: true)
    driven.perform { machine, _ in machine.retry(slot: 0, agent: "c") }
    let id = driven.tasks[2].id
    driven.perform { $0.taskLost(id, at: $1) }
    driven.settle()
    #expect(driven.store == driven.machine.stored)
    #expect(driven.store?.tasks.map(\.state) == [.failed, .completed, .failed])
    #expect(driven.takeNames() == ["freed b", "freed a", "wantsAgent 0", "freed c", "wantsAgent 0", "acknowledge b", "acknowledge a"])
  }

  @Test func aReplacedOwnerReleasesTheExecution() {
    var driven = running(Sample.pattern(.all, min: 3), agents: ["a", "b", "c"])
    driven.complete(0)
    driven.complete(1)
    _ = driven.takeActions()
    driven.write(.stale)
    // Only this node has the outcomes of its agents.
    #expect(driven.takeNames() == ["lost a b"])
    #expect(driven.pending == nil)
  }

  @Test func aReplyToAnotherWriteIsIgnored() {
    var driven = running(Sample.pattern(.all, min: 2), agents: ["a", "b"])
    driven.complete(0)
    _ = driven.takeActions()
    let execution = driven.machine.stored.execution
    for (epoch, revision) in [(execution.epoch, execution.revision - 1), (execution.epoch + 1, execution.revision)] {
      driven.perform { machine, _ in machine.writeFinished(.applied, epoch: epoch, revision: revision) }
      #expect(driven.takeNames() == [] && driven.pending != nil)
    }
    driven.settle()
    #expect(driven.takeNames() == ["acknowledge a"])
    driven.perform { machine, _ in machine.writeFinished(.stale, epoch: execution.epoch, revision: execution.revision) }
    #expect(driven.takeNames() == [])
  }

  @Test func aDecisionWithoutARecordedOutcomeIsRepeated() {
    var driven = running(Sample.pattern(.all, min: 2), agents: ["a", "b"])
    let (lost, given) = (driven.tasks[0].id, driven.tasks[1].id)
    driven.perform { $0.taskLost(lost, at: $1) }
    driven.complete(1)
    _ = driven.takeActions()
    driven.write(.unread)
    #expect(driven.takeNames() == ["read"] && driven.pending == nil)
    guard var found = driven.store else { Issue.record("nothing is stored"); return }
    found.tasks[0].state = .completed
    found.tasks[0].result = "first"
    found.execution.recordings = 1
    driven.perform { $0.replace(with: found, at: $1) }
    driven.settle()
    #expect(driven.takeNames() == ["freed b", "acknowledge b", "finished"])
    #expect(driven.status == .completed && driven.store?.tasks.map(\.id) == [lost, given])
    #expect(driven.machine.stored.execution.recordings == 1)
  }

  @Test func aCancellationSurvivesARereadOfItsExecution() {
    var driven = running(Sample.pattern(.all, min: 2), agents: ["a", "b"])
    driven.perform { $0.cancel(at: $1) }
    driven.write(.unread)
    guard var found = driven.store else { Issue.record("nothing is stored"); return }
    found.execution.epoch += 2
    driven.perform { $0.replace(with: found, at: $1) }
    driven.settle()
    #expect(driven.status == .cancelled)
  }

  // MARK: A full store

  @Test func `An end takes the place of a change that a full store refuses, without results that the store lacks`() throws {
    var driven = running(Sample.pattern(.all, min: 2), agents: ["a", "b"])
    driven.complete(0)
    guard case .update(let refused)? = driven.pending else { Issue.record("nothing is written"); return }
    let early = driven.machine.endInstead(of: refused)
    #expect(early == nil, "the execution has not ended")
    driven.perform { $0.cancel(at: $1) }
    _ = driven.takeActions()
    var other = refused
    other.revision += 1
    let unrelated = driven.machine.endInstead(of: other)
    #expect(unrelated == nil)
    let replacement = driven.machine.endInstead(of: refused)
    let end = try #require(replacement)
    #expect(end.revision == refused.revision && end.status == .cancelled)
    #expect(end.tasks.allSatisfy { $0.state == .cancelled && $0.result == nil })
    let again = driven.machine.endInstead(of: end)
    #expect(again == nil)
    driven.perform { machine, _ in machine.writeFinished(.applied, epoch: 1, revision: end.revision) }
    #expect(driven.takeNames() == ["acknowledge a", "finished"])
    #expect(driven.machine.stored.tasks.map(\.state) == [.cancelled, .cancelled])
  }

  @Test func `An end with a result waits for the change before it`() {
    var driven = running(Sample.pattern(.all, min: 2), agents: ["a", "b"])
    driven.complete(0)
    guard case .update(let refused)? = driven.pending else { Issue.record("nothing is written"); return }
    driven.complete(1)
    let replacement = driven.machine.endInstead(of: refused)
    #expect(replacement == nil)
    driven.settle()
    #expect(driven.status == .completed && driven.store?.tasks.map(\.state) == [.completed, .completed])
  }

  @Test func aCreationThatTheStoreRefusesLosesTheExecution() {
    var driven = creating()
    driven.write(.stale)
    #expect(driven.takeNames() == ["lost"])
  }

  @Test(arguments: [UpdateOutcome.behind, .missing])
  func aLostExecutionIsRestoredBeforeAnyOtherWrite(_ outcome: UpdateOutcome) {
    var driven = running(Sample.pattern(.all, min: 3), agents: ["a", "b", "c"])
    driven.complete(0)
    driven.complete(1)
    _ = driven.takeActions()
    driven.write(outcome)
    #expect(driven.pending?.restored == driven.machine.stored)
    #expect(driven.takeNames() == [])
    driven.write()
    // The restoration includes the pending write and the queued change.
    #expect(driven.takeNames() == ["acknowledge a", "acknowledge b"])
    driven.complete(2)
    driven.settle()
    #expect(driven.takeNames() == ["freed c", "acknowledge c", "finished"])
    #expect(driven.store == driven.machine.stored && driven.status == .completed)
  }

  @Test(arguments: [UpdateOutcome.behind, .missing, .stale])
  func anExecutionWhoseRestorationIsRefusedIsLost(_ outcome: UpdateOutcome) {
    var driven = running(agents: ["a"])
    driven.perform { machine, _ in machine.storeReset() }
    #expect(driven.pending?.restored == driven.machine.stored)
    driven.write(outcome)
    #expect(driven.takeNames() == [outcome == .missing ? "barred" : "lost"])
    #expect(driven.pending == nil)
  }

  @Test func aStoreResetDuringAWriteIsSettledByTheNext() {
    var driven = running(agents: ["a"])
    driven.complete(0)
    _ = driven.takeActions()
    driven.perform { machine, _ in machine.storeReset() }
    driven.write()
    #expect(driven.pending?.restored == driven.machine.stored)
    // The result must be in the restored execution before its acknowledgement.
    #expect(driven.takeNames() == [])
    driven.settle()
    #expect(driven.takeNames() == ["acknowledge a", "finished"])
    #expect(driven.status == .completed)
  }

  @Test func aCopyIsBehindOrAheadByEpochThenByRevision() {
    var driven = running(Sample.pattern(.all, min: 2, retries: 1), agents: ["a", "b"])
    driven.fail(0, retryable: true)
    driven.settle()
    let known = driven.machine.stored
    func standing(_ make: (inout Execution) -> Void) -> StoredExecution.Standing {
      var found = known
      make(&found.execution)
      return driven.machine.standing(of: found)
    }
    #expect(standing { _ in } == .current)
    #expect(standing { $0.revision -= 1 } == .behind)
    #expect(standing { $0.epoch -= 1 } == .behind)
    #expect(standing { ($0.epoch, $0.revision) = ($0.epoch + 1, 1) } == .ahead)
    #expect(standing { ($0.owner, $0.revision) = (NodeSession(nodeID: "b", incarnation: "1"), 1) } == .ahead)
    driven.complete(1)
    // The write is pending.
    #expect(driven.machine.standing(of: known) == .current)
  }

  @Test func theRevisionRisesByOneWithEachWrite() {
    var driven = creating(Sample.pattern(.all, min: 2, retries: 1), agents: ["a", "b"])
    driven.settle()
    driven.fail(0, retryable: true)
    driven.settle()
    driven.perform { machine, _ in machine.retry(slot: 0, agent: "c") }
    driven.settle()
    driven.complete(2)
    driven.settle()
    #expect(driven.store?.execution.revision == 4)
    driven.complete(1)
    driven.write()
    #expect(driven.store?.execution.revision == 5)
    #expect(driven.store?.execution.status == .completed)
  }

  @Test func theLastResultTheAggregateAndTheEndAreOneWrite() {
    var driven = running(Sample.pattern(.all, min: 2), agents: ["a", "b"])
    driven.complete(0, result: 1)
    driven.settle()
    driven.complete(1, result: 2)
    guard case .update(let change)? = driven.pending else { Issue.record("no write"); return }
    #expect(change.status == .completed && change.result == ["results": [1, 2]] && change.completedAt == driven.now)
    #expect(change.tasks.map(\.result) == [2])
    driven.write()
    #expect(driven.pending == nil && driven.store == driven.machine.stored)
  }

  @Test func aFailedAggregationIsOneWriteWithTheLastResult() {
    var driven = running(Sample.pattern(.merge, min: 1), agents: ["a"])
    driven.complete(0, result: "no object")
    driven.write()
    #expect(driven.store?.execution.status == .failed && driven.store?.execution.error?.code == "AGGREGATION_FAILED")
    #expect(driven.store?.tasks.map(\.state) == [.completed] && driven.pending == nil)
  }
}
