import ParallaxTesting

/// A fault of a simulation of executions: its kind, its target, and its number at that target.
///
/// The seed and these three values alone determine whether and how a fault strikes, so that omitting one fault does not change the others.
package struct ExecutionFault: Hashable, Sendable, CustomStringConvertible {
  package enum Kind: UInt64, Sendable, CaseIterable {
    // Traits of a node or an agent.
    case clockRate = 1, wallClock, stubborn, silentAboutTasks, forgetful
    // Calls of the store, numbered across the lives of a node.
    case lostRequest, lostReply, lateRequest, lateReply
    // Messages in inboxes and events, numbered by sender.
    case lostMessage, lateMessage, doubledMessage, lostEvent, lateEvent, doubledEvent
    // Faults of an agent's work, numbered by the tasks that the agent has begun.
    case hang, lateAnswer, doubledAnswer, error
    // An input that crashes the processes of its agents, numbered by execution.
    case poison
    // Faults planned in advance, numbered in order.
    case crash, stop, pause, cut, deafness, clockJump, agentBreak, agentDeath, failover, flush, refusal
  }

  package var kind: Kind
  package var node: Int
  package var number: UInt64

  package init(_ kind: Kind, node: Int = 0, number: UInt64 = 0) {
    self.kind = kind
    self.node = node
    self.number = number
  }

  /// The text form, such as `lostReply:1:17`.
  package var description: String { "\(kind):\(node):\(number)" }

  /// Parses the text form; nil if it is invalid.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ":")
    guard parts.count == 3, let kind = Kind.allCases.first(where: { "\($0)" == parts[0] }), let node = Int(parts[1]),
      let number = UInt64(parts[2])
    else { return nil }
    self.init(kind, node: node, number: number)
  }
}

/// The source of all draws of a simulation.
struct FaultChance {
  /// The purpose of a draw that is not for a fault.
  enum Purpose: UInt64 {
    case travel = 1_000, submission, work, agent, start, caller, cancellation, backoff
  }

  let seed: UInt64
  /// The faults that may strike; nil for all.
  let only: Set<ExecutionFault>?
  /// Whether the faults that strike are recorded.
  let isRecorded: Bool
  private(set) var struck: [ExecutionFault] = []

  init(seed: UInt64, only: Set<ExecutionFault>?, isRecorded: Bool) {
    self.seed = seed
    self.only = only
    self.isRecorded = isRecorded
  }

  /// The draws for a purpose, independent of all other draws.
  func draws(_ purpose: Purpose, node: Int = 0, number: UInt64 = 0) -> SimulationRandom {
    SimulationRandom(seed: seed, for: purpose.rawValue, node: node, number: number)
  }

  /// The draws for the times at which faults of a kind are due.
  func times(of kind: ExecutionFault.Kind) -> SimulationRandom {
    SimulationRandom(seed: seed, for: kind.rawValue &+ (1 << 8), node: 0, number: 0)
  }

  /// Decides whether a fault strikes.
  ///
  /// - Returns: The source of the fault's details; nil if it does not strike.
  mutating func strikes(
    _ kind: ExecutionFault.Kind, node: Int = 0, number: UInt64 = 0, probability: Double = 1
  ) -> SimulationRandom? {
    guard probability > 0 else { return nil }
    var random = SimulationRandom(seed: seed, for: kind.rawValue, node: node, number: number)
    guard random.happens(probability) else { return nil }
    let fault = ExecutionFault(kind, node: node, number: number)
    if let only, !only.contains(fault) { return nil }
    if isRecorded { struck.append(fault) }
    return random
  }
}
