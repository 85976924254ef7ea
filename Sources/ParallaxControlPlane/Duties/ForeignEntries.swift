package import ParallaxHA
package import ParallaxState

/// Decides which entries in a session's list of owned executions are stale and can be removed; a value.
///
/// The store lists an execution for its new owner before it changes the owner. An entry is therefore stale only if two rounds in a row saw
/// the same other owner at the same epoch.
package struct ForeignEntries: Sendable {
  private struct Entry: Hashable {
    var execution: String
    var listedFor: NodeSession
  }

  private struct Ownership: Hashable {
    var owner: NodeSession
    var epoch: Int64
  }

  private var former: [Entry: Ownership] = [:]
  private var current: [Entry: Ownership] = [:]

  /// Makes an empty one.
  package init() {}

  /// Begins a round.
  package mutating func beginRound() {
    former = current
    current = [:]
  }

  /// Records that an execution in the list of `session` belongs to another session.
  ///
  /// - Returns: Whether the entry is stale and can be removed.
  package mutating func found(_ execution: Execution, listedFor session: NodeSession) -> Bool {
    let entry = Entry(execution: execution.id, listedFor: session)
    let ownership = Ownership(owner: execution.owner, epoch: execution.epoch)
    if former[entry] == ownership { return true }
    current[entry] = ownership
    return false
  }
}
