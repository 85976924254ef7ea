public import NIOCore

/// One argument of a command: a string of any bytes.
///
/// Redis takes all arguments as strings; integers are sent in decimal, floating-point numbers in their shortest exact form.
public struct RedisArgument: Sendable, Hashable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
  @usableFromInline
  enum Storage: Sendable, Hashable {
    case string(String)
    case buffer(ByteBuffer)
    case bytes([UInt8])
    case integer(Int64)
  }

  @usableFromInline
  let storage: Storage

  @inlinable
  init(storage: Storage) { self.storage = storage }

  /// Sends the UTF-8 of a string.
  @inlinable
  public init(_ string: String) { storage = .string(string) }

  /// Sends the readable bytes of a buffer.
  @inlinable
  public init(_ buffer: ByteBuffer) { storage = .buffer(buffer) }

  /// Sends bytes as they are.
  @inlinable
  public init(_ bytes: [UInt8]) { storage = .bytes(bytes) }

  /// Sends an integer in decimal.
  @inlinable
  public init(_ integer: some FixedWidthInteger & SignedInteger) { storage = .integer(Int64(integer)) }

  /// Sends the UTF-8 of a literal.
  @inlinable
  public init(stringLiteral value: String) { storage = .string(value) }

  /// Sends an integer literal in decimal.
  @inlinable
  public init(integerLiteral value: Int64) { storage = .integer(value) }
}

/// A type whose values can be arguments of a command.
public protocol RedisArgumentConvertible: Sendable {
  /// The value as an argument.
  var redisArgument: RedisArgument { get }
}

extension RedisArgument: RedisArgumentConvertible {
  /// The argument itself.
  @inlinable
  public var redisArgument: RedisArgument { self }
}

extension String: RedisArgumentConvertible {
  /// The UTF-8 of the string.
  @inlinable
  public var redisArgument: RedisArgument { RedisArgument(storage: .string(self)) }
}

extension Substring: RedisArgumentConvertible {
  /// The UTF-8 of the substring.
  @inlinable
  public var redisArgument: RedisArgument { RedisArgument(storage: .string(String(self))) }
}

extension ByteBuffer: RedisArgumentConvertible {
  /// The readable bytes of the buffer.
  @inlinable
  public var redisArgument: RedisArgument { RedisArgument(storage: .buffer(self)) }
}

extension [UInt8]: RedisArgumentConvertible {
  /// The bytes as they are.
  @inlinable
  public var redisArgument: RedisArgument { RedisArgument(storage: .bytes(self)) }
}

extension Int: RedisArgumentConvertible {
  /// The integer in decimal.
  @inlinable
  public var redisArgument: RedisArgument { RedisArgument(storage: .integer(Int64(self))) }
}

extension Int64: RedisArgumentConvertible {
  /// The integer in decimal.
  @inlinable
  public var redisArgument: RedisArgument { RedisArgument(storage: .integer(self)) }
}

extension UInt64: RedisArgumentConvertible {
  /// The integer in decimal.
  @inlinable
  public var redisArgument: RedisArgument {
    if let small = Int64(exactly: self) { RedisArgument(storage: .integer(small)) } else { RedisArgument(storage: .string(String(self))) }
  }
}

extension Double: RedisArgumentConvertible {
  /// The shortest decimal that reads back as the same number; infinities as `inf` and `-inf`.
  @inlinable
  public var redisArgument: RedisArgument { RedisArgument(storage: .string(String(self))) }
}
