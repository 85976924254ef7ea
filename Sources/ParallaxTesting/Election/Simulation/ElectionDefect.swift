package import ParallaxHA

/// A defect of simulated nodes, their store or their resource, which the simulator must detect.
///
/// The product has no code for defects: a defect acts from outside and changes the inputs, the state or the outputs of a machine, as if one
/// of its rules were different. Every node gets a copy at each start. The defaults are the behavior of the product.
package protocol ElectionDefect: Sendable {
  /// Passes an event to a node's machine.
  ///
  /// - Parameters:
  ///   - event: The event.
  ///   - now: The readings of the node's clocks.
  ///   - machine: The machine of the node.
  /// - Returns: The node's actions.
  mutating func handle(
    _ event: ElectionStateMachine.Event, at now: ElectionStateMachine.Moment, by machine: inout ElectionStateMachine
  ) -> [ElectionStateMachine.Action]

  /// Applies an operator's command to the record.
  ///
  /// - Parameters:
  ///   - command: The command.
  ///   - record: The stored record; nil if there is none.
  ///   - id: The id of the request.
  ///   - clusterID: The cluster of the node that writes the request.
  ///   - timings: The durations of holds.
  /// - Returns: The record to write; nil for none.
  /// - Throws: The reason to refuse the command.
  func apply(
    _ command: ElectionCommand, to record: ElectionRecord?, id: String, clusterID: String, timings: ElectionTimings
  ) throws(ElectionError) -> ElectionRecord?

  /// Whether the store executes a write without comparing versions.
  ///
  /// - Parameter call: The call.
  /// - Returns: `false` in the product.
  func isUnconditional(_ call: ElectionStateMachine.Call) -> Bool

  /// Whether a resource accepts a write.
  ///
  /// - Parameters:
  ///   - token: The token of the write.
  ///   - accepted: The last token that the resource accepted.
  /// - Returns: Whether the resource accepts the write.
  func admits(_ token: FencingToken, after accepted: FencingToken) -> Bool

  // MARK: Witnesses

  /// Whether a witness takes a process for dead that is only silent; `false` in the product.
  var takesSilenceForDeath: Bool { get }

  /// Whether a witness writes its release without comparing versions; `false` in the product.
  var isNoticeBlind: Bool { get }

  /// Whether a witness looks again after it has seen that the record does not name the dead; `true` in the product.
  var looksAgain: Bool { get }

  /// What a witness sees of the stored record; the record itself in the product.
  ///
  /// - Parameters:
  ///   - snapshot: The stored record; nil if there is none.
  ///   - session: The process of the witness.
  /// - Returns: What the witness reads.
  func shown(_ snapshot: ElectionSnapshot?, toWitnessOf session: NodeSession) -> ElectionSnapshot?

  /// What a witness writes; the released record itself in the product.
  ///
  /// - Parameter record: The released record.
  /// - Returns: The record to write.
  func noticed(_ record: ElectionRecord) -> ElectionRecord
}

extension ElectionDefect {
  package mutating func handle(
    _ event: ElectionStateMachine.Event, at now: ElectionStateMachine.Moment, by machine: inout ElectionStateMachine
  ) -> [ElectionStateMachine.Action] {
    machine.handle(event, at: now)
  }

  package func apply(
    _ command: ElectionCommand, to record: ElectionRecord?, id: String, clusterID: String, timings: ElectionTimings
  ) throws(ElectionError) -> ElectionRecord? {
    try command.apply(to: record, id: id, clusterID: clusterID, timings: timings)
  }

  package func isUnconditional(_ call: ElectionStateMachine.Call) -> Bool { false }

  package func admits(_ token: FencingToken, after accepted: FencingToken) -> Bool { accepted.admits(token) }

  package var takesSilenceForDeath: Bool { false }

  package var isNoticeBlind: Bool { false }

  package var looksAgain: Bool { true }

  package func shown(_ snapshot: ElectionSnapshot?, toWitnessOf session: NodeSession) -> ElectionSnapshot? { snapshot }

  package func noticed(_ record: ElectionRecord) -> ElectionRecord { record }
}

/// The unchanged product.
struct NoDefect: ElectionDefect {}
