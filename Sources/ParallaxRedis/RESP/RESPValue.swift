public import NIOCore

/// One value of the Redis protocol, version 2 or 3.
///
/// Byte strings are slices of the buffer in which they were received: a small slice retains that whole buffer, which has 64 KiB or the size
/// of the largest reply around it. Convert values that you keep for long with ``string``. The decoder drops RESP3 attributes.
public enum RESPValue: Sendable, Hashable {
  /// A short status such as `OK`.
  case simpleString(ByteBuffer)
  /// A string of any bytes.
  case bulkString(ByteBuffer)
  /// A text with a format (`txt`, `mkd`) in RESP3; the format is dropped.
  case verbatimString(ByteBuffer)
  /// An error reply inside an array: ``RedisClient/send(_:)`` throws an error that is the whole reply.
  case error(ByteBuffer)
  /// A signed 64-bit integer.
  case integer(Int64)
  /// A floating-point number, which may be infinite or not a number.
  case double(Double)
  /// A RESP3 Boolean.
  case boolean(Bool)
  /// An integer of any size, as decimal digits.
  case bigNumber(ByteBuffer)
  /// No value: the null of RESP3, the null string and the null array of RESP2.
  case null
  /// An ordered collection.
  case array([RESPValue])
  /// A RESP3 collection without order.
  case set([RESPValue])
  /// A RESP3 map: key, value, key, value and so on, in the server's order.
  case map([RESPValue])
  /// A RESP3 out-of-band message.
  case push([RESPValue])
}
