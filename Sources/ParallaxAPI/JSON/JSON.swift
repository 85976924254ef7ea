#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// JSON text in and out, with one setting for the whole product.
package enum JSON {
  /// How deep arrays and objects may be nested in what others send: requests, agents' messages, files.
  package static let depthLimit = 64

  /// How deep they may be nested in the node's own documents, which put what others sent into some levels of their own.
  package static let documentDepthLimit = 80

  private static let encoder: JSONEncoder = {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return encoder
  }()

  /// Reads any JSON text in time linear in its length.
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
  ///   - bytes: Its text, in UTF-8.
  ///   - depthLimit: How deep it may be nested.
  ///   - refusesUnknownMembers: Whether a member that the type does not have is a fault.
  /// - Returns: The document.
  /// - Throws: ``JSONFault`` where the text is at fault, `DecodingError` with the coding path of the field where the document is.
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

  /// Encodes with sorted keys, without white space.
  ///
  /// Throws only for a double that is not finite.
  package static func encode(_ value: some Encodable) throws -> Data {
    try encoder.encode(value)
  }

  /// Encodes to text.
  package static func text(_ value: some Encodable) throws -> String {
    String(decoding: try encode(value), as: UTF8.self)
  }
}
