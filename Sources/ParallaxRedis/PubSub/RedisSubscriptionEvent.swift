public import NIOCore

/// An event of a subscription.
public enum RedisSubscriptionEvent: Sendable, Hashable {
  /// The server has confirmed all channels for the first time: from now on, missing messages are reported as a ``gap``.
  case subscribed
  /// The server refuses a channel or pattern, for example because the ACL user has no right to it. Reported once. The client tries again
  /// every 5 s; once the server accepts, ``subscribed`` or ``gap`` follows.
  case refused(RedisError)
  /// A message was published on a channel; its bytes are unchanged.
  case message(channel: String, payload: ByteBuffer)
  /// Messages may be missing, because the connection was lost and restored, or because the consumer was too slow. The subscription is
  /// active again: a value that is read from Redis now is at least as new as the missing messages.
  case gap
}
