/// Any JSON value: what users put into an execution and agents give back, carried through without interpretation.
///
/// Whole numbers that fit in 64 bits keep their exact value; all others are doubles, and so is a negative zero. Objects have no order, and
/// are written with sorted keys so that equal values have equal bytes.
public enum JSONValue: Sendable, Hashable {
  /// Null.
  case null
  /// A truth value.
  case bool(Bool)
  /// A whole number of at most 64 bits.
  case integer(Int64)
  /// Any other number.
  case number(Double)
  /// A text.
  case string(String)
  /// An array.
  case array([JSONValue])
  /// An object.
  case object([String: JSONValue])

  /// The value of a member, or nil when this is no object or has no such member.
  public subscript(key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members[key]
  }

  /// The text, when this is a string.
  public var stringValue: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  /// The value, when this is a whole number of at most 64 bits.
  public var integerValue: Int64? {
    guard case .integer(let value) = self else { return nil }
    return value
  }

  /// The value, when this is a truth value.
  public var boolValue: Bool? {
    guard case .bool(let value) = self else { return nil }
    return value
  }

  /// The value as a double, when this is a number of either kind.
  public var doubleValue: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }
}

extension JSONValue {
  /// About how many bytes the value takes up as JSON: quick to know, and not less than a third of what it is.
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
  /// Takes what ``JSON`` has read as it is.
  ///
  /// Other decoders are asked for one type after the other, each miss of which costs an error with its whole coding path, so that depth is
  /// bounded here too.
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
    // Most frequent first: each miss costs the construction of an error.
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

  /// The value; nil when there is one of another type.
  ///
  /// A fault inside it is thrown as what it is.
  private static func unlessOtherType<Value>(_ decoder: any Decoder, _ decode: () throws -> Value) throws -> Value? {
    do {
      return try decode()
    } catch DecodingError.typeMismatch(_, let context) where context.codingPath.count == decoder.codingPath.count {
      return nil
    }
  }

  /// Writes the value.
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
  /// Makes a text.
  public init(stringLiteral value: String) { self = .string(value) }
  /// Makes a whole number.
  public init(integerLiteral value: Int64) { self = .integer(value) }
  /// Makes a number.
  public init(floatLiteral value: Double) { self = .number(value) }
  /// Makes a truth value.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// Makes a null.
  public init(nilLiteral: ()) { self = .null }
  /// Makes an array.
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  /// Makes an object; the last of equal keys counts.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(Dictionary(elements) { _, last in last })
  }
}
