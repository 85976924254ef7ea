/// How a client stands with its server, or in a cluster with its masters; leased connections are not part of it.
public struct RedisConnectionStatus: Sendable {
  /// Whether commands are sent at once: to the server, or in a cluster to every master that has slots.
  public let isConnected: Bool

  /// The time since anything arrived from the server, in a cluster from the one silent for longest; `nil` before the first reply.
  ///
  /// An idle connection is probed, so that this stays below `keepAliveInterval` plus the time of a reply while the server is well.
  public let timeSinceLastReply: Duration?

  /// The time since the connection was lost, or since the client started without ever having had one; `nil` while connected.
  public let disconnectedFor: Duration?

  /// Why the last attempt to connect failed or the connection was lost; `nil` while connected.
  public let lastError: RedisError?

  /// Why the server refuses a subscription, such as NOPERM for a channel; `nil` while it serves all of them.
  public internal(set) var subscriptionRefusal: RedisError?
}
