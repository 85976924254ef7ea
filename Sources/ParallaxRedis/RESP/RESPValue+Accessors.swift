public import NIOCore

/// Typed views that treat the RESP2 and the RESP3 form of a reply alike; `nil` if the value has no such form.
extension RESPValue {
  /// The bytes of a string, error or big number.
  public var bytes: ByteBuffer? {
    switch self {
    case .simpleString(let buffer), .bulkString(let buffer), .verbatimString(let buffer), .error(let buffer), .bigNumber(let buffer):
      buffer
    default: nil
    }
  }

  /// The text of a string or big number, or an integer in decimal; invalid UTF-8 is repaired, and errors have no text.
  public var string: String? {
    switch self {
    case .simpleString(let buffer), .bulkString(let buffer), .verbatimString(let buffer), .bigNumber(let buffer):
      String(buffer: buffer)
    case .integer(let value): String(value)
    default: nil
    }
  }

  /// An integer, or a string with one.
  public var int: Int? {
    switch self {
    case .integer(let value): Int(exactly: value)
    case .simpleString, .bulkString, .bigNumber: string.flatMap { Int($0) }
    default: nil
    }
  }

  /// A floating-point number, an integer, or a string with either.
  public var double: Double? {
    switch self {
    case .double(let value): value
    case .integer(let value): Double(value)
    case .simpleString(let buffer), .bulkString(let buffer): Double(redisText: buffer)
    default: nil
    }
  }

  /// A Boolean, or the integers 0 and 1 that replace it in RESP2.
  public var bool: Bool? {
    switch self {
    case .boolean(let value): value
    case .integer(0): false
    case .integer(1): true
    default: nil
    }
  }

  /// The elements of an array, set or push; a map as key, value, key, value, which is its RESP2 form.
  public var array: [RESPValue]? {
    switch self {
    case .array(let elements), .set(let elements), .map(let elements), .push(let elements): elements
    default: nil
    }
  }

  /// A map, or an array of key, value, key, value, by its textual keys; the last of equal keys applies.
  ///
  /// `nil` if a key is not a text.
  public var map: [String: RESPValue]? {
    let elements: [RESPValue]
    switch self {
    case .map(let flat), .array(let flat): elements = flat
    default: return nil
    }
    guard elements.count.isMultiple(of: 2) else { return nil }
    var result: [String: RESPValue] = [:]
    result.reserveCapacity(elements.count / 2)
    for index in stride(from: 0, to: elements.count, by: 2) {
      guard let key = elements[index].string else { return nil }
      result[key] = elements[index + 1]
    }
    return result
  }

  /// Whether the value is null.
  public var isNull: Bool {
    if case .null = self { true } else { false }
  }

  /// The message of an error, such as `WRONGTYPE Operation against a key …`; `nil` for other values.
  public var errorMessage: String? {
    if case .error(let buffer) = self { String(buffer: buffer) } else { nil }
  }
}
