import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The kinds of aggregates, by their type byte.
enum RESPAggregate {
  case array, set, map, push, attribute

  @inline(__always)
  func value(of elements: [RESPValue]) -> RESPValue {
    switch self {
    case .array: .array(elements)
    case .set: .set(elements)
    case .map: .map(elements)
    case .push: .push(elements)
    case .attribute: preconditionFailure("an attribute is not a value")
    }
  }
}

/// The smallest step of decoding: a whole scalar, or the head of an aggregate.
enum RESPToken {
  case value(RESPValue)
  case aggregate(RESPAggregate, count: Int)
}

/// Reads tokens from the readable bytes of a buffer.
///
/// Both ways of decoding use this reader, so they accept the same bytes.
struct RESPTokenReader {
  let bytes: UnsafeRawBufferPointer
  /// The same bytes, to take slices without copying.
  let buffer: ByteBuffer
  let limits: RESPLimits
  /// The number of elements that the reply may still announce.
  var spare: Int
  /// The number of announced elements that have not begun; for readers of whole replies.
  var owed = 0
  /// The position of the next token.
  var position = 0

  init(bytes: UnsafeRawBufferPointer, buffer: ByteBuffer, limits: RESPLimits, spare: Int) {
    self.bytes = bytes
    self.buffer = buffer
    self.limits = limits
    self.spare = spare
  }

  /// Begins a reply at the current position, with its limits.
  @inline(__always)
  mutating func beginReply() {
    spare = limits.elements
    owed = 0
  }

  /// The next token, or `nil`, with an unchanged position, if it is incomplete.
  ///
  /// - Parameter end: The position that the reply must not exceed.
  /// - Returns: The token.
  /// - Throws: The fault of bytes that are no token.
  @inline(__always)
  mutating func next(before end: Int) throws(RESPDecodingError) -> RESPToken? {
    let start = position
    guard start < bytes.count else { return nil }
    let token: RESPToken?
    switch bytes[start] {
    case UInt8(ascii: "$"):
      token = try string(before: end).map { .value($0.map(RESPValue.bulkString) ?? .null) }
    case UInt8(ascii: ":"):
      token = try integer(at: start + 1).map { .value(.integer($0)) }
    case UInt8(ascii: "+"):
      token = try line().map { .value(.simpleString($0)) }
    case UInt8(ascii: "*"):
      token = try head(.array)
    case UInt8(ascii: "-"):
      token = try line().map { .value(.error($0)) }
    default:
      token = try version3(bytes[start], before: end)
    }
    if position > end { throw .replyTooLong }
    return token
  }

  /// The types that only RESP3 has.
  private mutating func version3(_ type: UInt8, before end: Int) throws(RESPDecodingError) -> RESPToken? {
    switch type {
    case UInt8(ascii: "%"): return try head(.map)
    case UInt8(ascii: "~"): return try head(.set)
    case UInt8(ascii: ">"): return try head(.push)
    case UInt8(ascii: "|"): return try head(.attribute)
    case UInt8(ascii: "_"):
      guard let text = try line() else { return nil }
      guard text.readableBytes == 0 else { throw .invalidTerminator }
      return .value(.null)
    case UInt8(ascii: "#"):
      guard let text = try line() else { return nil }
      switch text.readableBytesView.elementsEqual([UInt8(ascii: "t")])
        ? true : text.readableBytesView.elementsEqual([UInt8(ascii: "f")]) ? false : nil
      {
      case .some(let value): return .value(.boolean(value))
      case nil: throw .invalidBoolean
      }
    case UInt8(ascii: ","):
      guard let text = try line() else { return nil }
      guard let value = Double(redisText: text) else { throw .invalidNumber }
      return .value(.double(value))
    case UInt8(ascii: "("):
      guard let text = try line() else { return nil }
      guard Self.isDecimal(text.readableBytesView) else { throw .invalidNumber }
      return .value(.bigNumber(text))
    case UInt8(ascii: "!"):
      guard let text = try string(before: end) else { return nil }
      guard let text else { throw .invalidLength }
      return .value(.error(text))
    case UInt8(ascii: "="):
      guard let text = try string(before: end) else { return nil }
      guard var text else { throw .invalidLength }
      guard text.readableBytes >= 4, text.getInteger(at: text.readerIndex + 3) == UInt8(ascii: ":") else { throw .invalidVerbatimString }
      text.moveReaderIndex(forwardBy: 4)
      return .value(.verbatimString(text))
    default:
      throw .unknownType(type)
    }
  }

