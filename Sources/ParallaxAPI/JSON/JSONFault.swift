/// Why a text was not read as JSON, and where.
package struct JSONFault: Error, Hashable, Sendable, CustomStringConvertible {
  /// What the text is.
  package enum Kind: Sendable, Hashable {
    /// No JSON by RFC 8259.
    case malformed
    /// JSON that is not taken: it exceeds a limit, or would not survive being read and written again.
    case refused
  }

  package var kind: Kind
  /// Counted from 1.
  package var line: Int
  /// Counted from 1, in bytes.
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
  /// Counts lines and columns up to an offset.
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
