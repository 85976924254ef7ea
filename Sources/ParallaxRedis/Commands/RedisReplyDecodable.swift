public import NIOCore

/// A type that decodes itself from a reply, or from an element of a reply.
///
/// Conform your own types to decode them directly from Redis:
///
/// ```swift
/// extension Order: RedisReplyDecodable {
///   init(reply: RESPValue) throws(RedisReplyMismatch) {
///     guard let bytes = reply.bytes, let order = try? JSONDecoder().decode(Order.self, from: bytes) else {
///       throw RedisReplyMismatch(expected: "the JSON of an order", found: reply)
///     }
///     self = order
///   }
/// }
/// ```
public protocol RedisReplyDecodable: Sendable {
  /// Decodes a value.
  ///
  /// - Parameter reply: The reply, in its RESP2 or RESP3 form.
  /// - Throws: ``RedisReplyMismatch`` if the reply has another form.
  init(reply: RESPValue) throws(RedisReplyMismatch)
}

extension RESPValue: RedisReplyDecodable {
  /// Any reply, unchanged.
  public init(reply: RESPValue) { self = reply }
}

extension ByteBuffer: RedisReplyDecodable {
  /// The bytes of a string; they share memory with the reply.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    guard reply.errorMessage == nil, let bytes = reply.bytes else { throw RedisReplyMismatch(expected: "a string", found: reply) }
    self = bytes
  }
}

extension String: RedisReplyDecodable {
  /// A text, or an integer in decimal; invalid UTF-8 is repaired.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    guard let string = reply.string else { throw RedisReplyMismatch(expected: "a string", found: reply) }
    self = string
  }
}

extension Int: RedisReplyDecodable {
  /// An integer, or a string with one.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    guard let int = reply.int else { throw RedisReplyMismatch(expected: "an integer", found: reply) }
    self = int
  }
}

extension Int64: RedisReplyDecodable {
  /// An integer, or a string with one.
  public init(reply: RESPValue) throws(RedisReplyMismatch) { self = Int64(try Int(reply: reply)) }
}

extension Double: RedisReplyDecodable {
  /// A floating-point number, an integer, or a string with either.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    guard let double = reply.double else { throw RedisReplyMismatch(expected: "a number", found: reply) }
    self = double
  }
}

extension Bool: RedisReplyDecodable {
  /// A Boolean, or 0 or 1.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    guard let bool = reply.bool else { throw RedisReplyMismatch(expected: "a boolean, 0 or 1", found: reply) }
    self = bool
  }
}

extension Optional: RedisReplyDecodable where Wrapped: RedisReplyDecodable {
  /// A value, or `nil` for null.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    self = reply.isNull ? nil : try Wrapped(reply: reply)
  }
}

extension Array: RedisReplyDecodable where Element: RedisReplyDecodable {
  /// The elements of an array or set, in the server's order.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    self = try reply.elements("an array").decoded { (value) throws(RedisReplyMismatch) in try Element(reply: value) }
  }
}

extension Set: RedisReplyDecodable where Element: RedisReplyDecodable {
  /// The elements of a set or array.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    self = Set(try [Element](reply: reply))
  }
}

extension Dictionary: RedisReplyDecodable where Key == String, Value: RedisReplyDecodable {
  /// A map, or an array of key, value, key, value; the last of equal keys applies.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    let flat = try reply.elements("a map")
    guard flat.count.isMultiple(of: 2) else { throw RedisReplyMismatch(expected: "a map", found: reply) }
    self.init(minimumCapacity: flat.count / 2)
    for index in stride(from: 0, to: flat.count, by: 2) {
      self[try flat.decoded(index, as: String.self)] = try flat.decoded(index + 1, as: Value.self)
    }
  }
}
