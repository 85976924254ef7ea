/// A fault in a JSON text, with its location.
package struct JSONFault: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kinds of faults.
  package enum Kind: Sendable, Hashable {
    /// The text is not JSON as of RFC 8259.
    case malformed
    /// The text is JSON, but exceeds a limit or would lose information in a round trip.
    case refused
  }

  package var kind: Kind
  /// The line, from 1.
  package var line: Int
  /// The column, from 1, in bytes.
  package var column: Int
  package var message: String

  package init(_ kind: Kind, line: Int, column: Int, message: String) {
    self.kind = kind
    self.line = line
    self.column = column
    self.message = message
  }

  package var description: String { "line \(line), column \(column): \(message)" }
}

extension JSONFault {
  /// Makes a fault with the line and the column of an offset.
  init(_ kind: Kind, _ message: String, at offset: Int, in bytes: UnsafeBufferPointer<UInt8>) {
    var line = 1
    var lineStart = 0
    for index in 0..<offset where bytes[index] == UInt8(ascii: "\n") {
      line += 1
      lineStart = index + 1
    }
    self.init(kind, line: line, column: offset - lineStart + 1, message: message)
  }
}
