/// Finds out whether the store has forgotten this node's session, from what came of entering it again and again; a value.
///
/// The store says of an entry that it is new. That answer can be lost, and is given once; the session's generation tells it later.
package struct SessionOpenings: Sendable {
  /// How many entries were answered since the session was new.
  private var answered: Int64 = 0
  private var isInDoubt = false

  /// Makes one for a session that was not entered yet.
  package init() {}

  /// Whether the generation of the session is to be read when the next entry is answered.
  package var needsGeneration: Bool { isInDoubt && answered > 0 }

  /// An entry may have been made or not.
  package mutating func failed() { isInDoubt = true }

  /// An entry was made.
  ///
  /// - Parameters:
  ///   - isNew: Whether the session was not there before.
  ///   - generation: How often the session was entered, by the store; nil if that was not read.
  /// - Returns: Whether the store had forgotten the session, which had been there.
  package mutating func answered(isNew: Bool, generation: Int64?) -> Bool {
    let isForgotten = answered > 0 && (isNew || generation.map { $0 <= answered } ?? false)
    if generation != nil || isNew || answered == 0 { isInDoubt = false }
    answered = isForgotten ? 1 : answered + 1
    return isForgotten
  }
}
