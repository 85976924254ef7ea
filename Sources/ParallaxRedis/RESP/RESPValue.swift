public import NIOCore

/// One value of the Redis protocol, version 2 or 3.
///
/// Byte strings are slices of the buffer they were received in: keeping a small slice keeps all of that buffer alive, which is 64 KiB or
/// as much as the largest reply around it, so convert what you store for long with ``string``. Attributes of RESP3 are dropped by the
/// decoder.
public enum RESPValue: Sendable, Hashable {
  /// A short status such as `OK`.
  case simpleString(ByteBuffer)
  /// A string of any bytes.
  case bulkString(ByteBuffer)
  /// A text with a format (`txt`, `mkd`) in RESP3; the format is dropped.
  case verbatimString(ByteBuffer)
  /// An error reply, as found inside arrays: ``RedisClient/send(_:)`` throws one that is the whole reply.
  case error(ByteBuffer)
  /// A signed 64-bit integer.
  case integer(Int64)
  /// A floating point number, which may be infinite or not a number.
  case double(Double)
  /// A truth value of RESP3.
  case boolean(Bool)
  /// An integer of any size, as decimal digits.
  case bigNumber(ByteBuffer)
  /// No value: the null of RESP3, the null string and the null array of RESP2.
  case null
  /// An ordered collection.
  case array([RESPValue])
  /// A collection without order of RESP3.
  case set([RESPValue])
  /// A map of RESP3: key, value, key, value and so on, in the server's order.
  case map([RESPValue])
  /// An out-of-band message of RESP3.
  case push([RESPValue])
}
