import ExecutionSimulation
import Foundation
import Testing

/// The time for simulations: `PARALLAX_SIMULATION_SECONDS`, 5 by default.
private let simulationBudget: Duration = {
  let seconds = ProcessInfo.processInfo.environment["PARALLAX_SIMULATION_SECONDS"].flatMap(Double.init)
  return .seconds(seconds ?? 5)
}()

/// Tests the promises about executions under faults of several nodes, their store, their agents and their messages.
///
/// Each run takes fresh seeds and prints the first, which `PARALLAX_SIMULATION_SEED` replaces; a mix and a seed replay a run exactly. A
/// failing seed is shrunk to the necessary faults, and belongs into the corpus once the defect is mended.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ExecutionSimulationTests {
  @Test("Scenarios of former defects keep all promises", arguments: ExecutionScenario.all)
  func holds(_ scenario: ExecutionScenario) async {
    for seed in 1...3 as ClosedRange<UInt64> {
      await Task.yield()
      let report = scenario.run(seed: seed)
      #expect(report.violations.isEmpty, "\(report)")
    }
  }

  // MARK: The corpus

  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Corpus")

  static let corpus: [String] = {
    let files = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
    return files.filter { $0.pathExtension == "txt" }.map(\.lastPathComponent).sorted()
  }()

  /// Replays runs that once broke a promise, each with its necessary faults and with all faults of its seed.
  @Test("Seeds of former defects keep all promises", arguments: corpus)
  func staysMended(_ name: String) async throws {
    let text = try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
    let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
    #expect(lines.count >= 2)
    guard let mix = lines.first.flatMap({ ExecutionMixes.named($0) }) else {
      Issue.record("\(name): there is no mix \"\(lines.first ?? "")\"")
      return
    }
    for line in lines.dropFirst() {
      let words = line.split(separator: " ")
      let seed = try #require(words.first.flatMap { UInt64($0) }, "\(name): expected a seed in \"\(line)\"")
      let faults = words.dropFirst().compactMap { ExecutionFault($0) }
      #expect(faults.count == words.count - 1, "\(name): unknown faults")
      await Task.yield()
      let report = ExecutionSimulation(mix, seed: seed, only: Set(faults)).run()
      #expect(report.violations.isEmpty, "\(report)")
      await Task.yield()
      let whole = ExecutionSimulation(mix, seed: seed).run()
      #expect(whole.violations.isEmpty, "\(whole)")
    }
  }

  // MARK: Seeds

  @Test func thePromisesHoldUnderManySeeds() async {
    let given = ProcessInfo.processInfo.environment["PARALLAX_SIMULATION_SEED"].flatMap(UInt64.init)
    let first = given ?? .random(in: 1..<1_000_000_000)
    print("simulation of executions: seeds from \(first)")
    var (runs, deaths, ended) = (0, 0, 0)
    let begin = ContinuousClock.now
    // All mixes run at least once, however slow the machine is.
    while runs < ExecutionMixes.all.count || begin.duration(to: .now) < simulationBudget * 3 {
      let mix = ExecutionMixes.all[runs % ExecutionMixes.all.count]
      await Task.yield()
      let report = ExecutionSimulation(mix, seed: first + UInt64(runs)).run()
      #expect(report.violations.isEmpty, "\(explanation(of: report, in: mix))")
      if !report.violations.isEmpty { break }
      runs += 1
      deaths += report.deaths
      ended += report.ended
    }
    let seconds = begin.duration(to: .now) / .seconds(1)
    print("simulation of executions: \(runs) clusters, \(deaths) deaths, \(ended) executions in \(seconds) s")
  }

  @Test func aSeedReplaysExactly() {
    for seed in 1...2 as ClosedRange<UInt64> {
      let reports = (0..<2).map { _ in ExecutionSimulation(ExecutionMixes.all[1], seed: seed, isTraced: true).run() }
      #expect(reports[0].trace == reports[1].trace)
      #expect(!reports[0].trace.isEmpty)
    }
  }

  @Test func theFaultsOfARunReproduceIt() {
    let mix = ExecutionMixes.all[1]
    let report = ExecutionSimulation(mix, seed: 3, isRecorded: true, isTraced: true).run()
    #expect(!report.faults.isEmpty)
    #expect(ExecutionSimulation(mix, seed: 3, only: Set(report.faults), isTraced: true).run().trace == report.trace)
    for fault in report.faults { #expect(ExecutionFault(fault.description) == fault) }
  }
}

/// Describes a failing run by its report, the faults that suffice to break the promise, and their trace.
func explanation(of report: ExecutionReport, in mix: ExecutionMix) -> String {
  let replay = "replay it: make simulate ARGS=\"trace \(report.seed) \(mix)\""
  guard let shrunk = ShrunkExecutions(mix, seed: report.seed, attempts: 60) else { return "\(report), but not again; \(replay)" }
  return "\(report)\n\(replay)\n\(shrunk)"
}
