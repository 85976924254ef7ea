import CoreMetrics
import Logging
import ParallaxHA
import ParallaxTesting
import Synchronization
import Testing

@Suite struct LeaderDutiesTests {
  private static let token = FencingToken(term: 7, incarnation: "a")

  @Test func aDutyRunsAtOnceWithTheFenceAndThenAfterEachIntervalAndItsJitter() async {
    let bench = DutyBench()
    await bench.run(LeaderDuty("a", every: .seconds(10), work: bench.note)) {
      #expect(await bench.run(number: 1).token == Self.token)
      for number in 2...20 {
        let before = bench.clock.now
        await bench.passTime()
        let rest = before.duration(to: await bench.run(number: number).begin)
        #expect(rest >= .seconds(10) && rest <= .seconds(12))
      }
    }
    #expect(Set(bench.begins.adjacentDistances).count > 1)
  }

  @Test func aDutyThatDoesNotStartAtOnceRestsFirst() async {
    let bench = DutyBench()
    await bench.run(LeaderDuty("a", every: .seconds(10), startsAtOnce: false, work: bench.note)) {
      await bench.passTime()
      #expect(await bench.run(number: 1).begin.sinceStart >= .seconds(10))
    }
    #expect(bench.begins.count == 1)
  }

  @Test func aDutyNeverRunsBesideItselfAndRestsFromItsEndOn() async {
    let bench = DutyBench()
    let gate = Gate()
    let duty = LeaderDuty("slow", every: .seconds(1)) { token in
      bench.note(token)
      await gate.pass()
    }
    await bench.run(duty) {
      _ = await bench.run(number: 1)
      bench.clock.advance(by: .seconds(60))
      duty.trigger.fire()
      gate.open()
      // The fired run begins after the end of the first.
      #expect(await bench.run(number: 2).begin.sinceStart == .seconds(60))
      gate.open()
      await bench.passTime()
      #expect(await bench.run(number: 3).begin.sinceStart > .seconds(61))
      gate.open()
    }
  }

  @Test func aFireHurriesADutyAndFiresWhileItRunsMakeOneMoreRun() async {
    let bench = DutyBench()
    let gate = Gate()
    let duty = LeaderDuty("hurried", every: .seconds(3_600)) { token in
      bench.note(token)
      await gate.pass()
    }
    await bench.run(duty) {
      _ = await bench.run(number: 1)
      gate.open()
      await bench.clock.sleepers()
      for _ in 0..<3 { duty.trigger.fire() }
      _ = await bench.run(number: 2)
      for _ in 0..<3 { duty.trigger.fire() }
      gate.open()
      _ = await bench.run(number: 3)
      gate.open()
      await bench.clock.sleepers()
    }
    #expect(bench.begins.allSatisfy { $0.sinceStart == .zero })
    #expect(bench.begins.count == 3)
  }

  @Test func aFireWhileNobodyLeadsIsKeptForTheNextTerm() async {
    let bench = DutyBench()
    let duty = LeaderDuty("kept", every: .seconds(10), startsAtOnce: false, work: bench.note)
    duty.trigger.fire()
    await bench.run(duty) { #expect(await bench.run(number: 1).begin.sinceStart == .zero) }
    await bench.run(duty) { await bench.clock.sleepers() }
    #expect(bench.begins.count == 1)
  }

  @Test func oneTriggerHurriesAllItsDuties() async {
    let bench = DutyBench()
    let trigger = LeaderDuty.Trigger()
    let duties = ["a", "b"].map { LeaderDuty($0, every: .seconds(10), startsAtOnce: false, trigger: trigger, work: bench.note) }
    await bench.run(duties) {
      await bench.clock.sleepers(atLeast: 2)
      trigger.fire()
      _ = await bench.run(number: 2)
    }
    #expect(bench.begins.count == 2)
  }

  @Test func aDutyThatFailsIsCountedAndReportedOnceAndStopsNoOther() async {
    struct Failure: Error {}
    let bench = DutyBench()
    let fails = Mutex(true)
    let broken = LeaderDuty("broken", every: .seconds(10)) { _ in
      if fails.withLock({ $0 }) { throw Failure() }
    }
    await bench.run([broken, LeaderDuty("sound", every: .seconds(10), work: bench.note)]) {
      for number in 1...3 {
        _ = await bench.run(number: number)
        await bench.clock.sleepers(atLeast: 2)
        if number == 3 { fails.withLock { $0 = false } }
        bench.clock.advance(by: .seconds(12))
      }
      _ = await bench.run(number: 4)
      await bench.clock.sleepers(atLeast: 2)
    }
    #expect(bench.log.levels == [.warning, .debug, .debug, .info])
    #expect(bench.metrics.count("broken", "failure") == 3)
    #expect(bench.metrics.count("broken", "success") == 1)
    #expect(bench.metrics.count("sound", "success") == 4)
    #expect(bench.metrics.count("sound", "failure") == 0)
    #expect(bench.metrics.timings("broken") == 4)
  }

  @Test func whenTheTermEndsAllDutiesAreCancelledAndJoined() async {
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
    await bench.run(duties) { _ = await bench.run(number: 5) }
    #expect(ended.withLock { $0 } == 5)
    #expect(bench.metrics.count("0", "cancelled") == 1)
    #expect(bench.log.levels.isEmpty)
  }

  @Test func dutiesRunInEveryTermOfTheirNodeAndInNoOther() async throws {
    let bench = DutyBench()
    let election = LeaderElection(
      store: InMemoryElectionStore(), session: .starting(nodeID: "n"), clock: bench.clock, logger: quiet)
    let duties = LeaderDuties([LeaderDuty("a", every: .seconds(10), work: bench.note)], clock: bench.clock, logger: quiet)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { do { try await election.campaign { await duties.run($0) } } catch is CancellationError {} }
      let first = await bench.run(number: 1).token
      election.setEligible(false)
      try await eventually { !election.isLeader && election.isWaiting() }
      election.setEligible(true)
      #expect(await bench.run(number: 2).token.term > first.term)
      group.cancelAll()
      try await group.waitForAll()
    }
    #expect(!election.isLeader)
  }

  @Test func aNodeWithoutDutiesLeadsAllTheSame() async throws {
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
