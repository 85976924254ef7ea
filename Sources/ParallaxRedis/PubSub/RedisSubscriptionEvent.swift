public import NIOCore

/// What a subscription tells its consumer.
public enum RedisSubscriptionEvent: Sendable, Hashable {
  /// The server has confirmed every channel for the first time: from here on nothing is missed without a ``gap``.
  case subscribed
  /// The server refuses one of the channels or patterns, for example because the ACL user has no right to it. The client tries again every
  /// five seconds; once the server accepts, ``subscribed`` or ``gap`` follows. Reported once.
  case refused(RedisError)
  /// A message was published on a channel; its bytes are as they were published.
  case message(channel: String, payload: ByteBuffer)
  /// Messages may have been missed, because the connection was lost and is back, or because the consumer was too slow. The
  /// subscription is active again: what is read from Redis now is not outdated by a message missed before.
  case gap
}
