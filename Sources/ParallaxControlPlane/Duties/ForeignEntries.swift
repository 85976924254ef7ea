import ParallaxHA
import ParallaxState

/// Decides which entries among what a session owns are another's for good and can be taken off; a value.
///
/// A session that takes an execution over is listed as its owner before it is. So an entry counts as foreign only once the store has shown
/// the same other owner, at the same epoch, in two rounds in a row.
struct ForeignEntries: Sendable {
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

  /// Begins a round.
  mutating func beginRound() {
    former = current
    current = [:]
  }

  /// Takes in that an execution, which is listed for `session`, is another session's.
  ///
  /// - Returns: Whether the entry can be taken off.
  mutating func found(_ execution: Execution, listedFor session: NodeSession) -> Bool {
    let entry = Entry(execution: execution.id, listedFor: session)
    let ownership = Ownership(owner: execution.owner, epoch: execution.epoch)
    if former[entry] == ownership { return true }
    current[entry] = ownership
    return false
  }
}
