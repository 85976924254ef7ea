import ParallaxText

/// One life of a node: its id and the incarnation that it drew when its process started.
///
/// What a node owns, it owns as a session. A node that restarts under its old id is a new session, so that the work of its
/// former life is recovered like a dead node's and a paused former process cannot pass for the new one.
///
/// The text form is `nodeID:incarnation`; the incarnation has no colon, so the last colon divides.
public struct NodeSession: Sendable, Hashable, Codable, CustomStringConvertible {
  /// The node's id, unique in the cluster and stable over restarts.
  public var nodeID: String

  /// Random per process start; told apart, never ordered.
  public var incarnation: String

  /// Makes a session from its parts.
  public init(nodeID: String, incarnation: String) {
    self.nodeID = nodeID
    self.incarnation = incarnation
  }

  /// Makes the session of a process that starts now, with 64 random bits as its incarnation.
  public static func starting(nodeID: String) -> NodeSession {
    var generator = SystemRandomNumberGenerator()
    return starting(nodeID: nodeID, using: &generator)
  }

  /// Makes the session of a process that starts now, with 64 bits from `generator` as its incarnation.
  public static func starting(nodeID: String, using generator: inout some RandomNumberGenerator) -> NodeSession {
    NodeSession(nodeID: nodeID, incarnation: Hexadecimal.text(of: generator.next() as UInt64))
  }

  /// Reads the text form; nil when there is no colon or a part is empty.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let nodeID = text[..<colon]
    let incarnation = text[text.index(after: colon)...]
    guard !nodeID.isEmpty, !incarnation.isEmpty else { return nil }
    self.init(nodeID: String(nodeID), incarnation: String(incarnation))
  }

  /// The text form, `nodeID:incarnation`.
  public var description: String { "\(nodeID):\(incarnation)" }
}
