/// Finds where a text stops being JSON (RFC 8259): Foundation's decoder only says that it does.
package struct JSONSyntax {
  /// The first place at which the text cannot be JSON, counted from 1; columns are bytes.
  package struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
    package var line: Int
    package var column: Int
    package var message: String

    package var description: String { "line \(line), column \(column): \(message)" }
  }

  /// What may come next.
  private enum Expectation {
    case value
    case valueOrEndOfArray
    case keyOrEndOfObject
    case key
    case commaOrEnd
    case end
  }

  private enum Container {
    case array
    case object
  }

  private let bytes: [UInt8]
  private var position = 0
  private var containers: [Container] = []

  private init(_ bytes: some Sequence<UInt8>) {
    self.bytes = Array(bytes)
  }

  /// The first fault, or nil when the text is JSON.
  package static func firstFault(in bytes: some Sequence<UInt8>) -> Fault? {
    var syntax = JSONSyntax(bytes)
    do {
      try syntax.check()
      return nil
    } catch {
      return error
    }
  }

  private mutating func check() throws(Fault) {
    var expectation = Expectation.value
    while true {
      skipWhitespace()
      guard position < bytes.count else {
        if case .end = expectation { return }
        throw fault("the text ends too early; " + wanted(expectation))
      }
      expectation = try step(expectation)
    }
  }

  private mutating func step(_ expectation: Expectation) throws(Fault) -> Expectation {
    switch (expectation, bytes[position]) {
    case (.valueOrEndOfArray, UInt8(ascii: "]")), (.keyOrEndOfObject, UInt8(ascii: "}")): return leave()
    case (.commaOrEnd, UInt8(ascii: "]")) where containers.last == .array: return leave()
    case (.commaOrEnd, UInt8(ascii: "}")) where containers.last == .object: return leave()
    case (.commaOrEnd, UInt8(ascii: ",")):
      position += 1
      return containers.last == .object ? .key : .value
    case (.key, UInt8(ascii: "\"")), (.keyOrEndOfObject, UInt8(ascii: "\"")):
      try readString()
      skipWhitespace()
      guard position < bytes.count, bytes[position] == UInt8(ascii: ":") else { throw fault("expected ':' behind the name of a member") }
      position += 1
      return .value
    case (.value, _), (.valueOrEndOfArray, _): return try readValue()
    case (.key, _), (.keyOrEndOfObject, _), (.commaOrEnd, _), (.end, _): throw fault(wanted(expectation) + found)
    }
  }

  private mutating func readValue() throws(Fault) -> Expectation {
    switch bytes[position] {
    case UInt8(ascii: "{"):
      position += 1
      containers.append(.object)
      return .keyOrEndOfObject
    case UInt8(ascii: "["):
      position += 1
      containers.append(.array)
      return .valueOrEndOfArray
    case UInt8(ascii: "\""): try readString()
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try readNumber()
    case UInt8(ascii: "t"): try readWord("true")
    case UInt8(ascii: "f"): try readWord("false")
    case UInt8(ascii: "n"): try readWord("null")
    default: throw fault("expected a value" + found)
    }
    return afterValue
  }

  private mutating func leave() -> Expectation {
    position += 1
    containers.removeLast()
    return afterValue
  }

  private var afterValue: Expectation { containers.isEmpty ? .end : .commaOrEnd }

  private mutating func readWord(_ word: StaticString) throws(Fault) {
    let expected = word.withUTF8Buffer { Array($0) }
    guard bytes[position...].starts(with: expected) else { throw fault("expected a value; is \(word) meant, or are quotes missing?") }
    position += expected.count
  }

  private mutating func readNumber() throws(Fault) {
    if bytes[position] == UInt8(ascii: "-") { position += 1 }
    if position < bytes.count, bytes[position] == UInt8(ascii: "0") { position += 1 } else { try readDigits() }
    if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
      position += 1
      try readDigits()
    }
    if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
      position += 1
      if position < bytes.count, bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") { position += 1 }
      try readDigits()
    }
  }

  private mutating func readDigits() throws(Fault) {
    let start = position
    while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) { position += 1 }
    if position == start { throw fault("expected a digit" + found) }
  }

  private mutating func readString() throws(Fault) {
    let start = position
    position += 1
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: "\""):
        position += 1
        return
      case UInt8(ascii: "\\"): try readEscape()
      case 0..<0x20: throw fault("a control character inside a string must be escaped")
      default: position += 1
      }
    }
    position = start
    throw fault("the string that begins here has no end")
  }

  private mutating func readEscape() throws(Fault) {
    let next = position + 1 < bytes.count ? bytes[position + 1] : 0
    if next == UInt8(ascii: "u") {
      let digits = bytes[min(position + 2, bytes.count)..<min(position + 6, bytes.count)]
      guard digits.count == 4, digits.allSatisfy(isHexadecimal) else { throw fault("expected four hexadecimal digits behind \\u") }
      position += 6
    } else if "\"\\/bfnrt".utf8.contains(next) {
      position += 2
    } else {
      throw fault("there is no such escape in JSON")
    }
  }

  private func isHexadecimal(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): true
    default: false
    }
  }

  private mutating func skipWhitespace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return
      }
    }
  }

  private func wanted(_ expectation: Expectation) -> String {
    switch expectation {
    case .value: "expected a value"
    case .valueOrEndOfArray: "expected a value or ']'"
    case .keyOrEndOfObject: "expected a member's name in double quotes or '}'"
    case .key: "expected a member's name in double quotes"
    case .commaOrEnd: containers.last == .object ? "expected ',' or '}'" : "expected ',' or ']'"
    case .end: "expected the end of the text"
    }
  }

  private var found: String {
    guard position < bytes.count else { return ", found the end of the text" }
    let byte = bytes[position]
    return (0x21...0x7E).contains(byte) ? ", found '\(Unicode.Scalar(byte))'" : ", found the byte 0x\(String(byte, radix: 16))"
  }

  private func fault(_ message: String) -> Fault {
    let before = bytes[..<position]
    let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    return Fault(line: before.count { $0 == UInt8(ascii: "\n") } + 1, column: position - lineStart + 1, message: message)
  }
}
