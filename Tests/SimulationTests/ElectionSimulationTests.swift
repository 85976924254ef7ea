import ParallaxHA
import ParallaxTesting
import Testing

/// Whole clusters on a virtual clock.
///
/// Each run prints its seeds; a mix and a seed reproduce a run exactly. A failing seed is shrunk to the faults that it needs. Its lesson is
/// kept as a scenario, since a seed keeps its meaning only while the simulator makes the same draws.
@Suite(.serialized) struct ElectionSimulationTests {
  @Test func thePromisesHoldUnderFreshSeeds() async {
    let first = UInt64.random(in: 0..<1_000_000_000)
    print("simulation: seeds from \(first)")
    var (runs, failovers, storeCalls) = (0, 0, 0)
    let begin = ContinuousClock.now
    // Every mix at least once, even on a slow machine.
    while runs < FaultMixes.allOfThem.count || begin.duration(to: .now) < simulationBudget {
      let mix = FaultMixes.allOfThem[runs % FaultMixes.allOfThem.count]
      await Task.yield()
      var simulation = ElectionSimulation(mix, seed: first + UInt64(runs))
      let report = simulation.run()
      #expect(report.violations.isEmpty, "\(explanation(of: report, in: mix))")
      if !report.violations.isEmpty { break }
      runs += 1
      failovers += max(report.grants - 1, 0)
      storeCalls += report.storeCalls
    }
    let seconds = begin.duration(to: .now) / .seconds(1)
    let rate = Int(Double(failovers) / seconds)
    print("simulation: \(runs) clusters, \(failovers) failovers, \(storeCalls) store calls in \(seconds) s: \(rate) failovers/s")
  }

  @Test func thePromisesHoldInClustersOfOneToTwoHundredNodes() async {
    let first = UInt64.random(in: 0..<1_000_000_000)
    print("simulation of all sizes: seeds from \(first)")
    let begin = ContinuousClock.now
    var seed = first
    while seed < first + 8 || begin.duration(to: .now) < simulationBudget / 5 {
      let found = await firstViolation(FaultMixes.allSizes, seeds: seed..<seed + 1)
      #expect(found == nil, "\(found.map { explanation(of: $0, in: FaultMixes.allSizes) } ?? "")")
      if found != nil { return }
      seed += 1
    }
  }

  @Test func aSeedReplaysExactly() {
    for seed in 1...5 as ClosedRange<UInt64> {
      var runs = (0..<2).map { _ in ElectionSimulation(FaultMixes.all, seed: seed, isTraced: true) }
      let reports = runs.indices.map { runs[$0].run() }
      #expect(reports[0].trace == reports[1].trace)
      #expect(!reports[0].trace.isEmpty)
    }
  }

  @Test func theFaultsOfARunReproduceIt() {
    for seed in 1...5 as ClosedRange<UInt64> {
      var whole = ElectionSimulation(FaultMixes.all, seed: seed, isRecorded: true, isTraced: true)
      let report = whole.run()
      var same = ElectionSimulation(FaultMixes.all, seed: seed, only: Set(report.faults), isTraced: true)
      #expect(same.run().trace == report.trace)
      for fault in report.faults { #expect(SimulationFault(fault.description) == fault) }
    }
  }

  @Test func aFirstStartTakesOneLeaseAndACalmClusterKeepsItsLeader() throws {
    var simulation = ElectionSimulation(FaultMix("calm"), seed: 1, isTraced: true)
    let report = simulation.run()
    #expect(report.violations.isEmpty)
    #expect(report.grants == 1)
    let elected = try #require(report.trace.first { $0.text.contains("leads term") }).time
    #expect(elected >= .seconds(15) && elected <= .milliseconds(20_200))
  }

  @Test func twoHundredStandbysTakeOneGrantAndFewCalls() {
    let mix = FaultMix("two hundred nodes") { mix in
      mix.nodes = 200
      mix.leases = 2
    }
    var simulation = ElectionSimulation(mix, seed: 7)
    let report = simulation.run()
    #expect(report.violations.isEmpty)
    #expect(report.grants == 1)
    // One read per node and retry period, the renewals, and a burst at the first grant: 81 s of 15/10/2.
    #expect(report.storeCalls < 200 * 81 / 2 + 1_000)
  }

  @Test("A leader that dies is replaced a lease after its last renewal", arguments: [false, true])
  func takeoverIsPrompt(withoutHints: Bool) async {
    let mix = FaultMix("leaders that die") { mix in
      mix.nodes = 5
      mix.crashes = 3
      mix.sparesStandbys = true
      mix.losesHint = withoutHints ? 1 : 0
    }
    var longest = Duration.zero
    for seed in 1...12 as ClosedRange<UInt64> {
      await Task.yield()
      var simulation = ElectionSimulation(mix, seed: seed)
      let report = simulation.run()
      #expect(report.violations.isEmpty)
      longest = max(longest, report.longestTakeover)
    }
    #expect(longest > .seconds(15))
    #expect(longest <= .seconds(15) + .milliseconds(150) + (withoutHints ? .seconds(2) * 1.2 : .zero))
  }

  @Test func clocksTooFarApartCauseAnOverlap() async {
    #expect(await !seeds(showing: [.overlap], FaultMixes.tooFastClocks, among: 1..<400).isEmpty)
  }
}
