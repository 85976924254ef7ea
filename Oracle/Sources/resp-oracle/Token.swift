/// The token at whose last byte the decoders diverge.
struct Token {
  private static let lineEnd: [UInt8] = [0x0D, 0x0A]

  let bytes: ArraySlice<UInt8>
  /// The number of aggregates around the token.
  let depth: Int

  var type: Character { bytes.first.map { Character(Unicode.Scalar($0)) } ?? " " }

  /// The text between the type byte and CRLF, or the end of an incomplete line.
  var line: ArraySlice<UInt8> { bytes.dropFirst().prefix(upTo: lineBreak ?? bytes.endIndex) }
  var hasWholeLine: Bool { lineBreak != nil }
  var endsWithLineEnd: Bool { bytes.suffix(2).elementsEqual(Self.lineEnd) }

  private var lineBreak: Int? {
    bytes.indices.dropLast().first { bytes[$0] == Self.lineEnd[0] && bytes[$0 + 1] == Self.lineEnd[1] }
  }

  /// The number in the line, if it fits 64 bits; a sign and leading zeros are accepted.
  var number: Int64? {
    let digits = line.drop { $0 == 0x2B || $0 == 0x2D }
    guard line.count - digits.count <= 1, !digits.isEmpty, digits.count <= 19, digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
      return nil
    }
    return Int64(String(decoding: line, as: UTF8.self))
  }

  func isLine(_ texts: String...) -> Bool { texts.contains { line.elementsEqual($0.utf8) } }

  /// The input with the line replaced.
  func replacingLine(in input: [UInt8], with text: String) -> [UInt8] {
    var input = input
    input.replaceSubrange(line.indices, with: text.utf8)
    return input
  }

  /// The input with CRLF for the last two bytes.
  func replacingTerminator(in input: [UInt8]) -> [UInt8] {
    var input = input
    input.replaceSubrange(bytes.endIndex - 2..<bytes.endIndex, with: Self.lineEnd)
    return input
  }

  /// The input with spaces for each CR and LF inside the line.
  func replacingLineBreaks(in input: [UInt8]) -> [UInt8] {
    var input = input
    for index in endsWithLineEnd ? bytes.indices.dropLast(2) : bytes.indices where Self.lineEnd.contains(input[index]) {
      input[index] = 0x20
    }
    return input
  }
}
