/// The result of a simulation of executions.
package struct ExecutionReport: Sendable, CustomStringConvertible {
  package struct Violation: Sendable, CustomStringConvertible {
    package enum Kind: String, Sendable, CaseIterable {
      /// An acknowledged execution has not ended in time.
      case notEnded
      /// An execution that had ended, or a result that was kept, became another.
      case changedAfterEnd, resultReplaced
      /// An execution lost an epoch, a revision, or is not there any more.
      case wentBack
      /// It timed out, or was begun, at another time than its deadline says.
      case endedEarly, startedLate
      case tooManyAttempts, tooManyLosses
      /// It failed though what it takes is kept, or its result is not what is kept.
      case resultsIgnored, otherResult
      /// A caller was not told of the end, twice, or of another end; or a key led to a second execution.
      case callerForgotten, answeredTwice, callerMisled, keyForked
      /// An agent was told that an outcome is kept which is not; or nobody kept what it gave.
      case acknowledgedUnkept, outcomeDropped
      case noPlace
      /// An execution waits while agents that may have it are idle.
      case idleAgents
      /// More is under way than there can be.
      case unbounded
      /// Something is left when all is done: in an index, at a node, at an agent.
      case leftOver
      /// An agent was told of an error that it did not make.
      case agentAccused
      /// What a scenario is about did not come about.
      case unexpected
      /// What was asked for when all was well was not done.
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
  /// How often a node died.
  package var deaths = 0
  /// How many executions ended.
  package var ended = 0
  package var events = 0
  package var storeCalls = 0
  /// The faults that struck, if asked for.
  package var faults: [ExecutionFault] = []
  /// What happened, if asked for.
  package var trace: [String] = []

  /// The mix and the seed, which replay the run, and the violations.
  package var description: String {
    "\(mix), seed \(seed): \(violations.isEmpty ? "no violation" : violations.map(\.description).joined(separator: "\n  "))"
  }
}
