import Foundation
import ParallaxHA
import ParallaxTesting
import Testing

/// Each plausible but wrong rule: the simulator must detect it.
@Suite(.serialized) struct ElectionMutationTests {
  struct Mutation: Sendable, CustomStringConvertible {
    var rule: WrongRule
    var mix: FaultMix
    var expected: Set<SimulationReport.Violation.Kind>

    init(_ rule: WrongRule, _ mix: FaultMix, _ expected: SimulationReport.Violation.Kind...) {
      self.rule = rule
      self.mix = mix
      self.expected = Set(expected)
    }

    var defect: any ElectionDefect { WrongRules(rule) }
    var description: String { rule.rawValue }
  }

  static let mutations = [
    Mutation(.validityFromReply, FaultMixes.tightDeadline, .overlap),
    Mutation(.readSettlesUnknown, FaultMixes.lostCalls, .overlap),
    Mutation(.lateSuccessRevives, FaultMixes.lateReplies, .revived),
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
    Mutation(.noticeOnSilence, FaultMixes.witnesses, .overlap),
    Mutation(.noticeForAnyIncarnation, FaultMixes.witnesses, .overlap),
    Mutation(.blindNotice, FaultMixes.lateNotices, .overlap),
    Mutation(.noSecondLook, FaultMixes.lateAcquisitions, .deadHolder),
    Mutation(.noticeLowersTerm, FaultMixes.witnesses, .termWentBack, .termGrantedTwice, .termNotGranted),
    Mutation(.noticeRaisesTerm, FaultMixes.witnesses, .termNotGranted),
  ]

  @Test func everyWrongRuleHasItsMutation() {
    #expect(Set(Self.mutations.map(\.rule)) == Set(WrongRule.allCases))
  }

  @Test("Every wrong rule is one of the model's, and is checked there", arguments: WrongRule.allCases)
  func isModeled(_ rule: WrongRule) throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../..")
    let macro = rule.rawValue.replacing(/[A-Z]/) { "_\($0.output)" }.uppercased()
    let model = try String(contentsOf: root.appending(path: "docs/model/election.pml"), encoding: .utf8)
    #expect(["#ifdef \(macro)\n", "defined(\(macro))"].contains { model.contains($0) })
    #expect(try String(contentsOf: root.appending(path: "Scripts/check-model.sh"), encoding: .utf8).contains("-D\(macro)"))
  }

  @Test("A plausible wrong rule is found to break a promise", arguments: mutations)
  func isFound(_ mutation: Mutation) async {
    let first = UInt64.random(in: 0..<1_000_000_000)
    let found = await seeds(showing: mutation.expected, mutation.mix, among: first..<first + 1_000, defect: mutation.defect)
    #expect(!found.isEmpty, "\(mutation) shows nothing in 1,000 seeds from \(first)")
    if let seed = found.first { print("mutation \(mutation): found by run \(seed - first + 1) of \"\(mutation.mix.name)\"") }
  }

  // MARK: The corpus

  private static let corpusFile = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Corpus.txt")

  /// Seeds that show a defect, five for each: at least one must still show it, and none may show a violation of the right rules.
  ///
  /// A change of the state machine can change the effect of a seed; `PARALLAX_REWRITE=1` searches for five new ones.
  @Test func seedsOfTheCorpusShowOnlyTheirDefects() async throws {
    if isRewriting { try await rewriteCorpus() }
    let lines = try String(contentsOf: Self.corpusFile, encoding: .utf8).split(separator: "\n").filter { !$0.hasPrefix("#") }
    let corpus = Dictionary(
      uniqueKeysWithValues: lines.map { line in
        let words = line.split(separator: " ")
        return (String(words[0]), words.dropFirst().compactMap { UInt64($0) })
      })
    for mutation in Self.mutations {
      let kept = try #require(corpus[mutation.description])
      var isShown = false
      for seed in kept {
        let shown = await seeds(showing: mutation.expected, mutation.mix, among: seed..<seed + 1, defect: mutation.defect)
        isShown = isShown || !shown.isEmpty
        let found = await firstViolation(mutation.mix, seeds: seed..<seed + 1)
        #expect(found == nil, "\(found.map { explanation(of: $0, in: mutation.mix) } ?? "")")
      }
      #expect(isShown, "no seed of the corpus shows \(mutation) any longer: run the suite once with PARALLAX_REWRITE=1")
    }
  }

  private func rewriteCorpus() async throws {
    var text = "# Seeds that show a defect and nothing with the right rules: see ElectionMutationTests.\n"
    for mutation in Self.mutations {
      let found = await seeds(showing: mutation.expected, mutation.mix, among: 1..<5_000, defect: mutation.defect, limit: 5)
      text += "\(mutation) " + found.map(String.init).joined(separator: " ") + "\n"
    }
    try text.write(to: Self.corpusFile, atomically: true, encoding: .utf8)
  }

  // MARK: Shrinking

  @Test("A failing seed is shrunk to the faults that it needs", arguments: mutations)
  func shrinks(_ mutation: Mutation) async throws {
    let seed = try #require(await seeds(showing: mutation.expected, mutation.mix, among: 1..<3_000, defect: mutation.defect).first)
    var whole = ElectionSimulation(mutation.mix, seed: seed, defect: mutation.defect, isRecorded: true)
    let before = whole.run()
    let shrunk = try #require(ShrunkSimulation(mutation.mix, seed: seed, defect: mutation.defect))
    #expect(shrunk.report.violations.first?.kind == before.violations.first?.kind)
    // Where two of five requests are late, a late one that matters needs others that come in time to be late too.
    #expect(shrunk.faults.count <= max(12, before.faults.count / 3), "\(shrunk)")
    print("mutation \(mutation): \(before.faults.count) faults shrink to \(shrunk.faults.count)")
    var right = ElectionSimulation(mutation.mix, seed: seed, only: Set(shrunk.faults))
    #expect(right.run().violations.isEmpty)
  }

  @Test func aPassingSeedIsNotShrunk() {
    #expect(ShrunkSimulation(FaultMixes.all, seed: 1) == nil)
  }
}
