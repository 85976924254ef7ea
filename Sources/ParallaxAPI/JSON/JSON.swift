#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// Decodes and encodes JSON with the settings of the whole product.
package enum JSON {
  /// The greatest nesting depth of foreign documents: requests, messages of agents, files.
  package static let depthLimit = 64

  /// The greatest nesting depth of the node's own documents, which embed values of foreign ones.
  package static let documentDepthLimit = 80

  private static let encoder: JSONEncoder = {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return encoder
  }()

  /// Parses a JSON text in time linear in its length.
  package static func value(
    from bytes: some Sequence<UInt8>, depthLimit: Int = JSON.depthLimit
  ) throws(JSONFault) -> JSONValue {
    func parse(_ bytes: UnsafeBufferPointer<UInt8>) -> Result<JSONValue, JSONFault> {
      Result { () throws(JSONFault) in try JSONParser.parse(bytes, depthLimit: depthLimit) }
    }
    if let result = bytes.withContiguousStorageIfAvailable(parse) { return try result.get() }
    return try Array(bytes).withUnsafeBufferPointer(parse).get()
  }

  /// Decodes a document.
  /// - Parameters:
  ///   - type: The document's type.
  ///   - bytes: The text, in UTF-8.
  ///   - depthLimit: The greatest nesting depth.
  ///   - refusesUnknownMembers: Whether a member unknown to the type is a fault; `false` by default.
  /// - Returns: The document.
  /// - Throws: ``JSONFault`` for a fault of the text, `DecodingError` with the coding path for a fault of the document.
  package static func decode<Document: Decodable>(
    _ type: Document.Type = Document.self, from bytes: some Sequence<UInt8>, depthLimit: Int = JSON.depthLimit,
    refusesUnknownMembers: Bool = false
  ) throws -> Document {
    let value = try value(from: bytes, depthLimit: depthLimit)
    return try JSONValueDecoder(value: value, refusesUnknownMembers: refusesUnknownMembers).decode(type)
  }

  /// Decodes a document from text.
  package static func decode<Document: Decodable>(
    _ type: Document.Type = Document.self, from text: String, depthLimit: Int = JSON.depthLimit
  ) throws -> Document {
    try decode(type, from: text.utf8, depthLimit: depthLimit)
  }

  /// Encodes a value with sorted keys, without white space.
  ///
  /// Throws only for a double that is not finite.
  package static func encode(_ value: some Encodable) throws -> Data {
    try encoder.encode(value)
  }

  /// Encodes a value as text.
  package static func text(_ value: some Encodable) throws -> String {
    String(decoding: try encode(value), as: UTF8.self)
  }
}
