/// A run that breaks a promise, with as few faults as the search found.
package struct ShrunkSimulation: Sendable, CustomStringConvertible {
  /// The remaining faults.
  package let faults: [SimulationFault]
  /// The traced run with these faults only.
  package let report: SimulationReport

  /// Removes faults of a failing run, many at a time and then one by one, while the run breaks the same promise.
  ///
  /// - Parameters:
  ///   - mix: The faults and their rates.
  ///   - seed: The failing seed.
  ///   - defect: The defect of nodes, store and resource; nil, the default, for none.
  ///   - attempts: The maximum number of runs; 2,000 by default.
  package init?(_ mix: FaultMix, seed: UInt64, defect: (any ElectionDefect)? = nil, attempts: Int = 2_000) {
    var whole = ElectionSimulation(mix, seed: seed, defect: defect, isRecorded: true)
    let first = whole.run()
    guard let kind = first.violations.first?.kind else { return nil }
    var (kept, left) = (first.faults, attempts)
    var size = max(kept.count / 2, 1)
    while left > 0 {
      var (start, hasShrunk) = (0, false)
      while start < kept.count, left > 0 {
        left -= 1
        let dropped = start..<min(start + size, kept.count)
        // Any cluster lacks a leader without its nodes.
        let candidate = kept.enumerated().filter { !dropped.contains($0) || (kind == .noLeader && $1.kind == .node) }.map(\.element)
        var simulation = ElectionSimulation(mix, seed: seed, defect: defect, only: Set(candidate), isRecorded: true)
        let report = simulation.run()
        if report.violations.first?.kind == kind, report.faults.count < kept.count {
          kept = report.faults
          hasShrunk = true
        } else {
          start += size
        }
      }
      if size == 1, !hasShrunk { break }
      size = max(size / 2, 1)
    }
    var last = ElectionSimulation(mix, seed: seed, defect: defect, only: Set(kept), isTraced: true)
    report = last.run()
    faults = kept
  }

  /// The broken promise, the faults and the trace.
  package var description: String {
    let names = faults.map(\.description).joined(separator: " ")
    return "\(report)\nwith \(faults.count) faults: \(names)\n" + report.trace.map(\.description).joined(separator: "\n")
  }
}
