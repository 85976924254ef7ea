/// Proof of one term of leadership, to be sent along with a leader's writes.
///
/// A leader can be paused between checking that it leads and acting. A resource that remembers the last accepted token, and refuses what
/// ``admits(_:)`` does not admit, is safe from such a leader whatever the clocks do.
public struct FencingToken: Sendable, Hashable, Codable, CustomStringConvertible {
  /// The term; a later leader's is greater.
  public var term: Int64
  /// The incarnation that was granted the term: two may have been granted the same one by a store that lost a write.
  public var incarnation: String

  /// Makes a fencing token.
  ///
  /// - Parameters:
  ///   - term: The term.
  ///   - incarnation: The incarnation that was granted it.
  public init(term: Int64, incarnation: String) {
    self.term = term
    self.incarnation = incarnation
  }

  /// Whether a resource that has accepted this token may accept a write that carries another.
  ///
  /// - Parameter token: The fencing token of the write.
  /// - Returns: `true` for the same token and for later terms; `false` for earlier terms and for the same term of another incarnation.
  public func admits(_ token: FencingToken) -> Bool {
    token.term > term || token == self
  }

  /// The term and the incarnation, divided by a colon.
  public var description: String { "\(term):\(incarnation)" }
}
