/// The result of a simulation.
package struct SimulationReport: Sendable, CustomStringConvertible {
  package struct Violation: Sendable, CustomStringConvertible {
    package enum Kind: String, Sendable, CaseIterable {
      /// Two nodes lead validly at one moment.
      case overlap
      case termGrantedTwice, termWentBack
      /// A resource accepted a write of an earlier term, or of another incarnation in the same term.
      case staleWriteAccepted
      /// A term begins while duties of another one run that honor cancellation.
      case dutyOutsideTerm
      /// The record was released while duties of its term ran.
      case releasedBeforeJoin
      /// A term that was lost began again.
      case revived
      /// Nobody leads for longer than the faults explain.
      case noLeader
      /// Leadership changed where nothing should have changed it.
      case transition
      case sameBytesTwice
      /// A machine asks to be woken at a time that has passed.
      case sleepless
    }

    package var kind: Kind
    package var time: Duration

    package var description: String { "\(kind) at \(time)" }
  }

  package var mix: String
  package var seed: UInt64
  package var violations: [Violation] = []
  /// How often a term was granted.
  package var grants = 0
  package var events = 0
  package var storeCalls = 0
  /// The longest time without a leader after the faults had ended.
  package var longestGap: Duration = .zero
  package var longestAllowedGap: Duration = .zero
  /// The longest time from a leader's last write until another node's first write, where the leader did not release.
  package var longestTakeover: Duration = .zero
  /// The faults that struck, if asked for.
  package var faults: [SimulationFault] = []
  /// The trace, if asked for.
  package var trace: [Line] = []

  package struct Line: Sendable, Hashable, CustomStringConvertible {
    package var time: Duration
    package var text: String
    /// Whether the line is left out of terse traces.
    package var isDetail: Bool

    package var description: String {
      let milliseconds = time.nanoseconds / 1_000_000
      let fraction = String(milliseconds % 1_000)
      return "\(milliseconds / 1_000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction) \(text)"
    }
  }

  /// The mix and the seed, which replay the run, and the violations.
  package var description: String {
    "\(mix), seed \(seed): \(violations.isEmpty ? "no violation" : violations.map(\.description).joined(separator: ", "))"
  }
}
