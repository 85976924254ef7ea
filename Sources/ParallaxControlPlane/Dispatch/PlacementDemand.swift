/// The agents that a waiting execution demands.
enum PlacementDemand: Sendable {
  /// At least `min` and at most `max` agents, one for each slot.
  case start(min: Int, max: Int)
  /// Another agent for a slot, preferably one that has not tried it.
  ///
  /// `isSuspect` if the task may take down its agent, which must then have no other such task.
  case slot(tried: Set<String>, isSuspect: Bool)

  var isSuspect: Bool {
    if case .slot(_, isSuspect: true) = self { true } else { false }
  }
}

/// Chooses an element by a hash of the id, over many ids in proportion to the weights; nil if no weight is positive.
func weightedChoice<Element>(from elements: [(element: Element, weight: Int)], for id: String) -> Element? {
  let total = elements.reduce(0) { $0 + $1.weight }
  guard total > 0 else { return nil }
  // FNV-1a: the end of an id is its random part.
  let hash = id.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  var place = Int((hash ^ (hash >> 33)) % UInt64(total))
  for (element, weight) in elements {
    if place < weight { return element }
    place -= weight
  }
  return nil
}
