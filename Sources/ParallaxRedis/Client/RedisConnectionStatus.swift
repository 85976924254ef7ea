/// The state of a client's connection to its server, or to the masters of its cluster; leased connections are not included.
public struct RedisConnectionStatus: Sendable {
  /// Whether commands can be sent at once: to the server, or in a cluster to every master with slots.
  public let isConnected: Bool

  /// The time since the server last sent anything, in a cluster the longest such time of a master; `nil` before the first reply.
  ///
  /// An idle connection is probed, so with a healthy server the time stays below `keepAliveInterval` plus that of a reply.
  public let timeSinceLastReply: Duration?

  /// The time since the connection was lost, or since the client started without a connection; `nil` while connected.
  public let disconnectedFor: Duration?

  /// The error of the last attempt to connect or of the lost connection; `nil` while connected.
  public let lastError: RedisError?

  /// The server's reason for refusing a subscription, such as NOPERM for a channel; `nil` while it serves all subscriptions.
  public internal(set) var subscriptionRefusal: RedisError?
}
