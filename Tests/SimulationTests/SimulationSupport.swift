import Foundation
import ParallaxHA
import ParallaxTesting

/// The first of some seeds that breaks a promise.
func firstViolation(_ mix: FaultMix, seeds: Range<UInt64>) async -> SimulationReport? {
  for seed in seeds {
    // A run is one long computation, so it yields to the other tests of the process.
    await Task.yield()
    var simulation = ElectionSimulation(mix, seed: seed)
    let report = simulation.run()
    if !report.violations.isEmpty { return report }
  }
  return nil
}

/// The seeds, at most this number, that show a violation by a defect.
func seeds(
  showing expected: Set<SimulationReport.Violation.Kind>, _ mix: FaultMix, among seeds: Range<UInt64>, defect: (any ElectionDefect)? = nil,
  limit: Int = 1
) async -> [UInt64] {
  var found: [UInt64] = []
  for seed in seeds where found.count < limit {
    await Task.yield()
    var simulation = ElectionSimulation(mix, seed: seed, defect: defect)
    if simulation.run().violations.contains(where: { expected.contains($0.kind) }) { found.append(seed) }
  }
  return found
}

/// The faults that a failing run needs, and the command that reproduces it.
func explanation(of report: SimulationReport, in mix: FaultMix) -> String {
  guard let shrunk = ShrunkSimulation(mix, seed: report.seed) else { return "\(report), but not again" }
  return "\(report)\n\(shrunk)"
}

/// The duration of simulations with fresh seeds: `PARALLAX_SIMULATION_SECONDS`, 5 by default.
let simulationBudget: Duration = {
  let seconds = ProcessInfo.processInfo.environment["PARALLAX_SIMULATION_SECONDS"].flatMap(Double.init)
  return .seconds(seconds ?? 5)
}()

/// Whether to write the effects instead of comparing them: `PARALLAX_REWRITE=1`.
let isRewriting = ProcessInfo.processInfo.environment["PARALLAX_REWRITE"] == "1"
