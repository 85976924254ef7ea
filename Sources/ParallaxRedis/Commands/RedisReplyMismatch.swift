/// The fault of a reply, or of a part of one, that does not have the requested type.
///
/// The error names types and places, never the content of the reply.
public struct RedisReplyMismatch: Error, Sendable, Hashable, CustomStringConvertible {
  /// The expected type, such as `an integer`.
  public let expected: String

  /// The type of the reply, such as `a bulk string`.
  public let found: String

  private var place = ""

  /// Creates the error of a value without the expected type.
  ///
  /// - Parameters:
  ///   - expected: The expected type, such as `an integer` or `the JSON of an order`.
  ///   - found: The value; only its type is kept.
  public init(expected: String, found: RESPValue) {
    self.expected = expected
    self.found = found.typeName
  }

  /// The same error inside an element of a collection, counted from 0.
  func inElement(_ index: Int) -> RedisReplyMismatch {
    var copy = self
    copy.place = " in element \(index)" + place
    return copy
  }

  /// Both types and the place, such as `Expected an integer, got null in element 3`.
  public var description: String { "Expected \(expected), got \(found)\(place)" }
}

extension RESPValue {
  /// The type with its article; for a collection also its number of elements, which is often the fault.
  fileprivate var typeName: String {
    switch self {
    case .simpleString: "a simple string"
    case .bulkString: "a bulk string"
    case .verbatimString: "a verbatim string"
    case .error: "an error"
    case .integer: "an integer"
    case .double: "a double"
    case .boolean: "a boolean"
    case .bigNumber: "a big number"
    case .null: "null"
    case .array(let elements): "an array of \(elements.count)"
    case .set(let elements): "a set of \(elements.count)"
    case .map(let elements): "a map of \(elements.count / 2)"
    case .push(let elements): "a push of \(elements.count)"
    }
  }
}
