import CoreMetrics
import Logging
import ParallaxHA
import ParallaxTesting
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct LeaderDutiesTests {
  private static let token = FencingToken(term: 7, incarnation: "a")

  @Test func aDutyRunsAtOnceWithTheTokenThenAfterEachIntervalAndItsJitter() async throws {
    let bench = DutyBench()
    try await bench.run(LeaderDuty("a", every: .seconds(10), work: bench.note)) {
      #expect(try await bench.run(number: 1).token == Self.token)
      for number in 2...20 {
        let before = bench.clock.now
        try await bench.passTime()
        let rest = before.duration(to: try await bench.run(number: number).begin)
        #expect(rest >= .seconds(10) && rest <= .seconds(12))
      }
    }
    #expect(Set(bench.begins.adjacentDistances).count > 1)
  }

  @Test func aDutyWithADelayedStartRestsFirst() async throws {
    let bench = DutyBench()
    try await bench.run(LeaderDuty("a", every: .seconds(10), startsAtOnce: false, work: bench.note)) {
      try await bench.passTime()
      #expect(try await bench.run(number: 1).begin.sinceStart >= .seconds(10))
    }
    #expect(bench.begins.count == 1)
  }

  @Test func runsOfADutyNeverOverlapAndTheRestStartsAtTheirEnd() async throws {
    let bench = DutyBench()
    let gate = Gate()
    let duty = LeaderDuty("slow", every: .seconds(1)) { token in
      bench.note(token)
      await gate.pass()
    }
    try await bench.run(duty) {
      _ = try await bench.run(number: 1)
      bench.clock.advance(by: .seconds(60))
      duty.trigger.fire()
      gate.open()
      // The fired run begins after the end of the first.
      #expect(try await bench.run(number: 2).begin.sinceStart == .seconds(60))
      gate.open()
      try await bench.passTime()
      #expect(try await bench.run(number: 3).begin.sinceStart > .seconds(61))
      gate.open()
    }
  }

  @Test func aTriggerStartsADutyAndTriggersDuringARunCauseOneMore() async throws {
    let bench = DutyBench()
    let gate = Gate()
    let duty = LeaderDuty("hurried", every: .seconds(3_600)) { token in
      bench.note(token)
      await gate.pass()
    }
    try await bench.run(duty) {
      _ = try await bench.run(number: 1)
      gate.open()
      try await bench.clock.sleepers()
      for _ in 0..<3 { duty.trigger.fire() }
      _ = try await bench.run(number: 2)
      for _ in 0..<3 { duty.trigger.fire() }
      gate.open()
      _ = try await bench.run(number: 3)
      gate.open()
      try await bench.clock.sleepers()
    }
    #expect(bench.begins.allSatisfy { $0.sinceStart == .zero })
    #expect(bench.begins.count == 3)
  }

  @Test func aTriggerWithoutALeaderIsKeptForTheNextTerm() async throws {
    let bench = DutyBench()
    let duty = LeaderDuty("kept", every: .seconds(10), startsAtOnce: false, work: bench.note)
    duty.trigger.fire()
    try await bench.run(duty) { () async throws in #expect(try await bench.run(number: 1).begin.sinceStart == .zero) }
    try await bench.run(duty) { try await bench.clock.sleepers() }
    #expect(bench.begins.count == 1)
  }

  @Test func oneTriggerStartsAllItsDuties() async throws {
    let bench = DutyBench()
    let trigger = LeaderDuty.Trigger()
    let duties = ["a", "b"].map { LeaderDuty($0, every: .seconds(10), startsAtOnce: false, trigger: trigger, work: bench.note) }
    try await bench.run(duties) {
      try await bench.clock.sleepers(atLeast: 2)
      trigger.fire()
      _ = try await bench.run(number: 2)
    }
    #expect(bench.begins.count == 2)
  }

  @Test func aFailingDutyIsCountedAndReportedOnceAndStopsNoOther() async throws {
    struct Failure: Error {}
    let bench = DutyBench()
    let fails = Mutex(true)
    let broken = LeaderDuty("broken", every: .seconds(10)) { _ in
      if fails.withLock({ $0 }) { throw Failure() }
    }
    try await bench.run([broken, LeaderDuty("sound", every: .seconds(10), work: bench.note)]) {
      for number in 1...3 {
        _ = try await bench.run(number: number)
        try await bench.clock.sleepers(atLeast: 2)
        if number == 3 { fails.withLock { $0 = false } }
        bench.clock.advance(by: .seconds(12))
      }
      _ = try await bench.run(number: 4)
      try await bench.clock.sleepers(atLeast: 2)
    }
    #expect(bench.log.levels == [.warning, .debug, .debug, .info])
    #expect(bench.metrics.count("broken", "failure") == 3)
    #expect(bench.metrics.count("broken", "success") == 1)
    #expect(bench.metrics.count("sound", "success") == 4)
    #expect(bench.metrics.count("sound", "failure") == 0)
    #expect(bench.metrics.timings("broken") == 4)
  }

  @Test func theEndOfATermCancelsAndJoinsAllDuties() async throws {
    let bench = DutyBench()
    let ended = Mutex(0)
    let duties = (0..<5).map { number in
      LeaderDuty("\(number)", every: .seconds(10)) { token in
        bench.note(token)
        await untilCancelled()
        for _ in 0..<number { await Task.yield() }
        ended.withLock { $0 += 1 }
        try Task.checkCancellation()
      }
    }
    try await bench.run(duties) { _ = try await bench.run(number: 5) }
    #expect(ended.withLock { $0 } == 5)
    #expect(bench.metrics.count("0", "cancelled") == 1)
    #expect(bench.log.levels.isEmpty)
  }

  @Test func dutiesRunOnlyInTheTermsOfTheirNode() async throws {
    let bench = DutyBench()
    let election = LeaderElection(
      store: InMemoryElectionStore(), session: .starting(nodeID: "n"), clock: bench.clock, logger: quiet)
    let duties = LeaderDuties([LeaderDuty("a", every: .seconds(10), work: bench.note)], clock: bench.clock, logger: quiet)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { do { try await election.campaign { await duties.run($0) } } catch is CancellationError {} }
      let first = try await bench.run(number: 1).token
      election.setEligible(false)
      try await eventually { !election.isLeader && election.isWaiting() }
      election.setEligible(true)
      #expect(try await bench.run(number: 2).token.term > first.term)
      group.cancelAll()
      try await group.waitForAll()
    }
    #expect(!election.isLeader)
  }

  @Test func aNodeWithoutDutiesLeads() async throws {
    let election = LeaderElection(store: InMemoryElectionStore(), session: .starting(nodeID: "n"), clock: ManualClock(), logger: quiet)
    let duties = LeaderDuties([], logger: quiet)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { do { try await election.campaign { await duties.run($0) } } catch is CancellationError {} }
      try await eventually { election.isLeader && election.isWaiting() }
      group.cancelAll()
      try await group.waitForAll()
    }
  }
}
