package import ParallaxHA

/// A way in which simulated nodes, their store or their resource go wrong, so that the simulator has something to find.
///
/// The product knows no defect: a defect acts from outside. It changes what a machine hears, remembers or does, as if one of its rules were
/// another. Every node gets a copy at each start. What a defect leaves out is as in the product.
package protocol ElectionDefect: Sendable {
  /// Hands an event to a node's machine.
  ///
  /// - Parameters:
  ///   - event: What happens.
  ///   - now: What the node's clocks read.
  ///   - machine: The machine of the node.
  /// - Returns: What the node does.
  mutating func handle(
    _ event: ElectionStateMachine.Event, at now: ElectionStateMachine.Moment, by machine: inout ElectionStateMachine
  ) -> [ElectionStateMachine.Action]

  /// Makes of the record what an operator asks for.
  ///
  /// - Parameters:
  ///   - command: What the operator asks for.
  ///   - record: What the store holds; nil if nothing.
  ///   - id: Tells the request from all others.
  ///   - clusterID: The cluster of the node that writes the request.
  ///   - timings: How long holds last.
  /// - Returns: What to write; nil for nothing.
  /// - Throws: Why the command is refused.
  func apply(
    _ command: ElectionCommand, to record: ElectionRecord?, id: String, clusterID: String, timings: ElectionTimings
  ) throws(ElectionError) -> ElectionRecord?

  /// Whether the store writes what a call brings, whatever version the call expects.
  ///
  /// - Parameter call: The call.
  /// - Returns: `false` in the product.
  func isUnconditional(_ call: ElectionStateMachine.Call) -> Bool

  /// Whether a resource accepts a write.
  ///
  /// - Parameters:
  ///   - token: The token of the write.
  ///   - accepted: The last token that the resource accepted.
  /// - Returns: Whether it does.
  func admits(_ token: FencingToken, after accepted: FencingToken) -> Bool
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
}

/// The product as it is.
struct NoDefect: ElectionDefect {}
