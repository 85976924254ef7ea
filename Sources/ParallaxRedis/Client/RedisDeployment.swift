public import NIOSSL

extension RedisConfiguration {
  /// The servers, and how the client finds the server for a command.
  public enum Deployment: Sendable {
    /// One server; nothing takes over from it.
    case standalone(Endpoint)
    /// A master with replicas, watched by sentinels that name another master when it fails.
    ///
    /// Replication is asynchronous: what the former master has acknowledged and not passed on is lost. `SENTINEL FAILOVER` does not stop
    /// the former master first, which acknowledges writes for up to some seconds more: this client lets go of it before, when the sentinels
    /// announce the promotion, other clients may not.
    case sentinel(Sentinel)
    /// Redis Cluster: several masters, each with a part of the keys.
    ///
    /// - Parameter nodes: Some of its servers, from which the client learns the others; one that answers is enough.
    case cluster(nodes: [Endpoint])
  }

  /// The sentinels, and the master that they are to be asked for.
  public struct Sentinel: Sendable {
    /// The name of the master in the sentinels' configuration, such as `mymaster`.
    public var masterName: String

    /// Where the sentinels listen: name them all, since the client asks no others.
    public var sentinels: [Endpoint]

    /// The ACL user at the sentinels; `nil` is the default user.
    public var username: String?

    /// The password at the sentinels, which have one of their own; `nil` does not log in.
    ///
    /// It is never logged.
    public var password: String?

    /// The TLS settings for the sentinels; `nil` speaks to them without TLS.
    public var tls: TLSConfiguration?

    /// Names the sentinels.
    ///
    /// - Parameters:
    ///   - masterName: The name of the master in the sentinels' configuration.
    ///   - sentinels: Where they listen, one or more.
    public init(masterName: String, sentinels: [Endpoint]) {
      self.masterName = masterName
      self.sentinels = sentinels
    }
  }
}

extension RedisConfiguration.Deployment {
  /// Checks what the types cannot.
  func validate() throws(RedisError) {
    for case .host(let host, let port) in endpoints where !(1...65_535).contains(port) {
      throw Self.invalid("the port of \(host) must be from 1 to 65535, and is \(port)")
    }
    switch self {
    case .standalone: break
    case .sentinel(let sentinel):
      if sentinel.sentinels.isEmpty { throw Self.invalid("no sentinel is named: name all of them") }
      if sentinel.masterName.isEmpty { throw Self.invalid("masterName is empty: give the name that the sentinels have for the master") }
      if sentinel.username != nil, sentinel.password == nil {
        throw Self.invalid("a user name at the sentinels is of no use without a password")
      }
    case .cluster(let nodes):
      if nodes.isEmpty { throw Self.invalid("no node of the cluster is named: name at least one, better three") }
    }
  }

  var endpoints: [RedisConfiguration.Endpoint] {
    switch self {
    case .standalone(let endpoint): [endpoint]
    case .sentinel(let sentinel): sentinel.sentinels
    case .cluster(let nodes): nodes
    }
  }

  private static func invalid(_ reason: String) -> RedisError {
    RedisError(.invalidConfiguration, message: "The Redis deployment is not valid: \(reason).")
  }
}
