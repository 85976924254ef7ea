/// A value that writes itself as JSON.
///
/// The text of an `Encodable` type has the same bytes as that of `JSON.encode`.
package protocol JSONWritable {
  /// Writes one value.
  func write(to json: inout JSONWriter)
}

extension JSONWritable {
  /// The value as a JSON text, in UTF-8.
  ///
  /// Throws `EncodingError` if a number is not finite.
  package var jsonBytes: [UInt8] {
    get throws {
      var json = JSONWriter()
      write(to: &json)
      return try json.finish()
    }
  }

  /// The value as a JSON text.
  ///
  /// Throws `EncodingError` if a number is not finite.
  package var jsonText: String {
    get throws { String(decoding: try jsonBytes, as: UTF8.self) }
  }
}

extension Bool: JSONWritable {
  package func write(to json: inout JSONWriter) { json.bool(self) }
}

extension Int: JSONWritable {
  package func write(to json: inout JSONWriter) { json.integer(Int64(self)) }
}

extension Int64: JSONWritable {
  package func write(to json: inout JSONWriter) { json.integer(self) }
}

extension Double: JSONWritable {
  package func write(to json: inout JSONWriter) { json.number(self) }
}

extension String: JSONWritable {
  package func write(to json: inout JSONWriter) { json.string(self) }
}

extension Array: JSONWritable where Element: JSONWritable {
  package func write(to json: inout JSONWriter) { json.array(self) }
}

extension RawRepresentable<String> where Self: JSONWritable {
  /// Writes the raw value.
  package func write(to json: inout JSONWriter) { json.string(rawValue) }
}

extension JSONValue: JSONWritable {
  package func write(to json: inout JSONWriter) {
    switch self {
    case .null: json.null()
    case .bool(let value): json.bool(value)
    case .integer(let value): json.integer(value)
    case .number(let value): json.number(value)
    case .string(let value): json.string(value)
    case .array(let elements): json.array(elements)
    case .object(let members): json.object(members)
    }
  }
}

extension Timestamp: JSONWritable {
  package func write(to json: inout JSONWriter) { json.string(description) }
}

extension WireDuration: JSONWritable {
  package func write(to json: inout JSONWriter) { json.integer(duration.wholeMilliseconds) }
}
