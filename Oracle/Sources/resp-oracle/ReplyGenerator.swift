/// Makes what a server may send, and what it may not.
struct ReplyGenerator {
  private static let version2: [Character] = ["+", "-", ":", "$", "$", "*", "*"]
  private static let version3: [Character] = ["_", "#", ",", "(", "=", "%", "~", ">"]
  private static let numbers = [
    "0", "1", "-1", "+1", "-0", "00", "01", "10", "42", "-2", "2147483647", "2147483648", "4294967296", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551616", "99999999999999999999", "", "-", "+",
    "1 ", "0x1",
  ]
  private static let doubles = [
    "0", "-0", "1.5", "-2.5e10", "1e-5", ".5", "5.", "1e400", "1e-400", "inf", "-inf", "+inf", "nan", "-nan", "INF", "0x10", " 1", "1\0",
    "infinity", "",
    "e", "1e", "3.141592653589793", "179769313486231570000000000000", "4.9406564584124654e-324", "0.1000000000000000055511151231257827",
  ]
  private static let alphabet = Array("+-:$*+-:$*%~>|_#,(!=0123456789-1\r\n\r\n\r\n\r\ntxt:fe.\0".utf8)

  /// The type bytes of whole replies that are made.
  private let types: [Character]
  /// Inputs to begin from besides.
  private let corpus: [[UInt8]]

  init(hasVersion3: Bool, corpus: [[UInt8]]) {
    types = Self.version2 + (hasVersion3 ? Self.version3 : [])
    self.corpus = corpus
  }

  func input(using random: inout SeededRandom) -> [UInt8] {
    switch random.number(0...19) {
    case 0...4: replies(using: &random)
    case 5...11: mutated(replies(using: &random), using: &random)
    case 12...14 where !corpus.isEmpty: mutated(random.element(of: corpus), using: &random)
    case 15...16: Array(replies(using: &random).prefix(random.number(0...80)))
    case 17: (0..<random.number(1...40)).map { _ in UInt8(random.number(0...255)) }
    default: (0..<random.number(1...60)).map { _ in random.element(of: Self.alphabet) }
    }
  }

  // MARK: Replies

  private func replies(using random: inout SeededRandom) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<random.number(1...4) { appendReply(to: &bytes, levels: random.isOne(in: 20) ? 11 : 4, using: &random) }
    return bytes
  }

  private func appendReply(to bytes: inout [UInt8], levels: Int, using random: inout SeededRandom) {
    let type = levels > 4 ? "*" : random.element(of: types)
    switch type {
    case "$", "=":
      if type == "$", random.isOne(in: 8) { return bytes += "$-1\r\n".utf8 }
      let body = (type == "=" ? Array("txt:".utf8) : []) + string(using: &random)
      bytes += "\(type)\(body.count)\r\n".utf8 + body + "\r\n".utf8
    case "*", "%", "~", ">":
      guard levels > 0 else { return bytes += "*\(random.isOne(in: 3) ? -1 : 0)\r\n".utf8 }
      let count = levels > 4 ? 1 : random.number(0...4)
      bytes += "\(type)\(count)\r\n".utf8
      for _ in 0..<(type == "%" ? 2 * count : count) { appendReply(to: &bytes, levels: levels - 1, using: &random) }
    default:
      bytes += "\(type)\(line(of: type, using: &random))\r\n".utf8
    }
  }

  private func line(of type: Character, using random: inout SeededRandom) -> String {
    switch type {
    case "_": ""
    case "#": random.element(of: ["t", "f", "t", "f", "T", "F", "x"])
    case ",": random.isOne(in: 2) ? random.element(of: Self.doubles) : "\(Double(bitPattern: random.next()))"
    case ":": random.isOne(in: 4) ? random.element(of: Self.numbers) : "\(Int64(bitPattern: random.next()) >> random.number(0...63))"
    case "(": random.isOne(in: 4) ? random.element(of: Self.numbers) : "\(random.next())\(random.next())"
    default: String(decoding: string(using: &random).filter { $0 != 0x0D && $0 != 0x0A }, as: UTF8.self)
    }
  }

  private func string(using random: inout SeededRandom) -> [UInt8] {
    let length = random.isOne(in: 100) ? random.number(900...5_000) : random.number(0...20)
    return (0..<length).map { _ in
      random.isOne(in: 6) ? random.element(of: [0x0D, 0x0A, 0, 0x24, 0xFF]) : UInt8(random.number(0x20...0x7E))
    }
  }

  // MARK: Mutations

  private func mutated(_ original: [UInt8], using random: inout SeededRandom) -> [UInt8] {
    var bytes = original
    for _ in 0..<random.number(1...3) {
      guard !bytes.isEmpty else { break }
      let position = random.number(0...bytes.count - 1)
      switch random.number(0...6) {
      case 0: bytes[position] ^= 1 << random.number(0...7)
      case 1: bytes[position] = random.element(of: Self.alphabet)
      case 2: bytes.insert(random.element(of: Self.alphabet), at: position)
      case 3: bytes.remove(at: position)
      case 4: bytes.removeSubrange(position..<min(bytes.count, position + random.number(1...8)))
      case 5: bytes.insert(contentsOf: bytes[position..<min(bytes.count, position + random.number(1...30))], at: position)
      default: replaceNumber(in: &bytes, near: position, using: &random)
      }
    }
    return bytes
  }

  private func replaceNumber(in bytes: inout [UInt8], near position: Int, using random: inout SeededRandom) {
    let isNumeral = { (byte: UInt8) in byte == 0x2D || (0x30...0x39).contains(byte) }
    guard let start = bytes[position...].firstIndex(where: isNumeral) else { return }
    let end = bytes[start...].firstIndex { !isNumeral($0) } ?? bytes.endIndex
    bytes.replaceSubrange(start..<end, with: random.element(of: Self.numbers).utf8)
  }
}
