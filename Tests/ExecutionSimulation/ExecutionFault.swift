import ParallaxTesting

/// A fault of a simulation of executions: its kind, whom it strikes, and its number there.
///
/// Whether and how a fault strikes follows from the seed and from these three alone, so that leaving one out does not change the others.
package struct ExecutionFault: Hashable, Sendable, CustomStringConvertible {
  package enum Kind: UInt64, Sendable, CaseIterable {
    // What a node or an agent is like.
    case clockRate = 1, wallClock, stubborn, silentAboutTasks, forgetful
    // Calls of the store, numbered through the lives of a node.
    case lostRequest, lostReply, lateRequest, lateReply
    // Messages in inboxes and events, numbered by their senders.
    case lostMessage, lateMessage, doubledMessage, lostEvent, lateEvent, doubledEvent
    // What an agent does with a task, numbered by the tasks that it began.
    case hang, lateAnswer, doubledAnswer, error
    // An input that takes down the processes of its agents, numbered by execution.
    case poison
    // Planned ahead, and numbered as they come.
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

  /// Reads the text form.
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
  /// What is drawn that is no fault.
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

  /// The draws for what happens in any case, the same whatever else is drawn.
  func draws(_ purpose: Purpose, node: Int = 0, number: UInt64 = 0) -> SimulationRandom {
    SimulationRandom(seed: seed, for: purpose.rawValue, node: node, number: number)
  }

  /// The draws of when faults of a kind are to strike.
  func times(of kind: ExecutionFault.Kind) -> SimulationRandom {
    SimulationRandom(seed: seed, for: kind.rawValue &+ (1 << 8), node: 0, number: 0)
  }

  /// Decides whether a fault strikes.
  ///
  /// - Returns: What its details are drawn from; nil if it does not strike.
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
