/// A run that breaks a promise, with as few faults as could be found.
package struct ShrunkExecutions: Sendable, CustomStringConvertible {
  /// The faults that are left.
  package let faults: [ExecutionFault]
  /// The run with these faults alone, traced.
  package let report: ExecutionReport

  /// Leaves out faults of a failing run, many at a time and then one by one, as long as it breaks the same promise.
  ///
  /// - Parameters:
  ///   - mix: The faults and their rates.
  ///   - seed: The seed that fails.
  ///   - attempts: How many runs to try at most.
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

  /// What was broken, by which faults, and what happened.
  package var description: String {
    let names = faults.map(\.description).joined(separator: " ")
    return "\(report)\nwith \(faults.count) faults: \(names)\n" + report.trace.joined(separator: "\n")
  }
}
