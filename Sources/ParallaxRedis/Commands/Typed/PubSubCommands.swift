/// Publishing; see ``RedisClient/subscribe(to:)`` for the other end.
extension RedisTypedCommand<Int> {
  /// Publishes a message; returns how many subscribers of this server got it, in a cluster not those of the others.
  public static func publish(_ channel: String, _ message: some RedisArgumentConvertible) -> Self {
    Self(RedisCommand("PUBLISH", channel, message))
  }
}

extension RedisTypedCommand<[String: Int]> {
  /// How many subscribers of this server each of the channels has.
  public static func pubsubNumsub(_ channels: String...) -> Self {
    Self(RedisCommand("PUBSUB", "NUMSUB", list: channels).idempotent)
  }
}
