package import ParallaxHA
import ParallaxText

/// The names of all keys and channels in Redis.
///
/// The names are a contract: operators type them, and two versions of the program share them during a rolling upgrade. A companion key
/// encloses the whole name of its main key in braces, `{parallax:execution:exec_1}:tasks`, and so shares its Cluster slot.
public struct KeySpace: Sendable, Hashable {
  /// The default prefix, `parallax:`.
  public static let defaultPrefix = "parallax:"

  /// The prefix of every key and channel.
  public let prefix: String

  /// Makes the names for a prefix.
  ///
  /// - Parameter prefix: The prefix of every key and channel; ``defaultPrefix`` by default.
  /// - Throws: ``InvalidKeyPrefix`` if the prefix has a brace.
  public init(prefix: String = defaultPrefix) throws(InvalidKeyPrefix) {
    guard !prefix.utf8.contains(where: { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "}") }) else {
      throw InvalidKeyPrefix(prefix: prefix)
    }
    self.prefix = prefix
  }

  // MARK: Cluster

  package var leader: String { prefix + "ha:leader" }
  package var members: String { prefix + "ha:members" }
  package var executionEvents: String { prefix + "events:execution" }
  package var agentEvents: String { prefix + "events:agent" }
  package var clusterEvents: String { prefix + "events:cluster" }

  // MARK: Node sessions

  /// The hash of all open node sessions, each with its generation, the number of its openings.
  package var nodes: String { prefix + "nodes" }

  package func executions(ownedBy session: NodeSession) -> String { node(session) + ":executions" }
  package func agents(at session: NodeSession) -> String { node(session) + ":agents" }
  package func inbox(of session: NodeSession) -> String { node(session) + ":inbox" }

  private func node(_ session: NodeSession) -> String { prefix + "node:" + Self.escaped(session.description) }

  // MARK: Executions

  package func execution(_ id: String) -> String { prefix + "execution:" + Self.escaped(id) }
  package func tasks(ofExecution id: String) -> String { "{" + execution(id) + "}:tasks" }
  package func idempotency(_ key: String) -> String { prefix + "idempotency:" + Self.escaped(key) }

  /// The sorted set of the minutes in which executions were created.
  package var executionBuckets: String { prefix + "executions" }

  /// The number of executions that were created before a minute.
  package var executionTotal: String { prefix + "executions:total" }

  /// The sorted set of the executions that were created in one minute.
  package func executions(in bucket: ExecutionBucket) -> String { executionBuckets + ":" + bucket.name }

  // MARK: Agents and patterns

  package func agent(_ id: String) -> String { prefix + "agent:" + Self.escaped(id) }
  package var patterns: String { prefix + "patterns" }
  package func pattern(_ name: String) -> String { prefix + "pattern:" + Self.escaped(name) }

  /// A brace in a caller's name would choose the Cluster slot, so braces are percent-encoded.
  private static func escaped(_ name: String) -> String {
    PercentEncoding.encode(name) { $0 != UInt8(ascii: "{") && $0 != UInt8(ascii: "}") && $0 != UInt8(ascii: "%") }
  }
}

/// A key prefix with a brace, which would change the Cluster slots of keys.
public struct InvalidKeyPrefix: Error, Sendable, Hashable, CustomStringConvertible {
  /// The refused prefix.
  public var prefix: String

  /// The fault of the prefix, and its remedy.
  public var description: String {
    "the key prefix \"\(prefix)\" has a brace: braces choose the Cluster slot of a key, so leave them out"
  }
}
