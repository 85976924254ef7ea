/// A run that breaks a promise, reduced to few faults.
package struct ShrunkExecutions: Sendable, CustomStringConvertible {
  /// The remaining faults.
  package let faults: [ExecutionFault]
  /// The run with these faults alone, traced.
  package let report: ExecutionReport

  /// Removes faults of a failing run, many at a time and then one by one, while the run still breaks the same promise.
  ///
  /// - Parameters:
  ///   - mix: The faults and their rates.
  ///   - seed: The failing seed.
  ///   - attempts: The largest number of runs; 300 by default.
  package init?(_ mix: ExecutionMix, seed: UInt64, attempts: Int = 300) {
    let first = ExecutionSimulation(mix, seed: seed, isRecorded: true).run()
    guard let kind = first.violations.first?.kind else { return nil }
    var (kept, left) = (first.faults, attempts)
    var size = max(kept.count / 2, 1)
    while left > 0 {
      var (start, hasShrunk) = (0, false)
      while start < kept.count, left > 0 {
        left -= 1
        let dropped = start..<min(start + size, kept.count)
        let candidate = kept.enumerated().filter { !dropped.contains($0.offset) }.map(\.element)
        let report = ExecutionSimulation(mix, seed: seed, only: Set(candidate), isRecorded: true).run()
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
    report = ExecutionSimulation(mix, seed: seed, only: Set(kept), isTraced: true).run()
    faults = kept
  }

  /// The broken promise, the faults, and the trace.
  package var description: String {
    let names = faults.map(\.description).joined(separator: " ")
    return "\(report)\nwith \(faults.count) faults: \(names)\n" + report.trace.joined(separator: "\n")
  }
}
