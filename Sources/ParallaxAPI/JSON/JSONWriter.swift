/// Writes one JSON text in UTF-8, without white space.
///
/// Types on the path of every execution write themselves, as ``JSONWritable``, at a small part of the time of Foundation's encoder. They
/// write their members in the order of the names, so that a text has the same bytes as that of `JSON.encode`.
package struct JSONWriter {
  private var bytes: [UInt8] = []
  /// The first number that JSON cannot express.
  private var faultyNumber: Double?

  /// Makes a writer without text.
  package init() {
    bytes.reserveCapacity(256)
  }

  /// The text.
  ///
  /// - Throws: `EncodingError` if a number is not finite.
  package consuming func finish() throws -> [UInt8] {
    if let faultyNumber {
      throw EncodingError.invalidValue(
        faultyNumber, EncodingError.Context(codingPath: [], debugDescription: "JSON has finite numbers only, not \(faultyNumber)"))
    }
    return bytes
  }

  // MARK: Objects and arrays

  /// Writes an object.
  ///
  /// - Parameter members: Writes the members.
  package mutating func object(_ members: (inout JSONWriter) -> Void) {
    bytes.append(UInt8(ascii: "{"))
    members(&self)
    bytes.append(UInt8(ascii: "}"))
  }

  /// Writes a member of the present object.
  ///
  /// - Parameters:
  ///   - name: The name, which needs no escapes.
  ///   - value: The value.
  package mutating func member(_ name: StaticString, _ value: some JSONWritable) {
    separate(after: UInt8(ascii: "{"))
    bytes.append(UInt8(ascii: "\""))
    name.withUTF8Buffer { bytes.append(contentsOf: $0) }
    bytes.append(UInt8(ascii: "\""))
    bytes.append(UInt8(ascii: ":"))
    value.write(to: &self)
  }

  /// Writes a member of the present object; nothing if `value` is nil.
  package mutating func member(_ name: StaticString, _ value: (some JSONWritable)?) {
    if let value { member(name, value) }
  }

  /// Writes a whole object, its members sorted by the UTF-8 of their names.
  package mutating func object(_ members: [String: some JSONWritable]) {
    object { json in
      for (name, value) in members.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
        json.separate(after: UInt8(ascii: "{"))
        json.string(name)
        json.bytes.append(UInt8(ascii: ":"))
        value.write(to: &json)
      }
    }
  }

  /// Writes an array.
  package mutating func array(_ elements: some Sequence<some JSONWritable>) {
    bytes.append(UInt8(ascii: "["))
    for element in elements {
      separate(after: UInt8(ascii: "["))
      element.write(to: &self)
    }
    bytes.append(UInt8(ascii: "]"))
  }

  /// Writes a comma before every member or element but the first.
  private mutating func separate(after opening: UInt8) {
    // No value ends with an opening bracket: such a byte begins the present object or array.
    if bytes.last != opening { bytes.append(UInt8(ascii: ",")) }
  }

  // MARK: Other values

  /// Writes null.
  package mutating func null() {
    bytes.append(contentsOf: "null".utf8)
  }

  /// Writes a Boolean.
  package mutating func bool(_ value: Bool) {
    bytes.append(contentsOf: value ? "true".utf8 : "false".utf8)
  }

  /// Writes a whole number.
  package mutating func integer(_ value: Int64) {
    bytes.append(contentsOf: String(value).utf8)
  }

  /// Writes a number, in the shortest notation that reads back as the same number; one that is not finite makes `finish` throw.
  package mutating func number(_ value: Double) {
    guard value.isFinite else {
      if faultyNumber == nil { faultyNumber = value }
      return null()
    }
    let text = value.description.utf8
    bytes.append(contentsOf: text.suffix(2).elementsEqual(".0".utf8) ? text.dropLast(2) : text[...])
  }

  /// Writes a string.
  package mutating func string(_ value: String) {
    var value = value
    bytes.append(UInt8(ascii: "\""))
    value.withUTF8 { appendEscaped($0) }
    bytes.append(UInt8(ascii: "\""))
  }

  private mutating func appendEscaped(_ text: UnsafeBufferPointer<UInt8>) {
    var start = 0
    for index in text.indices where Self.needsEscape(text[index]) {
      bytes.append(contentsOf: text[start..<index])
      appendEscape(of: text[index])
      start = index + 1
    }
    bytes.append(contentsOf: text[start...])
  }

  private static func needsEscape(_ byte: UInt8) -> Bool {
    byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
  }

  private mutating func appendEscape(of byte: UInt8) {
    bytes.append(UInt8(ascii: "\\"))
    switch byte {
    case 0x08: bytes.append(UInt8(ascii: "b"))
    case 0x09: bytes.append(UInt8(ascii: "t"))
    case 0x0A: bytes.append(UInt8(ascii: "n"))
    case 0x0C: bytes.append(UInt8(ascii: "f"))
    case 0x0D: bytes.append(UInt8(ascii: "r"))
    case 0..<0x20:
      let digits = Array("0123456789abcdef".utf8)
      bytes.append(contentsOf: "u00".utf8)
      bytes.append(digits[Int(byte >> 4)])
      bytes.append(digits[Int(byte & 0xF)])
    default: bytes.append(byte)
    }
  }
}