  private static func isDecimal(_ text: ByteBufferView) -> Bool {
    var digits = text[...]
    if digits.first == UInt8(ascii: "-") || digits.first == UInt8(ascii: "+") { digits = digits.dropFirst() }
    return !digits.isEmpty && digits.allSatisfy { $0 &- 0x30 <= 9 }
  }

  /// The head of an aggregate: its type and the number of its values.
  @inline(__always)
  private mutating func head(_ kind: RESPAggregate) throws(RESPDecodingError) -> RESPToken? {
    let start = position
    guard let count = try integer(at: start + 1) else { return nil }
    if count < 0 {
      guard count == -1, kind == .array else { throw .invalidLength }
      return .value(.null)
    }
    let isPaired = kind == .map || kind == .attribute
    if count > (isPaired ? spare / 2 : spare) { throw .tooManyElements }
    let elements = isPaired ? Int(count) * 2 : Int(count)
    spare -= elements
    return .aggregate(kind, count: elements)
  }

  /// A string behind its length; the inner optional is `nil` for the null string.
  @inline(__always)
  private mutating func string(before end: Int) throws(RESPDecodingError) -> ByteBuffer?? {
    let start = position
    guard let declared = try integer(at: start + 1) else { return nil }
    if declared < 0 {
      guard declared == -1 else { throw .invalidLength }
      return .some(nil)
    }
    if declared > limits.stringLength { throw .stringTooLong }
    let length = Int(declared)
    let body = position
    position = start
    if end - body < length + 2 { throw .replyTooLong }
    guard bytes.count - body >= length + 2 else { return nil }
    if bytes[body + length] != UInt8(ascii: "\r") || bytes[body + length + 1] != UInt8(ascii: "\n") { throw .invalidTerminator }
    position = body + length + 2
    return .some(slice(at: body, length: length))
  }

  @inline(__always)
  private func slice(at offset: Int, length: Int) -> ByteBuffer {
    guard let slice = buffer.getSlice(at: buffer.readerIndex + offset, length: length) else {
      preconditionFailure("a token is outside its buffer")
    }
    return slice
  }

  /// The text between the type byte and CRLF.
  private mutating func line() throws(RESPDecodingError) -> ByteBuffer? {
    let start = position + 1
    guard let base = bytes.baseAddress, start < bytes.count else { return nil }
    // Most lines are too short to justify a call.
    let near = min(bytes.count - 1, start + min(16, limits.lineLength + 1))
    var index = start
    while index < near, bytes[index] > UInt8(ascii: "\r") { index &+= 1 }
    if index < near, bytes[index] == UInt8(ascii: "\r"), bytes[index + 1] == UInt8(ascii: "\n") {
      position = index + 2
      return slice(at: start, length: index - start)
    }
    let searched = min(bytes.count - start, limits.lineLength + 2)
    guard let found = memchr(base + start, 0x0A, searched) else {
      if bytes.count - start >= limits.lineLength + 2 { throw .lineTooLong }
      return nil
    }
    let end = base.distance(to: UnsafeRawPointer(found)) - 1
    guard end >= start, bytes[end] == UInt8(ascii: "\r"), memchr(base + start, 0x0D, end - start) == nil else { throw .invalidTerminator }
    position = end + 2
    return slice(at: start, length: end - start)
  }

  /// A decimal number and CRLF; the position moves behind them, or stays if they are incomplete.
  @inline(__always)
  private mutating func integer(at start: Int) throws(RESPDecodingError) -> Int64? {
    var index = start
    let count = bytes.count
    guard index < count else { return nil }
    let negative = bytes[index] == UInt8(ascii: "-")
    if negative || bytes[index] == UInt8(ascii: "+") { index &+= 1 }
    let firstDigit = index
    var magnitude: UInt64 = 0
    while index < count {
      let digit = bytes[index] &- 0x30
      if digit > 9 { break }
      if index &- firstDigit >= 19 { throw .invalidNumber }
      magnitude = magnitude &* 10 &+ UInt64(digit)
      index &+= 1
    }
    guard index < count else { return nil }
    if index == firstDigit || bytes[index] != UInt8(ascii: "\r") { throw .invalidNumber }
    guard index &+ 1 < count else { return nil }
    if bytes[index &+ 1] != UInt8(ascii: "\n") { throw .invalidTerminator }
    // Nineteen digits fit into 64 unsigned bits, so one comparison finds numbers beyond 64 signed bits.
    if magnitude > UInt64(Int64.max) + (negative ? 1 : 0) { throw .invalidNumber }
    position = index &+ 2
    return negative ? Int64(truncatingIfNeeded: 0 &- magnitude) : Int64(truncatingIfNeeded: magnitude)
  }
}
