/// Parses one JSON text (RFC 8259) into a ``JSONValue``, in one pass and in time linear in its length.
///
/// The parser is stricter than the grammar where leniency would lose information: it refuses duplicate members, whole numbers that would
/// lose digits, unpaired surrogates and deep nesting. It skips a UTF-8 byte order mark.
struct JSONParser {
  /// The longest accepted number, in bytes; the longest exact decimal form of a double has about 1,100.
  static let numberLimit = 2_048

  private let bytes: UnsafeBufferPointer<UInt8>
  private let depthLimit: Int
  private var position = 0
  private var depth = 0

  static func parse(_ bytes: UnsafeBufferPointer<UInt8>, depthLimit: Int) throws(JSONFault) -> JSONValue {
    var parser = JSONParser(bytes: bytes, depthLimit: depthLimit)
    return try parser.text()
  }

  private init(bytes: UnsafeBufferPointer<UInt8>, depthLimit: Int) {
    self.bytes = bytes
    self.depthLimit = depthLimit
  }

  private mutating func text() throws(JSONFault) -> JSONValue {
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    // The first character of JSON is ASCII: a zero byte beside it, or a byte order mark, shows UTF-16 or UTF-32.
    if bytes.prefix(2).contains(0) || bytes.starts(with: [0xFE, 0xFF]) || bytes.starts(with: [0xFF, 0xFE]) {
      throw fault("the text is not UTF-8; send JSON in UTF-8, not in UTF-16 or UTF-32")
    }
    skipWhitespace()
    let value = try value(orElse: "expected a value")
    skipWhitespace()
    guard position == bytes.count else { throw fault("expected the end of the text" + found) }
    return value
  }

  // MARK: Values

  private mutating func value(orElse expectation: String) throws(JSONFault) -> JSONValue {
    guard position < bytes.count else { throw ended(expectation) }
    switch bytes[position] {
    case UInt8(ascii: "{"): return try object()
    case UInt8(ascii: "["): return try array()
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: throw fault(expectation + found)
    }
  }

