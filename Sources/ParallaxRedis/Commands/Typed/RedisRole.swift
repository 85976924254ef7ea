/// What a server is to others.
public enum RedisRole: Sendable, Hashable {
  /// It takes writes.
  ///
  /// - Parameters:
  ///   - offset: How many bytes it has written for its replicas.
  ///   - replicas: Its replicas that are connected.
  case master(offset: Int, replicas: [Replica])

  /// It follows another server.
  ///
  /// - Parameters:
  ///   - masterHost: Where its master is.
  ///   - masterPort: The port of its master.
  ///   - link: How it stands with its master.
  ///   - offset: How many bytes it has got from it; -1 if none yet.
  case replica(masterHost: String, masterPort: Int, link: Link, offset: Int)

  /// It watches over masters.
  ///
  /// - Parameter masters: Their names.
  case sentinel(masters: [String])

  /// A replica, as its master sees it.
  public struct Replica: Sendable, Hashable {
    /// Where it is.
    public let host: String
    /// Its port.
    public let port: Int
    /// How many bytes it has acknowledged.
    public let offset: Int
  }

  /// How a replica stands with its master.
  public struct Link: Sendable, Hashable {
    /// What Redis calls it.
    public let name: String

    /// It is to connect.
    public static let connect = Link(name: "connect")
    /// It is connecting.
    public static let connecting = Link(name: "connecting")
    /// It is getting a copy of all data.
    public static let sync = Link(name: "sync")
    /// It gets each write.
    public static let connected = Link(name: "connected")
  }
}

extension RedisRole: RedisReplyDecodable {
  /// The reply of ROLE.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    let parts = try reply.elements("a role", atLeast: 2)
    switch try parts.decoded(0, as: String.self) {
    case "master": self = .master(offset: try parts.decoded(1), replicas: parts.count > 2 ? try parts.decoded(2) : [])
    case "slave" where parts.count >= 5:
      self = .replica(
        masterHost: try parts.decoded(1), masterPort: try parts.decoded(2), link: Link(name: try parts.decoded(3)),
        offset: try parts.decoded(4))
    case "sentinel": self = .sentinel(masters: try parts.decoded(1))
    default: throw RedisReplyMismatch(expected: "the role of a master, a replica or a sentinel", found: reply)
    }
  }
}

extension RedisRole.Replica: RedisReplyDecodable {
  /// A replica within the reply of ROLE.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    let parts = try reply.elements("host, port and offset", atLeast: 3)
    host = try parts.decoded(0)
    port = try parts.decoded(1)
    offset = try parts.decoded(2)
  }
}
