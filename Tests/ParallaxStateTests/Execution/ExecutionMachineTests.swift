import ParallaxAPI
import ParallaxState
import Testing

/// The course of an execution on a store without delay.
@Suite struct ExecutionMachineTests {
  @Test func noExecutionEndsBeforeItStarts() {
    var driven = Driven()
    driven.create(agents: ["a"])
    driven.settle()
    driven.now = driven.now + .seconds(-600)
    driven.complete(0)
    driven.settle()
    #expect(driven.store?.execution.completedAt == Sample.start && driven.store?.execution.startedAt == Sample.start)
  }

  private func running(_ pattern: PatternDefinition = Sample.pattern(), agents: [String] = ["a"]) -> Driven {
    var driven = Driven(pattern)
    driven.create(agents: agents)
    driven.settle()
    _ = driven.takeActions()
    return driven
  }

  @Test func anExecutionWithAgentsIsCreatedRunningThenAcceptedAndSent() {
    var driven = Driven(Sample.pattern(.all, min: 2))
    driven.create(agents: ["a", "b"])
    #expect(driven.takeNames() == [])
    #expect(driven.pending == .create(driven.machine.stored))
    driven.write()
    #expect(driven.takeNames() == ["accepted", "send a", "send b"])
    #expect(driven.store?.execution.status == .running)
    #expect(driven.store?.execution.startedAt == Sample.start)
    #expect(driven.tasks.map(\.slot) == [0, 1])
    #expect(Set(driven.tasks.map(\.id)).count == 2)
  }

  @Test func anExecutionWithoutAgentsIsCreatedPendingAndStartsLater() {
    var driven = Driven()
    driven.create(agents: [])
    driven.write()
    #expect(driven.takeNames() == ["accepted", "wantsAgents"])
    #expect(driven.machine.isWaitingForAgents)
    driven.now = Sample.start + .seconds(3)
    driven.perform { $0.start(agents: ["a"], at: $1) }
    #expect(driven.takeNames() == [])
    driven.write()
    #expect(driven.takeNames() == ["send a"])
    #expect(driven.store?.execution.status == .running)
    #expect(driven.store?.execution.startedAt == Sample.start + .seconds(3))
    driven.perform { $0.start(agents: ["b"], at: $1) }
    #expect(driven.pending == nil && driven.tasks.count == 1)
  }

  @Test func theFirstResultEndsFirstAndWithdrawsTheOtherTasks() {
    var driven = running(Sample.pattern(.first, min: 3), agents: ["a", "b", "c"])
    driven.complete(1, result: "yes")
    #expect(driven.takeNames() == ["freed b", "withdraw a decided", "withdraw c decided"])
    driven.settle()
    #expect(driven.takeNames() == ["acknowledge b", "finished"])
    #expect(driven.store?.execution.status == .completed)
    #expect(driven.store?.execution.result == "yes")
    #expect(driven.store?.tasks.map(\.state) == [.cancelled, .completed, .cancelled])
    #expect(driven.store?.tasks[1].duration?.duration == .milliseconds(7))
  }

  @Test func otherStrategiesWaitForAllTasks() {
    var driven = running(Sample.pattern(.all, min: 1, max: 2), agents: ["a", "b"])
    driven.complete(1, result: 2)
    driven.settle()
    #expect(driven.takeNames() == ["freed b", "acknowledge b"])
    #expect(driven.status == .running)
    driven.complete(0, result: 1)
    driven.settle()
    #expect(driven.takeNames() == ["freed a", "acknowledge a", "finished"])
    #expect(driven.store?.execution.result == ["results": [1, 2]])
  }

  @Test func aFailedTaskIsToleratedWhileEnoughRemain() {
    var driven = running(Sample.pattern(.all, min: 1, max: 2), agents: ["a", "b"])
    driven.fail(0)
    driven.settle()
    driven.complete(1, result: 2)
    driven.settle()
    #expect(driven.store?.execution.status == .completed)
    #expect(driven.store?.execution.result == ["results": [2]])
  }