  private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONFault) -> JSONValue {
    let count = word.utf8CodeUnitCount
    guard position + count <= bytes.count, bytes[position..<(position + count)].elementsEqual(word.withUTF8Buffer { Array($0) }) else {
      throw fault("expected a value; is \(word) meant, or are quotes missing?")
    }
    position += count
    return value
  }

  private mutating func array() throws(JSONFault) -> JSONValue {
    try enter()
    var elements: [JSONValue] = []
    skipWhitespace()
    if take(UInt8(ascii: "]")) { return leave(.array(elements)) }
    while true {
      elements.append(try value(orElse: elements.isEmpty ? "expected a value or ']'" : "expected a value"))
      skipWhitespace()
      if take(UInt8(ascii: "]")) { return leave(.array(elements)) }
      try separator("expected ',' or ']'")
    }
  }

  private mutating func object() throws(JSONFault) -> JSONValue {
    try enter()
    var members: [String: JSONValue] = [:]
    skipWhitespace()
    if take(UInt8(ascii: "}")) { return leave(.object(members)) }
    while true {
      let start = position
      let name = try memberName(isFirst: members.isEmpty)
      let value = try value(orElse: "expected a value")
      guard members.updateValue(value, forKey: name) == nil else {
        position = start
        throw refusal("the member \"\(name.prefix(64))\" is given twice")
      }
      skipWhitespace()
      if take(UInt8(ascii: "}")) { return leave(.object(members)) }
      try separator("expected ',' or '}'")
    }
  }

  private mutating func memberName(isFirst: Bool) throws(JSONFault) -> String {
    let expectation = isFirst ? "expected a member's name in double quotes or '}'" : "expected a member's name in double quotes"
    guard position < bytes.count else { throw ended(expectation) }
    guard bytes[position] == UInt8(ascii: "\"") else { throw fault(expectation + found) }
    let name = try string()
    skipWhitespace()
    guard take(UInt8(ascii: ":")) else { throw fault("expected ':' after the name of a member" + found) }
    skipWhitespace()
    return name
  }

  private mutating func separator(_ expectation: String) throws(JSONFault) {
    guard position < bytes.count else { throw ended(expectation) }
    guard take(UInt8(ascii: ",")) else { throw fault(expectation + found) }
    skipWhitespace()
  }

  private mutating func enter() throws(JSONFault) {
    guard depth < depthLimit else { throw refusal("arrays and objects may be nested \(depthLimit) deep at most") }
    depth += 1
    position += 1
  }

  private mutating func leave(_ value: JSONValue) -> JSONValue {
    depth -= 1
    return value
  }

  // MARK: Numbers

  private mutating func number() throws(JSONFault) -> JSONValue {
    let start = position
    let isNegative = take(UInt8(ascii: "-"))
    let firstDigit = position
    if !take(UInt8(ascii: "0")) { try digits() }
    let wholeDigits = firstDigit..<position
    var isWhole = true
    if take(UInt8(ascii: ".")) {
      isWhole = false
      try digits()
    }
    if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
      isWhole = false
      position += 1
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      try digits()
    }
    let text = start..<position
    guard text.count <= Self.numberLimit else {
      position = start
      throw refusal("a number may have \(Self.numberLimit) characters at most")
    }
    if isWhole {
      return try whole(text, digits: wholeDigits, isNegative: isNegative)
    }
    // Equal numbers become equal values in every notation, except that a zero keeps its sign.
    if let integer = exactInteger(text, isNegative: isNegative) { return .integer(integer) }
    let value = try double(text)
    if let integer = Int64(exactly: value), integer != 0 || value.sign == .plus { return .integer(integer) }
    return .number(value)
  }

  private mutating func digits() throws(JSONFault) {
    let start = position
    while position < bytes.count, isDigit(bytes[position]) { position += 1 }
    if position == start { throw fault("expected a digit" + found) }
  }

  private mutating func whole(_ text: Range<Int>, digits: Range<Int>, isNegative: Bool) throws(JSONFault) -> JSONValue {
    if let integer = integer(digits, isNegative: isNegative) {
      return integer == 0 && isNegative ? .number(-0.0) : .integer(integer)
    }
    let value = try double(text)
    guard significantDigits(of: "\(value.magnitude)".utf8) == significantDigits(of: bytes[digits]) else {
      position = text.lowerBound
      throw refusal("a whole number of more than 64 bits would lose digits; send it as a string")
    }
    return .number(value)
  }

  private func integer(_ digits: Range<Int>, isNegative: Bool) -> Int64? {
    guard digits.count <= 19 else { return nil }
    // Nineteen digits always fit in 64 bits without a sign.
    var magnitude: UInt64 = 0
    for index in digits { magnitude = magnitude * 10 + UInt64(bytes[index] - UInt8(ascii: "0")) }
    if isNegative { return magnitude <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil }
    return Int64(exactly: magnitude)
  }

  /// The value of a number with a fraction or an exponent, if it is whole, not zero, and has at most 64 bits; nil otherwise.
  private func exactInteger(_ text: Range<Int>, isNegative: Bool) -> Int64? {
    var magnitude: UInt64 = 0
    var zeros = 0
    var power = 0
    var isFraction = false
    var index = text.lowerBound + (isNegative ? 1 : 0)
    while index < text.upperBound, bytes[index] | 0x20 != UInt8(ascii: "e") {
      if bytes[index] == UInt8(ascii: ".") {
        isFraction = true
      } else {
        if isFraction { power -= 1 }
        // Zeros count only before another digit.
        if bytes[index] == UInt8(ascii: "0") {
          if magnitude > 0 { zeros += 1 }
        } else {
          guard let scaled = Self.scaled(magnitude, by: zeros + 1) else { return nil }
          magnitude = scaled + UInt64(bytes[index] - UInt8(ascii: "0"))
          zeros = 0
        }
      }
      index += 1
    }
    if index < text.upperBound {
      guard let exponent = Int(String(decoding: bytes[(index + 1)..<text.upperBound], as: UTF8.self)) else { return nil }
      guard abs(exponent) < Self.numberLimit else { return nil }
      power += exponent
    }
    power += zeros
    guard magnitude > 0, power >= 0, let whole = Self.scaled(magnitude, by: power) else { return nil }
    if isNegative { return whole <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- whole) : nil }
    return Int64(exactly: whole)
  }

  /// The number times a power of ten, with room for one more digit; nil on overflow.
  private static func scaled(_ number: UInt64, by power: Int) -> UInt64? {
    if number == 0 { return 0 }
    var number = number
    for _ in 0..<power {
      let (product, overflows) = number.multipliedReportingOverflow(by: 10)
      guard !overflows, product <= UInt64.max - 9 else { return nil }
      number = product
    }
    return number
  }

  private mutating func double(_ text: Range<Int>) throws(JSONFault) -> Double {
    guard let value = Double(String(decoding: bytes[text], as: UTF8.self)), value.isFinite else {
      position = text.lowerBound
      throw refusal("the number is greater than a 64-bit double can hold")
    }
    return value
  }

  /// The digits before the exponent, without leading and trailing zeros, by which two decimal numbers of one magnitude compare.
  private func significantDigits(of text: some Sequence<UInt8>) -> [UInt8] {
    let digits = text.prefix { $0 | 0x20 != UInt8(ascii: "e") }.filter { isDigit($0) }
    let zero = UInt8(ascii: "0")
    return Array(digits.drop { $0 == zero }.reversed().drop { $0 == zero }.reversed())
  }

  private func isDigit(_ byte: UInt8) -> Bool {
    byte &- UInt8(ascii: "0") < 10
  }

  // MARK: Strings

  private mutating func string() throws(JSONFault) -> String {
    let start = position
    position += 1
    let contents = position
    var isASCII = true
    while position < bytes.count {
      let byte = bytes[position]
      switch byte {
      case UInt8(ascii: "\""):
        let slice = UnsafeBufferPointer(rebasing: bytes[contents..<position])
        position += 1
        return isASCII ? String(decoding: slice, as: UTF8.self) : try validated(slice, from: start)
      case UInt8(ascii: "\\"): return try escapedString(from: start, contents: contents)
      case 0..<0x20: throw fault("a control character inside a string must be escaped")
      default:
        if byte >= 0x80 { isASCII = false }
        position += 1
      }
    }
    position = start
    throw fault("the string that begins here has no end")
  }

  /// Parses the rest of a string from its first escape on.
  private mutating func escapedString(from start: Int, contents: Int) throws(JSONFault) -> String {
    var text = Array(bytes[contents..<position])
    while position < bytes.count {
      let byte = bytes[position]
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return try text.withUnsafeBufferPointer { text in Result { () throws(JSONFault) in try validated(text, from: start) } }.get()
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0..<0x20: throw fault("a control character inside a string must be escaped")
      default:
        text.append(byte)
        position += 1
      }
    }
    position = start
    throw fault("the string that begins here has no end")
  }

  private func validated(_ text: UnsafeBufferPointer<UInt8>, from start: Int) throws(JSONFault) -> String {
    guard let string = String(validating: text, as: UTF8.self) else {
      throw JSONFault(.malformed, "the string that begins here is not valid UTF-8", at: start, in: bytes)
    }
    return string
  }

  private mutating func escape(into text: inout [UInt8]) throws(JSONFault) {
    let start = position
    position += 1
    let kind = position < bytes.count ? bytes[position] : 0
    position += 1
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(kind)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      let scalar = try unicodeEscape(from: start)
      text += UTF8.encode(scalar).map { Array($0) } ?? []
    default:
      position = start
      throw fault("there is no such escape in JSON")
    }
  }

  /// The character of `\uXXXX`, or of two such escapes that form a surrogate pair.
  private mutating func unicodeEscape(from start: Int) throws(JSONFault) -> Unicode.Scalar {
    let first = try fourDigits(from: start)
    if let scalar = Unicode.Scalar(first) { return scalar }
    if first < 0xDC00, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u") {
      let next = position
      position += 2
      let second = try fourDigits(from: next)
      if (0xDC00...0xDFFF).contains(second), let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)) {
        return scalar
      }
    }
    position = start
    throw refusal("the escape is half of a surrogate pair, not a character")
  }

  private mutating func fourDigits(from start: Int) throws(JSONFault) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard position < bytes.count, let digit = hexadecimal(bytes[position]) else {
        position = start
        throw fault("expected four hexadecimal digits after \\u")
      }
      value = value << 4 | digit
      position += 1
    }
    return value
  }

  private func hexadecimal(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a")) + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A")) + 10
    default: nil
    }
  }

  // MARK: Places

  private mutating func take(_ byte: UInt8) -> Bool {
    guard position < bytes.count, bytes[position] == byte else { return false }
    position += 1
    return true
  }

  private mutating func skipWhitespace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return
      }
    }
  }

  private var found: String {
    guard position < bytes.count else { return ", found the end of the text" }
    let byte = bytes[position]
    return (0x21...0x7E).contains(byte) ? ", found '\(Unicode.Scalar(byte))'" : ", found the byte 0x\(String(byte, radix: 16))"
  }

  private func ended(_ expectation: String) -> JSONFault {
    fault("the text ends too early; " + expectation)
  }

  private func fault(_ message: String) -> JSONFault {
    JSONFault(.malformed, message, at: min(position, bytes.count), in: bytes)
  }

  private func refusal(_ message: String) -> JSONFault {
    JSONFault(.refused, message, at: position, in: bytes)
  }
}
