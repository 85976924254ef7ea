import ParallaxText

/// One life of a node's process: the node's id, and an incarnation that the process draws at its start.
///
/// A node owns its work as a session. A node that restarts with its old id has a new session, so the work of its former session is
/// recovered like that of a dead node, and a paused former process cannot act as the new one.
///
/// The text form is `nodeID:incarnation`; the incarnation has no colon, so the last colon separates the two.
public struct NodeSession: Sendable, Hashable, Codable, CustomStringConvertible {
  /// The node's id, unique in the cluster and stable over restarts.
  public var nodeID: String

  /// Random per process start; compared for equality only, never ordered.
  public var incarnation: String

  /// Creates a session from its parts.
  public init(nodeID: String, incarnation: String) {
    self.nodeID = nodeID
    self.incarnation = incarnation
  }

  /// Creates the session of a process that starts now, with 64 random bits as its incarnation.
  public static func starting(nodeID: String) -> NodeSession {
    var generator = SystemRandomNumberGenerator()
    return starting(nodeID: nodeID, using: &generator)
  }

  /// Creates the session of a process that starts now, with 64 bits from `generator` as its incarnation.
  public static func starting(nodeID: String, using generator: inout some RandomNumberGenerator) -> NodeSession {
    NodeSession(nodeID: nodeID, incarnation: Hexadecimal.text(of: generator.next() as UInt64))
  }

  /// Reads the text form; nil without a colon or with an empty part.
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
