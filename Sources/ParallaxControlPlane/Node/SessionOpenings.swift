/// Detects that the store lost this node's session, from the replies to its repeated entries; a value.
///
/// The store reports a new entry once. If that reply is lost, the generation of the session reveals the loss.
package struct SessionOpenings: Sendable {
  /// The number of answered entries since the session was new.
  private var answered: Int64 = 0
  private var isInDoubt = false

  /// Creates the detection for a session without entries.
  package init() {}

  /// True if the next entry needs the generation of the session.
  package var needsGeneration: Bool { isInDoubt && answered > 0 }

  /// Records an entry of unknown outcome.
  package mutating func failed() { isInDoubt = true }

  /// Records an entry.
  ///
  /// - Parameters:
  ///   - isNew: True if the session was absent.
  ///   - generation: The number of entries in the store; nil if it was not read.
  /// - Returns: True if the store lost the session.
  package mutating func answered(isNew: Bool, generation: Int64?) -> Bool {
    let isForgotten = answered > 0 && (isNew || generation.map { $0 <= answered } ?? false)
    if generation != nil || isNew || answered == 0 { isInDoubt = false }
    answered = isForgotten ? 1 : answered + 1
    return isForgotten
  }
}
