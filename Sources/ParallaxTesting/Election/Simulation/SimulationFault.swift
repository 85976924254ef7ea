/// A fault of a simulation: its kind, the node that it strikes, and its number there.
///
/// The seed and these three values alone determine whether and how a fault strikes, so omitting one fault does not change the others.
package struct SimulationFault: Hashable, Sendable, CustomStringConvertible {
  package enum Kind: UInt64, Sendable, CaseIterable {
    // The nodes and their properties.
    case node = 1
    case clockRate, wallClock, otherLease, unevenTravel
    // Messages, numbered by the calls of a node; hints by the writes of the store.
    case lostRequest, lateRequest, lostReply, lateReply, lostHint, lateHint, repeatedHint
    // Numbered by the terms of a node.
    case stuckDuties
    // Planned in advance, and numbered in order.
    case pause, crash, cut, resignation, unfitness, dataLoss, failover, operation
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
struct SimulationChance {
  let seed: UInt64
  /// The faults that may strike; nil for all.
  let only: Set<SimulationFault>?
  /// Whether to record the faults that strike.
  let isRecorded: Bool
  private(set) var struck: [SimulationFault] = []

  init(seed: UInt64, only: Set<SimulationFault>?, isRecorded: Bool) {
    self.seed = seed
    self.only = only
    self.isRecorded = isRecorded
  }

  /// The draws for one purpose, independent of all other draws.
  func draws(for kind: SimulationFault.Kind, node: Int = 0, number: UInt64 = 0, part: UInt64 = 0) -> SimulationRandom {
    SimulationRandom(seed: seed, for: kind.rawValue &+ part << 8, node: node, number: number)
  }

  /// Decides whether a fault strikes.
  ///
  /// - Returns: The draws for its details; nil if it does not strike.
  mutating func strikes(_ kind: SimulationFault.Kind, node: Int = 0, number: UInt64 = 0, probability: Double = 1) -> SimulationRandom? {
    guard probability > 0 else { return nil }
    var random = draws(for: kind, node: node, number: number)
    guard random.happens(probability) else { return nil }
    let fault = SimulationFault(kind, node: node, number: number)
    if let only, !only.contains(fault) { return nil }
    if isRecorded { struck.append(fault) }
    return random
  }
}
