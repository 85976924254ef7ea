public import NIOSSL

extension RedisConfiguration {
  /// The servers, and the way to find the server of a command.
  public enum Deployment: Sendable {
    /// One server without a replacement.
    case standalone(Endpoint)
    /// A master with replicas, watched by sentinels that name another master when it fails.
    ///
    /// Replication is asynchronous: a failover loses the writes that the former master has acknowledged and not replicated. `SENTINEL
    /// FAILOVER` does not stop the former master first, which keeps acknowledging writes for up to several seconds. This client leaves that
    /// master when the sentinels announce the promotion; other clients may not.
    case sentinel(Sentinel)
    /// Redis Cluster: several masters, each with a part of the keys.
    ///
    /// - Parameter nodes: Some servers of the cluster, from which the client learns the others; one server that answers suffices.
    case cluster(nodes: [Endpoint])
  }

  /// The sentinels, and the name of their master.
  public struct Sentinel: Sendable {
    /// The name of the master in the sentinels' configuration, such as `mymaster`.
    public var masterName: String

    /// The addresses of the sentinels: list all, since the client asks no others.
    public var sentinels: [Endpoint]

    /// The ACL user at the sentinels; `nil`, the default, is the default user.
    public var username: String?

    /// The password of the sentinels, which is separate from that of the servers; `nil`, the default, sends no credentials.
    ///
    /// The client never logs the password.
    public var password: String?

    /// The TLS settings for the sentinels; `nil`, the default, connects without TLS.
    public var tls: TLSConfiguration?

    /// Creates the settings of the sentinels.
    ///
    /// - Parameters:
    ///   - masterName: The name of the master in the sentinels' configuration.
    ///   - sentinels: The addresses of the sentinels, at least one.
    public init(masterName: String, sentinels: [Endpoint]) {
      self.masterName = masterName
      self.sentinels = sentinels
    }
  }
}

extension RedisConfiguration.Deployment {
  /// Checks the constraints that the types cannot express.
  func validate() throws(RedisError) {
    for case .host(let host, let port) in endpoints where !(1...65_535).contains(port) {
      throw Self.invalid("the port of \(host) must be from 1 to 65535, and is \(port)")
    }
    switch self {
    case .standalone: break
    case .sentinel(let sentinel):
      if sentinel.sentinels.isEmpty { throw Self.invalid("the list of sentinels is empty: list all sentinels") }
      if sentinel.masterName.isEmpty {
        throw Self.invalid("masterName is empty: set the name of the master in the sentinels' configuration")
      }
      if sentinel.username != nil, sentinel.password == nil {
        throw Self.invalid("a user name at the sentinels needs a password")
      }
    case .cluster(let nodes):
      if nodes.isEmpty { throw Self.invalid("the list of cluster nodes is empty: list at least one node, better three") }
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
