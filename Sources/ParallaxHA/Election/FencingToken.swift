/// The proof of one term of leadership, sent with a leader's writes.
///
/// A leader can be paused between checking that it leads and acting. A resource that remembers the last accepted token, and refuses tokens
/// that ``admits(_:)`` does not admit, is safe from such a leader whatever the clocks do.
public struct FencingToken: Sendable, Hashable, Codable, CustomStringConvertible {
  /// The term; that of a later leader is greater.
  public var term: Int64
  /// The incarnation of the leader: a store that lost a write may have granted one term to two incarnations.
  public var incarnation: String

  /// Creates a fencing token.
  ///
  /// - Parameters:
  ///   - term: The term.
  ///   - incarnation: The incarnation of the leader.
  public init(term: Int64, incarnation: String) {
    self.term = term
    self.incarnation = incarnation
  }

  /// Whether a resource that has accepted this token may accept a write with another one.
  ///
  /// - Parameter token: The fencing token of the write.
  /// - Returns: `true` for the same token and for later terms; `false` for earlier terms and for the same term of another incarnation.
  public func admits(_ token: FencingToken) -> Bool {
    token.term > term || token == self
  }

  /// The term and the incarnation, separated by a colon.
  public var description: String { "\(term):\(incarnation)" }
}
