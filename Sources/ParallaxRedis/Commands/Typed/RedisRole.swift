/// The replication role of a server.
public enum RedisRole: Sendable, Hashable {
  /// The server accepts writes.
  ///
  /// - Parameters:
  ///   - offset: The number of bytes written for replicas.
  ///   - replicas: The connected replicas.
  case master(offset: Int, replicas: [Replica])

  /// The server follows another server.
  ///
  /// - Parameters:
  ///   - masterHost: The host of its master.
  ///   - masterPort: The port of its master.
  ///   - link: The state of its connection to the master.
  ///   - offset: The number of bytes received from the master; -1 for none.
  case replica(masterHost: String, masterPort: Int, link: Link, offset: Int)

  /// The server is a sentinel.
  ///
  /// - Parameter masters: The names of its masters.
  case sentinel(masters: [String])

  /// A replica, as seen by its master.
  public struct Replica: Sendable, Hashable {
    /// The host.
    public let host: String
    /// The port.
    public let port: Int
    /// The number of bytes that the replica has acknowledged.
    public let offset: Int
  }

  /// The state of a replica's connection to its master.
  public struct Link: Sendable, Hashable {
    /// The name in Redis.
    public let name: String

    /// The replica is about to connect.
    public static let connect = Link(name: "connect")
    /// The replica is connecting.
    public static let connecting = Link(name: "connecting")
    /// The replica receives a copy of all data.
    public static let sync = Link(name: "sync")
    /// The replica receives each write.
    public static let connected = Link(name: "connected")
  }
}

extension RedisRole: RedisReplyDecodable {
  /// Decodes the reply to ROLE.
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
  /// Decodes a replica in the reply to ROLE.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    let parts = try reply.elements("host, port and offset", atLeast: 3)
    host = try parts.decoded(0)
    port = try parts.decoded(1)
    offset = try parts.decoded(2)
  }
}
