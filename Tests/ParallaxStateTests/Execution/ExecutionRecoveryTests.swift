import ParallaxAPI
import ParallaxState
import Testing

/// The actions of a new owner, by the stored state of the execution.
@Suite struct ExecutionRecoveryTests {
  private func stored(
    _ status: ExecutionStatus, _ pattern: PatternDefinition = Sample.pattern(.all, min: 2, retries: 1), tasks: [TaskRecord] = []
  ) -> StoredExecution {
    var execution = Sample.execution(pattern)
    execution.status = status
    execution.epoch = 2
    execution.revision = 5
    return StoredExecution(execution: execution, tasks: tasks)
  }

  private func resumed(_ stored: StoredExecution) -> Driven {
    var driven = Driven(recovering: stored)
    driven.perform { $0.resume(at: $1) }
    return driven
  }

  @Test func aPendingExecutionRequestsItsAgents() {
    var driven = resumed(stored(.pending))
    #expect(driven.takeNames() == ["wantsAgents"])
    driven.perform { $0.start(agents: ["a", "b"], at: $1) }
    guard case .update(let change)? = driven.pending else { Issue.record("no write"); return }
    #expect(change.epoch == 2 && change.revision == 6)
  }

  @Test func aRunningExecutionWaitsForItsAgents() {
    var driven = resumed(stored(.running, tasks: [Sample.task(0, state: .open), Sample.task(1, result: 2)]))
    #expect(driven.takeNames() == [] && driven.pending == nil)
    driven.complete(0, result: 1)
    driven.settle()
    #expect(driven.store?.execution.result == ["results": [1, 2]])
  }

  @Test func aSlotWhoseAgentFailedGetsAnother() {
    var lost = Sample.task(0, state: .failed)
    lost.retryable = true
    var driven = resumed(stored(.running, tasks: [lost, Sample.task(1, state: .open)]))
    #expect(driven.takeNames() == ["wantsAgent 0"])
    driven.perform { machine, _ in machine.retry(slot: 0, agent: "c") }
    driven.settle()
    #expect(driven.takeNames() == ["send c"])
  }

  @Test func aSlotWithANewAgentGetsNoOther() {
    var lost = Sample.task(0, state: .failed)
    lost.retryable = true
    var driven = resumed(stored(.running, tasks: [lost, Sample.task(1, result: 1), Sample.task(0, attempt: 2, state: .open)]))
    #expect(driven.takeNames() == [] && driven.pending == nil)
  }

  @Test func aRunningExecutionWithAllResultsIsAggregated() {
    var driven = resumed(stored(.running, tasks: [Sample.task(0, result: 1), Sample.task(1, result: 2)]))
    driven.settle()
    #expect(driven.takeNames() == ["finished"])
    #expect(driven.store?.execution.status == .completed)
  }

  @Test func aRunningExecutionWithTooFewTasksLeftFails() {
    var driven = resumed(stored(.running, tasks: [Sample.task(0, state: .failed), Sample.task(1, result: 2)]))
    driven.settle()
    #expect(driven.takeNames() == ["finished"])
    #expect(driven.store?.execution.status == .failed)
  }

  @Test func anAggregatingExecutionIsAggregatedAgainToTheSameResult() {
    let tasks = [Sample.task(0, result: 1), Sample.task(1, result: 2)]
    var first = resumed(stored(.aggregating, tasks: tasks))
    var second = resumed(stored(.aggregating, tasks: tasks))
    first.settle()
    second.settle()
    #expect(first.takeNames() == ["finished"])
    #expect(first.store?.execution.result == ["results": [1, 2]])
    #expect(first.store == second.store)
  }

  @Test(arguments: [ExecutionStatus.completed, .failed, .cancelled, .timedOut])
  func terminalIsFinished(_ status: ExecutionStatus) {
    var driven = resumed(stored(status))
    #expect(driven.takeNames() == ["finished"])
    #expect(driven.pending == nil)
  }

  @Test func theDocumentShowsEachSlotByItsLastAttempt() {
    var execution = stored(.running).execution
    execution.attempt = 2
    let tasks = [
      Sample.task(0, state: .failed), Sample.task(1, result: 2, confidence: 0.5), Sample.task(0, agent: "c", attempt: 2, state: .open),
    ]
    let document = StoredExecution(execution: execution, tasks: tasks).document
    #expect(document.agents.map(\.id) == ["c", "agent_1"])
    #expect(document.agents.map(\.status) == ["pending", "completed"])
    #expect(document.agents[1].confidence == 0.5)
    #expect(document.nodeId == "node-a")
    #expect(document.attempt == 2)
  }
}
