/// The result of a simulation.
package struct SimulationReport: Sendable, CustomStringConvertible {
  package struct Violation: Sendable, CustomStringConvertible {
    package enum Kind: String, Sendable, CaseIterable {
      /// Two nodes validly lead at the same moment.
      case overlap
      case termGrantedTwice, termWentBack
      /// A resource accepted a write of an earlier term, or of another incarnation in the same term.
      case staleWriteAccepted
      /// A term begins while duties of another one run, although they honor cancellation.
      case dutyOutsideTerm
      /// The record was released while duties of its term ran.
      case releasedBeforeJoin
      /// A lost term began again.
      case revived
      /// No node leads for longer than the faults explain.
      case noLeader
      /// Leadership changed without a cause.
      case transition
      case sameBytesTwice
      /// A notice of a death has changed the term of the record.
      case termNotGranted
      /// The record names a process whose witness should have released it.
      case deadHolder
      /// A machine requests a timer in the past.
      case sleepless
    }

    package var kind: Kind
    package var time: Duration

    package var description: String { "\(kind) at \(time)" }
  }

  package var mix: String
  package var seed: UInt64
  package var violations: [Violation] = []
  /// The number of granted terms.
  package var grants = 0
  package var events = 0
  package var storeCalls = 0
  /// The longest time without a leader after the faults had ended.
  package var longestGap: Duration = .zero
  package var longestAllowedGap: Duration = .zero
  /// The longest time from a leader's last write to another node's first write, without a release in between.
  package var longestTakeover: Duration = .zero
  /// The faults that struck, if requested.
  package var faults: [SimulationFault] = []
  /// The trace, if requested.
  package var trace: [Line] = []

  package struct Line: Sendable, Hashable, CustomStringConvertible {
    package var time: Duration
    package var text: String
    /// Whether terse traces omit the line.
    package var isDetail: Bool

    package var description: String {
      let milliseconds = time.nanoseconds / 1_000_000
      let fraction = String(milliseconds % 1_000)
      return "\(milliseconds / 1_000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction) \(text)"
    }
  }

  /// The mix and the seed, which reproduce the run, and the violations.
  package var description: String {
    "\(mix), seed \(seed): \(violations.isEmpty ? "no violation" : violations.map(\.description).joined(separator: ", "))"
  }
}
