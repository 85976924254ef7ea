/// Percent-encoding of RFC 3986.
package enum PercentEncoding {
  /// The reason that a text cannot be decoded.
  package enum Fault: Error, Equatable {
    /// A percent sign is not followed by two hexadecimal digits.
    case brokenEscape
    /// The bytes are not UTF-8.
    case notUTF8
  }

  /// Decodes a text.
  ///
  /// - Parameters:
  ///   - text: The text.
  ///   - plusIsSpace: Whether `+` is a space, as in the query of a form; `false` by default.
  /// - Returns: The decoded text.
  /// - Throws: The fault of the text.
  package static func decode(_ text: Substring, plusIsSpace: Bool = false) throws(Fault) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "%"):
        guard let high = rest.popFirst().flatMap(Hexadecimal.value(of:)), let low = rest.popFirst().flatMap(Hexadecimal.value(of:)) else {
          throw .brokenEscape
        }
        bytes.append(high << 4 | low)
      case UInt8(ascii: "+") where plusIsSpace: bytes.append(UInt8(ascii: " "))
      default: bytes.append(byte)
      }
    }
    guard let decoded = String(validating: bytes, as: UTF8.self) else { throw .notUTF8 }
    return decoded
  }

  /// Decodes the escapes of unreserved bytes, which are equivalent to these bytes; other escapes keep their meaning.
  ///
  /// - Parameter text: The text, such as the path of a URI.
  /// - Returns: The normalized text.
  /// - Throws: ``Fault/brokenEscape``.
  package static func normalize(_ text: Substring) throws(Fault) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      let digits = rest.prefix(2)
      guard let high = rest.popFirst().flatMap(Hexadecimal.value(of:)), let low = rest.popFirst().flatMap(Hexadecimal.value(of:)) else {
        throw .brokenEscape
      }
      let value = high << 4 | low
      if isUnreserved(value) { bytes.append(value) } else { bytes += [byte] + digits }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Encodes a text.
  ///
  /// - Parameters:
  ///   - text: The text.
  ///   - isKept: Whether a byte stays unencoded; by default letters, digits and `-._~` do. A percent sign must not.
  /// - Returns: The encoded text, with upper-case digits.
  package static func encode(_ text: String, keeping isKept: (UInt8) -> Bool = isUnreserved) -> String {
    if text.utf8.allSatisfy(isKept) { return text }
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      if isKept(byte) { bytes.append(byte) } else { bytes += "%\(Hexadecimal.text(of: byte).uppercased())".utf8 }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Whether a byte never needs encoding in a URI: a letter, a digit or one of `-._~`.
  ///
  /// - Parameter byte: The byte in ASCII.
  /// - Returns: Whether the byte is unreserved.
  package static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"): true
    default: false
    }
  }
}
