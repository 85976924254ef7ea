import NIOCore

/// Reads the parts of a reply, with errors that name types and places.
extension RESPValue {
  /// Whether the value is a string of exactly these bytes.
  func isText(_ text: StaticString) -> Bool {
    switch self {
    case .simpleString(let buffer), .bulkString(let buffer):
      buffer.readableBytesView.elementsEqual(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    default: false
    }
  }

  /// The elements of a collection.
  func elements(_ expected: String) throws(RedisReplyMismatch) -> [RESPValue] {
    guard let array else { throw RedisReplyMismatch(expected: expected, found: self) }
    return array
  }

  /// The elements of a collection with at least `count` of them.
  func elements(_ expected: String, atLeast count: Int) throws(RedisReplyMismatch) -> [RESPValue] {
    guard let array, array.count >= count else { throw RedisReplyMismatch(expected: expected, found: self) }
    return array
  }
}

extension [RESPValue] {
  /// Decodes each element; an error names the faulty element.
  func decoded<Part>(_ decode: (RESPValue) throws(RedisReplyMismatch) -> Part) throws(RedisReplyMismatch) -> [Part] {
    var result: [Part] = []
    result.reserveCapacity(count)
    for index in indices { result.append(try decoded(index, decode)) }
    return result
  }

  /// Decodes one element; an error names it.
  func decoded<Part>(
    _ index: Int, _ decode: (RESPValue) throws(RedisReplyMismatch) -> Part
  ) throws(RedisReplyMismatch) -> Part {
    do throws(RedisReplyMismatch) {
      return try decode(self[index])
    } catch {
      throw error.inElement(index)
    }
  }

  /// Decodes one element of a type that decodes itself.
  func decoded<Part: RedisReplyDecodable>(_ index: Int, as type: Part.Type = Part.self) throws(RedisReplyMismatch) -> Part {
    try decoded(index) { (value) throws(RedisReplyMismatch) in try Part(reply: value) }
  }
}
