import ParallaxState

/// The changes of agents' registrations on their way to the store.
///
/// A store changes a registration by a read and a write, so two changes at once could undo each other. One change of an agent is under way
/// at a time, and one waits, into which all further changes are merged.
struct AgentChanges: Sendable {
  private var underway: Set<String> = []
  private var waiting: [String: AgentChange] = [:]

  /// Adds a change of an agent.
  ///
  /// - Returns: The call to make now; none while an earlier change is under way.
  mutating func add(_ change: AgentChange, of id: String) -> [DispatchAction] {
    guard underway.insert(id).inserted else {
      waiting[id] = waiting[id]?.followed(by: change) ?? change
      return []
    }
    return [.store(.changeAgent(id, change))]
  }

  /// Records the end of an agent's change, and returns the call for the next one.
  mutating func ended(_ id: String) -> [DispatchAction] {
    guard let next = waiting.removeValue(forKey: id) else {
      underway.remove(id)
      return []
    }
    return [.store(.changeAgent(id, next))]
  }
}
