/// Any JSON value, such as the input of an execution or the result of a task, which the control plane does not interpret.
///
/// Whole numbers of at most 64 bits keep their exact value; all others are doubles, and so is a negative zero. Objects have no order;
/// encoding sorts their keys, so that equal values have equal bytes.
public enum JSONValue: Sendable, Hashable {
  /// Null.
  case null
  /// A Boolean.
  case bool(Bool)
  /// A whole number of at most 64 bits.
  case integer(Int64)
  /// Any other number.
  case number(Double)
  /// A string.
  case string(String)
  /// An array.
  case array([JSONValue])
  /// An object.
  case object([String: JSONValue])

  /// The value of a member; nil if this is not an object or does not have the member.
  public subscript(key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members[key]
  }

  /// The text of a string; nil for any other value.
  public var stringValue: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  /// The value of a whole number of at most 64 bits; nil for any other value.
  public var integerValue: Int64? {
    guard case .integer(let value) = self else { return nil }
    return value
  }

  /// The value of a Boolean; nil for any other value.
  public var boolValue: Bool? {
    guard case .bool(let value) = self else { return nil }
    return value
  }

  /// The value of a number of either kind, as a double; nil for any other value.
  public var doubleValue: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }
}

extension JSONValue {
  /// The approximate number of bytes of the value as JSON, at least a third of the exact one.
  package var approximateSize: Int {
    switch self {
    case .null, .bool: 4
    case .integer, .number: 8
    case .string(let text): text.utf8.count + 2
    case .array(let values): values.reduce(2) { $0 + $1.approximateSize + 1 }
    case .object(let members): members.reduce(2) { $0 + $1.key.utf8.count + 4 + $1.value.approximateSize }
    }
  }
}

extension JSONValue: Codable {
  /// Decodes any JSON value; the product's own decoder passes its value through.
  ///
  /// Any other decoder has to try one type after another, and each miss costs an error with its whole coding path: the nesting depth is
  /// therefore bounded.
  public init(from decoder: any Decoder) throws {
    if let decoder = decoder as? JSONValueDecoder {
      self = decoder.value
      return
    }
    guard decoder.codingPath.count <= JSON.documentDepthLimit else {
      throw DecodingError.dataCorrupted(
        DecodingError.Context(
          codingPath: decoder.codingPath, debugDescription: "arrays and objects may be nested \(JSON.documentDepthLimit) deep at most"))
    }
    // The most frequent type comes first: each miss costs the construction of an error.
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if let value = try? container.decode(Int64.self) {
      self = .integer(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try Self.unlessOtherType(decoder, { try container.decode([String: JSONValue].self) }) {
      self = .object(value)
    } else if let value = try Self.unlessOtherType(decoder, { try container.decode([JSONValue].self) }) {
      self = .array(value)
    } else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "expected a JSON value")
    }
  }

  /// Decodes a value; nil if it has another type.
  ///
  /// A fault inside the value is rethrown.
  private static func unlessOtherType<Value>(_ decoder: any Decoder, _ decode: () throws -> Value) throws -> Value? {
    do {
      return try decode()
    } catch DecodingError.typeMismatch(_, let context) where context.codingPath.count == decoder.codingPath.count {
      return nil
    }
  }

  /// Encodes the value.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let value): try container.encode(value)
    case .integer(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .string(let value): try container.encode(value)
    case .array(let value): try container.encode(value)
    case .object(let value): try container.encode(value)
    }
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  /// Makes a string.
  public init(stringLiteral value: String) { self = .string(value) }
  /// Makes a whole number.
  public init(integerLiteral value: Int64) { self = .integer(value) }
  /// Makes a number.
  public init(floatLiteral value: Double) { self = .number(value) }
  /// Makes a Boolean.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// Makes a null.
  public init(nilLiteral: ()) { self = .null }
  /// Makes an array.
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  /// Makes an object; the last of equal keys wins.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(Dictionary(elements) { _, last in last })
  }
}
