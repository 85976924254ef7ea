/// Publishing; ``RedisClient/subscribe(to:patterns:)`` subscribes.
extension RedisTypedCommand<Int> {
  /// Publishes a message; returns the number of its subscribers on this server, in a cluster without those of other servers.
  public static func publish(_ channel: String, _ message: some RedisArgumentConvertible) -> Self {
    Self(RedisCommand("PUBLISH", channel, message))
  }
}

extension RedisTypedCommand<[String: Int]> {
  /// The number of subscribers of each channel on this server.
  public static func pubsubNumsub(_ channels: String...) -> Self {
    Self(RedisCommand("PUBSUB", "NUMSUB", list: channels).idempotent)
  }
}
