/// The result of a simulation of executions.
package struct ExecutionReport: Sendable, CustomStringConvertible {
  package struct Violation: Sendable, CustomStringConvertible {
    package enum Kind: String, Sendable, CaseIterable {
      /// An acknowledged execution has not ended in time.
      case notEnded
      /// An ended execution changed, or a stored result was replaced.
      case changedAfterEnd, resultReplaced
      /// The epoch or the revision of an execution decreased, or the execution disappeared.
      case wentBack
      /// An execution timed out before its deadline, or a task began after it.
      case endedEarly, startedLate
      case tooManyAttempts, tooManyLosses
      /// An execution failed although the store has the results that it needs, or its result differs from those.
      case resultsIgnored, otherResult
      /// A caller got no answer, two answers or a wrong outcome; or an idempotency key led to a second execution.
      case callerForgotten, answeredTwice, callerMisled, keyForked
      /// The store lacks an outcome whose acknowledgement the agent has, or an outcome that a node received.
      case acknowledgedUnkept, outcomeDropped
      case noPlace
      /// An execution waits although agents that can take it are idle.
      case idleAgents
      /// More calls of the store are in progress than the bound allows.
      case unbounded
      /// An index, a node or an agent is not empty after the end of all executions.
      case leftOver
      /// An agent got an error message that it did not cause.
      case agentAccused
      /// The expected outcome of a scenario is missing.
      case unexpected
      /// An execution submitted after the faults did not complete.
      case notDone
    }

    package var kind: Kind
    package var time: Int64
    package var text: String

    package var description: String { "\(kind) at \(time.text) s: \(text)" }
  }

  package var mix: String
  package var seed: UInt64
  package var violations: [Violation] = []
  /// The number of deaths of nodes.
  package var deaths = 0
  /// The number of ended executions.
  package var ended = 0
  package var events = 0
  package var storeCalls = 0
  /// The faults that struck, if recorded.
  package var faults: [ExecutionFault] = []
  /// The trace of the run, if traced.
  package var trace: [String] = []

  /// The mix and the seed, which replay the run, and the violations.
  package var description: String {
    "\(mix), seed \(seed): \(violations.isEmpty ? "no violation" : violations.map(\.description).joined(separator: "\n  "))"
  }
}
