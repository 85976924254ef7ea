import ParallaxHA
import ParallaxTesting
import Testing

/// Whole clusters on a virtual clock.
///
/// The base seed is printed; a mix and a seed replay a run exactly.
@Suite(.serialized) struct ElectionSimulationTests {
  private static let baseSeed = UInt64.random(in: 0..<1_000_000_000)

  @Test("The promises hold", arguments: FaultMixes.all16)
  func promisesHold(under mix: FaultMix) async {
    print("simulating \(mix.name) from seed \(Self.baseSeed)")
    let found = await firstViolation(mix, seeds: Self.baseSeed..<Self.baseSeed + 20)
    #expect(found == nil, "\(found.map { explanation(of: $0, in: mix) } ?? "")")
  }

  /// Runs that broke a promise once, and what was wrong.
  static let corpus: [(FaultMix, UInt64)] = [
    // A paused placeholder whose leader had died could not be resumed.
    (FaultMixes.all, 356_140_474),
    // A renewal repeated the number of a leader's placeholder, so that a standby's patience ran on from that.
    (FaultMixes.fiveNodes, 944_333_160),
  ]

  @Test("A seed that once failed passes", arguments: corpus)
  func onceFailed(_ mix: FaultMix, _ seed: UInt64) async {
    let found = await firstViolation(mix, seeds: seed..<seed + 1)
    #expect(found == nil, "\(found.map { explanation(of: $0, in: mix) } ?? "")")
  }

  @Test func aSeedReplaysExactly() {
    for seed in 1...5 as ClosedRange<UInt64> {
      var runs = (0..<2).map { _ in ElectionSimulation(FaultMixes.all, seed: seed, isTraced: true) }
      let reports = runs.indices.map { runs[$0].run() }
      #expect(reports[0].trace == reports[1].trace)
      #expect(!reports[0].trace.isEmpty)
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
    // A read per node and retry period, the renewals, and a burst at the first grant: 81 s of 15/10/2.
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

  @Test func clocksTooFarApartAreFoundToOverlap() async {
    let found = await violations(FaultMixes.tooFastClocks, seeds: 1..<400, limit: 1)
    #expect(found.contains(.overlap))
  }
}

@Suite(.serialized) struct ElectionMutationTests {
  struct Mutation: Sendable, CustomStringConvertible {
    var defect: ElectionRules.Defect
    var mix: FaultMix
    var expected: Set<SimulationReport.Violation.Kind>

    init(_ defect: ElectionRules.Defect, _ mix: FaultMix, _ expected: SimulationReport.Violation.Kind...) {
      self.defect = defect
      self.mix = mix
      self.expected = Set(expected)
    }

    var description: String { defect.rawValue }
  }

  static let mutations = [
    Mutation(.validityFromReply, FaultMixes.tightDeadline, .overlap),
    Mutation(.readSettlesUnknown, FaultMixes.lostCalls, .overlap),
    Mutation(.lateSuccessRevives, FaultMixes.lostCalls, .revived),
    Mutation(.releaseBeforeJoin, FaultMixes.duties, .releasedBeforeJoin),
    Mutation(.releaseWithoutCompare, FaultMixes.all, .overlap),
    Mutation(.patienceByOwnLease, FaultMixes.mixedLeases, .overlap),
    Mutation(.patienceByVersion, FaultMixes.operatorsForEver, .noLeader),
    Mutation(.acquireOverAbsent, FaultMixes.all, .overlap),
    Mutation(.reassertSameBytes, FaultMixes.dataLosses, .sameBytesTwice),
    Mutation(.electSkipsPatience, FaultMixes.all, .overlap),
    Mutation(.requestCreatesRecord, FaultMixes.all, .overlap),
    Mutation(.termFromRecordAlone, FaultMixes.all, .termWentBack, .termGrantedTwice),
    Mutation(.patienceByWallClock, FaultMixes.wallClocks, .overlap),
    Mutation(.fenceByTermAlone, FaultMixes.failovers, .staleWriteAccepted),
  ]

  @Test func everyDefectHasItsMutation() {
    #expect(Set(Self.mutations.map(\.defect)) == Set(ElectionRules.Defect.allCases))
  }

  @Test("A rule that looks right is found to break a promise", arguments: mutations)
  func isFound(_ mutation: Mutation) async {
    let found = await violations(mutation.mix, seeds: 1..<400, defect: mutation.defect, expected: mutation.expected, limit: 1)
    #expect(!found.isDisjoint(with: mutation.expected), "found only \(found)")
  }

  @Test("The right rules pass where the defects were found", arguments: [FaultMixes.tightDeadline, FaultMixes.lostCalls])
  func rightRulesPass(under mix: FaultMix) async {
    let found = await firstViolation(mix, seeds: 1..<60)
    #expect(found == nil, "\(found.map { explanation(of: $0, in: mix) } ?? "")")
  }
}

private func firstViolation(_ mix: FaultMix, seeds: Range<UInt64>) async -> SimulationReport? {
  for seed in seeds {
    // A run is one long computation: the other tests of the process want their turn.
    await Task.yield()
    var simulation = ElectionSimulation(mix, seed: seed)
    let report = simulation.run()
    if !report.violations.isEmpty { return report }
  }
  return nil
}

/// The kinds of violation that seeds show, until enough seeds have shown an expected one.
private func violations(
  _ mix: FaultMix, seeds: Range<UInt64>, defect: ElectionRules.Defect? = nil,
  expected: Set<SimulationReport.Violation.Kind> = [.overlap], limit: Int
) async -> Set<SimulationReport.Violation.Kind> {
  var found: Set<SimulationReport.Violation.Kind> = []
  var count = 0
  for seed in seeds where count < limit {
    await Task.yield()
    var simulation = ElectionSimulation(mix, seed: seed, rules: ElectionRules(defect: defect))
    let kinds = Set(simulation.run().violations.map(\.kind))
    found.formUnion(kinds)
    if !kinds.isDisjoint(with: expected) { count += 1 }
  }
  return found
}

/// The end of a run that broke a promise, event by event.
private func explanation(of report: SimulationReport, in mix: FaultMix) -> String {
  var simulation = ElectionSimulation(mix, seed: report.seed, isTraced: true)
  return "\(report)\n" + simulation.run().trace.suffix(80).map(\.description).joined(separator: "\n")
}
