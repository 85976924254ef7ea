import ParallaxAPI

extension ClusterEvent {
  /// The event as JSON, with the same bytes as `JSON.text`.
  ///
  /// The text is built by hand for speed: a node publishes several events for each execution.
  ///
  /// - Throws: `EncodingError` if a number among the details is not finite.
  package var text: String {
    get throws {
      var text = "{"
      if let details { text += "\"details\":\(try details.jsonText)," }
      text += "\"id\":\(try Self.quoted(id)),\"incarnation\":\(try Self.quoted(incarnation)),\"nodeId\":\(try Self.quoted(nodeId)),"
      text += "\"sequence\":\(sequence),\"timestamp\":\"\(timestamp)\",\"type\":\(try Self.quoted(type))}"
      return text
    }
  }

  fileprivate static func quoted(_ text: String) throws -> String {
    // Nearly all texts need no escapes, and are equal to those of `JSON.text`.
    let isPlain = text.utf8.allSatisfy { (0x20..<0x7F).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
    return isPlain ? "\"\(text)\"" : try JSON.text(JSONValue.string(text))
  }
}

extension JSONValue {
  /// The value as JSON: built by hand for the usual details of an event, else by `JSON.text`.
  fileprivate var jsonText: String {
    get throws {
      switch self {
      case .bool(let value): return value ? "true" : "false"
      case .integer(let value): return "\(value)"
      case .string(let value): return try ClusterEvent.quoted(value)
      case .object(let members) where members.count <= 1:
        guard let (key, value) = members.first else { return "{}" }
        return "{\(try ClusterEvent.quoted(key)):\(try value.jsonText)}"
      default: return try JSON.text(self)
      }
    }
  }
}