  @Test func anExecutionFailsAsSoonAsEnoughResultsAreImpossible() {
    var driven = running(Sample.pattern(.all, min: 2, max: 3), agents: ["a", "b", "c"])
    driven.fail(0)
    driven.settle()
    #expect(driven.status == .running)
    _ = driven.takeActions()
    driven.fail(1)
    driven.settle()
    #expect(driven.takeNames() == ["freed b", "withdraw c failed", "acknowledge b", "finished"])
    #expect(driven.store?.execution.status == .failed)
    #expect(driven.store?.execution.error == Sample.failure)
    #expect(driven.store?.execution.result == nil)
  }

  @Test func agentsThatFailForDifferentReasonsAreAllNamed() {
    var driven = running(Sample.pattern(.all, min: 2), agents: ["a", "b"])
    driven.perform { $0.taskLost("none", at: $1) }
    driven.fail(0, error: ExecutionFailure(code: "X", message: "one"))
    driven.settle()
    #expect(driven.store?.execution.error?.code == "X")
    var both = running(Sample.pattern(.first, min: 2), agents: ["a", "b"])
    both.fail(0, error: ExecutionFailure(code: "X", message: "one"))
    both.fail(1, error: ExecutionFailure(code: "Y", message: "two"))
    both.settle()
    #expect(
      both.store?.execution.error
        == ExecutionFailure(
          code: "TASK_FAILED", message: "too few agents gave a result",
          details: ["errors": [["code": "X", "message": "one"], ["code": "Y", "message": "two"]]]))
  }

  @Test func aResultThatCannotBeAggregatedFailsTheExecution() {
    var driven = running(Sample.pattern(.merge))
    driven.complete(0, result: "no object")
    driven.settle()
    #expect(driven.store?.execution.status == .failed)
    #expect(driven.store?.execution.error?.code == "AGGREGATION_FAILED")
    #expect(driven.takeNames().last == "finished")
  }

  // MARK: Retries

  @Test func aRetryableErrorRequestsAnotherAgentWithinTheRetries() {
    var driven = running(Sample.pattern(retries: 1))
    driven.fail(0, retryable: true)
    driven.settle()
    #expect(driven.takeNames() == ["freed a", "wantsAgent 0", "acknowledge a"])
    #expect(driven.machine.stored.agentsTried(slot: 0) == ["a"])
    driven.perform { machine, _ in machine.retry(slot: 0, agent: "b") }
    #expect(driven.takeNames() == [])
    driven.settle()
    #expect(driven.takeNames() == ["send b"])
    #expect(driven.store?.execution.attempt == 2)
    #expect(driven.tasks.map(\.attempt) == [1, 2])
    #expect(driven.tasks[0].id != driven.tasks[1].id)
    driven.fail(1, retryable: true)
    driven.settle()
    #expect(driven.takeNames() == ["freed b", "acknowledge b", "finished"])
    #expect(driven.store?.execution.status == .failed)
  }

  @Test func anErrorThatIsNotRetryableEndsTheSlot() {
    var driven = running(Sample.pattern(retries: 5))
    driven.fail(0, retryable: false)
    driven.settle()
    #expect(driven.store?.execution.status == .failed)
    #expect(!driven.takeNames().contains("wantsAgent 0"))
  }

  @Test func aSlotWithAnAgentGetsNoOther() {
    var driven = running(Sample.pattern(retries: 5))
    driven.perform { machine, _ in machine.retry(slot: 0, agent: "b") }
    driven.perform { machine, _ in machine.retry(slot: 9, agent: "b") }
    #expect(driven.pending == nil && driven.tasks.count == 1)
  }

  @Test func aLateErrorOfAnEarlierAttemptChangesNothing() {
    var driven = running(Sample.pattern(retries: 1))
    driven.fail(0, retryable: true)
    driven.perform { machine, _ in machine.retry(slot: 0, agent: "b") }
    driven.settle()
    _ = driven.takeActions()
    driven.fail(0, retryable: true)
    #expect(driven.takeNames() == ["acknowledge a"])
    #expect(driven.tasks.map(\.state) == [.failed, .open])
    driven.complete(1)
    driven.settle()
    #expect(driven.store?.execution.status == .completed)
  }

  @Test func theLossOfAnAgentIsARetryableErrorWithoutAMessageToIt() {
    var driven = running(Sample.pattern(retries: 1))
    let id = driven.tasks[0].id
    driven.perform { $0.taskLost(id, at: $1) }
    driven.settle()
    #expect(driven.takeNames() == ["freed a", "wantsAgent 0"])
    #expect(driven.tasks[0].error?.code == "AGENT_LOST")
  }

  @Test func theLossOfAnAgentAfterItsResultChangesNothing() {
    var driven = running(Sample.pattern(.all, min: 2), agents: ["a", "b"])
    driven.complete(0)
    driven.settle()
    _ = driven.takeActions()
    let id = driven.tasks[0].id
    driven.perform { $0.taskLost(id, at: $1) }
    #expect(driven.takeNames() == [])
    #expect(driven.pending == nil && driven.tasks[0].state == .completed)
  }

  // MARK: Cancellation and deadline

  @Test(arguments: [true, false])
  func aCancelledExecutionFreesItsAgentsAndEnds(isRunning: Bool) {
    var driven = running(agents: isRunning ? ["a"] : [])
    driven.perform { $0.cancel(at: $1) }
    #expect(driven.takeNames() == (isRunning ? ["withdraw a cancelled"] : []))
    driven.settle()
    #expect(driven.takeNames() == ["finished"])
    #expect(driven.store?.execution.status == .cancelled)
    #expect(driven.store?.execution.completedAt == Sample.start)
    driven.perform { $0.cancel(at: $1) }
    driven.perform { $0.deadlinePassed(at: $1) }
    driven.perform { $0.fail(Sample.failure, at: $1) }
    #expect(driven.pending == nil && driven.takeNames() == [])
  }

  @Test func aDecidedExecutionCannotBeCancelled() {
    var driven = running()
    driven.complete(0)
    driven.perform { $0.cancel(at: $1) }
    driven.settle()
    #expect(driven.store?.execution.status == .completed)
  }

  @Test func atTheDeadlineEnoughResultsAreAggregated() {
    var driven = running(Sample.pattern(.all, min: 1, max: 3), agents: ["a", "b", "c"])
    driven.complete(2, result: 3)
    driven.settle()
    _ = driven.takeActions()
    driven.perform { $0.deadlinePassed(at: $1) }
    #expect(driven.takeNames() == ["withdraw a decided", "withdraw b decided"])
    driven.settle()
    #expect(driven.store?.execution.status == .completed)
    #expect(driven.store?.execution.result == ["results": [3]])
  }

  @Test func atTheDeadlineTooFewResultsTimeOut() {
    var driven = running(Sample.pattern(.all, min: 2, max: 3), agents: ["a", "b", "c"])
    driven.complete(0)
    driven.settle()
    driven.perform { $0.deadlinePassed(at: $1) }
    driven.settle()
    #expect(driven.store?.execution.status == .timedOut)
    #expect(driven.store?.execution.error == ExecutionFailure(code: "TIMEOUT", message: "not finished within 30s"))
    #expect(driven.takeNames().suffix(1) == ["finished"])
  }

  @Test func aPendingExecutionTimesOutToo() {
    var driven = running(agents: [])
    driven.perform { $0.deadlinePassed(at: $1) }
    driven.settle()
    #expect(driven.store?.execution.status == .timedOut)
  }

  // MARK: Repeats

  @Test func theFirstResultOfATaskCountsAndARepeatIsAcknowledged() {
    var driven = running(Sample.pattern(.all, min: 2), agents: ["a", "b"])
    driven.complete(0, result: 1)
    driven.settle()
    _ = driven.takeActions()
    driven.complete(0, result: 999)
    #expect(driven.takeNames() == ["acknowledge a"])
    #expect(driven.pending == nil)
    #expect(driven.tasks[0].result == 1)
  }

  @Test func aResultForATaskOfAnotherExecutionIsIgnored() {
    var driven = running()
    driven.perform { $0.taskCompleted("task_other", result: 1, confidence: nil, duration: nil, at: $1) }
    driven.perform { $0.taskFailed("task_other", error: Sample.failure, retryable: true, at: $1) }
    #expect(driven.takeNames() == [] && driven.pending == nil)
  }

  @Test func aResultAfterTheDecisionIsAcknowledgedAndNotCounted() {
    var driven = running(Sample.pattern(.first, min: 2), agents: ["a", "b"])
    driven.complete(0, result: 1)
    driven.settle()
    _ = driven.takeActions()
    driven.complete(1, result: 2)
    #expect(driven.takeNames() == ["acknowledge b"])
    #expect(driven.tasks[1].state == .cancelled && driven.tasks[1].result == nil)
  }
}
