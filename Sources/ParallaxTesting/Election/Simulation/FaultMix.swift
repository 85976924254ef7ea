package import ParallaxHA

/// The faults of a simulated cluster, and their rates.
///
/// Probabilities are per message; rates are per lease and for the whole cluster; durations are in leases.
package struct FaultMix: Sendable {
  package enum Operation: Sendable, CaseIterable {
    case stepDown, stepDownTo, elect, force, pause
  }

  package var name: String
  package var nodes = 3
  /// Whether a seed draws the number of nodes, up to ``nodes``.
  package var varyNodes = false
  package var timings = ElectionTimings.standard
  /// How long faults strike, in leases.
  package var leases = 8.0

  // The network between nodes and store; an undisturbed round trip takes 20 ms.
  package var losesRequest = 0.0
  package var losesReply = 0.0
  package var delaysRequest = 0.0
  package var delaysReply = 0.0
  package var longestDelay = 1.33
  package var losesHint = 0.0
  package var delaysHint = 0.0
  package var repeatsHint = 0.0
  package var cuts = 0.0

  // Processes and clocks.
  package var pauses = 0.0
  package var longestPause = 1.67
  package var crashes = 0.0
  /// Whether only standbys crash, and none in the first two leases.
  package var sparesLeader = false
  /// Whether only leaders crash.
  package var sparesStandbys = false
  /// The probability that a crashed process has a witness, which releases its record.
  package var witnesses = 0.0
  package var resignations = 0.0
  package var unfitness = 0.0
  /// The maximum deviation of clock rates; most nodes are at one of the bounds.
  package var clockRateError = 0.0
  package var wallClocksDiffer = false
  package var stuckDuties = 0.0

  // The store.
  package var dataLosses = 0.0
  package var shortestTimeBetweenLosses = 0.0
  /// Restores an older record at times, like a failover to an asynchronous replica.
  package var failovers = 0.0

  // Operators.
  package var operations = 0.0
  package var operationKinds = Operation.allCases
  /// Whether operators continue after all other faults have ended.
  package var operatesForEver = false

  // Nodes.
  package var hasTwins = false
  package var hasForeigner = false
  package var mixesLeases = false
  package var reclaims = false

  // Promises in addition to those that always hold.
  package var expectsNoTransition = false
  package var checksDuties = false
  /// Whether the store is linearizable; if not, only the promise of fencing is checked.
  package var isLinearizable: Bool { failovers == 0 }

  package init(_ name: String, _ change: (inout FaultMix) -> Void = { _ in }) {
    self.name = name
    change(&self)
  }

  /// The same mix with lossy, slow and repeating messages.
  package func withNetworkFaults(_ factor: Double = 1) -> FaultMix {
    var mix = self
    mix.losesRequest = 0.03 * factor
    mix.losesReply = 0.03 * factor
    mix.delaysRequest = 0.03 * factor
    mix.delaysReply = 0.03 * factor
    mix.losesHint = 0.2
    mix.delaysHint = 0.1
    mix.repeatsHint = 0.1
    return mix
  }

  /// The same mix with pauses, crashes and cut-off nodes.
  package func withProcessFaults() -> FaultMix {
    var mix = self
    mix.pauses = 0.45
    mix.crashes = 0.23
    mix.cuts = 0.45
    return mix
  }
}
